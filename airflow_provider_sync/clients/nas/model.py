"""Dataflows, tasks and subtasks as the service reports them.

Times are texts as reported: those of a subtask have no zone (documented form ``2024-10-23 16:28:16``, zone unknown).
A status that this version does not know is ``UNKNOWN`` with its text beside it: something to wait for, not a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

__all__ = [
    "WHOLE",
    "Condition",
    "ConflictPolicy",
    "Dataflow",
    "DataflowStatus",
    "DataflowTask",
    "FileSystem",
    "Progress",
    "Subtask",
    "SubtaskStatus",
    "TaskAction",
    "TaskStatus",
]

WHOLE = 10_000  # the Progress of a subtask whose every byte has arrived


class _Tolerant(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> Self:
        _ = value
        return cls["UNKNOWN"]


class DataflowStatus(_Tolerant):
    """States of a dataflow."""

    STARTING = "Starting"
    RUNNING = "Running"
    UPDATING = "Updating"
    DELETING = "Deleting"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MISCONFIGURED = "Misconfigured"
    UNKNOWN = "Unknown"


class TaskStatus(_Tolerant):
    """States of a task. A streaming task that is ``Executing`` takes subtasks; it moves nothing by itself."""

    PENDING = "Pending"
    EXECUTING = "Executing"
    FAILED = "Failed"
    COMPLETED = "Completed"
    CANCELING = "Canceling"
    CANCELED = "Canceled"
    UNKNOWN = "Unknown"


class SubtaskStatus(_Tolerant):
    """States of a subtask."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


class TaskAction(StrEnum):
    """What a task does; the last two exist for general CPFS only."""

    IMPORT = "Import"
    EXPORT = "Export"
    STREAM_IMPORT = "StreamImport"
    STREAM_EXPORT = "StreamExport"
    EVICT = "Evict"
    INVENTORY = "Inventory"


class ConflictPolicy(StrEnum):
    """What becomes of a file that is there already."""

    SKIP_THE_FILE = "SKIP_THE_FILE"
    KEEP_LATEST = "KEEP_LATEST"
    OVERWRITE_EXISTING = "OVERWRITE_EXISTING"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a source file must be for its subtask to be done: nanoseconds since the epoch, bytes."""

    modify_time_ns: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system; ``bmcpfs-`` is CPFS for Lingjun."""

    file_system_id: str
    status: str
    version: str
    description: str

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read the SDK's object."""
        return cls(
            _text(data.file_system_id), _text(data.status), _text(data.version), _text(data.description)
        )


