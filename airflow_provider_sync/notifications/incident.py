"""What counts as one incident: the rules, without Airflow.

An incident is a window that is not committed although it is due. It opens with the first run that is late for
it or fails at it, stays silent while more runs fail at the same window, and closes with the run that commits
it. A run that failed at it is late for its own window too: that is the same incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

__all__ = ["Failure", "Incident", "close", "open_or_repeat", "read_incidents", "write_incidents"]

Kind = Literal["late", "failed"]
_RUNS_KEPT = 100  # more than can wait for their deadlines at once, and little to store


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known about a run that did not do its work; ``start`` and ``end`` (ms) are 0 if unknown."""

    kind: Kind
    run_id: str
    cause: str
    start: int = 0
    end: int = 0

    @property
    def key(self) -> str:
        """Tell incidents apart: by window, by run where the window is unknown."""
        return f"{self.start}-{self.end}" if self.end else self.run_id


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident; ``repeats`` counts the runs after the first one that met it in silence.

    ``runs`` are the last of them.
    """

    kind: Kind
    run_id: str
    cause: str
    since: str
    start: int = 0
    end: int = 0
    repeats: int = 0
    runs: tuple[str, ...] = ()

    def met_by(self, run_id: str) -> bool:
        """Tell whether this run has met the incident before."""
        return run_id == self.run_id or run_id in self.runs


def open_or_repeat(
    incidents: Mapping[str, Incident], failure: Failure, now: str
) -> tuple[dict[str, Incident], bool]:
    """Return the incidents with ``failure`` noted, and whether to tell people.

    Told are a new incident, and one that was only late and has failed now.
    """
    known = incidents.get(failure.key)
    if failure.kind == "late" and any(one.met_by(failure.run_id) for one in incidents.values()):
        return dict(incidents), False
    if known is not None and (known.kind == "failed" or failure.kind == "late"):
        if known.met_by(failure.run_id):
            return dict(incidents), False
        runs = (*known.runs, failure.run_id)[-_RUNS_KEPT:]
        return {**incidents, failure.key: replace(known, repeats=known.repeats + 1, runs=runs)}, False
    since = now if known is None else known.since
    opened = Incident(failure.kind, failure.run_id, failure.cause, since, failure.start, failure.end)
    return {**incidents, failure.key: opened}, True


def close(
    incidents: Mapping[str, Incident], run_id: str, done: Iterable[tuple[int, int]]
) -> tuple[dict[str, Incident], list[Incident]]:
    """Return the incidents still open, and those that a successful run closed.

    ``done`` are the windows (ms) that the run committed. An incident without a window ends with its own run.
    """
    windows = list(done)
    closed = [
        key
        for key, one in incidents.items()
        if (one.run_id == run_id and not (one.end and windows))
        or (one.end and any(start <= one.start and one.end <= end for start, end in windows))
    ]
    left = {key: one for key, one in incidents.items() if key not in closed}
    return left, [incidents[key] for key in closed]


def read_incidents(data: Any) -> dict[str, Incident]:
    """Build from what :func:`write_incidents` made; nothing stored is no incident."""
    return {key: Incident(**{**one, "runs": tuple(one.get("runs", ()))}) for key, one in (data or {}).items()}


def write_incidents(incidents: Mapping[str, Incident]) -> dict[str, Any]:
    """Return plain JSON data."""
    return {key: asdict(one) for key, one in incidents.items()}
