"""What Airflow loads into every one of its processes: kept to a timetable and, in the API server, a view."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

__all__ = ["SyncPlugin"]


class SyncPlugin(AirflowPlugin):
    """Registers the timetable, without which a DAG that uses it can't be scheduled."""

    name = "sync"
    timetables: list[Any] = [SafetyLagTimetable]  # noqa: RUF012 - the base class declares it so
