"""The DAG files that the tests hand to Airflow: what users write, with short retries and a past."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import dedent

__all__ = ["job_dags", "spread_dag", "stream_dag"]


def stream_dag(
    folder: Path,
    dag_id: str,
    *,
    start: datetime,
    self_dependency: str = "heal",
    dag: str = "",
    task: str = "",
    default_args: str = "",
    late_after: float = 900,
) -> None:
    """Write one DAG that moves the table ``dag_id`` to the object prefix ``dag_id``, from the window at ``start``."""
    text = f"""
    from datetime import datetime, timedelta

    from airflow.sdk import DAG

    from airflow_provider_sync.notifications import sync_alerts
    from airflow_provider_sync.operators.ots_stream import OTSStreamToOSSOperator
    from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

    with DAG(
        "{dag_id}",
        schedule=SafetyLagTimetable("*/5 * * * *"),
        start_date=datetime.fromisoformat("{start.isoformat()}"),
        catchup=True,
        max_active_runs=1,
        default_args={{"retries": 1, "retry_delay": timedelta(seconds=1), {default_args}}},
        **sync_alerts(webhook_conn_id="hook", late_after=timedelta(seconds={late_after})),
        {dag}
    ):
        OTSStreamToOSSOperator(
            task_id="move",
            table="{dag_id}",
            object_name="{dag_id}",
            columns=["id", {{"name": "n", "type": "long"}}],
            self_dependency="{self_dependency}",
            {task}
        )
    """
    (folder / f"{dag_id}.py").write_text(dedent(text))


def spread_dag(folder: Path, dag_id: str, *, start: datetime) -> None:
    """Write one DAG of one window that is copied by mapped tasks."""
    text = f"""
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_provider_sync.operators.groups import ots_stream_task_group
    from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

    with DAG(
        "{dag_id}",
        schedule=SafetyLagTimetable("*/5 * * * *"),
        start_date=datetime.fromisoformat("{start.isoformat()}"),
        end_date=datetime.fromisoformat("{start.isoformat()}"),
        catchup=True,
        max_active_runs=1,
    ):
        ots_stream_task_group(
            "spread",
            tasks=2,
            table="{dag_id}",
            object_name="{dag_id}",
            columns=["id", {{"name": "n", "type": "long"}}],
        )
    """
    (folder / f"{dag_id}.py").write_text(dedent(text))


def job_dags(folder: Path, table: str, *, start: datetime) -> None:
    """Write a folder with a DataWorks and a DataX job on one table, and the file that makes DAGs of them."""
    jobs = folder / "jobs"
    jobs.mkdir()
    reader = {
        "datasource": "tablestore_default",
        "dataTable": table,
        "startTimestampMillis": "${start_time}",
        "endTimestampMillis": "${end_time}",
        "mode": "single_version_and_update_only",
        "column": [{"name": "id"}, {"name": "n", "type": "long"}],
        "statusTable": "TableStoreStreamReaderStatusTable",
        "isExportSequenceInfo": False,
    }
    writer = {
        "datasource": "oss_default",
        "writeMode": "truncate",
        "fileFormat": "csv",
        "encoding": "UTF-8",
        "nullFormat": "null",
        "dateFormat": "yyyy-MM-dd HH:mm:ss",
        "fieldDelimiter": ",",
    }
    dataworks = {
        "type": "job",
        "version": "1.0",
        "configuration": {
            "setting": {"errorLimit": {"record": "0"}, "speed": {"mbps": "1", "concurrent": "1"}},
            "reader": {"plugin": "otsstream", "parameter": reader},
            "writer": {"plugin": "oss", "parameter": {**writer, "object": "dataworks/${date}"}},
        },
    }
    datax = {
        "job": {
            "setting": {"speed": {"channel": "1"}},
            "content": [
                {
                    "reader": {"name": "otsstreamreader", "parameter": reader},
                    "writer": {"name": "osswriter", "parameter": {**writer, "object": "datax/${start_time}"}},
                }
            ],
        }
    }
    (jobs / "dataworks.json").write_text("# as exported, with a comment\n" + json.dumps(dataworks, indent=1))
    (jobs / "datax.json").write_text(json.dumps(datax, indent=1))
    text = f"""
    from datetime import datetime, timedelta
    from pathlib import Path

    from airflow_provider_sync.factory import dags_from_folder
    from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

    # Airflow looks for DAGs in files that have both words in them: airflow, dag.
    globals().update(
        dags_from_folder(
            Path(__file__).parent / "jobs",
            schedule=SafetyLagTimetable("*/5 * * * *"),
            start_date=datetime.fromisoformat("{start.isoformat()}"),
            end_date=datetime.fromisoformat("{(start + timedelta(minutes=5)).isoformat()}"),
            timezone="Asia/Shanghai",
            parameters={{
                "start_time": "$[yyyymmddhh24miss-10/24/60]",
                "end_time": "$[yyyymmddhh24miss-5/24/60]",
                "date": "${{bdp.system.bizdate}}",
            }},
        )
    )
    """
    (folder / "job_folder.py").write_text(dedent(text))
