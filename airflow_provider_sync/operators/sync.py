"""Any job, as an Airflow task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator, Context

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.operators._observe import (
    FAILURE_KEY,
    ProgressBoard,
    datasets,
    failure,
)
from airflow_provider_sync.operators._window import RunWindow, resolve_window
from airflow_provider_sync.spec.datax import JobFile, load_job
from airflow_provider_sync.spec.job import Endpoint, JobSpec
from airflow_provider_sync.spec.parameters import time_zone

if TYPE_CHECKING:
    import pandas as pd

    from airflow_provider_sync.engine.contract import Environment
    from airflow_provider_sync.operators._session import Session
    from airflow_provider_sync.spec.window import Window

__all__ = ["SyncOperator"]

SelfDependency = Literal["heal", "strict", "none"]
_SELF_DEPENDENCIES = ("heal", "strict", "none")
_JOB_SUFFIXES = (".json", ".jsonc")
_FIVE_MINUTES = timedelta(minutes=5)
log = logging.getLogger(__name__)


class SyncOperator(BaseOperator):
    """Run a job for the window of the DAG run, exactly once in effect however often it runs.

    The window comes from the run's conf (``start`` and ``end``), else its data interval, else the clock
    (``window_width`` long, ``safety_delay`` behind). The task defers, without a worker, until the window's end
    is ``safety_delay`` past.

    :param job: a :class:`JobSpec`, its JSON, a DataX or DataWorks job as a mapping, or the path of a ``.json``
        or ``.jsonc`` file with one of them (relative to the DAG's file).
    :param parameters: scheduling parameters of a job file (rendered): texts for ``${name}``, also expressions
        such as ``$[yyyymmddhh24miss-10/24/60]``. ``start_time`` and ``end_time`` are the window unless given.
    :param job_name: identifies the job's progress; ``<dag id>.<task id>`` unless the job has a name.
    :param timezone: of scheduling parameters and of times without a zone.
    :param checkpoint: where progress is kept, instead of what the job says.
    :param self_dependency: ``heal`` first completes every window between the job's progress and its own;
        ``strict`` runs its own only and relies on ``depends_on_past``; ``none`` keeps no order and no progress.
    :param safety_delay: how long after a window's end its data may still arrive.
    :param window_width: for schedules that give no data interval.
    :param windowed: False for a job that copies everything at each run.
    :param transform: a function of a data frame that returns a data frame, called batch by batch.
    :param progress_interval: seconds between two reports of progress.

    Returns (to XCom) the report of the run's own window, with ``windows``: all that this run committed.
    """

    template_fields: Sequence[str] = ("parameters", "job_name")
    ui_color = "#d4e9ff"
    checks_job_when_built = True

    def __init__(
        self,
        *,
        job: JobSpec | Mapping[str, Any] | str | Path,
        parameters: Mapping[str, str] | None = None,
        job_name: str | None = None,
        timezone: str = "UTC",
        checkpoint: Endpoint | Mapping[str, Any] | None = None,
        self_dependency: SelfDependency = "heal",
        safety_delay: timedelta = _FIVE_MINUTES,
        window_width: timedelta = _FIVE_MINUTES,
        windowed: bool = True,
        transform: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
        progress_interval: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self_dependency not in _SELF_DEPENDENCIES:
            raise ConfigError("self_dependency", self_dependency, allowed=", ".join(_SELF_DEPENDENCIES))
        self.job = job
        self.parameters = dict(parameters or {})
        self.job_name = job_name
        self.timezone = timezone
        self.checkpoint = checkpoint
        self.self_dependency = self_dependency
        self.safety_delay = safety_delay
        self.window_width = window_width
        self.windowed = windowed
        self.transform = transform
        self.progress_interval = progress_interval
        dag = self.get_dag()
        if (
            self.checks_job_when_built
            and not isinstance(job, JobSpec)
            and (isinstance(job, Mapping) or dag is not None)
        ):
            # Said when the DAG is parsed, a mistake in the job shows before anything has to run.
            load_job(_source(job, dag.fileloc if dag is not None else ""), name="job", timezone=timezone)
        self._environment: Environment | None = None
        self._working_on: Window | None = None

    def execute(self, context: Context) -> Any:
        """Wait until the window is safe, then run it."""
        with airflow_errors():
            return self._execute(context)

    def resume(self, context: Context, event: Any = None) -> Any:
        """Go on after the wait; everything is worked out anew, so a wait can't make a run stale."""
        del event
        return self.execute(context)

    def on_kill(self) -> None:
        """Ask the job to stop; it does at the next batch, and what is not committed stays invisible."""
        if self._environment is not None:
            self._environment.cancelled.set()

    def _execute(self, context: Context) -> Any:
        from airflow_provider_sync.engine.contract import Environment  # noqa: PLC0415 - pyarrow, not for parsing

        self._environment = Environment()
        try:
            run = self._resolve(context) if self.windowed else None
            if run is not None:
                self._wait_until_safe(run.window)
            with self._session(context, run) as session:
                return self._work(session)
        except Exception as error:
            context["ti"].xcom_push(FAILURE_KEY, failure(self._name(context), self._working_on, error))
            raise

    def _work(self, session: Session) -> Any:
        """Commit what is due; return what goes to XCom."""
        reports = [session.complete(window) for window in session.due()]
        done = [report.window.to_json() for report in reports if report.window is not None]
        return {**reports[-1].to_json(), "windows": done}

    @contextmanager
    def _session(self, context: Context, run: RunWindow | None) -> Iterator[Session]:
        from airflow_provider_sync.engine.contract import Environment  # noqa: PLC0415 - as above
        from airflow_provider_sync.operators import _build  # noqa: PLC0415
        from airflow_provider_sync.operators._session import Session  # noqa: PLC0415

        environment = self._environment = self._environment or Environment()
        window = None if run is None else run.window
        for note in self._load(context, run, window).notes:
            log.info("job file: %s", note)
        store = _build.build_checkpoints(self._spec(context, run, window), environment)
        try:
            yield Session(
                context=context,
                run=run,
                environment=environment,
                store=store,
                spec=lambda window: self._spec(context, run, window),
                working_on=self._note_window,
                width=self.window_width,
                heal=self.self_dependency == "heal",
                advance=self.self_dependency != "none",
                transform=_build.frame_transform(self.transform) if self.transform else None,
                progress=ProgressBoard(context, self.progress_interval),
            )
        finally:
            store.close()

    def _note_window(self, window: Window | None) -> None:
        self._working_on = window

    def _resolve(self, context: Context) -> RunWindow:
        """Find the run's window: what somebody named, else what the job file asks for, else the schedule's."""
        run = resolve_window(
            context, width=self.window_width, lag=self.safety_delay, timezone=time_zone(self.timezone)
        )
        self._working_on = run.window
        own = None if run.named else self._load(context, run, run.window).window
        if own is not None:
            run = replace(run, window=own)
            self._working_on = own
        return run

    def _wait_until_safe(self, window: Window) -> None:
        if datetime.now(UTC) < window.end_time + self.safety_delay:
            from airflow_provider_sync.triggers.window import WindowSafeTrigger  # noqa: PLC0415 - rarely needed

            self.defer(
                trigger=WindowSafeTrigger(window.end_time, self.safety_delay.total_seconds()),
                method_name="resume",
            )

    def _spec(self, context: Context, run: RunWindow | None, window: Window | None) -> JobSpec:
        """Return the job as it is for ``window``, with its store of progress."""
        from airflow_provider_sync.operators import _build  # noqa: PLC0415 - pyarrow stays out of DAG parsing

        spec = self._load(context, run, window).spec
        checkpoint = _build.endpoint_of(self.checkpoint, "checkpoint")
        return _build.with_checkpoint(spec, checkpoint, windowed=self.windowed)

    def _load(self, context: Context, run: RunWindow | None, window: Window | None) -> JobFile:
        """Return the job as its author gave it, for one window; subclasses make it of typed parameters.

        ``start_time`` and ``end_time`` are the window's for every window but the one that the job file itself
        works out from them.
        """
        if isinstance(self.job, JobSpec):
            return JobFile(self.job)
        moment = context["dag_run"].run_after if run is None or window is None else run.tick_of(window)
        stamps = {} if window is None else _stamps(window, self.timezone)
        own = run is not None and not run.named and window == run.window
        job = load_job(
            _source(self.job, self.dag.fileloc),
            name=self._name(context),
            parameters={**stamps, **self.parameters} if own else {**self.parameters, **stamps},
            moment=moment,
            timezone=self.timezone,
        )
        return replace(job, spec=replace(job.spec, name=self.job_name)) if self.job_name else job

    def _name(self, context: Context) -> str:
        if self.job_name:
            return self.job_name
        if isinstance(self.job, JobSpec):
            return self.job.name
        ti = context["ti"]
        index = getattr(ti, "map_index", -1)
        return f"{ti.dag_id}.{ti.task_id}" + (f"[{index}]" if index is not None and index >= 0 else "")

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage source and target; needs Airflow's OpenLineage provider, which is who calls it."""
        from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415
        from airflow.providers.openlineage.extractors import (  # type: ignore[import-not-found]  # noqa: PLC0415
            OperatorLineage,
        )

        source, target = datasets(self._load(task_instance.get_template_context(), None, None).spec)
        return OperatorLineage(inputs=[Dataset(*source)], outputs=[Dataset(*target)])


def _source(job: Mapping[str, Any] | str | Path, dag_file: str) -> Mapping[str, Any] | str:
    """Return the job's JSON or the text of its file."""
    if isinstance(job, Mapping):
        return job
    path = Path(job)
    path = path if path.is_absolute() else Path(dag_file).parent / path
    if path.suffix not in _JOB_SUFFIXES:
        raise ConfigError("job", str(job), allowed=f"a file ending in {' or '.join(_JOB_SUFFIXES)}")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("job", str(job), reason=f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise ConfigError("job", str(job), reason=f"not UTF-8 ({error})") from error


def _stamps(window: Window, timezone: str) -> dict[str, str]:
    """Return the window's edges as the documented schedule writes them: ``yyyyMMddHHmmss``."""
    zone = time_zone(timezone)
    edges = {"start_time": window.start_time, "end_time": window.end_time}
    return {name: f"{edge.astimezone(zone):%Y%m%d%H%M%S}" for name, edge in edges.items()}
