"""Runs one task: threads for small objects, a few for large ones, a journal, and the task's folder at the end."""

from __future__ import annotations

import csv
import io
import json
import logging
import secrets
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_sync.clients.oss.errors import NoSuchBucketError
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.limits import RateLimit
from airflow_provider_sync.errors import CancelledError, SyncError
from airflow_provider_sync.migration.audit import Auditor
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.copier import Copier
from airflow_provider_sync.migration.errors import reason_of
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.journal import DONE, FAILED, SKIPPED, Journal, Outcome, Past, read_past
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.tasks import Entry, Task
from airflow_provider_sync.spec.job import Limits

__all__ = ["TaskReport", "TaskRunner"]

log = logging.getLogger(__name__)
_LARGE_THREADS = 2
_NAP = 0.2
_SHOW_EVERY = 2.0
_AUDIT = ("time", "result", "key", "size", "etag", "crc64", "code", "note")
_RESULTS = {DONE: "copied", SKIPPED: "skipped", FAILED: "failed"}


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What a task did in all its runs; ``resumed`` of the objects were done by earlier ones.

    ``bytes`` is the size of the objects copied; ``noted`` counts those with a remark in the audit log
    (attributes that could not be carried over, a source that changed); ``seconds`` is of this run.
    """

    task: str
    seq: int
    objects: int
    copied: int
    skipped: int
    failed: int
    noted: int
    resumed: int
    bytes: int
    seconds: float
    reasons: Mapping[str, int]

    @property
    def succeeded(self) -> bool:
        """Whether no object failed."""
        return self.failed == 0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TaskReport:
        """Read what :meth:`as_json` wrote."""
        return cls(**data)

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class TaskRunner:
    """Runs tasks of one job, one after another; ``host`` names this machine in the job's folder."""

    def __init__(
        self,
        spec: MigrationSpec,
        source: Source,
        target: Target,
        folder: JobFolder,
        *,
        environment: Environment | None = None,
        host: str = "",
    ) -> None:
        self._spec = spec
        self._source = source
        self._target = target
        self._folder = folder
        self._environment = environment or Environment()
        self._host = host or socket.gethostname()
        limits = Limits(bytes_per_second=spec.bytes_per_second, records_per_second=spec.objects_per_second)
        self._rate = RateLimit(limits, self._environment)

    def run(self, seq: int, *, anew: bool = False) -> TaskReport:
        """Run task ``seq`` and return its report, whether objects failed or not.

        Objects that earlier runs finished are not touched again, failed ones are tried again; a task that
        succeeded is not run again. ``anew`` forgets what earlier runs did. Raises what stops every object (no
        such bucket, the state cannot be written, somebody cancelled); what was done is kept.
        """
        task_folder = self._folder
        name = task_folder.task_name(seq)
        if not anew:
            finished = task_folder.read_finished(name)
            if finished is not None and finished[0]:
                return TaskReport.of(finished[1])
        task = task_folder.read_task(seq)
        progress = f"{task_folder.worker}{name}/"
        if anew:
            task_folder.files.delete_all(progress)
        past = read_past(task_folder.files, progress)
        clock = self._environment.clock
        started = clock()
        task_folder.mark_dispatched(name, self._host, {"seq": seq, "started": started})
        journal = Journal(
            task_folder.files, f"{progress}progress.{int(started)}.{secrets.token_hex(4)}.jsonl"
        )
        run = _Run(
            self._spec, self._source, self._target, rate=self._rate, environment=self._environment,
            journal=journal, past=past, task=task,
        )  # fmt: skip
        run.start(lambda shown: task_folder.files.write(f"{progress}STAT", json.dumps(shown).encode()))
        outcomes = [run.outcomes[entry.info.key] for entry in task.entries]
        report = _report(task, outcomes, run.resumed, clock() - started)
        self._finish(report, outcomes)
        if report.succeeded:
            task_folder.files.delete_all(progress)
        return report

    def _finish(self, report: TaskReport, outcomes: Sequence[Outcome]) -> None:
        files = {
            "audit.log": _csv(outcomes),
            "error.list": _csv(one for one in outcomes if one.kind == FAILED) if report.failed else b"",
            "TASK": json.dumps(report.as_json(), indent=1).encode(),
            "DONE": b"1" if report.succeeded else b"",
        }
        self._folder.finish(report.task, self._host, files, succeeded=report.succeeded)


