"""Task files: what one task moves, one JSON line per object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_provider_sync.errors import CorruptDataError
from airflow_provider_sync.migration.objects import ObjectInfo

__all__ = ["Entry", "Task", "decode_task", "encode_entry", "encode_task", "task_name"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ABSENT: tuple[Any, ...] = (None, "", "")


class Entry(NamedTuple):
    """One object to move; ``target_etag`` is that of the object it replaces, None if there was none."""

    info: ObjectInfo
    target_etag: str | None


@dataclass(frozen=True, slots=True)
class Task:
    """A slice of the plan: ``seq`` counts from 0, ``name`` is that of its folders."""

    seq: int
    name: str
    objects: int
    bytes: int
    entries: Sequence[Entry]


def task_name(job: str, planned_ms: int, seq: int) -> str:
    """Return the name of a task in ossimport's form: 32 hex digits, ``_``, milliseconds."""
    digest = hashlib.md5(f"{job}/{planned_ms}/{seq}".encode(), usedforsecurity=False).hexdigest().upper()
    return f"{digest}_{planned_ms}"


def encode_entry(entry: Entry) -> str:
    """Return an entry's line: key, size, etag, time, then target's etag, class and locator if there are any."""
    info = entry.info
    row: list[Any] = [info.key, info.size, info.etag, info.modified]
    rest = [entry.target_etag, info.storage_class, info.locator]
    while rest and not rest[-1]:
        if rest[-1] == "" and len(rest) == 1:
            break  # an empty etag is not the same as no object
        rest.pop()
    return _encode(row + rest)


def encode_task(name: str, seq: int, lines: Sequence[str], nbytes: int) -> bytes:
    """Return a task file: a header, then the entries' lines."""
    header = _encode({"task": name, "seq": seq, "objects": len(lines), "bytes": nbytes})
    return "\n".join([header, *lines, ""]).encode()


def decode_task(data: bytes, where: str) -> Task:
    """Read a task file; ``where`` is named in errors."""
    try:
        lines = data.decode().split("\n")
        header = json.loads(lines[0])
        entries = list(_entries(lines[1:-1]))
        task = Task(header["seq"], header["task"], header["objects"], header["bytes"], entries)
    except (ValueError, KeyError, IndexError) as error:
        raise CorruptDataError(f"{where} is no task file: {error!r}; plan the job anew") from error
    if lines[-1] or len(entries) != task.objects:
        raise CorruptDataError(f"{where} has {len(entries)} of {task.objects} objects; plan the job anew")
    return task


def _entries(lines: Sequence[str]) -> Iterator[Entry]:
    for line in lines:
        row: list[Any] = json.loads(line)
        row += _ABSENT[len(row) - 4 :]
        key, size, etag, modified, target_etag, storage_class, locator = row
        yield Entry(ObjectInfo(key, size, etag, modified, storage_class, None, locator), target_etag)
