"""Operations on file systems and dataflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_sync.localcloud.nas import rules, shown
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.filters import FLOW_KEYS, Listing, page
from airflow_provider_sync.localcloud.nas.store import FileSystem, Flow, Store
from airflow_provider_sync.localcloud.nas.timeline import Timeline
from airflow_provider_sync.localcloud.nas.wire import Call

__all__ = ["HANDLERS", "busy_tasks"]

_SINCE = "2.4.0"
_THROUGHPUTS = ("600", "1200", "1500")
_REFRESHES = 50
Handler = Callable[[Store, Call, float], dict[str, Any]]


def describe_file_systems(store: Store, call: Call, now: float) -> dict[str, Any]:
    """List file systems by page number; an id that is not there is a 404, as documented."""
    _ = now
    wanted = call.text("FileSystemId")
    found = [store.file_system(wanted)] if wanted else sorted(store.file_systems.values(), key=_name)
    number, size = call.number("PageNumber", 1, 1, 10_000), call.number("PageSize", 10, 1, 100)
    shown_ones = found[(number - 1) * size : number * size]
    return {
        "TotalCount": len(found),
        "PageNumber": number,
        "PageSize": size,
        "FileSystems": {"FileSystem": [shown.file_system(one) for one in shown_ones]},
    }


def create(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Create a dataflow: Starting for a while, then Running."""
    system = rules.running_file_system(store, call, _SINCE)
    storage = call.required("SourceStorage")
    bucket = rules.bucket_of(storage, system)
    settings: dict[str, Any] = {
        "SourceStorage": storage,
        "FileSystemPath": rules.directory(call, "FileSystemPath", required=system.lingjun),
        "SourceStoragePath": rules.directory(call, "SourceStoragePath", required=system.lingjun),
        "SourceSecurityType": rules.choice(call, "SourceSecurityType", ("None", "SSL"), required=False)
        or "None",
        "Description": call.text("Description"),
    }
    rules.check_description(settings["Description"])
    if not system.lingjun:
        settings |= _general(call)
    _check_room(store, system, settings, now)
    _check_ends(store, system, bucket, settings["FileSystemPath"])
    if call.flag("DryRun"):
        return {"DataFlowId": ""}
    outcome = store.outcome("flow", settings["FileSystemPath"])
    wait = store.options.flow_seconds if outcome.seconds is None else outcome.seconds
    states = [(now, "Starting"), (now + wait, outcome.result or "Running")]
    flow = Flow(store.new_id("flow"), system, settings, bucket, now, now, Timeline(states), outcome.message)
    store.flows[flow.flow_id] = flow
    return {"DataFlowId": flow.flow_id}


def _general(call: Call) -> dict[str, Any]:
    """Read what only general CPFS has."""
    call.required("Throughput")
    throughput = int(rules.choice(call, "Throughput", _THROUGHPUTS))
    paths = [
        rules.directory(call, f"AutoRefreshs.{number}.RefreshPath")
        for number in range(1, _REFRESHES)
        if call.text(f"AutoRefreshs.{number}.RefreshPath")
    ]
    policy = rules.choice(call, "AutoRefreshPolicy", ("None", "ImportChanged"), required=False) or "None"
    return {
        "FsetId": call.required("FsetId"),
        "Throughput": throughput,
        "AutoRefreshPolicy": policy,
        "AutoRefreshInterval": call.number("AutoRefreshInterval", 10, 10, 525_600),
        "AutoRefreshs": paths,
    }


def _check_room(store: Store, system: FileSystem, settings: Mapping[str, Any], now: float) -> None:
    flows = store.live_flows(system, now)
    if len(flows) >= store.options.flows_per_file_system:
        raise NasError.denied("DataFlowLimit", "The number of data flows has reached the limit.")
    if system.lingjun and any(flow.path == settings["FileSystemPath"] for flow in flows):
        raise NasError.denied("DataFlowConflict", "The FileSystemPath is linked by another data flow.")


