"""What a running and a finished job tells: log lines, progress, metrics, lineage, the cause of a failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.log import redact  # type: ignore[attr-defined]
from airflow.sdk.observability import stats

from airflow_provider_sync.spec.window import Window

if TYPE_CHECKING:
    from airflow_provider_sync.engine.report import JobReport, Progress
    from airflow_provider_sync.spec.job import JobSpec

__all__ = ["FAILURE_KEY", "PROGRESS_KEY", "ProgressBoard", "datasets", "failure", "observe_report"]

FAILURE_KEY = "sync_failure"
"""XCom key of what stopped a task: ``{"job", "window", "error", "message"}``."""

PROGRESS_KEY = "progress"
"""Task state key of where a running task stands, for people; no work is ever skipped because of it."""

_MEGABYTE = 1024 * 1024
log = logging.getLogger(__name__)


@dataclass
class ProgressBoard:
    """Shows progress every ``interval`` seconds: one log line, and the task's state for the UI.

    Called from the threads that copy. The state names window and try, so that a cleared task's old numbers
    can't be taken for its new ones.
    """

    context: Context
    interval: float
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: float = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show ``progress`` if it is time; cheap otherwise."""
        now = self.clock()
        if now < self._next:
            return
        with self._lock:
            if now < self._next:
                return
            self._next = now + self.interval
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        seconds = max(progress.seconds, 1e-9)
        log.info(
            "Total %d records, %d bytes | Speed %.2f MB/s, %d records/s | Error %d records | Splits %d/%d | %s",
            progress.read,
            progress.nbytes,
            progress.nbytes / seconds / _MEGABYTE,
            progress.read / seconds,
            progress.rejected,
            progress.splits_done,
            progress.splits,
            progress.window or progress.job,
        )
        state: dict[str, Any] = {
            "job": progress.job,
            "window": None if progress.window is None else _window(progress.window),
            "try_number": self.context.get("try_number") or self.context["ti"].try_number,
            "splits": progress.splits,
            "splits_done": progress.splits_done,
            "read": progress.read,
            "written": progress.written,
            "bytes": progress.nbytes,
            "rejected": progress.rejected,
            "seconds": round(progress.seconds, 3),
        }
        store = self.context.get("task_state_store")
        if store is None:
            return
        try:
            store.set(PROGRESS_KEY, state)
        except AirflowRuntimeError:
            log.warning("could not show progress; the job goes on", exc_info=True)


def observe_report(report: JobReport, context: Context) -> None:
    """Count a committed window in Airflow's metrics, under ``sync.*`` tagged with job, DAG and task."""
    tags = {"job": report.job, "dag_id": context["ti"].dag_id, "task_id": context["ti"].task_id}
    tally = report.tally
    stats.incr("sync.windows_committed", 1, tags=tags)
    stats.incr("sync.records_read", tally.read, tags=tags)
    stats.incr("sync.records_written", tally.written, tags=tags)
    stats.incr("sync.records_rejected", tally.rejected, tags=tags)
    stats.incr("sync.bytes_read", tally.nbytes, tags=tags)
    for name, count in tally.counters.items():
        stats.incr(f"sync.{name}", count, tags=tags)
    stats.timing("sync.window_duration", report.seconds * 1000, tags=tags)
    if report.window is not None:
        stats.gauge("sync.lag_seconds", time.time() - report.window.end / 1000, tags=tags)


def failure(job: str, window: Window | None, error: BaseException) -> dict[str, Any]:
    """Return what alerts say about a failed task."""
    cause = error.__cause__ or error
    return {
        "job": job,
        "window": None if window is None else _window(window),
        "error": type(cause).__name__,
        "message": str(redact(str(cause))),
    }


def datasets(spec: JobSpec) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return (namespace, name) of source and target, for lineage."""
    reader, writer = spec.reader.parameter, spec.writer.parameter
    return (
        (spec.reader.plugin, _first(reader, ("dataTable", "table", "path"), spec.reader.connection)),
        (
            _target(spec.writer.plugin, writer),
            _first(writer, ("object", "table", "path"), spec.writer.connection),
        ),
    )


def _target(plugin: str, parameter: Mapping[str, Any]) -> str:
    return f"oss://{parameter['bucket']}" if plugin == "oss" and "bucket" in parameter else plugin


def _first(parameter: Mapping[str, Any], names: tuple[str, ...], default: str) -> str:
    return next((str(parameter[name]) for name in names if parameter.get(name)), default)


def _window(window: Window) -> dict[str, Any]:
    return {
        **window.to_json(),
        "from": window.start_time.isoformat(),
        "to": window.end_time.isoformat(),
        "label": window.label,
    }