@dataclass(frozen=True, slots=True)
class Dataflow:
    """A dataflow: a directory of a file system and a prefix of a bucket."""

    file_system_id: str
    dataflow_id: str
    status: DataflowStatus
    status_text: str
    file_system_path: str
    source_storage: str
    source_storage_path: str
    source_security_type: str
    description: str
    error_message: str
    create_time: str
    update_time: str

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read the SDK's object."""
        return cls(
            file_system_id=_text(data.file_system_id),
            dataflow_id=_text(data.data_flow_id),
            status=DataflowStatus(_text(data.status)),
            status_text=_text(data.status),
            file_system_path=_text(data.file_system_path),
            source_storage=_text(data.source_storage),
            source_storage_path=_text(data.source_storage_path),
            source_security_type=_text(data.source_security_type),
            description=_text(data.description),
            error_message=_text(data.error_message),
            create_time=_text(data.create_time),
            update_time=_text(data.update_time),
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is. Bytes and files, bytes a second, seconds.

    ``done`` counts what is finished, skipped files included; ``actual`` counts what was really moved (documented).
    ``remain_seconds`` is the service's own estimate, None where it gives none.
    """

    bytes_total: int = 0
    bytes_done: int = 0
    bytes_actual: int = 0
    bytes_per_second: int = 0
    files_total: int = 0
    files_done: int = 0
    files_actual: int = 0
    remain_seconds: int | None = None

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read the SDK's object, which may be missing."""
        if data is None:
            return cls()
        remain = getattr(data, "remain_time", None)
        return cls(
            bytes_total=_number(data.bytes_total),
            bytes_done=_number(data.bytes_done),
            bytes_actual=_number(data.actual_bytes),
            bytes_per_second=_number(data.average_speed),
            files_total=_number(getattr(data, "files_total", 0)),
            files_done=_number(getattr(data, "files_done", 0)),
            files_actual=_number(getattr(data, "actual_files", 0)),
            remain_seconds=None if remain is None else int(remain),
        )


@dataclass(frozen=True, slots=True)
class DataflowTask:
    """A task. ``progress_value`` counts operations and is no share of anything (documented)."""

    file_system_id: str
    dataflow_id: str
    task_id: str
    action: str
    status: TaskStatus
    status_text: str
    directory: str
    dst_directory: str
    conflict_policy: str
    error_message: str
    create_time: str
    start_time: str
    end_time: str
    progress_value: int
    progress: Progress
    reports: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read the SDK's object."""
        reports = (data.reports.report if data.reports else None) or ()
        return cls(
            file_system_id=_text(data.filesystem_id),
            dataflow_id=_text(data.data_flow_id),
            task_id=_text(data.task_id),
            action=_text(data.task_action),
            status=TaskStatus(_text(data.status)),
            status_text=_text(data.status),
            directory=_text(data.directory),
            dst_directory=_text(data.dst_directory),
            conflict_policy=_text(data.conflict_policy),
            error_message=_text(data.error_msg),
            create_time=_text(data.create_time),
            start_time=_text(data.start_time),
            end_time=_text(data.end_time),
            progress_value=_number(data.progress),
            progress=Progress.of(data.progress_stats),
            reports=tuple((_text(one.name), _text(one.path)) for one in reports),
        )

    @property
    def streaming(self) -> bool:
        """Whether its files come as subtasks."""
        return self.action.startswith("Stream")

    @property
    def succeeded(self) -> bool:
        """Whether a batch has done all it had to."""
        return self.status is TaskStatus.COMPLETED

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise."""
        return self.status in {TaskStatus.FAILED, TaskStatus.CANCELED}

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return not (self.succeeded or self.failed)


@dataclass(frozen=True, slots=True)
class Subtask:
    """A subtask: one file. The paths are the service's, absolute on each side, not those that were submitted.

    ``progress_value`` is 0 to 10,000. ``size`` and ``modify_time_ns`` are of the source file, None until the service
    has looked; ``checksum`` is ``crc64:<n>`` or empty.
    """

    file_system_id: str
    dataflow_id: str
    task_id: str
    subtask_id: str
    source: str
    target: str
    status: SubtaskStatus
    status_text: str
    progress_value: int
    progress: Progress = field(default_factory=Progress)
    error_message: str = ""
    create_time: str = ""
    start_time: str = ""
    end_time: str = ""
    size: int | None = None
    modify_time_ns: int | None = None
    checksum: str = ""

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read the SDK's object."""
        detail = data.file_detail
        return cls(
            file_system_id=_text(data.file_system_id),
            dataflow_id=_text(data.data_flow_id),
            task_id=_text(data.data_flow_task_id),
            subtask_id=_text(data.data_flow_sub_task_id),
            source=_text(data.src_file_path),
            target=_text(data.dst_file_path),
            status=SubtaskStatus(_text(data.status)),
            status_text=_text(data.status),
            progress_value=_number(data.progress),
            progress=Progress.of(data.progress_stats),
            error_message=_text(data.error_msg),
            create_time=_text(data.create_time),
            start_time=_text(data.start_time),
            end_time=_text(data.end_time),
            size=None if detail is None else detail.size,
            modify_time_ns=None if detail is None else detail.modify_time,
            checksum="" if detail is None else _text(detail.checksum),
        )

    @property
    def succeeded(self) -> bool:
        """Whether every byte has arrived: COMPLETE and a progress of 10,000 (documented: both)."""
        return self.status is SubtaskStatus.COMPLETE and self.progress_value == WHOLE

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise: FAILED, CANCELED or EXPIRED."""
        return self.status in {SubtaskStatus.FAILED, SubtaskStatus.CANCELED, SubtaskStatus.EXPIRED}

    @property
    def active(self) -> bool:
        """Whether it may still change; so may one whose status this version does not know."""
        return not (self.succeeded or self.failed)

    @property
    def skipped(self) -> bool:
        """Whether it succeeded without moving the file, because of the conflict policy (inferred from the counts)."""
        return self.succeeded and self.progress.bytes_actual < self.progress.bytes_done


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> int:
    return 0 if value is None else int(value)
