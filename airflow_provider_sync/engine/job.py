"""One window, from plan to commit: the only place that sees reader, writer and store together.

::

    plan_window ── copy_split … copy_split ── commit_window
      refuse         read | channel | write     fix the end, commit, report

The three steps exchange plain JSON, so that they can run in one process (:func:`run_window`) or as mapped
tasks on several machines. Nothing is visible before :func:`commit_window`. The order there is what makes a
crash harmless: first the window's *end* is fixed for good (compare-and-set, the first run wins), then the
output is committed, and only the caller, after that, moves the job's watermark
(:mod:`airflow_provider_sync.engine.chain`).
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from airflow_provider_sync.engine.channel import Channel, ChannelClosedError
from airflow_provider_sync.engine.contract import (
    CheckpointStore,
    Environment,
    Output,
    Plan,
    PlanRequest,
    Reader,
    Writer,
)
from airflow_provider_sync.engine.limits import ErrorLimit, RateLimit
from airflow_provider_sync.engine.record import JsonObject, Rejected, Split
from airflow_provider_sync.engine.report import JobReport, Progress, Tally
from airflow_provider_sync.errors import CancelledError, CheckpointConflictError, TransientError
from airflow_provider_sync.spec.job import JobSpec
from airflow_provider_sync.spec.window import Window

__all__ = [
    "Job",
    "PlannedWindow",
    "SplitResult",
    "boundary_key",
    "commit_window",
    "copy_split",
    "plan_window",
    "run_window",
]

log = logging.getLogger(__name__)

Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


class BoundaryMovedError(TransientError):
    """Another run fixed this window's end first, elsewhere; reading again gives exactly its content."""


@dataclass(frozen=True)
class Job:
    """A spec with its parts built. ``transform`` changes rows between reader and writer, batch by batch."""

    spec: JobSpec
    reader: Reader
    writer: Writer
    store: CheckpointStore
    environment: Environment = field(default_factory=Environment)
    transform: Transform | None = None
    progress: Callable[[Progress], None] | None = None


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """The plan of one window; ``fixed_end`` tells whether an earlier run fixed where it ends."""

    window: Window | None
    plan: Plan
    fixed_end: JsonObject | None
    started: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data (the schema as base64 of Arrow's own form)."""
        return {
            "window": self.window and self.window.to_json(),
            "schema": base64.b64encode(self.plan.schema.serialize().to_pybytes()).decode(),
            "splits": [split.to_json() for split in self.plan.splits],
            "detail": dict(self.plan.detail),
            "fixed_end": self.fixed_end,
            "started": self.started,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlannedWindow:
        """Return the inverse of :meth:`to_json`."""
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(data["schema"])))
        splits = tuple(Split.from_json(one) for one in data["splits"])
        window = data["window"]
        return cls(
            window=Window(**window) if window else None,
            plan=Plan(schema, splits, data["detail"]),
            fixed_end=data["fixed_end"],
            started=data["started"],
        )


