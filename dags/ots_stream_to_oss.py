"""Every five minutes, what changed in a Tablestore table as CSV in OSS: nothing missing, nothing twice.

The run at 10:10 writes the window [10:00, 10:05). If a window cannot be written, later runs complete it first
and then their own: fix the cause, and the next run repairs everything. One alert tells of the failure, one of
the recovery, and one if a run does not end in time.

Connections: ``tablestore_default`` (type tablestore) and ``oss_default`` (type oss, with a bucket).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_sync.notifications import sync_alerts
from airflow_provider_sync.operators.ots_stream import OTSStreamToOSSOperator
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

with DAG(
    "ots_stream_to_oss",
    schedule=SafetyLagTimetable("*/5 * * * *", timezone="UTC", lag=timedelta(minutes=5)),
    start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00"),  # set it to your first day
    catchup=True,  # a scheduler that was down leaves no gap
    max_active_runs=1,  # windows in order
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    tags=["sync"],
    doc_md=__doc__,
    **sync_alerts(late_after=timedelta(minutes=15)),
) as dag:
    OTSStreamToOSSOperator(
        task_id="orders",
        tablestore_conn_id="tablestore_default",
        oss_conn_id="oss_default",
        table="orders",
        columns=["order_id", "customer", "amount", "status", "updated_at"],
        object_name="tablestore/orders",
        write_mode="truncate",
        file_format="csv",
        self_dependency="heal",
        writer_options={"nullFormat": "null", "dateFormat": "yyyy-MM-dd HH:mm:ss", "fieldDelimiter": ","},
    )