def _check_ends(store: Store, system: FileSystem, bucket: str, path: str) -> None:
    """Refuse what is not there; an untagged bucket is noticed when the dataflow starts (invented)."""
    trouble = store.world.trouble(bucket)
    if trouble.endswith("does not exist"):
        raise NasError.not_found("SourceStorage", "source storage")
    if path and not store.world.has_directory(system.file_system_id, path):
        raise NasError.not_found("FileSystemPath", "FileSystemPath")


def describe(store: Store, call: Call, now: float) -> dict[str, Any]:
    """List the dataflows of a file system."""
    system = store.file_system(call.required("FileSystemId"))
    flows = {flow.flow_id: flow for flow in store.live_flows(system, now)}
    listing = Listing(
        list(flows), lambda name: {"DataFlowId": name}, lambda name: shown.flow(store, flows[name], now)
    )
    found, token = page(call, listing, FLOW_KEYS, smallest=10)
    return {"NextToken": token, "DataFlowInfo": {"DataFlow": found}}


def modify(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Change the description, and the throughput of a general one; Updating for a while."""
    flow = _flow(store, call, now)
    description, throughput = call.text("Description"), call.text("Throughput")
    rules.check_description(description)
    if throughput:
        _only_general(flow.file_system)
        rules.choice(call, "Throughput", _THROUGHPUTS)
    if store.flow_state(flow, now)[0] not in {"Running", "Misconfigured"}:
        raise NasError.busy()
    if call.flag("DryRun"):
        return {}
    if description:
        flow.settings["Description"] = description
    if throughput:
        flow.settings["Throughput"] = int(throughput)
    flow.updated = now
    wait = store.options.flow_seconds
    flow.timeline.change(now, (now, "Updating"), (now + wait, "Running"))
    return {}


def start(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Start a stopped dataflow of general CPFS."""
    return _switch(store, call, now, "Stopped", ("Starting", "Running"))


def stop(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Stop a running dataflow of general CPFS."""
    return _switch(store, call, now, "Running", ("Stopping", "Stopped"))


def _switch(store: Store, call: Call, now: float, needed: str, states: tuple[str, str]) -> dict[str, Any]:
    flow = _flow(store, call, now)
    _only_general(flow.file_system)
    state = flow.timeline.state(now)
    if state != needed:
        raise NasError.wrong_status(f"the data flow is {state}")
    if call.flag("DryRun"):
        return {}
    flow.updated = now
    flow.timeline.change(now, (now, states[0]), (now + store.options.flow_seconds, states[1]))
    return {}


def delete(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Delete a dataflow that is Running or Stopped (documented), and one that is Misconfigured (invented)."""
    flow = _flow(store, call, now)
    if store.flow_state(flow, now)[0] not in {"Running", "Stopped", "Misconfigured"}:
        raise NasError.busy()
    if busy_tasks(store, flow, now):
        raise NasError.dependency("the data flow has unfinished tasks")
    if call.flag("DryRun"):
        return {}
    flow.updated = now
    flow.timeline.change(now, (now, "Deleting"), (now + store.options.flow_seconds, ""))
    return {}


def busy_tasks(store: Store, flow: Flow, now: float, *, batches: bool = False) -> int:
    """Count the tasks of a dataflow that have not ended; only the batch ones if asked."""
    active = ("Pending", "Executing", "Canceling")
    tasks = [task for task in store.tasks.values() if task.flow is flow and not (batches and task.streaming)]
    return sum(task.timeline.state(now) in active for task in tasks)


def _flow(store: Store, call: Call, now: float) -> Flow:
    system = store.file_system(call.required("FileSystemId"))
    return store.flow(system, call.required("DataFlowId"), now)


def _only_general(system: FileSystem) -> None:
    if system.lingjun:
        raise NasError.denied("NotSupported", "Only general-purpose CPFS supports the operation.")


def _name(system: FileSystem) -> str:
    return system.file_system_id


HANDLERS: dict[str, Handler] = {
    "DescribeFileSystems": describe_file_systems,
    "CreateDataFlow": create,
    "DescribeDataFlows": describe,
    "ModifyDataFlow": modify,
    "StartDataFlow": start,
    "StopDataFlow": stop,
    "DeleteDataFlow": delete,
}
