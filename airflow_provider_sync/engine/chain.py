"""Windows in a row: which ones are due, and how far a job has come.

The watermark of a job is the end of its last window such that every window before it is committed too. It is
moved by compare-and-set after each commit, and never back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore
from airflow_provider_sync.engine.job import Job, run_window
from airflow_provider_sync.engine.report import JobReport
from airflow_provider_sync.errors import CheckpointConflictError, ConfigError
from airflow_provider_sync.spec.window import Window

__all__ = ["Chain", "advance", "begin", "prune_boundaries", "run_chain", "watermark"]

_DAY = 86_400_000
_BOUNDARIES_KEPT = 31 * _DAY  # no source holds its changes as long as that
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chain:
    """How a run behaves towards its neighbours.

    ``heal`` completes every window between the watermark and the run's own first, each committed on its own
    and ``width`` milliseconds long. ``advance`` moves the watermark; a backfill leaves both off and redoes
    exactly its own windows.
    """

    heal: bool = True
    advance: bool = True
    width: int | None = None


def watermark(store: CheckpointStore, job: str) -> int | None:
    """Return up to where (ms, exclusive) the job is complete, None before its first run."""
    stored = store.load(job)
    return None if stored is None else int(stored.state["watermark"])


def begin(store: CheckpointStore, job: str, window: Window) -> None:
    """Note that a job begins with ``window``, unless it has begun already.

    To be called before the work: a first run that fails for good would leave nothing for the next one to see,
    and its window would stay out without a word.
    """
    if store.load(job) is None:
        with suppress(CheckpointConflictError):  # another run has noted it in this moment
            store.save(job, {"watermark": window.start}, expect=0)


def due_windows(mark: int | None, own: Window, width: int) -> list[Window]:
    """Return the windows to run, oldest first, ending with ``own``."""
    if mark is None or mark >= own.start:
        return [own]
    return [*Window(mark, own.start).split(width), own]


def run_chain(
    job: Job, own: Window, chain: Chain | None = None, *, on_report: Callable[[JobReport], None] | None = None
) -> list[JobReport]:
    """Run what is due up to and including ``own``; return one report per window, oldest first.

    ``on_report`` sees each report as soon as its window is committed and the watermark moved.
    """
    chain = chain or Chain()
    width = chain.width or own.width
    if width <= 0:
        raise ConfigError("window.width", width, allowed="a positive number of milliseconds")
    name = job.spec.name
    if chain.heal and chain.advance:
        begin(job.store, name, own)
    stored = job.store.load(name)
    mark = None if stored is None else int(stored.state["watermark"])
    reports = []
    for window in due_windows(mark, own, width) if chain.heal else [own]:
        job.environment.check_cancelled()
        if window != own:
            log.info("%s: window %s was left open by an earlier run; completing it first", name, window)
        report = run_window(job, window)
        if chain.advance and _extends(mark, window):
            stored = _advance(job, stored, window)
            mark = window.end
        reports.append(report)
        if on_report is not None:
            on_report(report)
    return reports


def advance(job: Job, window: Window) -> None:
    """Move the watermark past a window that was committed step by step, if it is that window's turn."""
    stored = job.store.load(job.spec.name)
    if _extends(None if stored is None else int(stored.state["watermark"]), window):
        _advance(job, stored, window)


def prune_boundaries(store: CheckpointStore, job: str, before: int) -> int:
    """Delete boundaries fixed for times before ``before`` (ms); return how many."""
    stale = [key for key in store.keys(f"{job}@") if int(key.rpartition("@")[2]) < before]
    for key in stale:
        store.delete(key)
    return len(stale)


def _extends(mark: int | None, window: Window) -> bool:
    """Only a window that touches what is complete may move the watermark: a gap must stay visible."""
    return mark is None or window.start <= mark < window.end


def _advance(job: Job, stored: Checkpoint | None, window: Window) -> Checkpoint:
    state = {"watermark": window.end, "window": window.to_json()}
    saved = job.store.save(job.spec.name, state, expect=0 if stored is None else stored.generation)
    if window.start // _DAY != window.end // _DAY:  # once a day is often enough, and cheap
        prune_boundaries(job.store, job.spec.name, window.end - _BOUNDARIES_KEPT)
    return saved
