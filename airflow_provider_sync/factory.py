"""DAGs from job files: one for each file of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_sync.errors import ConfigError, SyncError
from airflow_provider_sync.operators.sync import SyncOperator

__all__ = ["dag_from_file", "dags_from_folder"]

_SUFFIXES = frozenset({".json", ".jsonc"})
_TWO_MINUTES = timedelta(minutes=2)


def dags_from_folder(
    folder: Path | str,
    *,
    schedule: Any,
    start_date: datetime,
    parameters: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    operator: Mapping[str, Any] | None = None,
    **dag: Any,
) -> dict[str, DAG]:
    """Return a DAG for every ``*.json`` and ``*.jsonc`` file in ``folder``, by id (the file's name).

    ``globals().update(dags_from_folder(…))`` hands them to Airflow. ``parameters`` and ``timezone`` are
    those of :class:`SyncOperator`, ``operator`` holds more of its arguments, ``dag`` arguments of the DAG. A file
    with a mistake keeps its DAG, so that its history stays and the mistake is seen: tag ``broken``, and every
    run fails at once with what is wrong. Two files that would make the same id, and a folder that is not there,
    are a :class:`ConfigError`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError("folder", str(folder), reason="there is no such folder")
    dags: dict[str, DAG] = {}
    for path in sorted(one for one in folder.iterdir() if one.suffix in _SUFFIXES):
        if path.stem in dags:
            raise ConfigError("folder", path.name, reason=f"another file makes the DAG {path.stem!r} too")
        dags[path.stem] = dag_from_file(
            path,
            schedule=schedule,
            start_date=start_date,
            parameters=parameters,
            timezone=timezone,
            operator=operator,
            **dag,
        )
    return dags


def dag_from_file(
    path: Path,
    *,
    schedule: Any,
    start_date: datetime,
    parameters: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    operator: Mapping[str, Any] | None = None,
    **dag: Any,
) -> DAG:
    """Return the DAG of one job file; see :func:`dags_from_folder`."""
    path = path.absolute()
    settings = {
        "catchup": True,
        "max_active_runs": 1,
        "default_args": {"retries": 3, "retry_delay": _TWO_MINUTES},
        **dag,
    }
    tags = {"sync", *settings.pop("tags", ())}

    def build(operator_class: type[SyncOperator], tags: set[str]) -> DAG:
        built = DAG(path.stem, schedule=schedule, start_date=start_date, tags=sorted(tags), **settings)
        operator_class(
            task_id="sync",
            job=path,
            parameters=parameters,
            timezone=timezone,
            dag=built,
            **(operator or {}),
        )
        return built

    try:
        return build(SyncOperator, tags)
    except SyncError:
        return build(_BrokenJobOperator, tags | {"broken"})


class _BrokenJobOperator(SyncOperator):
    """Stands in for a job file that cannot be read; running it says why (or works, once it is corrected)."""

    checks_job_when_built = False
