"""Where a task's files come from: a list, the dataflow's bucket, or a mounted folder."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._files import Plan, list_folder, list_objects, parse_files

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import DataflowTask, NasClient
    from airflow_provider_sync.operators._files import FileMove, Refused
    from airflow_provider_sync.spec.window import Window

__all__ = ["FileSource"]

_ACTIONS = {"import": "StreamImport", "export": "StreamExport"}
log = logging.getLogger(__name__)


@dataclass
class FileSource:
    """The fields are the operator's parameters, rendered. The service is asked only for what is needed."""

    client: NasClient
    file_system_id: str
    dataflow_id: str
    dataflow_task_id: str
    files: Any
    pattern: str | None
    oss_conn_id: str
    mounted_at: str | None
    target_directory: str | None
    direction: str | None

    def plan(self, window: Window | None) -> Plan:
        """Check or list the files; with a window only objects last modified in it."""
        if self.direction is not None:
            self._check_direction(self.direction, "direction")
        if self.pattern is None:
            return Plan(parse_files(self.files, self._target_directory))
        if self.mounted_at is not None:
            self._check_direction("export", "mounted_at")
            moves, refused = list_folder(self.mounted_at, self.pattern, self._target_directory)
        else:
            self._check_direction("import", "pattern")
            moves, refused = self._list_objects(window)
        log.info("%d files match %s, %d cannot be named", len(moves), self.pattern, len(refused))
        return Plan(moves, refused, window)

    def _list_objects(self, window: Window | None) -> tuple[list[FileMove], list[Refused]]:
        from airflow_provider_sync.hooks.oss import OSSHook  # noqa: PLC0415 - only patterns need it

        flow = self.client.dataflow(self.file_system_id, self.dataflow_id)
        if flow is None:
            raise ConfigError(
                "dataflow_id", self.dataflow_id, reason=f"{self.file_system_id} has no such one"
            )
        bucket = flow.source_storage.removeprefix("oss://").rpartition(":")[2]
        root = f"{flow.source_storage_path.strip('/')}/{self._task.directory.strip('/')}/".replace("//", "/")
        with closing(OSSHook(self.oss_conn_id).get_conn()) as objects:
            return list_objects(
                objects,
                bucket,
                root.lstrip("/"),
                str(self.pattern),
                target_directory=self._target_directory,
                window=window,
            )

    def _target_directory(self) -> str:
        """Return what goes before the path of a file without a target; asks about the task only if there is one."""
        if self.target_directory is not None:
            return self.target_directory
        return self._task.dst_directory if self._task.action == _ACTIONS["import"] else "/"

    def _check_direction(self, direction: str, field: str) -> None:
        action = self._task.action
        if action != _ACTIONS[direction]:
            raise ConfigError(
                "dataflow_task_id",
                self.dataflow_task_id,
                reason=f"a task of action {action}, but {field} asks for an {direction}",
                allowed=f"a {_ACTIONS[direction]} task",
            )

    @cached_property
    def _task(self) -> DataflowTask:
        found = self.client.task(self.file_system_id, self.dataflow_task_id)
        if found is None:
            reason = f"{self.file_system_id} has no such task"
            raise ConfigError("dataflow_task_id", self.dataflow_task_id, reason=reason)
        return found
