"""Operations on tasks: streaming ones, which subtasks fill, and batches, which take a directory or a list."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

from airflow_provider_sync.localcloud.nas import rules, shown
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.filters import TASK_KEYS, Listing, page
from airflow_provider_sync.localcloud.nas.flow_routes import busy_tasks
from airflow_provider_sync.localcloud.nas.moving import join, plan, sides
from airflow_provider_sync.localcloud.nas.store import (
    ACTIVE,
    IMAGINED_SIZE,
    FileSystem,
    Flow,
    Outcome,
    Store,
    Task,
)
from airflow_provider_sync.localcloud.nas.timeline import Timeline
from airflow_provider_sync.localcloud.nas.wire import Call
from airflow_provider_sync.localcloud.nas.world import FileInfo, LocalWorld

__all__ = ["HANDLERS"]

_SINCE, _SINCE_STREAMS = "2.4.0", "2.6.0"
_STREAMS = ("StreamImport", "StreamExport")
_BATCHES = ("Import", "Export")
_GENERAL = (*_BATCHES, "Evict", "Inventory")
_POLICIES = ("SKIP_THE_FILE", "KEEP_LATEST", "OVERWRITE_EXISTING")
_TYPES = ("Metadata", "Data", "MetaAndData")
_WAYS = ("Directory", "EntryList", "TransferFileListPath")
_TERMINAL = ("Completed", "Failed", "Canceled")
Handler = Callable[[Store, Call, float], dict[str, Any]]


def create(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Create a task: Pending for a while, then Executing; a batch ends by itself."""
    system = rules.running_file_system(store, call, _SINCE)
    flow = store.flow(system, call.required("DataFlowId"), now)
    settings = _settings(store, call, system, flow)
    state, _ = store.flow_state(flow, now)
    if state != "Running":
        raise NasError.wrong_status(f"the data flow is {state}")
    streaming = settings["TaskAction"] in _STREAMS
    if not streaming and busy_tasks(store, flow, now, batches=True) >= store.options.batch_tasks_per_flow:
        raise NasError.denied("DataFlowTaskLimit", "The number of data flow tasks has reached the limit.")
    files = [] if streaming else _files(store, call, flow, settings)
    if call.flag("DryRun"):
        return {"TaskId": ""}
    task = Task(store.new_id("task"), flow, settings, now, files=files)
    _script(store, task, now, store.outcome("task", settings.get("Directory", "")))
    store.tasks[task.task_id] = task
    return {"TaskId": task.task_id}


def _settings(store: Store, call: Call, system: FileSystem, flow: Flow) -> dict[str, Any]:
    if call.text("SrcTaskId"):
        source = store.task(flow, call.text("SrcTaskId"))
        if source.streaming:
            raise NasError.invalid("SrcTaskId", "streaming tasks are not supported")
        copied: dict[str, str] = {
            name: source.settings[name]
            for name in ("TaskAction", "DataType", "EntryList")
            if name in source.settings
        }
        call = Call(call.action, {**call.params, **copied})
    actions = (*_BATCHES, *_STREAMS) if system.lingjun else _GENERAL
    action = rules.choice(call, "TaskAction", actions)
    if action in _STREAMS and not system.since(_SINCE_STREAMS):
        raise NasError.denied("VersionNotSupported", f"{action} requires version {_SINCE_STREAMS}.")
    kind = rules.choice(call, "DataType", _TYPES, required=False) or "MetaAndData"
    if system.lingjun and kind != "MetaAndData":
        raise NasError.invalid("DataType", "CPFS for Lingjun supports only MetaAndData")
    policy = rules.choice(call, "ConflictPolicy", _POLICIES, required=system.lingjun)
    named = [way for way in _WAYS if call.text(way)]
    if len(named) > 1:
        raise NasError.invalid(named[1], f"{', '.join(_WAYS)} are mutually exclusive")
    streaming = action in _STREAMS
    if streaming and named not in ([], ["Directory"]):
        raise NasError.invalid(named[0], "streaming tasks take a Directory")
    rules.entries(call.text("EntryList"))
    rules.folders(call)
    rules.directory(call, "TransferFileListPath")
    settings = {
        "TaskAction": action,
        "DataType": kind,
        "ConflictPolicy": policy,
        "Directory": rules.directory(call, "Directory", required=streaming),
        "DstDirectory": rules.directory(call, "DstDirectory", required=streaming),
        "EntryList": call.text("EntryList"),
        "Includes": call.text("Includes"),
        "TransferFileListPath": call.text("TransferFileListPath"),
    }
    _check_target(store, call, flow, settings)
    return {name: value for name, value in settings.items() if value}


