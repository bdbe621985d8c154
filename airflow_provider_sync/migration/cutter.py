"""Cuts what a plan finds into tasks, and remembers how far it came."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.tasks import encode_task

__all__ = ["Chunk", "Cutter", "Piece", "PlanSummary"]

_SAVE_EVERY = 30.0
_ROWS_PER_LIST = 10_000
_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What a plan found; sizes in bytes, times in seconds since the Unix epoch.

    ``started`` is when the listing began: what changes after it is for the next run's ``import_since``.
    ``counts`` has ``filtered``, ``skipped: <reason>``, ``verified``; ``samples`` the first names of each list.
    """

    scanned: int
    objects: int
    bytes: int
    tasks: int
    rejected: int
    different: int
    extra: int
    counts: Mapping[str, int]
    samples: Mapping[str, list[list[Any]]]
    started: float
    finished: float

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> PlanSummary:
        """Read what :meth:`as_json` wrote."""
        return cls(**data)

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Return it for people."""
        lines = [
            f"scanned   {self.scanned:,} objects in {self.finished - self.started:.1f} s",
            f"to move   {self.objects:,} objects, {self.bytes:,} bytes, in {self.tasks:,} tasks",
        ]
        lines += [f"          {count:,} {name}" for name, count in sorted(self.counts.items())]
        for name in ("rejected", "different", "extra"):
            count = getattr(self, name)
            if count:
                lines.append(f"{name:9} {count:,}")
                lines += [f"          {row[0]!r}: {row[1]}" for row in self.samples.get(name, [])]
        return "\n".join(lines)


@dataclass(slots=True)
class Piece:
    """The keys in (``after``, ``upto``], scanned as far as ``position``; None is the very start or end."""

    after: str | None
    upto: str | None
    position: str | None = None
    done: bool = False

    def __post_init__(self) -> None:
        if self.position is None:
            self.position = self.after

    def as_json(self) -> list[Any]:
        """Return it for JSON."""
        return [self.after, self.upto, self.position, self.done]


@dataclass(slots=True)
class Chunk:
    """Some keys of one piece, decided; ``position`` is the last of them."""

    lines: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rows: dict[str, list[list[Any]]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    scanned: int = 0
    extras: int = 0
    position: str | None = None
    done: bool = False

    @property
    def seen(self) -> int:
        """Keys of either side."""
        return self.scanned + self.extras

    def take(self, line: str, size: int) -> None:
        """Plan an object."""
        self.lines.append(line)
        self.sizes.append(size)

    def count(self, what: str) -> None:
        """Count an object that is not planned."""
        self.counts[what] += 1

    def reject(self, key: str, reason: str) -> None:
        """Report an object that cannot be moved."""
        self.rows.setdefault("rejected", []).append([key, reason])

    def differ(self, key: str, reason: str) -> None:
        """Report a difference that the listings show."""
        self.rows.setdefault("different", []).append([key, reason])

    def only_there(self, key: str, *, listed: bool) -> None:
        """Count an object that only the target has."""
        self.extras += 1
        if listed:
            self.rows.setdefault("extra", []).append([key, "not in the source"])


class Cutter:
    """Takes chunks from several threads; without a folder it only counts."""

    def __init__(
        self,
        spec: MigrationSpec,
        folder: JobFolder | None,
        environment: Environment,
        state: Mapping[str, Any],
        *,
        name: Callable[[int], str] = str,
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._environment = environment
        self._name = name
        self._lock = threading.Lock()
        self._started: float = state["started"]
        self.pieces = [Piece(*row) for row in state["pieces"]]
        self._tasks: int = state.get("tasks", 0)
        self._lines: list[str] = state.get("lines", [])
        self._open_bytes: int = state.get("open_bytes", 0)
        self._sums: Counter[str] = Counter(state.get("sums", {}))
        self._counts: Counter[str] = Counter(state.get("counts", {}))
        self._rows: dict[str, list[list[Any]]] = state.get("rows", {})
        self._lists: Counter[str] = Counter(state.get("lists", {}))
        self._samples: dict[str, list[list[Any]]] = state.get("samples", {})
        self._saved_at = environment.clock()

    def add(self, piece: Piece, chunk: Chunk) -> None:
        """Take a chunk; writes the tasks that it fills, then the checkpoint."""
        count_limit, byte_limit = self._spec.task_object_count, self._spec.task_object_bytes
        with self._lock:
            before = self._tasks
            for line, size in zip(chunk.lines, chunk.sizes, strict=True):
                if self._lines and (len(self._lines) >= count_limit or self._open_bytes + size > byte_limit):
                    self._flush()
                self._lines.append(line)
                self._open_bytes += size
            self._sums.update(
                scanned=chunk.scanned,
                objects=len(chunk.lines),
                bytes=sum(chunk.sizes),
                extra=chunk.extras,
            )
            self._counts.update(chunk.counts)
            for kind, rows in chunk.rows.items():
                self._list(kind, rows)
            if chunk.position is not None:
                piece.position = chunk.position
            piece.done = chunk.done
            if self._tasks > before or self._environment.clock() - self._saved_at > _SAVE_EVERY:
                self._save()

    def finish(self, rejected: list[list[Any]]) -> PlanSummary:
        """Write the last task and the rest of the lists."""
        with self._lock:
            self._list("rejected", rejected)
            if self._lines:
                self._flush()
            for kind in list(self._rows):
                self._flush_rows(kind)
        return PlanSummary(
            scanned=self._sums["scanned"],
            objects=self._sums["objects"],
            bytes=self._sums["bytes"],
            tasks=self._tasks,
            rejected=self._sums["rejected"],
            different=self._sums["different"],
            extra=self._sums["extra"],
            counts=dict(self._counts),
            samples=self._samples,
            started=self._started,
            finished=self._environment.clock(),
        )

    def _list(self, kind: str, rows: list[list[Any]]) -> None:
        if not rows:
            return
        if kind != "extra":
            self._sums[kind] += len(rows)
        samples = self._samples.setdefault(kind, [])
        samples += rows[: _SAMPLES - len(samples)]
        if self._folder is not None:
            self._rows.setdefault(kind, []).extend(rows)
            if len(self._rows[kind]) >= _ROWS_PER_LIST:
                self._flush_rows(kind)

    def _flush(self) -> None:
        if self._folder is not None:
            self._folder.write_task(
                self._tasks, encode_task(self._name(self._tasks), self._tasks, self._lines, self._open_bytes)
            )
        self._tasks += 1
        self._lines, self._open_bytes = [], 0

    def _flush_rows(self, kind: str) -> None:
        rows = self._rows.pop(kind)
        if self._folder is not None and rows:
            self._folder.write_list(kind, self._lists[kind], rows)
            self._lists[kind] += 1

    def _save(self) -> None:
        self._saved_at = self._environment.clock()
        if self._folder is None:
            return
        self._folder.write_checkpoint(
            {
                "started": self._started,
                "pieces": [piece.as_json() for piece in self.pieces],
                "tasks": self._tasks,
                "lines": self._lines,
                "open_bytes": self._open_bytes,
                "sums": dict(self._sums),
                "counts": dict(self._counts),
                "rows": self._rows,
                "lists": dict(self._lists),
                "samples": self._samples,
            }
        )