class _Run:
    """The threads of one run and what they share."""

    def __init__(
        self,
        spec: MigrationSpec,
        source: Source,
        target: Target,
        *,
        rate: RateLimit,
        environment: Environment,
        journal: Journal,
        past: Past,
        task: Task,
    ) -> None:
        self._spec = spec
        self._environment = environment
        self._journal = journal
        self._task = task
        self.outcomes = {key: one for key, one in past.outcomes.items() if one.kind != FAILED}
        wanted = [entry for entry in task.entries if entry.info.key not in self.outcomes]
        self.resumed = len(task.entries) - len(wanted)
        self._entries: Iterator[Entry] = iter(wanted)
        self._large: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._scanning = spec.threads
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._bytes = 0
        self._parts = ThreadPoolExecutor(spec.part_threads, thread_name_prefix="part")
        self._copier = Copier(
            spec, source, target, rate=rate, parts=self._parts, journal=journal, past=past,
            environment=environment, moved=self._count,
        )  # fmt: skip
        auditor = Auditor(spec, source, target, environment, self._count)
        self._do: Callable[[Entry], Outcome] = (
            auditor.compare if spec.job_type == "audit" else self._copier.copy
        )

    def start(self, show: Callable[[dict[str, Any]], None]) -> None:
        """Run until everything is done; raise what stopped it."""
        threads = [threading.Thread(target=self._small_ones, name="small") for _ in range(self._spec.threads)]
        threads += [threading.Thread(target=self._large_ones, name="large") for _ in range(_LARGE_THREADS)]
        for thread in threads:
            thread.start()
        shown_at = time.monotonic()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_NAP)
                    if self._environment.cancelled.is_set():
                        self._stopped.set()
                    if time.monotonic() - shown_at >= _SHOW_EVERY:
                        shown_at = time.monotonic()
                        show(self._progress())
        except BaseException:
            self._stopped.set()
            raise
        finally:
            for thread in threads:
                thread.join()
            self._parts.shutdown()
        if self._failure is not None:
            raise self._failure
        self._environment.check_cancelled()

    def _progress(self) -> dict[str, Any]:
        return {
            "bytes": self._bytes,
            "bytes_total": self._task.bytes,
            "objects": len(self.outcomes),
            "objects_total": self._task.objects,
        }

    def _count(self, size: int) -> None:
        with self._lock:
            self._bytes += size

    def _small_ones(self) -> None:
        try:
            while not self._stopped.is_set():
                with self._lock:
                    entry = next(self._entries, None)
                if entry is None:
                    break
                if self._copier.is_large(entry):
                    self._large.append(entry)
                else:
                    self._one(entry)
        finally:
            with self._lock:
                self._scanning -= 1

    def _large_ones(self) -> None:
        while not self._stopped.is_set():
            try:
                entry = self._large.popleft()
            except IndexError:
                if self._scanning == 0:
                    return
                self._stopped.wait(_NAP / 10)
                continue
            self._one(entry)

    def _one(self, entry: Entry) -> None:
        try:
            outcome = self._outcome(entry)
            if outcome is not None:
                self.outcomes[outcome.key] = outcome
                self._journal.add(outcome.as_row())
        except BaseException as error:  # noqa: BLE001 - raised by the thread that started this one
            self._failure = self._failure or error
            self._stopped.set()

    def _outcome(self, entry: Entry) -> Outcome | None:
        try:
            return self._do(entry)
        except (CancelledError, NoSuchBucketError):
            raise
        except Exception as error:
            info = entry.info
            if not isinstance(error, SyncError):
                log.exception("%s failed in an unforeseen way", info.key)
            return Outcome(
                FAILED, info.key, info.size, info.etag, None, self._environment.clock(),
                reason_of(error), f"{type(error).__name__}: {error}",
            )  # fmt: skip


def _report(task: Task, outcomes: Sequence[Outcome], resumed: int, seconds: float) -> TaskReport:
    kinds = Counter(one.kind for one in outcomes)
    return TaskReport(
        task=task.name,
        seq=task.seq,
        objects=task.objects,
        copied=kinds[DONE],
        skipped=kinds[SKIPPED],
        failed=kinds[FAILED],
        noted=sum(1 for one in outcomes if one.kind == DONE and one.note),
        resumed=resumed,
        bytes=sum(max(one.size, 0) for one in outcomes if one.kind == DONE),
        seconds=round(seconds, 3),
        reasons=dict(Counter(one.code for one in outcomes if one.kind == FAILED)),
    )


def _csv(outcomes: Iterable[Outcome]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_AUDIT)
    for one in outcomes:
        moment = datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds")
        checksum = "" if one.crc64 is None else one.crc64
        writer.writerow(
            [moment, _RESULTS[one.kind], one.key, one.size, one.etag, checksum, one.code, one.note]
        )
    return text.getvalue().encode("utf-8", "backslashreplace")
