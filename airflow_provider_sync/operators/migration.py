"""Object migration in Airflow: plan, and copy slices of the plan.

:func:`airflow_provider_sync.operators.migration_group.object_migration` puts them together.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from airflow_provider_sync.errors import ConfigError, PermanentError, TransientError
from airflow_provider_sync.hooks._migration import (
    MigrationRequest,
    Planned,
    Series,
    read_order,
    write_order,
)
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.operators._labels import share_label
from airflow_provider_sync.operators._migration_base import PLANNED_KEY, MigrationOperator
from airflow_provider_sync.operators._observe import PROGRESS_KEY

if TYPE_CHECKING:
    from airflow_provider_sync.engine.contract import Environment
    from airflow_provider_sync.migration.cutter import PlanSummary
    from airflow_provider_sync.migration.folder import JobFolder
    from airflow_provider_sync.migration.run import TaskReport

__all__ = ["MigrationCopyOperator", "MigrationPlanOperator"]

_MOST_SLICES = 512
_MAY_PASS = frozenset(
    {"NETWORK", "THROTTLED", "SOURCE_CHANGED", "SIZE_NOT_MATCH", "CHECKSUM_NOT_MATCH", "FAILED"}
)
log = logging.getLogger(__name__)


class MigrationPlanOperator(MigrationOperator):
    """List both sides, decide what must move, cut it into tasks, and share them among mapped tasks.

    A job that another run left unfinished, or with failed objects, is gone on with: what has arrived is not
    touched again. A finished job is planned anew by the next run of the DAG. The run's parameters or conf may
    say ``anew`` (forget everything of the job first) and ``dry_run`` (only say what would be done).

    :param slices: how many mapped tasks share the work at most (1 to 512).
    :param incremental: each run is a job of its own, and takes what changed since the listing of the last one
        that succeeded whole.
    :param audit_of: a plan (rendered) whose objects are compared instead of copied.

    Returns the numbers of the slices, to map over; :data:`PLANNED_KEY` in XCom has the references.
    """

    template_fields: Sequence[str] = (*MigrationOperator.template_fields, "audit_of")

    def __init__(
        self, *, slices: int = 64, incremental: bool = False, audit_of: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 1 <= slices <= _MOST_SLICES:
            raise ConfigError("slices", slices, allowed=f"1 to {_MOST_SLICES}")
        self.slices = slices
        self.incremental = incremental
        self.audit_of = audit_of

    def work(self, context: Context, request: MigrationRequest, environment: Environment) -> list[int]:
        """Plan, or find the plan that is there."""
        from airflow_provider_sync.migration.plan import plan_job  # noqa: PLC0415 - not for parsing

        if self.audit_of is not None and Planned.from_json(self.audit_of).dry_run:
            context["ti"].xcom_push(PLANNED_KEY, self.audit_of)
            return []
        run_id = str(context["dag_run"].run_id)
        dry_run = _asked(context, "dry_run")
        with request.files() as files:
            request, options = self._resolve(context, request, Series(files, request.job), dry_run=dry_run)
        with request.folder() as folder:
            stored = folder.read_job()
            if stored is not None and self.incremental:
                # what the series says now is for the next run; this one goes on with its own plan
                options["import_since"] = stored["spec"]["import_since"]
            spec = MigrationSpec.of({**options, "job": request.job}, "options")
            if not dry_run:
                _prepare(folder, run_id, anew=_asked(context, "anew"), audit=self.audit_of is not None)
            with request.ends(spec) as (source, target):
                summary = plan_job(spec, source, target, folder, environment=environment, dry_run=dry_run)
            for line in summary.as_text().splitlines():
                log.info("%s", line)
            planned = _dry(request.job, summary) if dry_run else self._share(folder, run_id, summary)
        context["ti"].xcom_push(PLANNED_KEY, planned.to_json())
        return list(range(planned.slices))

    def _share(self, folder: JobFolder, run_id: str, summary: PlanSummary) -> Planned:
        from airflow_provider_sync.migration.status import tasks_to_run  # noqa: PLC0415

        numbers = tasks_to_run(folder)
        return Planned(
            job=folder.job,
            planned_ms=folder.planned()["planned_ms"],
            order=write_order(folder, run_id, numbers),
            slices=min(self.slices, len(numbers)),
            tasks=len(numbers),
            started=summary.started,
            summary=summary.as_json(),
        )

    def _resolve(
        self, context: Context, request: MigrationRequest, series: Series, *, dry_run: bool
    ) -> tuple[MigrationRequest, dict[str, Any]]:
        """Return the job of this run and its options."""
        if self.audit_of is not None:
            return self._audit(request)
        options = dict(request.options)
        if not self.incremental:
            return request, options
        run_after = context["dag_run"].run_after
        job = f"{request.job}-{run_after:%Y%m%dT%H%M%S}"
        since = series.read()["since"] if dry_run else series.begin(job)
        if since:
            options["import_since"] = since
        return request.named(job), options

    def _audit(self, request: MigrationRequest) -> tuple[MigrationRequest, dict[str, Any]]:
        """Return the job that compares what a plan was to move: as it was when its listing began."""
        copied = Planned.from_json(self.audit_of)
        request = request.named(copied.job)
        with request.folder() as folder:
            spec = dict(folder.planned()["spec"])
        ends = (float(self.options.get("last_modify") or 0.0), spec["last_modify"], copied.started)
        until = ends[0] or min(end for end in ends[1:] if end)
        spec |= {**self.options, "job_type": "audit", "last_modify": until}
        del spec["job"]
        return request.named(f"{copied.job}-audit"), spec


class MigrationCopyOperator(MigrationOperator):
    """Do one slice of a plan's tasks: copy their objects, or compare them.

    Objects that fail do not stop the others. At the end, failures that may pass by themselves leave the task to
    Airflow's retries, which try only these objects again; others fail it at once.

    :param planned: what the plan tells (rendered).
    :param index: the slice.
    :param sharers: how many slices run side by side; the limits below are divided by it.
    :param bytes_per_second: limit of the whole job.
    :param objects_per_second: limit of the whole job.
    """

    template_fields: Sequence[str] = (*MigrationOperator.template_fields, "planned", "index")

    def __init__(
        self,
        *,
        planned: Any,
        index: Any,
        sharers: int | None = None,
        bytes_per_second: int | None = None,
        objects_per_second: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.planned = planned
        self.index = index
        self.sharers = sharers
        self.bytes_per_second = bytes_per_second
        self.objects_per_second = objects_per_second

    @property
    def slice_label(self) -> str:
        """What people call this slice: ``slice 03 of 12 · 40 tasks``; only its number while the plan is not known.

        Airflow asks for it before the task, too, and after a failure: it never raises.
        """
        planned: Any = self.planned
        if not isinstance(self.index, int):
            return "slice"
        if not isinstance(planned, Mapping):
            return f"slice {self.index + 1}"
        tasks = len(range(self.index, planned["tasks"], planned["slices"]))
        return share_label("slice", self.index, planned["slices"], tasks, "task")

    def work(self, context: Context, request: MigrationRequest, environment: Environment) -> dict[str, Any]:
        """Run the slice's tasks, one after another; return their sums."""
        from airflow_provider_sync.migration.run import TaskRunner  # noqa: PLC0415 - not for parsing

        planned = Planned.from_json(self.planned)
        request = request.named(planned.job)
        reports: list[TaskReport] = []
        with request.folder() as folder:
            numbers = read_order(folder, planned)[self.index :: planned.slices]
            job = folder.planned()
            spec = self._limited(MigrationSpec.of(job["spec"], "job"), planned.slices)
            with request.ends(spec) as (source, target):
                _require_same(job, source=source.name, target=target.name)
                runner = TaskRunner(spec, source, target, folder, environment=environment)
                for number in numbers:
                    report = runner.run(number)
                    reports.append(report)
                    log.info("%s", _line(report))
        return self._result(context, planned, reports)

    def _limited(self, spec: MigrationSpec, slices: int) -> MigrationSpec:
        sharers = max(1, min(self.sharers or slices, slices))
        changes: dict[str, Any] = {}
        for name in ("bytes_per_second", "objects_per_second"):
            limit = getattr(self, name)
            if limit:
                changes[name] = max(1, int(limit) // sharers)
        return replace(spec, **changes)

    def _result(self, context: Context, planned: Planned, reports: Sequence[TaskReport]) -> dict[str, Any]:
        names = ("objects", "copied", "skipped", "bytes", "noted", "resumed")
        sums: dict[str, Any] = {name: sum(getattr(report, name) for report in reports) for name in names}
        sums |= {"tasks": len(reports), "seconds": round(sum(one.seconds for one in reports), 3)}
        reasons: Counter[str] = Counter()
        for report in reports:
            reasons.update(report.reasons)
        if reasons:
            # a task that fails returns nothing to XCom, and its failure is what people look at
            context["ti"].xcom_push(PROGRESS_KEY, {**sums, "reasons": dict(reasons)})
            said = ", ".join(f"{count} {code}" for code, count in reasons.most_common())
            message = (
                f"job {planned.job!r}: objects failed: {said}; master/jobs/{planned.job}/failed_tasks in the "
                "state folder has them; clear this task to try them again"
            )
            raise TransientError(message) if set(reasons) & _MAY_PASS else PermanentError(message)
        return sums


def _dry(job: str, summary: PlanSummary) -> Planned:
    return Planned(
        job=job,
        planned_ms=0,
        order="",
        slices=0,
        tasks=summary.tasks,
        started=summary.started,
        summary=summary.as_json(),
        dry_run=True,
    )


def _prepare(folder: JobFolder, run_id: str, *, anew: bool, audit: bool) -> None:
    """Decide whether this run goes on with the job or starts it anew, once per run."""
    from airflow_provider_sync.migration.status import stat  # noqa: PLC0415 - not for parsing

    mark = f"{folder.root}RUN"
    own = folder.files.read(mark) == run_id.encode()
    state = stat(folder).state
    # what a comparison has seen is old as soon as something is copied again
    start = not (own and state == "Scanning") if audit else not own and (anew or state == "Succeed")
    if start:
        log.info("job %s (%s) is started anew", folder.job, state)
        folder.clean()
    if not own or start:
        folder.files.write(mark, run_id.encode())


def _asked(context: Context, name: str) -> bool:
    """Tell whether the run's parameters or conf ask for something."""
    conf = getattr(context["dag_run"], "conf", None) or {}
    value = conf.get(name, dict(context.get("params") or {}).get(name, False))
    if value not in (True, False, "true", "false", None):
        raise ConfigError(f"conf.{name}", value, allowed="true or false")
    return value in (True, "true")


def _require_same(job: Mapping[str, Any], **now: str) -> None:
    for side, name in now.items():
        if job[side] != name:
            raise ConfigError(
                side,
                name,
                reason=f"the job was planned for {job[side]}",
                cure="clear the plan with conf anew",
            )


def _line(report: TaskReport) -> str:
    speed = report.bytes / report.seconds / 1e6 if report.seconds else 0.0
    return (
        f"task {report.task}: {report.copied} copied, {report.skipped} skipped, {report.failed} failed, "
        f"{report.resumed} were done before; {report.bytes} bytes in {report.seconds} s ({speed:.1f} MB/s)"
    )
