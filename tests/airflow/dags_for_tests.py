"""The DAG files that the tests hand to Airflow: what users write, with short retries and a past."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from textwrap import dedent

__all__ = ["stream_dag"]


def stream_dag(
    folder: Path,
    dag_id: str,
    *,
    start: datetime,
    self_dependency: str = "heal",
    dag: str = "",
    task: str = "",
    default_args: str = "",
) -> None:
    """Write one DAG that moves the table ``dag_id`` to the object prefix ``dag_id``, from the window at ``start`` on."""
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
        **sync_alerts(webhook_conn_id="hook", late_after=timedelta(minutes=15)),
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
