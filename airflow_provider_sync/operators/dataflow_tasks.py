"""Tasks of dataflows: tunnels that take files one by one, and batches that move a folder or a list."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import Context

from airflow_provider_sync.errors import CancelledError, ConfigError, PermanentError
from airflow_provider_sync.operators._status import StatusError, StatusLateError, StatusOperator

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import DataflowTask, TaskRequest
    from airflow_provider_sync.operators._ledger import Ledger

__all__ = ["CpfsCancelSubtasksOperator", "CpfsCancelTaskOperator", "CpfsCreateTaskOperator"]

_ENDED = ("Completed", "Failed", "Canceled")
_READY = ("Executing", *_ENDED)
_ACTIONS = {"import": ("Import", "StreamImport"), "export": ("Export", "StreamExport")}
_SETTLE_SECONDS = 2.0
_CANCEL_SECONDS = 600.0


class CpfsCreateTaskOperator(StatusOperator):
    """Create a task of a dataflow and wait: a batch until it is Completed, a streaming one until it is Executing.

    A streaming task moves nothing by itself; one with the same directories and policy that is there already is
    used. A batch is created once in each try that needs one, whatever replies are lost; clearing it after a success
    runs it again.

    :param action: ``Import``, ``Export``, ``StreamImport`` or ``StreamExport``.
    :param direction: ``import`` or ``export``: refuse an action of the other direction.
    :param conflict_policy: ``SKIP_THE_FILE``, ``KEEP_LATEST`` or ``OVERWRITE_EXISTING``: what becomes of a file that
        is there already.
    :param directory: the source, below the dataflow's prefix (import) or directory (export), such as ``/day/``.
    :param dst_directory: the target, on the other side.
    :param entries: for a batch, instead of ``directory``: paths of files.
    :param transfer_file_list_path: for a batch, instead of ``directory``: a folder of the bucket with CSV lists.
    :param create_dir_if_not_exist: for an Import.
    :param adopt: False creates a streaming task of its own.
    :param wait: False returns as soon as the task is created.
    :param cancel_on_kill: cancel a batch when somebody ends or clears the task while it runs; the service may refuse
        it, then it goes on. A streaming task stays.

    Returns ``{"task_id", "status"}``, for a batch with ``"files", "moved", "skipped", "bytes_done", "bytes_moved",
    "reports"`` beside them; XCom ``task_id`` has the id alone.
    """

    template_fields: Sequence[str] = (
        *StatusOperator.template_fields,
        "dataflow_id",
        "action",
        "conflict_policy",
        "directory",
        "dst_directory",
        "entries",
        "transfer_file_list_path",
    )

    def __init__(
        self,
        *,
        dataflow_id: str,
        action: str,
        conflict_policy: str,
        directory: str = "",
        dst_directory: str = "",
        entries: Sequence[str] = (),
        transfer_file_list_path: str = "",
        create_dir_if_not_exist: bool = False,
        direction: Literal["import", "export"] | None = None,
        adopt: bool = True,
        wait: bool = True,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataflow_id = dataflow_id
        self.action = action
        self.conflict_policy = conflict_policy
        self.directory = directory
        self.dst_directory = dst_directory
        self.entries = entries
        self.transfer_file_list_path = transfer_file_list_path
        self.create_dir_if_not_exist = create_dir_if_not_exist
        self.direction = direction
        self.adopt = adopt
        self.wait = wait
        self.cancel_on_kill = cancel_on_kill
        self._batch = ""

    def work(self, context: Context, deadline: float | None) -> dict[str, Any]:
        """Find or create, and wait."""
        from airflow_provider_sync.operators._ledger import Ledger, digest  # noqa: PLC0415 - not for parsing

        request = self._request()
        # The tries of one task instance share its ledger, the triggerer has no part in it.
        ledger = Ledger.open(context, digest("task", self.file_system_id, self.dataflow_id))
        name = digest(asdict(request))
        task_id = ledger.entry(name).subject
        if task_id and ledger.is_old(name):
            task_id = self._unless_ended(task_id, request, ledger, name, deadline)
        if not task_id:
            task_id = self._find(request) or self._create(request, ledger, name)
            ledger.put(name, task_id)
            ledger.flush()
        context["ti"].xcom_push("task_id", task_id)
        if not self.wait:
            ledger.finish()
            return {"task_id": task_id, "status": ""}
        if request.streaming:
            found = self.wait_for("task", task_id, _READY, deadline)
        else:
            found = self._wait_for_batch(context, task_id, deadline)
        status = "gone" if found is None else found.status_text
        if status != ("Executing" if request.streaming else "Completed"):
            ledger.renew([name])
            reason = (found and found.error_message) or "no reason given"
            raise StatusError(f"task {task_id} ({self.action}) is {status}: {reason}; a retry runs another")
        ledger.finish()
        return _report(found)

    def on_kill(self) -> None:
        """Stop waiting, and cancel the batch."""
        super().on_kill()
        self._cancel_batch()

    def _cancel_batch(self) -> None:
        if self._batch and self.cancel_on_kill:
            from airflow_provider_sync.hooks._batches import cancel_batch  # noqa: PLC0415 - rarely needed

            cancel_batch(self.client, self.file_system_id, self._batch)

    def _wait_for_batch(self, context: Context, task_id: str, deadline: float | None) -> DataflowTask | None:
        from airflow_provider_sync.hooks._batches import batch_survey  # noqa: PLC0415 - not for parsing
        from airflow_provider_sync.hooks._subtasks import show_survey  # noqa: PLC0415

        # In this order: the kill cancels what it finds here, and what it does not find sees the kill.
        self._batch = task_id
        if self._killed.is_set():
            self._cancel_batch()
            raise CancelledError(f"stopped when batch {task_id} had just been created")
        found: DataflowTask | None = self.wait_for(
            "task",
            task_id,
            _ENDED,
            deadline,
            look=lambda seen: show_survey(context, batch_survey(seen)),
            cancel_on_kill=self.cancel_on_kill,
        )
        self._batch = ""
        if found is not None:
            context["ti"].xcom_push("progress", batch_survey(found).to_json())
        return found

    def _request(self) -> TaskRequest:
        from airflow_provider_sync.clients.nas import TaskRequest  # noqa: PLC0415 - not for parsing

        if self.direction is not None:
            if self.direction not in _ACTIONS:
                raise ConfigError("direction", self.direction, allowed=" or ".join(_ACTIONS))
            allowed = _ACTIONS[self.direction]
            if self.action not in allowed:
                reason = f"not an {self.direction}"
                raise ConfigError("action", self.action, reason=reason, allowed=" or ".join(allowed))
        request = TaskRequest(
            action=self.action,
            conflict_policy=self.conflict_policy,
            directory=self.directory,
            dst_directory=self.dst_directory,
            entries=tuple(self.entries or ()),
            transfer_file_list_path=self.transfer_file_list_path,
            create_dir_if_not_exist=self.create_dir_if_not_exist,
        )
        request.check()
        return request

    def _unless_ended(
        self, task_id: str, request: TaskRequest, ledger: Ledger, name: str, deadline: float | None
    ) -> str:
        """Return a task of an earlier try, or nothing if it came to nothing: then this try needs another."""
        found = self.client.task(self.file_system_id, task_id)
        if found is not None and found.status_text == "Canceling":  # a kill of that try
            found = self.wait_for("task", task_id, _ENDED, deadline)
        over = found is not None and (found.failed or (request.streaming and not found.active))
        if not over:
            return task_id
        self.log.info("task %s of an earlier try is %s; creating another", task_id, found.status_text)
        ledger.renew([name])
        return ""

    def _find(self, request: TaskRequest) -> str:
        if not request.streaming or not self.adopt:
            return ""
        wanted = (request.action, request.directory, request.dst_directory, request.conflict_policy)
        for one in self.client.list_tasks(self.file_system_id, {"DataFlowIds": self.dataflow_id}):
            same = (one.action, one.directory, one.dst_directory, one.conflict_policy) == wanted
            if same and one.dataflow_id == self.dataflow_id and one.status_text in {"Pending", "Executing"}:
                self.log.info("found task %s, %s", one.task_id, one.status_text)
                return str(one.task_id)
        return ""

    def _create(self, request: TaskRequest, ledger: Ledger, name: str) -> str:
        task_id = self.client.create_task(
            self.file_system_id, self.dataflow_id, request, client_token=ledger.token(name)
        )
        self.log.info("created task %s", task_id)
        return str(task_id)


def _report(found: DataflowTask) -> dict[str, Any]:
    about: dict[str, Any] = {"task_id": found.task_id, "status": found.status_text}
    if found.streaming:
        return about
    progress = found.progress
    return about | {
        "files": progress.files_total,
        "moved": progress.files_actual,
        "skipped": progress.files_done - progress.files_actual,
        "bytes_done": progress.bytes_done,
        "bytes_moved": progress.bytes_actual,
        "reports": [list(one) for one in found.reports],
    }


class CpfsCancelTaskOperator(StatusOperator):
    """Cancel a task and wait until it has ended (minutes); one that has ended, or is not there, is fine.

    :param cancel_subtasks: first cancel what of it is CREATED or RUNNING; the service refuses to cancel a task with
        running subtasks (documented).
    """

    template_fields: Sequence[str] = (*StatusOperator.template_fields, "dataflow_id", "task_id_to_cancel")

    def __init__(
        self, *, dataflow_id: str, task_id_to_cancel: str, cancel_subtasks: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dataflow_id = dataflow_id
        self.task_id_to_cancel = task_id_to_cancel
        self.cancel_subtasks = cancel_subtasks

    def work(self, context: Context, deadline: float | None) -> str:
        """Cancel unless that has begun, and wait; return the status it ended with."""
        from airflow_provider_sync.clients.nas import StatusConflictError  # noqa: PLC0415 - not for parsing

        del context
        found = self.client.task(self.file_system_id, self.task_id_to_cancel)
        if found is not None and found.active and found.status_text != "Canceling":
            if self.cancel_subtasks and found.streaming:
                self._cancel_files(deadline)
            try:
                self.client.cancel_task(self.file_system_id, self.dataflow_id, self.task_id_to_cancel)
            except StatusConflictError as error:
                # It may have ended meanwhile; if not, something else holds it.
                again = self.client.task(self.file_system_id, self.task_id_to_cancel)
                if again is not None and again.active and again.status_text != "Canceling":
                    cure = "cancel its subtasks, or let them end"
                    raise PermanentError(f"task {self.task_id_to_cancel} goes on: {error}; {cure}") from error
        found = self.wait_for("task", self.task_id_to_cancel, _ENDED, deadline)
        return "" if found is None else str(found.status_text)

    def _cancel_files(self, deadline: float | None) -> None:
        """Cancel what is under way, and wait until it has ended: here for a moment, then in the triggerer."""
        from airflow_provider_sync.hooks._subtasks import cancel_subtasks  # noqa: PLC0415 - not for parsing

        task_id = self.task_id_to_cancel
        for look in count():
            listed = self.client.list_subtasks(self.file_system_id, {"DataFlowTaskIds": task_id})
            found = [one for one in listed if one.task_id == task_id and one.active]
            if not found:
                return
            if deadline is not None and time.time() >= deadline:
                raise StatusLateError(f"{len(found)} subtasks of {task_id} have not ended in time")
            cancel_subtasks(self.client, found, seconds=_CANCEL_SECONDS)
            if look and self.deferrable:
                self._defer_for([one.subtask_id for one in found], deadline)
            if self._killed.wait(_SETTLE_SECONDS):
                raise CancelledError(f"stopped while the subtasks of {task_id} were canceled")

    def _defer_for(self, subtask_ids: Sequence[str], deadline: float | None) -> None:
        from airflow_provider_sync.triggers.dataflow import SubtasksTrigger  # noqa: PLC0415 - not for parsing

        self.defer(
            trigger=SubtasksTrigger(
                cpfs_conn_id=self.cpfs_conn_id,
                file_system_id=self.file_system_id,
                task_ids=[self.task_id_to_cancel],
                subtask_ids=subtask_ids,
                poll_interval=self.poll_interval,
                deadline=deadline,
            ),
            method_name="resume",
            kwargs={"deadline": deadline},
        )


class CpfsCancelSubtasksOperator(StatusOperator):
    """Cancel subtasks that are CREATED or RUNNING; those that have ended stay as they are.

    :param subtask_ids: which; None cancels all of the task ``dataflow_task_id``.

    Returns the number of subtasks by outcome: ``canceled``, ``ended``, ``failed``.
    """

    template_fields: Sequence[str] = (*StatusOperator.template_fields, "dataflow_task_id", "subtask_ids")

    def __init__(
        self, *, dataflow_task_id: str, subtask_ids: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dataflow_task_id = dataflow_task_id
        self.subtask_ids = subtask_ids

    def work(self, context: Context, deadline: float | None) -> dict[str, int]:
        """Cancel; a second time changes nothing."""
        from airflow_provider_sync.hooks._subtasks import cancel_subtasks  # noqa: PLC0415 - not for parsing

        del context
        if self.subtask_ids is None:
            listed = self.client.list_subtasks(
                self.file_system_id, {"DataFlowTaskIds": self.dataflow_task_id}
            )
            found = [one for one in listed if one.task_id == self.dataflow_task_id]
        else:
            ids = [self.subtask_ids] if isinstance(self.subtask_ids, str) else list(self.subtask_ids)
            shown = self.client.subtasks(self.file_system_id, ids, task_ids=[self.dataflow_task_id])
            if missing := [one for one in ids if one not in shown]:
                self.log.warning("the service does not show %s", ", ".join(missing[:20]))
            found = list(shown.values())
        seconds = 3600.0 if deadline is None else max(0.0, deadline - time.time())
        outcomes = dict(cancel_subtasks(self.client, found, seconds=seconds))
        if outcomes.get("failed") or outcomes.get("left"):
            raise StatusError(f"not all subtasks could be canceled: {outcomes}; a retry goes on")
        return outcomes
