"""Operations on subtasks: one file each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_sync.localcloud.nas import rules, shown
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.filters import SUBTASK_KEYS, Listing, page
from airflow_provider_sync.localcloud.nas.moving import plan, sides
from airflow_provider_sync.localcloud.nas.store import FileSystem, Outcome, Store, Subtask, Task
from airflow_provider_sync.localcloud.nas.timeline import Timeline
from airflow_provider_sync.localcloud.nas.wire import Call

__all__ = ["HANDLERS"]

_SINCE = "2.6.0"
Handler = Callable[[Store, Call, float], dict[str, Any]]


def create(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Create a subtask of a streaming task that is Executing: CREATED, RUNNING, then whatever its file makes of it."""
    system = rules.running_file_system(store, call, _SINCE, lingjun=True)
    task = _task(store, call, system, now)
    source, target = rules.file_path(call, "SrcFilePath"), rules.file_path(call, "DstFilePath")
    if not task.streaming:
        raise NasError.invalid("DataFlowTaskId", "only streaming tasks have subtasks")
    wanted = {
        name: call.number(f"Condition.{name}", 0, 0, 10**18 * 9)
        for name in ("ModifyTime", "Size")
        if call.text(f"Condition.{name}")
    }
    state, _ = store.flow_state(task.flow, now)
    if state != "Running":
        raise NasError.wrong_status(f"the data flow is {state}")
    state = task.timeline.state(now)
    if state != "Executing":
        raise NasError.wrong_status(f"the data flow task is {state}")
    if call.flag("DryRun"):
        return {"DataFlowSubTaskId": ""}
    outcome = store.outcome("subtask", source)
    into_task = store.options.import_into_task_directory
    reported = shown.paths(task, source, target, into_task=into_task)
    reads, _ = sides(store, task.flow, task.action)
    info = reads.look(reported[0]) or store.world.imagined(outcome.size)
    subtask = Subtask(store.new_id("subtask"), task, *reported, now, info, wanted=wanted)
    _script(store, subtask, now, outcome)
    store.subtasks[subtask.subtask_id] = subtask
    return {"DataFlowSubTaskId": subtask.subtask_id}


def _script(store: Store, subtask: Subtask, now: float, outcome: Outcome) -> None:
    """Write down what becomes of a new subtask."""
    options = store.options
    started = now + (options.subtask_start_seconds if outcome.start is None else outcome.start)
    size = subtask.info.size if subtask.info else 0
    length = options.subtask_seconds + size / options.bytes_per_second
    ended = started + (length if outcome.seconds is None else outcome.seconds)
    result = outcome.result or "COMPLETE"
    subtask.timeline = Timeline([(now, "CREATED"), (started, outcome.status or "RUNNING"), (ended, result)])
    subtask.message = outcome.message
    subtask.hidden_until = now + outcome.hidden
    subtask.whole_from = ended + outcome.lag
    if result == "COMPLETE":
        plan(store, ended, subtask)
    else:
        subtask.moved = 0


def describe(store: Store, call: Call, now: float) -> dict[str, Any]:
    """List the subtasks of a file system."""
    system = store.file_system(call.required("FileSystemId"))
    if not system.lingjun:
        raise NasError.denied("NotSupported", "Only CPFS for Lingjun file systems support the operation.")

    def described(name: str) -> dict[str, Any] | None:
        subtask = store.subtasks[name]
        return shown.subtask(store, subtask, now) if subtask.task.flow.file_system is system else None

    def ids(name: str) -> dict[str, str]:
        task = store.subtasks[name].task
        return {
            "DataFlowSubTaskId": name,
            "DataFlowTaskId": task.task_id,
            "DataFlowId": task.flow.flow_id,
        }

    listing = Listing(store.order["subtask"], ids, described)
    found, token = page(call, listing, SUBTASK_KEYS, smallest=20)
    return {"NextToken": token, "DataFlowSubTask": {"DataFlowSubTask": found}}


def cancel(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Cancel a subtask that is CREATED or RUNNING, of a running dataflow and an executing task."""
    system = rules.running_file_system(store, call, _SINCE, lingjun=True)
    task = _task(store, call, system, now)
    subtask = store.subtask(task, call.required("DataFlowSubTaskId"))
    states = {
        "data flow": (store.flow_state(task.flow, now)[0], ("Running",)),
        "data flow task": (task.timeline.state(now), ("Executing",)),
        "data flow subtask": (subtask.timeline.state(now), ("CREATED", "RUNNING")),
    }
    for what, (state, allowed) in states.items():
        if state not in allowed:
            raise NasError.wrong_status(f"the {what} is {state}")
    if not call.flag("DryRun"):
        ended = now + store.options.subtask_cancel_seconds
        subtask.timeline.change(now, (now, "CANCELING"), (ended, "CANCELED"))
        subtask.message, subtask.moved = "", 0
    return {}


def _task(store: Store, call: Call, system: FileSystem, now: float) -> Task:
    flow = store.flow(system, call.required("DataFlowId"), now)
    return store.task(flow, call.required("DataFlowTaskId"))


HANDLERS: dict[str, Handler] = {
    "CreateDataFlowSubTask": create,
    "DescribeDataFlowSubTasks": describe,
    "CancelDataFlowSubTask": cancel,
}
