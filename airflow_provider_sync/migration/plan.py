"""The plan: both listings merged as they stream by, what must move cut into task files.

The key space is cut into pieces that are listed side by side; all of them fill one open task. Memory holds a
page of each listing and the open task, whatever the number of keys. A checkpoint has the position in every
piece together with the open task, so that a killed plan goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.cutter import Chunk, Cutter, Piece, PlanSummary
from airflow_provider_sync.migration.decide import (
    NEWER_THERE,
    Verdict,
    compare,
    is_kept,
    make_filter,
    needs_copy,
)
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.objects import UNKNOWN_SIZE, ObjectInfo
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.tasks import Entry, encode_entry, task_name

__all__ = ["merge", "plan_job"]

_CHUNK = 1000
_PIECES_PER_THREAD = 8


def plan_job(
    spec: MigrationSpec,
    source: Source,
    target: Target,
    folder: JobFolder,
    *,
    environment: Environment | None = None,
    dry_run: bool = False,
    anew: bool = False,
) -> PlanSummary:
    """List both sides, decide, cut into tasks, and return the summary.

    A finished plan of the same spec is returned as it is, an unfinished one is continued; ``anew`` forgets
    either, and all progress. A job of that name with another spec is refused. ``dry_run`` writes nothing.
    """
    environment = environment or Environment()
    if folder.job != spec.job:
        raise ConfigError("migration.job", spec.job, allowed=f"{folder.job!r}, the folder's")
    if dry_run:
        source.check()
        target.check()
        cutter = Cutter(spec, None, environment, _new_state(spec, source, environment))
        return _scan(spec, source, target, cutter, environment)
    if anew:
        folder.clean()
    job: dict[str, Any] = {"spec": spec.as_json(), "source": source.name, "target": target.name}
    stored = folder.read_job()
    if stored is not None:
        different = [name for name, value in job.items() if stored.get(name) != value]
        if different:
            raise ConfigError(
                "migration.job",
                spec.job,
                reason=f"{folder.files.name} has a job of this name with another {' and '.join(different)}",
                cure="clean that job, plan anew, or choose another name",
            )
        if stored.get("planned"):
            return PlanSummary.of(stored["summary"])
    source.check()
    target.check()
    planned_ms = stored["planned_ms"] if stored else int(environment.clock() * 1000)
    job |= {"planned_ms": planned_ms, "planned": False}
    folder.write_job(job)
    folder.queue(waiting=True)
    state = folder.read_checkpoint() or _new_state(spec, source, environment)
    cutter = Cutter(spec, folder, environment, state, name=lambda seq: task_name(spec.job, planned_ms, seq))
    summary = _scan(spec, source, target, cutter, environment)
    folder.forget_tasks(summary.tasks)
    for seq in range(summary.tasks):
        folder.mark_pending(task_name(spec.job, planned_ms, seq))
    folder.write_job({**job, "planned": True, "summary": summary.as_json()})
    folder.queue(waiting=False)
    return summary


def merge(
    source: Iterator[ObjectInfo], target: Iterator[ObjectInfo], upto: str | None
) -> Iterator[tuple[ObjectInfo | None, ObjectInfo | None]]:
    """Pair two listings by key, in order, as far as ``upto`` (inclusive); either side may be None."""
    there = next(target, None)
    for here in source:
        key = here.key
        if upto is not None and key > upto:
            break
        while there is not None and there.key < key:
            yield None, there
            there = next(target, None)
        if there is not None and there.key == key:
            yield here, there
            there = next(target, None)
        else:
            yield here, None
    while there is not None and (upto is None or there.key <= upto):
        yield None, there
        there = next(target, None)


def _new_state(spec: MigrationSpec, source: Source, environment: Environment) -> dict[str, Any]:
    cuts: list[str] = []
    if spec.scan_threads > 1:
        cuts = list(source.boundaries(spec.scan_depth, spec.scan_threads * _PIECES_PER_THREAD))
    edges = [None, *cuts, None]
    pieces = [Piece(after, upto) for after, upto in pairwise(edges)]
    return {"started": environment.clock(), "pieces": [piece.as_json() for piece in pieces]}


def _scan(
    spec: MigrationSpec, source: Source, target: Target, cutter: Cutter, environment: Environment
) -> PlanSummary:
    stop = threading.Event()
    decide = _Decider(spec, target)

    def work(piece: Piece) -> None:
        try:
            for chunk in decide.chunks(source, target, piece):
                environment.check_cancelled()
                if stop.is_set():
                    return
                cutter.add(piece, chunk)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(spec.scan_threads, thread_name_prefix="scan") as threads:
        futures = [threads.submit(work, piece) for piece in cutter.pieces if not piece.done]
    for future in futures:
        future.result()
    rows: list[list[Any]] = [[name, reason] for name, reason in source.rejected()]
    return cutter.finish(rows)


@dataclass(frozen=True, slots=True)
class _Decider:
    spec: MigrationSpec
    target: Target
    lists_target: bool = field(init=False)

    def __post_init__(self) -> None:
        needed = self.spec.rule != "always" or self.spec.report_extra or self.spec.job_type == "audit"
        object.__setattr__(self, "lists_target", needed)

    def chunks(self, source: Source, target: Target, piece: Piece) -> Iterator[Chunk]:
        """Yield what the piece holds from its position on, about a thousand keys at a time."""
        there = target.list(piece.position) if self.lists_target else iter(())
        takes = make_filter(self.spec)
        judge = self._audit if self.spec.job_type == "audit" else self._import
        chunk = Chunk()
        for here, other in merge(source.list(piece.position), there, piece.upto):
            if here is None:
                if other is not None:
                    chunk.only_there(other.key, listed=self.spec.report_extra)
                    chunk.position = other.key
            else:
                chunk.scanned += 1
                chunk.position = here.key
                if takes(here):
                    judge(chunk, here, other)
                else:
                    chunk.count("filtered")
            if chunk.seen >= _CHUNK:
                yield chunk
                chunk = Chunk()
        chunk.done = True
        yield chunk

    def _import(self, chunk: Chunk, here: ObjectInfo, other: ObjectInfo | None) -> None:
        refusal = self.target.refusal(here.key)
        if refusal:
            chunk.reject(here.key, refusal)
            return
        reason = needs_copy(self.spec, here, other)
        if reason:
            chunk.count(f"skipped: {reason}")
            return
        line = encode_entry(Entry(here, None if other is None else other.etag))
        chunk.take(line, max(here.size, 0))

    def _audit(self, chunk: Chunk, here: ObjectInfo, other: ObjectInfo | None) -> None:
        level = self.spec.audit_level
        if other is None:
            chunk.differ(here.key, "MISSING")
        elif here.size not in (UNKNOWN_SIZE, other.size):
            if is_kept(self.spec, here, other):
                chunk.count(NEWER_THERE)  # what the copy itself would have kept
                return
            chunk.differ(here.key, f"SIZE_NOT_MATCH: {here.size} in the source, {other.size} in the target")
        elif level == "time" and other.modified < here.modified:
            chunk.differ(here.key, f"TARGET_OLDER: {here.modified:.3f} in the source, {other.modified:.3f}")
        elif level in {"size", "time"} or (level == "checksum" and compare(here, other) is Verdict.SAME):
            chunk.count("verified")
        else:
            chunk.take(encode_entry(Entry(here, other.etag)), max(here.size, 0))
