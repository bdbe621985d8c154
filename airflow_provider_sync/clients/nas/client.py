"""The operations of the NAS API on dataflows, typed, checked before they are asked, for use from threads."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_sync.clients.nas.model import (
    Condition,
    Dataflow,
    DataflowTask,
    FileSystem,
    Subtask,
)
from airflow_provider_sync.clients.nas.quotas import Quotas
from airflow_provider_sync.clients.nas.requests import (
    DataflowRequest,
    TaskRequest,
    check_client_token,
    check_description,
    check_file_path,
)
from airflow_provider_sync.clients.nas.session import NasSession
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError, NotFoundError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["NasClient"]

_PAGE = 100
_IDS = 10
_FEW = 100


class NasClient:
    """The NAS service of one connection; may be shared by threads.

    ``retry`` is what is done about transient errors. ``quotas`` default to those of the process for this user and
    endpoint. ``credential`` replaces the connection's credential client. ``new_token`` makes the client tokens of
    the calls that are given none (modify, delete, cancel), once for all tries of a call. Nothing is asked and no SDK
    imported until the first call. Every method raises a :class:`SyncError`; what is absent is None or missing from
    the result.
    """

    def __init__(
        self,
        connection: ConnectionInfo,
        *,
        retry: RetryPolicy | None = None,
        quotas: Quotas | None = None,
        credential: Any = None,
        new_token: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._session = NasSession(connection, retry or RetryPolicy(), quotas, credential)
        self._new_token = new_token

    # File systems and dataflows

    def file_system(self, file_system_id: str) -> FileSystem | None:
        """Return a file system, None if there is no such one in the region."""
        request = self._session.models.DescribeFileSystemsRequest(
            file_system_id=_id("file_system_id", file_system_id)
        )
        try:
            body = self._session.call("DescribeFileSystems", request, file_system_id)
        except NotFoundError:
            return None
        found = (body.file_systems.file_system if body.file_systems else None) or ()
        systems = map(FileSystem.of, found)
        return next((one for one in systems if one.file_system_id == file_system_id), None)

    def create_dataflow(
        self, file_system_id: str, request: DataflowRequest, *, client_token: str, dry_run: bool = False
    ) -> str:
        """Create a dataflow and return its id (empty for a dry run); it takes minutes until it is Running."""
        request.check()
        check_client_token(client_token)
        asked = self._session.models.CreateDataFlowRequest(
            file_system_id=_id("file_system_id", file_system_id),
            source_storage=request.source_storage,
            file_system_path=request.file_system_path,
            source_storage_path=request.source_storage_path,
            source_security_type=request.source_security_type,
            description=request.description or None,
            client_token=client_token,
            dry_run=dry_run,
        )
        return str(self._session.call("CreateDataFlow", asked, file_system_id).data_flow_id or "")

    def list_dataflows(
        self, file_system_id: str, filters: Mapping[str, str] | None = None
    ) -> Iterator[Dataflow]:
        """Yield the dataflows that meet all filters of the API; ids and paths match in part."""
        pages = self._session.pages("DescribeDataFlows", file_system_id, filters or {})
        for body in pages:
            found = (body.data_flow_info.data_flow if body.data_flow_info else None) or ()
            yield from map(Dataflow.of, found)

    def dataflow(self, file_system_id: str, dataflow_id: str) -> Dataflow | None:
        """Return a dataflow, None if it does not exist."""
        found = self.list_dataflows(file_system_id, {"DataFlowIds": _id("dataflow_id", dataflow_id)})
        return next((one for one in found if one.dataflow_id == dataflow_id), None)

    def modify_dataflow(
        self, file_system_id: str, dataflow_id: str, *, description: str, client_token: str = ""
    ) -> None:
        """Change the description of a dataflow."""
        check_description(description)
        self._change(
            "ModifyDataFlow",
            client_token,
            file_system_id=file_system_id,
            data_flow_id=dataflow_id,
            description=description,
        )

    def delete_dataflow(self, file_system_id: str, dataflow_id: str, *, client_token: str = "") -> None:
        """Delete a dataflow whose tasks have ended."""
        self._change("DeleteDataFlow", client_token, file_system_id=file_system_id, data_flow_id=dataflow_id)

    def start_dataflow(self, file_system_id: str, dataflow_id: str, *, client_token: str = "") -> None:
        """Start a stopped dataflow (general CPFS only)."""
        self._change("StartDataFlow", client_token, file_system_id=file_system_id, data_flow_id=dataflow_id)

    def stop_dataflow(self, file_system_id: str, dataflow_id: str, *, client_token: str = "") -> None:
        """Stop a running dataflow (general CPFS only)."""
        self._change("StopDataFlow", client_token, file_system_id=file_system_id, data_flow_id=dataflow_id)

    # Tasks

    def create_task(
        self,
        file_system_id: str,
        dataflow_id: str,
        request: TaskRequest,
        *,
        client_token: str,
        dry_run: bool = False,
    ) -> str:
        """Create a task of a running dataflow and return its id (empty for a dry run)."""
        request.check()
        check_client_token(client_token)
        asked = self._session.models.CreateDataFlowTaskRequest(
            file_system_id=_id("file_system_id", file_system_id),
            data_flow_id=_id("dataflow_id", dataflow_id),
            task_action=str(request.action),
            data_type="MetaAndData",  # the only one of CPFS for Lingjun
            conflict_policy=str(request.conflict_policy),
            directory=request.directory or None,
            dst_directory=request.dst_directory or None,
            entry_list=request.entry_list() or None,
            transfer_file_list_path=request.transfer_file_list_path or None,
            create_dir_if_not_exist=request.create_dir_if_not_exist or None,
            client_token=client_token,
            dry_run=dry_run,
        )
        return str(self._session.call("CreateDataFlowTask", asked, dataflow_id).task_id or "")

    def list_tasks(
        self, file_system_id: str, filters: Mapping[str, str] | None = None, *, with_reports: bool = False
    ) -> Iterator[DataflowTask]:
        """Yield the tasks that meet all filters of the API; ids match in part. Reports make it slower."""
        pages = self._session.pages(
            "DescribeDataFlowTasks",
            _id("file_system_id", file_system_id),
            filters or {},
            with_reports=with_reports,
        )
        for body in pages:
            found = (body.task_info.task if body.task_info else None) or ()
            yield from map(DataflowTask.of, found)

    def task(self, file_system_id: str, task_id: str) -> DataflowTask | None:
        """Return a task, None if it does not exist."""
        found = self.list_tasks(file_system_id, {"TaskIds": _id("task_id", task_id)})
        return next((one for one in found if one.task_id == task_id), None)

    def cancel_task(
        self, file_system_id: str, dataflow_id: str, task_id: str, *, client_token: str = ""
    ) -> None:
        """Cancel a task; :class:`StatusConflictError` while subtasks run or when it has ended."""
        self._change(
            "CancelDataFlowTask",
            client_token,
            file_system_id=file_system_id,
            data_flow_id=dataflow_id,
            task_id=task_id,
        )

    # Subtasks

    def create_subtask(
        self,
        file_system_id: str,
        dataflow_id: str,
        task_id: str,
        source: str,
        target: str,
        *,
        client_token: str,
        condition: Condition | None = None,
        dry_run: bool = False,
    ) -> str:
        """Have one file moved by a streaming task that is Executing; return the subtask's id (empty for a dry run).

        The paths go out as they are. The same token with the same parameters gives the same subtask (documented).
        """
        check_file_path("source", source)
        check_file_path("target", target)
        check_client_token(client_token)
        asked = self._session.models.CreateDataFlowSubTaskRequest(
            file_system_id=_id("file_system_id", file_system_id),
            data_flow_id=_id("dataflow_id", dataflow_id),
            data_flow_task_id=_id("task_id", task_id),
            src_file_path=source,
            dst_file_path=target,
            client_token=client_token,
            dry_run=dry_run,
        )
        if condition is not None:
            asked.condition = self._session.models.CreateDataFlowSubTaskRequestCondition(
                modify_time=condition.modify_time_ns, size=condition.size
            )
        return str(self._session.call("CreateDataFlowSubTask", asked, source).data_flow_sub_task_id or "")

    def list_subtasks(
        self, file_system_id: str, filters: Mapping[str, str] | None = None
    ) -> Iterator[Subtask]:
        """Yield the subtasks that meet all filters of the API; ids match in part."""
        for body in self._session.pages("DescribeDataFlowSubTasks", file_system_id, filters or {}):
            found = (body.data_flow_sub_task.data_flow_sub_task if body.data_flow_sub_task else None) or ()
            yield from map(Subtask.of, found)

    def subtasks(
        self, file_system_id: str, subtask_ids: Iterable[str], *, task_ids: Sequence[str] = ()
    ) -> dict[str, Subtask]:
        """Return subtasks by id; those that the service does not show are missing.

        At most ten ids go into a call. More than a hundred are looked for in the pages of their ``task_ids``, a
        hundred subtasks a call, as long as that is no dearer than asking for them by ten.
        """
        wanted = dict.fromkeys(_id("subtask_ids", one) for one in subtask_ids)
        found: dict[str, Subtask] = {}
        if (
            len(wanted) > _FEW
            and task_ids
            and self._collect_of_tasks(file_system_id, task_ids, wanted, found)
        ):
            return found
        left = [one for one in wanted if one not in found]
        for start in range(0, len(left), _IDS):
            chunk = left[start : start + _IDS]
            listed = self.list_subtasks(file_system_id, {"DataFlowSubTaskIds": ",".join(chunk)})
            _collect(listed, chunk, found, len(found) + len(chunk))
        return found

    def _collect_of_tasks(
        self,
        file_system_id: str,
        task_ids: Sequence[str],
        wanted: Mapping[str, None],
        found: dict[str, Subtask],
    ) -> bool:
        """Go through the pages of some tasks; tell whether all there is was seen or found."""
        most = len(wanted) // _IDS * _PAGE
        for start in range(0, len(task_ids), _IDS):
            ids = ",".join(task_ids[start : start + _IDS])
            for number, one in enumerate(self.list_subtasks(file_system_id, {"DataFlowTaskIds": ids}), 1):
                if one.subtask_id in wanted:
                    found[one.subtask_id] = one
                if len(found) == len(wanted):
                    return True
                if number >= most:
                    return False
        return True

    def cancel_subtask(
        self,
        file_system_id: str,
        dataflow_id: str,
        task_id: str,
        subtask_id: str,
        *,
        client_token: str = "",
    ) -> None:
        """Cancel a subtask; :class:`StatusConflictError` unless it is CREATED or RUNNING."""
        self._change(
            "CancelDataFlowSubTask",
            client_token,
            file_system_id=file_system_id,
            data_flow_id=dataflow_id,
            data_flow_task_id=task_id,
            data_flow_sub_task_id=subtask_id,
        )

    # One call

    def _change(self, operation: str, client_token: str, **fields: str) -> None:
        check_client_token(client_token, required=False)
        for name, value in fields.items():
            _id(name, value)
        kind = getattr(self._session.models, f"{operation}Request")
        request = kind(client_token=client_token or self._new_token(), **fields)
        self._session.call(operation, request, list(fields.values())[-1])


def _collect(listed: Iterator[Subtask], ids: Sequence[str], found: dict[str, Subtask], enough: int) -> None:
    """Keep those that were meant, not those that only contain an id; stop when all are there."""
    for one in listed:
        if one.subtask_id in ids:
            found[one.subtask_id] = one
            if len(found) >= enough:
                return


def _id(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value or "," in value:
        raise ConfigError(field, value, allowed="an id")
    return value
