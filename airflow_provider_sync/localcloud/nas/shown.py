"""How things are described: the documented fields, computed for a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_sync.localcloud.nas.moving import join
from airflow_provider_sync.localcloud.nas.store import FileSystem, Flow, Store, Subtask, Task

__all__ = ["file_system", "flow", "paths", "subtask", "task"]

_WHOLE = 10_000
_ENDED = ("Completed", "Failed", "Canceled")


def file_system(found: FileSystem) -> dict[str, Any]:
    """Describe a file system; size and zone are invented."""
    return {
        "FileSystemId": found.file_system_id,
        "FileSystemType": "cpfs",
        "ProtocolType": "cpfs",
        "StorageType": "advance_100",
        "Capacity": 3600,
        "Status": found.status,
        "Version": found.version,
        "Description": found.description,
        "CreateTime": _zulu(found.created),
    }


def flow(store: Store, found: Flow, now: float) -> dict[str, Any]:
    """Describe a dataflow."""
    state, message = store.flow_state(found, now)
    settings = found.settings
    refreshed = [{"RefreshPath": path} for path in settings.get("AutoRefreshs", [])]
    shown = {
        "FileSystemId": found.file_system.file_system_id,
        "DataFlowId": found.flow_id,
        "Status": state,
        "ErrorMessage": message,
        "CreateTime": _zulu(found.created),
        "UpdateTime": _zulu(found.updated),
        "AutoRefresh": {"AutoRefresh": refreshed},
    }
    return {**{name: value for name, value in settings.items() if name != "AutoRefreshs"}, **shown}


def task(found: Task, now: float, *, reports: bool) -> dict[str, Any]:
    """Describe a task. A streaming one has no statistics of its own (its files are the subtasks')."""
    state = found.timeline.state(now)
    started = found.timeline.begin("Executing")
    ended = state in _ENDED
    shown = {
        **found.settings,
        "FilesystemId": found.flow.file_system.file_system_id,  # documented with this lower-case s
        "DataFlowId": found.flow.flow_id,
        "TaskId": found.task_id,
        "SourceStorage": found.flow.settings["SourceStorage"],
        "FileSystemPath": found.flow.path,
        "FsPath": found.flow.path,
        "Originator": "User",
        "Status": state,
        "CreateTime": _zulu(found.created),
        "StartTime": _zulu(started) if started is not None and started <= now else "",
        "EndTime": _zulu(found.timeline.end) if ended else "",
        "ErrorMsg": found.message if ended else "",
    }
    if not found.streaming:
        shown |= _batch(found, now, ended=ended)
        if reports and state == "Completed":
            path = f"/.dataflow_report/{found.task_id}/TotalFilesReport.csv"
            shown["Reports"] = {"Report": [{"Name": "TotalFilesReport", "Path": path}]}
    return shown


def _batch(found: Task, now: float, *, ended: bool) -> dict[str, Any]:
    done = len(found.moved)
    sizes = [info.size for _, _, info in found.files]
    moved = [size for size in found.moved if size > 0]
    started = found.timeline.begin("Executing") or now
    spent = max(min(now, found.timeline.end) - started, 1.0)
    stats = {
        "FilesTotal": len(found.files),
        "FilesDone": done,
        "ActualFiles": len(moved),
        "BytesTotal": sum(sizes),
        "BytesDone": sum(sizes[:done]),
        "ActualBytes": sum(moved),
        "AverageSpeed": int(sum(moved) / spent),
        "RemainTime": 0 if ended else max(int(found.timeline.end - now), 0),
    }
    return {"Progress": done, "ProgressStats": stats}


def subtask(store: Store, found: Subtask, now: float) -> dict[str, Any] | None:
    """Describe a subtask; None while or when it is not shown. The times have no zone, as documented; UTC here."""
    keep = store.options.keep_seconds
    if now < found.hidden_until or (keep is not None and now > found.timeline.end + keep):
        return None
    state = found.timeline.state(now)
    ended = now >= found.timeline.end and state != "CANCELING"
    started = found.timeline.steps[1][0] if len(found.timeline.steps) > 1 else now
    size = found.info.size if found.info else 0
    part = _part(found, state, started, now)
    done = size if part == _WHOLE else size * part // _WHOLE
    actual = found.moved if found.moved is not None else done
    spent = max(min(now, found.timeline.end) - started, 1.0)
    shown: dict[str, Any] = {
        "FileSystemId": found.task.flow.file_system.file_system_id,
        "DataFlowId": found.task.flow.flow_id,
        "DataFlowTaskId": found.task.task_id,
        "DataFlowSubTaskId": found.subtask_id,
        "SrcFilePath": found.source,
        "DstFilePath": found.target,
        "Status": state,
        "Progress": part,
        "CreateTime": _plain(found.created),
        "StartTime": _plain(started) if state != "CREATED" else "",
        "EndTime": _plain(found.timeline.end) if ended else "",
        "ErrorMsg": found.message if ended else "",
        "ProgressStats": {
            "BytesTotal": size,
            "BytesDone": done,
            "ActualBytes": actual,
            "AverageSpeed": int(actual / spent),
        },
    }
    if found.info is not None:
        crc = found.info.crc
        checksum = {} if crc is None else {"Checksum": f"crc64:{crc}"}
        shown["FileDetail"] = {"ModifyTime": found.info.modified_ns, "Size": size, **checksum}
    return shown


def _part(found: Subtask, state: str, started: float, now: float) -> int:
    """Return the progress, 0 to 10,000."""
    if state == "CREATED":
        return 0
    if state == "COMPLETE":
        return _WHOLE if now >= found.whole_from else _WHOLE - 1
    length = max(found.timeline.end - started, 1e-6)
    return min(max(int(_WHOLE * (min(now, found.timeline.end) - started) / length), 0), _WHOLE - 1)


def paths(found: Task, source: str, target: str, *, into_task: bool) -> tuple[str, str]:
    """Return the absolute paths of a subtask, as the documentation's two examples show them.

    Export: both relative to the task's directories. Import: the source relative to the task's directory, the
    target to the dataflow's (or, ``into_task``, to the task's as the words say).
    """
    one, other = found.settings.get("Directory", ""), found.settings.get("DstDirectory", "")
    inside, outside = found.flow.path, found.flow.storage_path
    if found.action == "StreamExport":
        return join(inside, one, source), join(outside, other, target)
    return join(outside, one, source), join(inside, other if into_task else "", target)


def _zulu(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
