"""A DAG for every job file in a folder: DataX and DataWorks jobs run as they are.

Put ``*.json`` or ``*.jsonc`` files into ``jobs/`` beside this file, or set the environment variable
``SYNC_JOB_FOLDER``. The file's name is the DAG's id. A file that is wrong keeps its DAG, tagged ``broken``; its
runs fail with the line and the reason.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_sync.factory import dags_from_folder
from airflow_provider_sync.notifications import sync_alerts
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

folder = Path(os.environ.get("SYNC_JOB_FOLDER", Path(__file__).parent / "jobs"))

globals().update(
    dags_from_folder(
        folder,
        schedule=SafetyLagTimetable("*/5 * * * *", timezone="Asia/Shanghai", lag=timedelta(minutes=5)),
        start_date=datetime.fromisoformat("2026-11-01T00:00:00+08:00"),
        timezone="Asia/Shanghai",
        parameters={
            "start_time": "$[yyyymmddhh24miss-10/24/60]",
            "end_time": "$[yyyymmddhh24miss-5/24/60]",
            "date": "${bdp.system.bizdate}",
        },
        **sync_alerts(),
    )
)
