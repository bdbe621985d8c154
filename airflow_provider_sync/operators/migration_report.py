"""What became of a migration, said and written down; and forgetting it."""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from airflow_provider_sync.errors import ConfigError, PermanentError
from airflow_provider_sync.hooks._migration import MigrationRequest, Planned, Series, read_order
from airflow_provider_sync.operators._migration_base import PLANNED_KEY, MigrationOperator
from airflow_provider_sync.operators._observe import PROGRESS_KEY

if TYPE_CHECKING:
    from airflow_provider_sync.engine.contract import Environment
    from airflow_provider_sync.migration.folder import JobFolder
    from airflow_provider_sync.migration.status import JobStat

__all__ = ["MigrationCleanOperator", "MigrationReportOperator"]

_SHOWN = 20
_ROWS = 5_000
log = logging.getLogger(__name__)


class MigrationReportOperator(MigrationOperator):
    """Say what became of a job, write it down, and fail unless everything arrived.

    ``started`` and ``finished`` are when the listing began, and a time after the last copy (Unix seconds).
    ``report.json`` and ``errors.csv`` in the job's folder have it whole; XCom has the counts and the first
    failures (as ``progress`` if the task fails), and the view *Sync progress* shows them. A run of an incremental
    migration that succeeded moves the time from which the next one looks.

    :param plan_task: id of the task that planned.
    :param audit_task: id of the task that planned the comparison; empty without one.
    :param incremental: as the plan was told.
    :param keep: how many jobs of an incremental migration keep their folders.
    """

    def __init__(
        self,
        *,
        plan_task: str,
        audit_task: str = "",
        incremental: bool = False,
        keep: int = 24,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if keep < 1:
            raise ConfigError("keep", keep, allowed="1 or more")
        self.plan_task = plan_task
        self.audit_task = audit_task
        self.incremental = incremental
        self.keep = keep

    def work(self, context: Context, request: MigrationRequest, environment: Environment) -> dict[str, Any]:
        """Read the job's state."""
        del environment
        planned = Planned.from_json(_pull(context, self.plan_task))
        if planned.dry_run:
            return {"dry_run": True, "plan": planned.summary}
        series, request = request.job, request.named(planned.job)
        report: dict[str, Any] = {
            "job": planned.job,
            "started": planned.started,
            "finished": time.time(),
            "plan": planned.summary,
        }
        with request.folder() as folder:
            read_order(folder, planned)
            bad = _look(folder, report, "copy")
            if self.audit_task and not bad:
                audit = Planned.from_json(_pull(context, self.audit_task))
                with request.named(audit.job).folder() as other:
                    report["verify"] = audit.summary["counts"]
                    bad = _look(other, report, "audit")
            folder.files.write(f"{folder.root}report.json", json.dumps(report, indent=1).encode())
            if bad:
                # a task that fails returns nothing to XCom, and its failure is what people look at
                context["ti"].xcom_push(PROGRESS_KEY, report)
                raise PermanentError(
                    f"{bad}; {folder.files.name}/{folder.root} has errors.csv and report.json"
                )
            if self.incremental:
                self._advance(folder, Series(folder.files, series), planned)
        return report

    def _advance(self, folder: JobFolder, series: Series, planned: Planned) -> None:
        from airflow_provider_sync.migration.folder import JobFolder  # noqa: PLC0415

        for old in series.advance(planned.started, self.keep):
            for name in (old, f"{old}-audit"):
                JobFolder(folder.files, name).clean()


class MigrationCleanOperator(MigrationOperator):
    """Forget a job: its plan, its progress and its lists. What was copied stays."""

    def work(self, context: Context, request: MigrationRequest, environment: Environment) -> None:
        """Remove the folders of the job and of its comparison."""
        del context, environment
        for name in (request.job, f"{request.job}-audit"):
            with request.named(name).folder() as folder:
                folder.clean()


def _pull(context: Context, task: str) -> Any:
    return context["ti"].xcom_pull(task_ids=task, key=PLANNED_KEY)


def _look(folder: JobFolder, report: dict[str, Any], name: str) -> str:
    """Add a job's state to the report; return what is wrong with it, empty if nothing is."""
    from airflow_provider_sync.migration.status import failed_objects, stat  # noqa: PLC0415 - not for parsing

    found: JobStat = stat(folder)
    for line in found.as_text().splitlines():
        log.info("%s", line)
    report[name] = found.as_json()
    if found.state == "Succeed":
        return ""
    rows = failed_objects(folder)
    first = list(islice(rows, _SHOWN))
    report["failures"] = [{"key": row["key"], "code": row["code"], "note": row["note"]} for row in first]
    _write_errors(folder, first, rows)
    for row in report["failures"]:
        log.error("%s: %s %s", row["key"], row["code"], row["note"])
    left = found.pending + found.dispatched
    parts = [
        f"{found.failed_objects} objects failed" if found.failed_objects else "",
        f"{found.rejected} names cannot be in the target" if found.rejected else "",
        f"{found.different} objects are not the same" if found.different else "",
        f"{left} of {found.tasks} tasks are not finished" if left else "",
    ]
    return f"job {found.job!r} ({found.state}): {', '.join(part for part in parts if part)}"


def _write_errors(
    folder: JobFolder, first: Sequence[Mapping[str, str]], rest: Iterator[Mapping[str, str]]
) -> None:
    """Write every failure as CSV, a piece at a time."""
    name = f"{folder.root}errors.csv"
    folder.files.delete(name)
    rows: Sequence[Mapping[str, str]] = first
    header = True
    while rows:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if header:
            writer.writerow(["key", "code", "note"])
        writer.writerows([row["key"], row["code"], row["note"]] for row in rows)
        folder.files.append(name, text.getvalue().encode("utf-8", "backslashreplace"))
        header, rows = False, list(islice(rest, _ROWS))
