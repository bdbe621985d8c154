"""What a run did: counts for people, XCom and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_sync.engine.contract import Committed
from airflow_provider_sync.spec.window import Window

__all__ = ["JobReport", "Progress", "Tally"]


@dataclass(slots=True)
class Tally:
    """Counts of one split or of all; ``read`` and ``nbytes`` are the source's, ``written`` the target's rows."""

    read: int = 0
    written: int = 0
    nbytes: int = 0
    rejected: int = 0
    counters: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add another's counts."""
        self.read += other.read
        self.written += other.written
        self.nbytes += other.nbytes
        self.rejected += other.rejected
        self.counters.update(other.counters)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "counters": dict(self.counters)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        """Return the inverse of :meth:`to_json`."""
        return cls(**{**data, "counters": Counter(data["counters"])})


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running task stands; handed out after every batch."""

    job: str
    window: Window | None
    splits: int
    splits_done: int
    read: int
    written: int
    nbytes: int
    rejected: int
    seconds: float


@dataclass(frozen=True, slots=True)
class JobReport:
    """What one committed window (or run without windows) did.

    ``counters`` says what was left out and why; ``committed`` what is visible; ``seconds`` is wall time.
    """

    job: str
    window: Window | None
    splits: int
    tally: Tally
    committed: Committed
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, small enough for XCom."""
        window = self.window
        return {
            "job": self.job,
            "window": None
            if window is None
            else {
                **window.to_json(),
                "from": window.start_time.isoformat(),
                "to": window.end_time.isoformat(),
            },
            "splits": self.splits,
            **self.tally.to_json(),
            "objects": [asdict(one) for one in self.committed.objects],
            "manifest": self.committed.manifest,
            "error_list": self.committed.error_list,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        dropped = ", ".join(f"{name} {count}" for name, count in sorted(self.tally.counters.items()))
        return (
            f"{self.job} {self.window or ''}: {self.tally.read} records read, {self.tally.written} rows written, "
            f"{self.tally.rejected} rejected, {self.tally.nbytes} bytes, {len(self.committed.objects)} objects, "
            f"{self.seconds:.2f} s" + (f"; {dropped}" if dropped else "")
        )