def _check_target(store: Store, call: Call, flow: Flow, settings: dict[str, Any]) -> None:
    """Refuse an import into a directory that is not there, unless it is to be made."""
    may_create = call.flag("CreateDirIfNotExist")
    if settings["TaskAction"] != "Import" or may_create or not settings["DstDirectory"]:
        return
    if not store.world.has_directory(
        flow.file_system.file_system_id, join(flow.path, settings["DstDirectory"])
    ):
        raise NasError.not_found("DstDirectory", "DstDirectory")


def _files(store: Store, call: Call, flow: Flow, settings: dict[str, Any]) -> list[tuple[str, str, FileInfo]]:
    """Find what a batch moves. That the paths of a list are relative to the dataflow is invented."""
    action = settings["TaskAction"]
    if action not in _BATCHES:
        return []
    reads, _ = sides(store, flow, action)
    base, target = (flow.path, flow.storage_path) if action == "Export" else (flow.storage_path, flow.path)
    target = join(target, settings.get("DstDirectory", ""))
    if settings.get("EntryList"):
        start = base
        names = [join(base, one) for one in rules.entries(settings["EntryList"])]
    elif settings.get("TransferFileListPath"):
        start = base
        names = _listed(store, flow, settings["TransferFileListPath"], base)
    else:
        start = join(base, settings.get("Directory", "/"))
        only = [f"{join(start, one)}/" for one in rules.folders(call)]
        prefix = "/" if start == "/" else f"{start}/"
        names = [
            name for name in reads.names(prefix) if not only or any(name.startswith(one) for one in only)
        ]
    found = []
    for name in names:
        info = reads.look(name) or store.world.imagined(IMAGINED_SIZE) or FileInfo(0, 0)
        found.append((name, join(target, name.removeprefix(start)), info))
    return found


def _listed(store: Store, flow: Flow, folder: str, base: str) -> list[str]:
    """Read the CSV files (``Name,Type``) of an OSS folder; only entries of type ``file`` are taken here."""
    world = store.world
    if not isinstance(world, LocalWorld):
        return []
    place = world.oss(flow.bucket)
    return [
        join(base, row[0])
        for name in place.names(folder)
        for row in csv.reader(place.read(name).decode().splitlines())
        if len(row) > 1 and row[1].strip() == "file"
    ]


def _script(store: Store, task: Task, now: float, outcome: Outcome) -> None:
    """Write down what becomes of a new task."""
    started = now + (store.options.task_seconds if outcome.start is None else outcome.start)
    steps = [(now, "Pending"), (started, outcome.status or "Executing")]
    task.message = outcome.message
    if task.streaming and not outcome.result:
        task.timeline = Timeline(steps)
        return
    size = sum(info.size for _, _, info in task.files)
    length = store.options.batch_seconds + size / store.options.bytes_per_second
    ended = started + (length if outcome.seconds is None else outcome.seconds)
    task.timeline = Timeline([*steps, (ended, outcome.result or "Completed")])
    if task.timeline.last == "Completed":
        plan(store, ended, task)


def describe(store: Store, call: Call, now: float) -> dict[str, Any]:
    """List the tasks of a file system."""
    system = store.file_system(call.required("FileSystemId"))
    reports = not call.text("WithReports") or call.flag("WithReports")

    def described(name: str) -> dict[str, Any] | None:
        task = store.tasks[name]
        return shown.task(task, now, reports=reports) if task.flow.file_system is system else None

    listing = Listing(store.order["task"], lambda name: {"TaskId": name}, described)
    found, token = page(call, listing, TASK_KEYS, smallest=10)
    return {"NextToken": token, "TaskInfo": {"Task": found}}


def cancel(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Cancel a task that has no unfinished subtasks: Canceling for a while, then Canceled."""
    system = store.file_system(call.required("FileSystemId"))
    flow = store.flow(system, call.required("DataFlowId"), now)
    task = store.task(flow, call.required("TaskId"))
    state = task.timeline.state(now)
    if state != "Pending" and not (store.options.cancel_executing and state not in (*_TERMINAL, "Canceling")):
        raise NasError.wrong_status(f"the data flow task is {state}")
    subtasks = (one for one in store.subtasks.values() if one.task is task)
    if any(one.timeline.state(now) in ACTIVE for one in subtasks):
        raise NasError.dependency("the data flow task has running subtasks")
    if not call.flag("DryRun"):
        ended = now + store.options.cancel_seconds
        task.timeline.change(now, (now, "Canceling"), (ended, "Canceled"))
    return {}


HANDLERS: dict[str, Handler] = {
    "CreateDataFlowTask": create,
    "DescribeDataFlowTasks": describe,
    "CancelDataFlowTask": cancel,
}
