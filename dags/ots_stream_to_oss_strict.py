"""The same, with DataWorks' self-dependency: after a failed window nothing runs until somebody has looked.

The DAG pauses itself at its first failed run (``max_consecutive_failed_dag_runs=1``), so that no later run is
created that would wait for it and hold its place. To go on:

1. fix the cause;
2. clear the failed run;
3. unpause the DAG: the failed window, then every window since, in order.

Do not set ``dagrun_timeout``, and do not mark a waiting run failed: Airflow would skip its task, count that as
done, and its window would be missing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_sync.notifications import sync_alerts
from airflow_provider_sync.operators.ots_stream import OTSStreamToOSSOperator
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

with DAG(
    "ots_stream_to_oss_strict",
    schedule=SafetyLagTimetable("*/5 * * * *", timezone="UTC", lag=timedelta(minutes=5)),
    start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00"),
    catchup=True,
    max_active_runs=1,
    max_consecutive_failed_dag_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2), "depends_on_past": True},
    tags=["sync"],
    doc_md=__doc__,
    **sync_alerts(late_after=timedelta(minutes=15)),
) as dag:
    OTSStreamToOSSOperator(
        task_id="orders",
        table="orders",
        columns=["order_id", "customer", "amount", "status", "updated_at"],
        object_name="tablestore/orders_strict",
        self_dependency="strict",
    )
