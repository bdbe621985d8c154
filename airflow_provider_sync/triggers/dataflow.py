"""Waits for subtasks, tasks and dataflows of CPFS. Every call to the service is made in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_sync.errors import TransientError
from airflow_provider_sync.hooks.cpfs import CpfsHook
from airflow_provider_sync.triggers._settle import settle

if TYPE_CHECKING:
    from airflow_provider_sync.hooks._subtasks import SubtaskProbe, Survey

__all__ = ["DataflowStatusTrigger", "SubtasksTrigger"]

PROGRESS_KEY = "progress"
"""XCom key of how far the files of a deferred task are, for people."""

_THREADS = 4
_RATE = 30.0  # calls a second of all triggers of this process: the rest is for those who submit
_CALL_PATIENCE = 20.0
_OUTAGE_PATIENCE = 1800.0
_CANCEL_SECONDS = 20.0  # Airflow gives on_kill 30
T = TypeVar("T")
log = logging.getLogger(__name__)


@cache
def _threads(purpose: str) -> ThreadPoolExecutor:
    """Return the threads that all triggers of this process share for a purpose: the loop's own are everybody's.

    Each purpose has its own, because a call may wait in its thread for a turn: the looks at dataflows and tasks, of
    which the service allows two a second, must not keep those at files waiting, and a kill has half a minute.
    """
    return ThreadPoolExecutor(_THREADS, thread_name_prefix=f"cpfs-{purpose}")


async def _in_thread(purpose: str, function: Callable[[], T]) -> T:
    context = contextvars.copy_context()  # says to Airflow whose log a line belongs to
    return await asyncio.get_running_loop().run_in_executor(_threads(purpose), context.run, function)


class _PollingTrigger(BaseTrigger):
    """Looks every ``poll_interval`` seconds until there is an answer or ``deadline`` (Unix time) has passed.

    The event is ``{"state": "finished" | "late", …}``; what it is about is for the operator to look at again. The
    service may be away for half an hour; after that the error reaches the task, whose retry goes on.

    With ``cancel_on_kill`` what is waited for is canceled when somebody ends or clears the deferred task, not when
    the triggerer stops. Progress goes to the log and, as XCom ``progress``, to the task instance.
    """

    purpose: ClassVar[str]

    def __init__(
        self, *, cpfs_conn_id: str, poll_interval: float, deadline: float | None, cancel_on_kill: bool
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cpfs_conn_id = cpfs_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self._hook: CpfsHook | None = None
        self._shown = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it from again."""
        common = {
            "cpfs_conn_id": self.cpfs_conn_id,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", {**common, **self._settings()}

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return what this kind has beside the common arguments."""

    @abstractmethod
    def _look(self) -> dict[str, Any] | None:
        """Ask the service, in a thread; return the event's fields once there is an end."""

    @abstractmethod
    def _cancel(self) -> None:
        """Cancel what is waited for, in a thread."""

    async def on_kill(self) -> None:
        """Cancel what can be, because somebody marked or cleared the task."""
        if self.cancel_on_kill:
            await _in_thread("cancel", self._cancel)

    @property
    def hook(self) -> CpfsHook:
        """The hook, which keeps one client for the life of the trigger."""
        if self._hook is None:
            self._hook = CpfsHook(self.cpfs_conn_id, calls_per_second=_RATE, patience=_CALL_PATIENCE)
        return self._hook

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, look, sleep again: whoever defers has looked just before."""
        away_since: float | None = None
        pause = self.poll_interval - await settle()
        while True:
            left = pause if self.deadline is None else self.deadline - time.time()
            await asyncio.sleep(max(0.0, min(left, pause)))
            pause = self.poll_interval
            try:
                answer = await _in_thread(self.purpose, self._look)
                away_since = None
            except TransientError as error:
                now = time.monotonic()
                away_since = now if away_since is None else away_since
                if now - away_since > _OUTAGE_PATIENCE:
                    raise
                log.warning("could not look, will try again: %s", error)
                answer = None
            if answer is not None:
                yield TriggerEvent({"state": "finished", **answer})
                return
            if self.deadline is not None and time.time() >= self.deadline:
                yield TriggerEvent({"state": "late"})
                return

    def _show(self, survey: Survey, *, last: bool) -> None:
        """Show how things stand, unless nothing has changed; the task itself tells of its end."""
        if str(survey) == self._shown:
            return
        self._shown = str(survey)
        log.info("%s", survey)
        ti = self.task_instance
        if ti is None or last:
            return
        from airflow.sdk.bases.xcom import BaseXCom  # noqa: PLC0415 - the triggerer has it already

        try:
            BaseXCom.set(
                PROGRESS_KEY,
                survey.to_json(),
                dag_id=ti.dag_id,
                task_id=ti.task_id,
                run_id=ti.run_id,
                map_index=getattr(ti, "map_index", -1),
            )
        except Exception:  # whatever keeps people from seeing it must not end the wait
            log.warning("could not show progress; the wait goes on", exc_info=True)


class SubtasksTrigger(_PollingTrigger):
    """Fire when every subtask has ended.

    ``subtask_ids`` may be thousands: more than a hundred are looked for in the pages of ``task_ids``, and only those
    that had not ended before. ``patience`` is how many seconds one may be missing. The event names in ``never_shown``
    the subtasks that ran out of patience. Canceled is what is CREATED or RUNNING.
    """

    purpose = "files"

    def __init__(
        self,
        *,
        cpfs_conn_id: str,
        file_system_id: str,
        task_ids: Sequence[str],
        subtask_ids: Sequence[str],
        poll_interval: float = 30.0,
        deadline: float | None = None,
        patience: float = 300.0,
        cancel_on_kill: bool = False,
    ) -> None:
        super().__init__(
            cpfs_conn_id=cpfs_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            cancel_on_kill=cancel_on_kill,
        )
        self.file_system_id = file_system_id
        self.task_ids = list(task_ids)
        self.subtask_ids = list(subtask_ids)
        self.patience = patience
        self._probe: SubtaskProbe | None = None

    def _settings(self) -> dict[str, Any]:
        return {
            "file_system_id": self.file_system_id,
            "task_ids": self.task_ids,
            "subtask_ids": self.subtask_ids,
            "patience": self.patience,
        }

    def _cancel(self) -> None:
        self._open().cancel(seconds=_CANCEL_SECONDS)

    def _open(self) -> SubtaskProbe:
        if self._probe is None:
            from airflow_provider_sync.hooks._subtasks import SubtaskProbe  # noqa: PLC0415 - not for parsing

            self._probe = SubtaskProbe(
                self.hook.get_conn(),
                self.file_system_id,
                self.subtask_ids,
                task_ids=self.task_ids,
                patience=self.patience,
            )
        return self._probe

    def _look(self) -> dict[str, Any] | None:
        survey = self._open().look()
        self._show(survey, last=survey.finished)
        if not survey.finished:
            return None
        return {
            "files": survey.total,
            "failed": len(survey.failed),
            "never_shown": survey.never_shown,
        }


class DataflowStatusTrigger(_PollingTrigger):
    """Fire when a dataflow or a task has one of the statuses ``until``, or is gone (status ``""``).

    ``kind`` is ``dataflow`` or ``task``. The API allows 120 such questions a minute for the whole account: leave
    ``poll_interval`` at 30 seconds or more. Canceled are batches only: others use a dataflow and a tunnel too.
    """

    purpose = "status"

    def __init__(
        self,
        *,
        cpfs_conn_id: str,
        file_system_id: str,
        kind: str,
        subject: str,
        until: Sequence[str],
        poll_interval: float = 30.0,
        deadline: float | None = None,
        cancel_on_kill: bool = False,
    ) -> None:
        super().__init__(
            cpfs_conn_id=cpfs_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            cancel_on_kill=cancel_on_kill,
        )
        self.file_system_id = file_system_id
        self.kind = kind
        self.subject = subject
        self.until = list(until)
        self._told = ""

    def _settings(self) -> dict[str, Any]:
        return {
            "file_system_id": self.file_system_id,
            "kind": self.kind,
            "subject": self.subject,
            "until": self.until,
        }

    def _cancel(self) -> None:
        from airflow_provider_sync.hooks._batches import cancel_batch  # noqa: PLC0415 - rarely needed

        if self.kind == "task":
            cancel_batch(self.hook.get_conn(), self.file_system_id, self.subject)

    def _look(self) -> dict[str, Any] | None:
        from airflow_provider_sync.hooks._batches import batch_survey  # noqa: PLC0415 - not for parsing

        client = self.hook.get_conn()
        found: Any = (client.dataflow if self.kind == "dataflow" else client.task)(
            self.file_system_id, self.subject
        )
        status = "" if found is None else found.status_text
        if status != self._told:
            log.info("%s %s is %s", self.kind, self.subject, status or "gone")
            self._told = status
        ended = not status or status in self.until
        if self.kind == "task" and found is not None and not found.streaming:
            self._show(batch_survey(found), last=ended)
        return {"status": status} if ended else None
