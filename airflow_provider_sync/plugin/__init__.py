"""What Airflow loads into every one of its processes: kept to a timetable and, in the API server, a view."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_sync.timetables.deadline import RunCreatedDeadline
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

__all__ = ["SyncPlugin"]

_PREFIX = "sync"
_API_SERVER = ["api-server"]


class SyncPlugin(AirflowPlugin):
    """Registers what DAGs refer to (the timetable, the start of deadlines), and a view of progress.

    Without the plugin in every component, a DAG that uses them can't be scheduled.

    The view is one static file: what it shows it asks of Airflow's own API, which checks who is asking.
    """

    name = "sync"
    timetables: list[Any] = [SafetyLagTimetable]  # noqa: RUF012 - the base class declares it so
    deadline_references: list[Any] = [RunCreatedDeadline]  # noqa: RUF012
    react_apps: list[Any] = [  # noqa: RUF012
        {
            "name": "Sync progress",
            "bundle_url": f"{_PREFIX}/static/progress.js",
            "destination": "task_instance",
            "url_route": "sync-progress",
        }
    ]
    fastapi_apps: list[Any] = []  # noqa: RUF012 - see on_load

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Serve the view's file, in the API server only: no other process should pay for a web framework."""
        del args, kwargs
        if sys.argv[1:2] == _API_SERVER and not cls.fastapi_apps:
            cls.fastapi_apps.append({"app": _static_files(), "url_prefix": f"/{_PREFIX}", "name": "Sync"})


def _static_files() -> Any:
    from fastapi import FastAPI  # noqa: PLC0415 - see on_load
    from fastapi.staticfiles import StaticFiles  # noqa: PLC0415

    # Without these addresses FastAPI would describe the app to anybody.
    app = FastAPI(title="Sync", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    return app
