"""The three contracts everything else implements: Reader, Writer, CheckpointStore.

Only :mod:`airflow_provider_sync.engine.job` sees all three. A reader never sees the writer, a writer never
sees positions, neither sees the store.
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

import pyarrow as pa

from airflow_provider_sync.engine.record import JsonObject, RecordBatch, Rejected, Split
from airflow_provider_sync.errors import CancelledError
from airflow_provider_sync.spec.window import Window

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "Committed",
    "CommittedObject",
    "Environment",
    "Output",
    "Plan",
    "PlanRequest",
    "Reader",
    "SplitWriter",
    "Writer",
]


@dataclass(frozen=True, slots=True)
class Environment:
    """What code must not reach for itself: time, sleep, chance, and whether somebody asked to stop.

    ``clock`` returns seconds since the Unix epoch. ``cancelled`` is set by the host (Airflow's ``on_kill``).
    """

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: random.Random = field(default_factory=random.Random)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check_cancelled(self) -> None:
        """Raise :class:`CancelledError` when somebody asked to stop; call it between requests."""
        if self.cancelled.is_set():
            raise CancelledError("the job was stopped; nothing after the last committed window is visible")


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a reader plans for.

    ``window`` is None for a job without windows. ``start`` and ``end`` are the boundaries that earlier runs
    fixed for the window's two edges (made by :meth:`Reader.boundary`), or None where nobody has: a fixed
    boundary wins over anything the reader would find out anew. ``parallelism`` is advice.
    """

    window: Window | None = None
    start: JsonObject | None = None
    end: JsonObject | None = None
    parallelism: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The schema of every batch, the splits in output order, and what the reader wants back in `boundary`."""

    schema: pa.Schema
    splits: tuple[Split, ...]
    detail: JsonObject = field(default_factory=dict)


class Reader(ABC):
    """A source.

    Built by the registry as ``cls(options, connection, environment)``; ``options`` is an instance of
    ``cls.Options``. Building one does no I/O. A reader keeps no progress: everything is in splits and
    positions, so that any process can read any split. Methods may be called from several threads, each split
    from one.
    """

    Options: ClassVar[type[Any]]
    connection_kinds: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def plan(self, request: PlanRequest) -> Plan:
        """Look at the source and cut it into splits.

        Everything that can be refused is refused here (missing table, stream off, window before retention),
        before a byte is written. The same request over an unchanged source gives the same plan.
        """

    @abstractmethod
    def read(self, split: Split) -> Iterator[RecordBatch]:
        """Yield the split's rows in order, each batch with the plan's schema.

        Every split yields at least one batch (with no rows if it is empty), so that its end position is
        known. May be called again for the same split, in this or another process, and then yields the same
        rows. Memory is bounded by a batch or two whatever the split holds.
        """

    def boundary(self, plan: Plan, ends: Mapping[str, JsonObject]) -> JsonObject | None:
        """Merge the end positions of all splits (by split id) into the boundary at the window's end.

        None (the default) means this reader's windows need no fixed boundary.
        """
        del plan, ends
        return None

    def acknowledge(self, plan: Plan, window: Window, boundary: JsonObject) -> None:
        """Hear that everything up to ``boundary`` is committed, for sources that want to be told.

        Called after the commit, again if a run is repeated; not telling loses nothing.
        """

    def close(self) -> None:
        """Release connections; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Output:
    """What one commit will hold: names derive from this alone, so that a retry writes the same names."""

    job: str
    schema: pa.Schema
    splits: tuple[str, ...]
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class CommittedObject:
    """One visible piece of output; ``crc64`` is CRC-64/XZ as an unsigned integer, None where unknown."""

    name: str
    size: int
    rows: int
    crc64: int | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What became visible. ``manifest`` names the listing of it, empty where a target has none."""

    objects: tuple[CommittedObject, ...]
    manifest: str = ""
    error_list: str = ""


class SplitWriter(ABC):
    """Takes the rows of one split, in order, from one thread."""

    @abstractmethod
    def write(self, rows: pa.RecordBatch) -> Sequence[Rejected]:
        """Take rows; return those that the target cannot hold (the others are taken).

        Blocks while too much is in flight. Nothing becomes visible.
        """

    @abstractmethod
    def prepare(self) -> JsonObject:
        """Make everything written durable but invisible; return the receipt that :meth:`Writer.commit` needs.

        A receipt is small JSON: another process may commit it.
        """

    @abstractmethod
    def abort(self) -> None:
        """Throw away what was written, leaving nothing to pay for; may be called at any time, also twice."""


class Writer(ABC):
    """A target, written in two phases so that a window appears whole or not at all.

    Built by the registry as ``cls(options, connection, environment)`` without I/O. One writer serves one
    :class:`Output`: ``begin``, then ``open`` per split (any threads, any processes), then ``commit`` once with
    the receipts of all splits in output order.
    """

    Options: ClassVar[type[Any]]
    connection_kinds: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def begin(self, output: Output) -> None:
        """Check target and schema; refuse what cannot work before a byte is written. May be called again."""

    @abstractmethod
    def open(self, split_id: str) -> SplitWriter:
        """Start one split; needs :meth:`begin` in the same process."""

    @abstractmethod
    def commit(self, receipts: Sequence[JsonObject], rejected: Sequence[Rejected] = ()) -> Committed:
        """Make all of it visible, remove what an earlier try of the same output left, return what is there.

        Returning means durable and visible. Repeatable: a second call with the same receipts, also after a
        crash in the middle of the first, ends in the same state. ``rejected`` goes to the error list.
        """

    @abstractmethod
    def abort(self, receipts: Sequence[JsonObject]) -> None:
        """Throw away prepared splits that will not be committed."""

    def close(self) -> None:
        """Release connections; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored state: ``generation`` starts at 1 and grows by 1 with each save."""

    key: str
    generation: int
    state: JsonObject


class CheckpointStore(ABC):
    """Small JSON states by key, saved by compare-and-set.

    Keys of one job: ``<job>`` is its progress, ``<job>@<end of window, ms>`` the boundary fixed at that time.
    Built by the registry as ``cls(options, connection, environment)`` without I/O. Safe for threads and for
    several processes at once.
    """

    Options: ClassVar[type[Any]]
    connection_kinds: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def load(self, key: str) -> Checkpoint | None:
        """Return the stored state, None when there is none. Not being able to ask raises."""

    @abstractmethod
    def save(self, key: str, state: JsonObject, *, expect: int) -> Checkpoint:
        """Store ``state`` if the stored generation is ``expect`` (0: nothing stored); return the new checkpoint.

        Otherwise :class:`CheckpointConflictError`, naming key and both generations, and nothing changes. A
        save whose reply was lost is resolved inside: it either happened once or did not.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget ``key``; fine if it is not there."""

    @abstractmethod
    def keys(self, prefix: str) -> Iterator[str]:
        """Yield stored keys that start with ``prefix``, in order."""

    def close(self) -> None:
        """Release connections; may be called twice."""
