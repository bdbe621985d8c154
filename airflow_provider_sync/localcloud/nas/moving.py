"""Moving files when their time has come."""

from __future__ import annotations

import heapq

from airflow_provider_sync.localcloud.nas.store import Flow, Store, Subtask, Task
from airflow_provider_sync.localcloud.nas.world import FileInfo, MoveError, Place

__all__ = ["join", "plan", "settle", "sides"]

_WRITES_OSS = ("Export", "StreamExport")


def join(*parts: str) -> str:
    """Join absolute paths into one."""
    return "/" + "/".join(part.strip("/") for part in parts if part.strip("/"))


def sides(store: Store, flow: Flow, action: str) -> tuple[Place, Place]:
    """Return where an action reads and where it writes."""
    cpfs, oss = store.world.cpfs(flow.file_system.file_system_id), store.world.oss(flow.bucket)
    return (cpfs, oss) if action in _WRITES_OSS else (oss, cpfs)


def plan(store: Store, at: float, thing: Task | Subtask) -> None:
    """Have files moved at a time."""
    heapq.heappush(store.agenda, (at, next(store.numbers), thing))


def settle(store: Store, now: float) -> None:
    """Move the files of everything that was due by now and was not canceled meanwhile."""
    while store.agenda and store.agenda[0][0] <= now:
        at, _, thing = heapq.heappop(store.agenda)
        if thing.timeline.end != at:
            continue  # canceled before
        if isinstance(thing, Subtask):
            _finish_subtask(store, thing)
        else:
            _finish_task(store, thing)


def _finish_subtask(store: Store, subtask: Subtask) -> None:
    task = subtask.task
    try:
        subtask.info, subtask.moved = _move(
            store, task, (subtask.source, subtask.target), subtask.info, subtask.wanted
        )
    except MoveError as error:
        subtask.message = str(error)
        subtask.timeline.end_as("FAILED")
        return
    _note(store, subtask.subtask_id, subtask.source, subtask.target, subtask.moved)


def _finish_task(store: Store, task: Task) -> None:
    failed = []
    for source, target, info in task.files:
        try:
            _, moved = _move(store, task, (source, target), info, {})
        except MoveError as error:
            failed.append(f"{source}: {error}")
            moved = -1
        else:
            _note(store, task.task_id, source, target, moved)
        task.moved.append(moved)
    if failed:
        task.message = f"{len(failed)} of {len(task.files)} files failed: {failed[0]}"
        task.timeline.end_as("Failed")


def _note(store: Store, name: str, source: str, target: str, moved: int) -> None:
    store.moves.append({"id": name, "source": source, "target": target, "bytes": moved})


def _move(
    store: Store, task: Task, names: tuple[str, str], known: FileInfo | None, wanted: dict[str, int]
) -> tuple[FileInfo, int]:
    source, target = names
    reads, writes = sides(store, task.flow, task.action)
    trouble = store.world.trouble(task.flow.bucket)
    if trouble:
        raise MoveError(trouble)
    info = reads.look(source) or (known if known and store.world.imagined(known.size) else None)
    if info is None:
        raise MoveError(f"the source file {source} does not exist")
    for name, value in (("ModifyTime", info.modified_ns), ("Size", info.size)):
        if wanted.get(name, value) != value:
            raise MoveError(f"the source file does not meet the condition {name}={wanted[name]}")
    there = writes.look(target)
    policy = task.settings.get("ConflictPolicy")
    if there is not None and (
        policy == "SKIP_THE_FILE" or (policy == "KEEP_LATEST" and there.modified_ns >= info.modified_ns)
    ):
        return info, 0
    copy = store.world.copy(reads, source, writes, target, info)
    return copy, copy.size