@dataclass(frozen=True, slots=True)
class SplitResult:
    """A split that is written but invisible: its end, its receipt, its counts."""

    split_id: str
    end: JsonObject
    receipt: JsonObject
    tally: Tally
    rejected: tuple[Rejected, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "split_id": self.split_id,
            "end": dict(self.end),
            "receipt": dict(self.receipt),
            "tally": self.tally.to_json(),
            "rejected": [one.to_json() for one in self.rejected],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SplitResult:
        """Return the inverse of :meth:`to_json`."""
        return cls(
            data["split_id"],
            data["end"],
            data["receipt"],
            Tally.from_json(data["tally"]),
            tuple(Rejected(**one) for one in data["rejected"]),
        )


def boundary_key(job: str, moment: int) -> str:
    """Return the key under which the boundary at ``moment`` (ms) is fixed."""
    return f"{job}@{moment}"


def run_window(job: Job, window: Window | None) -> JobReport:
    """Plan, copy and commit one window in this process; the watermark is not touched.

    Running it again for the same window gives the same bytes under the same names. When another run fixes
    the window's end in the meantime, the window is read again up to exactly there.
    """
    while True:
        planned = plan_window(job, window)
        results = _copy_all(job, planned)
        try:
            return commit_window(job, planned, results)
        except BoundaryMovedError as error:
            log.info("%s", error)


def plan_window(job: Job, window: Window | None, *, parallelism: int | None = None) -> PlannedWindow:
    """Refuse what cannot work, then cut the window into splits."""
    started = job.environment.clock()
    start = _fixed(job, window.start) if window else None
    end = _fixed(job, window.end) if window else None
    plan = job.reader.plan(PlanRequest(window, start, end, parallelism or job.spec.limits.concurrent))
    planned = PlannedWindow(window, plan, end, started)
    job.writer.begin(_output(job, planned))
    return planned


def copy_split(
    job: Job,
    planned: PlannedWindow,
    split: Split,
    *,
    meter: _Meter | None = None,
    errors: ErrorLimit | None = None,
) -> SplitResult:
    """Read one split and write it, durable but invisible.

    In a process of its own (a mapped task) call it without ``meter`` and ``errors``; the writer is begun here.
    """
    if meter is None:
        job.writer.begin(_output(job, planned))
        meter = _Meter(job, planned)
    errors = errors or ErrorLimit(job.spec.limits)
    limits = job.spec.limits
    channel = Channel(limits.batch_records, limits.batch_bytes)
    thread = threading.Thread(
        target=_feed, args=(job, split, channel, meter.rate), name=f"read-{split.id}", daemon=True
    )
    writer = job.writer.open(split.id)
    tally = Tally()
    kept: list[Rejected] = []
    end: JsonObject | None = None
    thread.start()
    try:
        for batch in channel:
            job.environment.check_cancelled()
            meter.check_stopped()
            rows = job.transform(batch.rows) if job.transform else batch.rows
            refused = (*batch.rejected, *writer.write(rows))
            one = Tally(
                batch.read,
                rows.num_rows - (len(refused) - len(batch.rejected)),
                batch.nbytes,
                len(refused),
            )
            one.counters.update(batch.counters)
            tally.add(one)
            meter.add(one)
            errors.add(refused)
            kept.extend(refused[: _KEPT_PER_SPLIT - len(kept)])
            end = batch.position
        if end is None:
            raise RuntimeError(f"reader bug: split {split.id} yielded no batch, its end is unknown")
        receipt = writer.prepare()
    except BaseException:
        channel.close()
        writer.abort()
        raise
    finally:
        channel.close()
        thread.join()
    meter.split_done()
    return SplitResult(split.id, end, receipt, tally, tuple(kept))


def commit_window(job: Job, planned: PlannedWindow, results: Sequence[SplitResult]) -> JobReport:
    """Fix the window's end, make its output visible, report.

    ``results`` are those of all splits, in the plan's order. Raises :class:`BoundaryMovedError` (transient)
    when another run fixed another end; what was prepared is thrown away then.
    """
    expected = [split.id for split in planned.plan.splits]
    if [result.split_id for result in results] != expected:
        raise RuntimeError(f"results of {[r.split_id for r in results]}, splits are {expected}")
    total = Tally()
    for result in results:
        total.add(result.tally)
    receipts = [result.receipt for result in results]
    rejected = [one for result in results for one in result.rejected]
    try:
        errors = ErrorLimit(job.spec.limits)
        errors.add(rejected, total.rejected)  # each split kept only its first ones
        errors.finish(total.read)
        job.environment.check_cancelled()
        job.writer.begin(_output(job, planned))
        boundary = job.reader.boundary(planned.plan, {result.split_id: result.end for result in results})
        if boundary is not None and planned.window is not None and planned.fixed_end is None:
            _fix(job, planned.window.end, boundary)
    except BaseException:
        job.writer.abort(receipts)
        raise
    committed = job.writer.commit(receipts, rejected)
    if boundary is not None and planned.window is not None:
        job.reader.acknowledge(planned.plan, planned.window, boundary)
    report = JobReport(
        job.spec.name,
        planned.window,
        len(results),
        total,
        committed,
        job.environment.clock() - planned.started,
    )
    log.info("%s", report)
    return report


_KEPT_PER_SPLIT = 1_000


class _Meter:
    """Counts over all splits of a task, and the pace they share."""

    def __init__(self, job: Job, planned: PlannedWindow) -> None:
        self.rate = RateLimit(job.spec.limits, job.environment)
        self._job = job
        self._planned = planned
        self._lock = threading.Lock()
        self._total = Tally()
        self._done = 0
        self._stopped = False

    def stop(self) -> None:
        """Make the other splits give up: one of them failed."""
        self._stopped = True

    def check_stopped(self) -> None:
        if self._stopped:
            raise CancelledError("another split of this window failed")

    def add(self, one: Tally) -> None:
        with self._lock:
            self._total.add(one)
        self._tell()

    def split_done(self) -> None:
        with self._lock:
            self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self._job.progress is None:
            return
        total = self._total
        self._job.progress(
            Progress(
                job=self._job.spec.name,
                window=self._planned.window,
                splits=len(self._planned.plan.splits),
                splits_done=self._done,
                read=total.read,
                written=total.written,
                nbytes=total.nbytes,
                rejected=total.rejected,
                seconds=self._job.environment.clock() - self._planned.started,
            )
        )


def _output(job: Job, planned: PlannedWindow) -> Output:
    schema = planned.plan.schema
    if job.transform is not None:
        empty = pa.RecordBatch.from_pylist([], schema=schema)
        schema = job.transform(empty).schema
    return Output(job.spec.name, schema, tuple(split.id for split in planned.plan.splits), planned.window)


def _copy_all(job: Job, planned: PlannedWindow) -> list[SplitResult]:
    """Copy every split with bounded threads; on the first failure stop the rest and leave nothing behind."""
    meter = _Meter(job, planned)
    errors = ErrorLimit(job.spec.limits)
    splits = planned.plan.splits
    with ThreadPoolExecutor(min(job.spec.limits.concurrent, len(splits)) or 1, "split") as pool:
        futures: list[Future[SplitResult]] = [
            pool.submit(copy_split, job, planned, split, meter=meter, errors=errors) for split in splits
        ]
        done, pending = wait(futures, return_when=FIRST_EXCEPTION)
        failure = next((f.exception() for f in futures if f in done and f.exception()), None)
        if failure is not None:
            meter.stop()
        for future in pending:
            future.cancel()
    if failure is not None:
        finished = [f.result() for f in futures if not f.cancelled() and f.exception() is None]
        job.writer.abort([result.receipt for result in finished])
        raise failure
    return [future.result() for future in futures]


def _feed(job: Job, split: Split, channel: Channel, rate: RateLimit) -> None:
    try:
        for batch in job.reader.read(split):
            rate.take(batch.nbytes, batch.read)
            channel.put(batch)
        channel.finish()
    except ChannelClosedError:
        pass
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that writes
        channel.finish(error)


def _fixed(job: Job, moment: int) -> JsonObject | None:
    stored = job.store.load(boundary_key(job.spec.name, moment))
    return None if stored is None else stored.state


def _fix(job: Job, moment: int, boundary: JsonObject) -> None:
    key = boundary_key(job.spec.name, moment)
    try:
        job.store.save(key, boundary, expect=0)
    except CheckpointConflictError as conflict:
        stored = job.store.load(key)
        if stored is None:
            raise
        if stored.state != boundary:
            raise BoundaryMovedError(
                f"{key}: another run fixed the end of this window first; reading it again up to there"
            ) from conflict
