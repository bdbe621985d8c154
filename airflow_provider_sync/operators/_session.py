"""One execution of a task on one job: its store of progress, and a job built for each window."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk import Context

from airflow_provider_sync.engine.chain import Chain, advance, begin, run_chain, watermark
from airflow_provider_sync.engine.job import Job, PlannedWindow, SplitResult, commit_window, run_window
from airflow_provider_sync.operators._build import build_job
from airflow_provider_sync.operators._observe import observe_report
from airflow_provider_sync.operators._window import RunWindow, windows_before

if TYPE_CHECKING:
    from datetime import timedelta

    import pyarrow as pa

    from airflow_provider_sync.engine.contract import CheckpointStore, Environment
    from airflow_provider_sync.engine.report import JobReport, Progress
    from airflow_provider_sync.spec.job import JobSpec
    from airflow_provider_sync.spec.window import Window

__all__ = ["Session"]

log = logging.getLogger(__name__)


@dataclass
class Session:
    """``spec`` gives the job as it is for a window; ``working_on`` hears of each window before it is touched.

    ``heal`` and ``advance`` are how the job treats its neighbours.
    """

    context: Context
    run: RunWindow | None
    environment: Environment
    store: CheckpointStore
    spec: Callable[[Window | None], JobSpec]
    working_on: Callable[[Window | None], None]
    width: timedelta
    heal: bool
    advance: bool
    transform: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None
    progress: Callable[[Progress], None] | None = None

    @contextmanager
    def job(self, window: Window | None) -> Iterator[Job]:
        """Build the job for one window, and release its connections afterwards."""
        self.working_on(window)
        job = build_job(
            self.spec(window), self.store, self.environment, transform=self.transform, progress=self.progress
        )
        with job.reader, job.writer:
            yield job

    @cached_property
    def moves(self) -> bool:
        """Whether this execution moves the job's progress."""
        if not self.advance or self.run is None or self.run.own_only:
            return False
        # Where a job begins is for its schedule to say: a catch-up may start further back than a manual run.
        return not self.run.manual or self._mark is not None

    @cached_property
    def _mark(self) -> int | None:
        return None if self.run is None else watermark(self.store, self.spec(self.run.window).name)

    def due(self) -> list[Window | None]:
        """Return what to commit, oldest first: windows that an earlier run left open, then the run's own.

        A job without windows has one thing to do, None.
        """
        if self.run is None:
            return [None]
        if not self.heal or not self.moves:
            return [self.run.window]
        if self._mark is None:
            begin(self.store, self.spec(self.run.window).name, self.run.window)
        return [*windows_before(self.context, self.run.window, self._mark, self.width)]

    def complete(self, window: Window | None) -> JobReport:
        """Commit one window; afterwards the job's progress is past it, if it is that window's turn."""
        if window is not None and self.run is not None and window != self.run.window:
            log.info("window %s was left open by an earlier run; completing it first", window)
        with self.job(window) as job:
            if window is None:
                report = run_window(job, None)
            else:
                report = run_chain(job, window, Chain(heal=False, advance=self.moves))[0]
        observe_report(report, self.context)
        return report

    def commit(self, planned: PlannedWindow, results: list[SplitResult]) -> JobReport:
        """Commit a window that mapped tasks have copied."""
        window = planned.window
        with self.job(window) as job:
            report = commit_window(job, planned, results)
            if window is not None and self.moves:
                advance(job, window)
        observe_report(report, self.context)
        return report
