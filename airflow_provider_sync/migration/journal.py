"""Progress within a task, one line per event, appended as it happens.

Several threads add lines; whoever comes while nobody writes takes everything that waits and appends it at
once. On a local disk that is a line at a time, in OSS some dozens, with no thread of its own.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sync.migration.files import FileStore
from airflow_provider_sync.migration.objects import Part

__all__ = [
    "ABANDONED",
    "DONE",
    "FAILED",
    "PART",
    "SKIPPED",
    "UPLOAD",
    "Journal",
    "Outcome",
    "Past",
    "read_past",
]

DONE, SKIPPED, FAILED, UPLOAD, PART, ABANDONED = "D", "S", "F", "U", "P", "A"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an object: ``kind`` is DONE, SKIPPED or FAILED.

    ``code`` is the reason's (failed) or empty, ``note`` says more, ``crc64`` is that of the bytes written (None
    where the service did it or says nothing), ``at`` is in seconds since the Unix epoch, ``size`` in bytes.
    """

    kind: str
    key: str
    size: int
    etag: str
    crc64: int | None
    at: float
    code: str = ""
    note: str = ""

    def as_row(self) -> list[Any]:
        """Return it for the journal."""
        row: list[Any] = [self.kind, self.key, self.size, self.etag, self.crc64, round(self.at, 3)]
        return [*row, self.code, self.note] if self.code or self.note else row


@dataclass(slots=True)
class Past:
    """What earlier runs of a task have done.

    ``outcomes`` by key; ``uploads`` that were begun and not completed: key → (upload, source's ETag, parts).
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    uploads: dict[str, tuple[str, str, dict[int, Part]]] = field(default_factory=dict)


class Journal:
    """Appends to one file of this run; safe for threads.

    A line is written by the thread that adds it, or at once after by the one that is just writing.
    """

    def __init__(self, files: FileStore, name: str) -> None:
        self._files = files
        self._name = name
        self._waiting: deque[bytes] = deque()
        self._turn = threading.Lock()

    def add(self, row: list[Any]) -> None:
        """Append a line; what the store raises is raised by the thread that writes."""
        self._waiting.append(f"{_encode(row)}\n".encode())
        # checked again after letting go: a line may come between the last look and the release
        while self._waiting and self._turn.acquire(blocking=False):
            try:
                lines = []
                while self._waiting:
                    lines.append(self._waiting.popleft())
                if lines:
                    self._files.append(self._name, b"".join(lines))
            finally:
                self._turn.release()


def read_past(files: FileStore, folder: str) -> Past:
    """Read the journals of all earlier runs of a task; half a line at the end of one is what a kill leaves."""
    past = Past()
    for name in files.list(folder):
        if not name.rpartition("/")[2].startswith("progress."):
            continue
        for row in _rows(files.read(name) or b""):
            _apply(past, row)
    return past


def _rows(data: bytes) -> Iterator[list[Any]]:
    for line in data.split(b"\n")[:-1]:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # half a line that a later append completed: the object is done again
        if isinstance(row, list) and row:
            yield row


def _apply(past: Past, row: list[Any]) -> None:
    kind, key = row[0], row[1]
    if kind == UPLOAD:
        past.uploads[key] = (row[2], row[3], {})
    elif kind == PART:
        if key in past.uploads and past.uploads[key][0] == row[2]:
            past.uploads[key][2][row[3]] = Part(row[3], row[4], row[5], row[6])
    elif kind == ABANDONED:
        past.uploads.pop(key, None)
    else:
        outcome = Outcome(*row)
        if kind != FAILED:  # what failed may go on with its parts
            past.uploads.pop(key, None)
        # a failure does not undo an earlier success of the same object
        if kind != FAILED or past.outcomes.get(key, outcome).kind == FAILED:
            past.outcomes[key] = outcome
