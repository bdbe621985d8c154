"""Files between CPFS and OSS: one subtask each, moved by Alibaba Cloud, waited for without a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator, Context

from airflow_provider_sync.errors import CancelledError, ConfigError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.hooks.cpfs import CpfsHook
from airflow_provider_sync.operators._status import deadline_of

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import NasClient
    from airflow_provider_sync.hooks._subtasks import FailedFile, SubtaskProbe, Survey
    from airflow_provider_sync.operators._files import FileMove, Plan
    from airflow_provider_sync.operators._ledger import Ledger
    from airflow_provider_sync.spec.window import Window

__all__ = ["CpfsMoveFilesOperator"]

_DIRECTIONS = ("import", "export")
_ON_FAILED = ("fail", "list")
_KILL_SECONDS = 3.5  # Airflow kills five seconds after it asks
_FIVE_MINUTES = timedelta(minutes=5)


class CpfsMoveFilesOperator(BaseOperator):
    """Have files moved through a streaming task of a dataflow, and wait until every one has arrived.

    What to move is one of: ``files``; ``pattern``, a glob below the task's source directory, over the objects of the
    dataflow's bucket (import) or over a folder (``mounted_at``, export); ``pattern`` with ``changed_only``: the
    objects last modified in the run's window, hence what is new since the last run.

    A file has at most one subtask in each try that needs one, whatever replies are lost and whichever worker dies. A
    retry, and a clear after a failure, moves what has not arrived; a clear after a success moves everything again.

    :param file_system_id: such as ``bmcpfs-370jz26fkr2st9``.
    :param dataflow_id: the dataflow.
    :param dataflow_task_id: its streaming task, which must be Executing.
    :param files: a path, or a mapping with ``source``, ``target``, and ``size`` and ``modify_time_ns`` that the
        source must have; or a list of these, or its JSON. Paths go to the service as they are.
    :param pattern: a glob: ``*`` stops at a slash, ``**`` does not.
    :param changed_only: only objects last modified in the run's data interval (``start`` and ``end`` of the run's
        conf, if given).
    :param oss_conn_id: for ``pattern``: how to list the dataflow's bucket.
    :param mounted_at: for ``pattern`` in an export: the folder on the workers where the task's source directory is.
    :param target_directory: what goes before the path of a file that has no target; the task's DstDirectory for an
        import and ``/`` for an export unless given (what the service adds is documented in two ways).
    :param direction: ``import`` or ``export``: refuse a task of the other direction.
    :param wait: False returns the subtasks' ids at once, for a sensor.
    :param on_failed: ``fail`` raises when all have ended and some have failed, naming them; ``list`` succeeds with
        them in the report.
    :param deferrable: False waits on the worker.
    :param poll_interval: seconds between two looks.
    :param timeout: of one try, ``execution_timeout`` if that is given instead; the subtasks go on, and the next try
        finds them.
    :param patience: seconds that the service may not show a subtask.
    :param cancel_on_kill: cancel what has not arrived when somebody ends or clears the task.
    :param calls_per_second: of this task; the service allows an account 100.
    :param safety_delay: with ``changed_only``: how long after a window's end objects may still appear in it.

    Returns (to XCom) ``{"files", "moved", "skipped", "failed", "failed_files", "refused", "bytes_done",
    "bytes_moved", "refused_names", "window"?}``; with ``wait=False`` instead ``{"files", "subtask_ids", …}``, and the
    ids alone as XCom ``subtask_ids``. XCom ``failed_files`` is what another such task takes as ``files``.
    """

    template_fields: Sequence[str] = (
        "cpfs_conn_id",
        "file_system_id",
        "dataflow_id",
        "dataflow_task_id",
        "files",
        "pattern",
        "target_directory",
        "oss_conn_id",
        "mounted_at",
    )
    ui_color = "#d4f1e4"

    def __init__(
        self,
        *,
        file_system_id: str,
        dataflow_id: str,
        dataflow_task_id: str,
        files: Any = None,
        pattern: str | None = None,
        changed_only: bool = False,
        cpfs_conn_id: str = CpfsHook.default_conn_name,
        oss_conn_id: str = "oss_default",
        mounted_at: str | None = None,
        target_directory: str | None = None,
        direction: Literal["import", "export"] | None = None,
        wait: bool = True,
        on_failed: Literal["fail", "list"] = "fail",
        deferrable: bool = True,
        poll_interval: float = 30.0,
        timeout: timedelta | None = None,
        patience: float = 300.0,
        cancel_on_kill: bool = True,
        calls_per_second: float = 40.0,
        safety_delay: timedelta = _FIVE_MINUTES,
        window_width: timedelta = _FIVE_MINUTES,
        timezone: str = "UTC",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (files is None) == (pattern is None):
            raise ConfigError("files", reason="exactly one of files and pattern is needed")
        if changed_only and (pattern is None or mounted_at is not None):
            raise ConfigError("changed_only", changed_only, reason="needs a pattern over objects")
        if direction is not None and direction not in _DIRECTIONS:
            raise ConfigError("direction", direction, allowed=" or ".join(_DIRECTIONS))
        if on_failed not in _ON_FAILED:
            raise ConfigError("on_failed", on_failed, allowed=" or ".join(_ON_FAILED))
        if poll_interval <= 0:
            raise ConfigError("poll_interval", poll_interval, allowed="a positive number of seconds")
        if calls_per_second <= 0:
            raise ConfigError("calls_per_second", calls_per_second, allowed="a positive number")
        self.cpfs_conn_id = cpfs_conn_id
        self.file_system_id = file_system_id
        self.dataflow_id = dataflow_id
        self.dataflow_task_id = dataflow_task_id
        self.files = files
        self.pattern = pattern
        self.changed_only = changed_only
        self.oss_conn_id = oss_conn_id
        self.mounted_at = mounted_at
        self.target_directory = target_directory
        self.direction = direction
        self.wait = wait
        self.on_failed = on_failed
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.patience = patience
        self.cancel_on_kill = cancel_on_kill
        self.calls_per_second = calls_per_second
        self.safety_delay = safety_delay
        self.window_width = window_width
        self.timezone = timezone
        self._killed = threading.Event()
        self._mine: list[str] = []
        self._given_up: Sequence[str] = ()
        self._listed: Plan | None = None

    # What Airflow calls

    def execute(self, context: Context) -> Any:
        """Submit what has not been submitted, and wait."""
        return self._begin(context)

    def _begin(self, context: Context) -> Any:
        with self._told(context), airflow_errors():
            window = self._window(context) if self.changed_only else None
            plan = self._listed = self._plan(window)
            ledger = self._ledger(context)
            deadline = deadline_of(self)
            self._submit(plan.moves, ledger)
            return self._follow(context, ledger, plan.to_json(), deadline)

    def resume(
        self,
        context: Context,
        event: Any = None,
        about: dict[str, Any] | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Go on after the wait: look again, because the event may be old."""
        self._given_up = (event or {}).get("never_shown", [])
        with self._told(context), airflow_errors():
            return self._follow(context, self._ledger(context), about or {}, deadline)

    def start_window(self, context: Context, event: Any = None) -> Any:
        """Begin, now that the window is safe."""
        del event
        return self._begin(context)

    def on_kill(self) -> None:
        """Stop submitting; cancel what can be canceled before Airflow kills."""
        self._killed.set()
        if self.cancel_on_kill and self._mine:
            self._probe(self._mine).cancel(seconds=_KILL_SECONDS)

    @contextmanager
    def _told(self, context: Context) -> Iterator[None]:
        """Leave the cause of a failure where alerts look for it."""
        try:
            yield
        except Exception as error:
            from airflow_provider_sync.operators._observe import FAILURE_KEY, failure  # noqa: PLC0415 - rarely needed

            window = None if self._listed is None else self._listed.window
            context["ti"].xcom_push(FAILURE_KEY, failure(f"{self.dag_id}.{self.task_id}", window, error))
            raise

    # What to move

    def _window(self, context: Context) -> Window:
        from airflow_provider_sync.operators._window import resolve_window  # noqa: PLC0415 - not for parsing

        found = resolve_window(
            context, width=self.window_width, lag=self.safety_delay, timezone=ZoneInfo(self.timezone)
        ).window
        if datetime.now(UTC) < found.end_time + self.safety_delay:
            from airflow_provider_sync.triggers.window import WindowSafeTrigger  # noqa: PLC0415 - rarely needed

            self.defer(
                trigger=WindowSafeTrigger(found.end_time, self.safety_delay.total_seconds()),
                method_name="start_window",
            )
        return found

    def _plan(self, window: Window | None) -> Plan:
        from airflow_provider_sync.operators._file_source import FileSource  # noqa: PLC0415 - not for parsing

        return FileSource(
            client=self._client,
            file_system_id=self.file_system_id,
            dataflow_id=self.dataflow_id,
            dataflow_task_id=self.dataflow_task_id,
            files=self.files,
            pattern=self.pattern,
            oss_conn_id=self.oss_conn_id,
            mounted_at=self.mounted_at,
            target_directory=self.target_directory,
            direction=self.direction,
        ).plan(window)

    # Asking for it

    @cached_property
    def _client(self) -> NasClient:
        return CpfsHook(self.cpfs_conn_id, calls_per_second=self.calls_per_second).get_conn()

    def _ledger(self, context: Context) -> Ledger:
        from airflow_provider_sync.operators._ledger import Ledger, digest  # noqa: PLC0415 - not for parsing

        return Ledger.open(context, digest(self.file_system_id, self.dataflow_id, self.dataflow_task_id))

    def _submit(self, moves: Sequence[FileMove], ledger: Ledger) -> None:
        from airflow_provider_sync.operators._submit import Submitter  # noqa: PLC0415 - not for parsing

        self._mine[:] = [one.subject for one in ledger.entries if one.subject]
        Submitter(
            client=self._client,
            file_system_id=self.file_system_id,
            dataflow_id=self.dataflow_id,
            dataflow_task_id=self.dataflow_task_id,
            created=self._mine,
            killed=self._killed,
            cancel_on_kill=self.cancel_on_kill,
        ).submit(moves, ledger)

    # Waiting for it

    def _follow(self, context: Context, ledger: Ledger, about: dict[str, Any], deadline: float | None) -> Any:
        """Wait until all have ended; ask again for what failed in an earlier try and is still to be moved."""
        if not self.wait:
            ledger.finish()
            ids = [one.subject for one in ledger.entries if one.subject]
            context["ti"].xcom_push("subtask_ids", ids)
            return {"files": len(ids), "subtask_ids": ids, **about}
        while True:
            names = {one.subject: one.name for one in ledger.entries if one.subject}
            self._mine[:] = names
            survey = self._wait(context, self._mine, about, deadline)
            if not survey.failed:
                return self._conclude(context, ledger, survey, [], about)
            moves = {one.name: one for one in self._moves(context)}
            stale = [name for one in survey.failed if ledger.is_old(name := names[one.subtask_id])]
            if not stale:
                failed = [self._named(one, moves.get(names[one.subtask_id])) for one in survey.failed]
                return self._conclude(context, ledger, survey, failed, about)
            # What an earlier try asked for in vain, and this one does not want any more, is nobody's failure.
            again = [moves[name] for name in stale if name in moves]
            self.log.info(
                "%d files failed in an earlier try; moving %d of them again, the others are no longer wanted",
                len(stale),
                len(again),
            )
            ledger.renew(stale)
            self._submit(again, ledger)

    def _wait(
        self, context: Context, ids: list[str], about: dict[str, Any], deadline: float | None
    ) -> Survey:
        from airflow_provider_sync.hooks._subtasks import FilesLateError, show_survey  # noqa: PLC0415 - see above

        probe = self._probe(ids)
        while True:
            survey = probe.look()
            show_survey(context, survey)
            if survey.finished:
                return survey
            if deadline is not None and time.time() >= deadline:
                limit = self.timeout or self.execution_timeout
                raise FilesLateError(
                    f"timeout of {limit}: {survey}; the subtasks go on, and a retry waits for them"
                )
            if self.deferrable:
                self._defer(ids, about, deadline)
            if self._killed.wait(self.poll_interval):
                raise CancelledError("stopped while waiting for files")

    def _defer(self, ids: list[str], about: dict[str, Any], deadline: float | None) -> None:
        from airflow_provider_sync.triggers.dataflow import SubtasksTrigger  # noqa: PLC0415 - not for parsing

        self.defer(
            trigger=SubtasksTrigger(
                cpfs_conn_id=self.cpfs_conn_id,
                file_system_id=self.file_system_id,
                task_ids=[self.dataflow_task_id],
                subtask_ids=ids,
                poll_interval=self.poll_interval,
                deadline=deadline,
                patience=self.patience,
                cancel_on_kill=self.cancel_on_kill,
            ),
            method_name="resume",
            kwargs={"about": about, "deadline": deadline},
        )

    def _moves(self, context: Context) -> Sequence[FileMove]:
        """Return what is to be moved, listed when it is first needed."""
        if self._listed is None:
            self._listed = self._plan(self._window(context) if self.changed_only else None)
        return self._listed.moves

    def _probe(self, ids: Iterable[str]) -> SubtaskProbe:
        from airflow_provider_sync.hooks._subtasks import SubtaskProbe  # noqa: PLC0415 - not for parsing

        return SubtaskProbe(
            self._client,
            self.file_system_id,
            ids,
            task_ids=[self.dataflow_task_id],
            patience=self.patience,
            given_up=self._given_up,
        )

    def _named(self, one: FailedFile, move: FileMove | None) -> FailedFile:
        """Return a failure under the paths that were asked for, which can be asked for again."""
        return one if move is None else replace(one, source=move.source, target=move.target)

    def _conclude(
        self,
        context: Context,
        ledger: Ledger,
        survey: Survey,
        failed: Sequence[FailedFile],
        about: dict[str, Any],
    ) -> Any:
        from airflow_provider_sync.hooks._subtasks import FilesFailedError  # noqa: PLC0415 - not for parsing

        context["ti"].xcom_push("progress", survey.outcome(failed))
        if failed and self.on_failed == "fail":
            raise FilesFailedError(survey.total, failed)
        report = {**survey.report(failed), **about}
        context["ti"].xcom_push("failed_files", report["failed_files"])
        ledger.finish()
        return report
