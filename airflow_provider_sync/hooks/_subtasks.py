"""How a set of subtasks stands: one probe for operators, sensors and triggers."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_sync.clients.nas.errors import StatusConflictError
from airflow_provider_sync.errors import NotFoundError, SyncError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_sync.clients.nas import NasClient, Subtask

__all__ = [
    "FailedFile",
    "FilesFailedError",
    "FilesLateError",
    "SubtaskProbe",
    "Survey",
    "cancel_subtask",
    "cancel_subtasks",
    "show_survey",
]

MISSING = "MISSING"
_NAMED = 20
_SHOWN = 100
_CANCELABLE = ("CREATED", "RUNNING")
log = logging.getLogger(__name__)


class FilesFailedError(SyncError):
    """Some files were not moved; another try of the task moves those again, and only those."""

    def __init__(self, total: int, failed: Sequence[FailedFile]) -> None:
        self.failed = tuple(failed)
        named = "; ".join(str(one) for one in self.failed[:_NAMED])
        more = len(self.failed) - _NAMED
        tail = f"; and {more} more" if more > 0 else ""
        super().__init__(f"{len(self.failed)} of {total} files were not moved: {named}{tail}")


class FilesLateError(SyncError):
    """Files were not moved in time; their subtasks go on."""


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that was not moved: the paths, how its subtask ended, and the service's words."""

    source: str
    target: str
    subtask_id: str
    status: str
    message: str

    def __str__(self) -> str:
        return f"{self.source} ({self.status}{': ' if self.message else ''}{self.message})"


@dataclass(slots=True)
class Survey:
    """How all subtasks of a set stand. Bytes, bytes a second, seconds.

    ``bytes_done`` counts what is finished, skipped files included; ``bytes_moved`` what went over the wire.
    ``unknown`` counts statuses that this version does not know; their subtasks are waited for, like ``missing`` ones
    that the service does not show (yet). ``eta`` is None until a rate is known.
    """

    total: int
    moved: int = 0
    skipped: int = 0
    active: int = 0
    missing: int = 0
    failed: list[FailedFile] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    bytes_total: int = 0
    bytes_done: int = 0
    bytes_moved: int = 0
    bytes_per_second: int = 0
    eta: float | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.moved + self.skipped + len(self.failed) == self.total

    @property
    def never_shown(self) -> list[str]:
        """The ids of those that counted as failed because the service did not show them."""
        return [one.subtask_id for one in self.failed if one.status == MISSING]

    @property
    def done(self) -> int:
        """How many files are where they should be."""
        return self.moved + self.skipped

    def to_json(self) -> dict[str, Any]:
        """Return the numbers, for people and XCom; the failed files only by their number."""
        data = asdict(self)
        return {**data, "failed": len(self.failed), "unknown": dict(self.unknown), "files_done": self.done}

    def outcome(self, failed: Sequence[FailedFile] | None = None) -> dict[str, Any]:
        """Return the numbers at the end with the first hundred failed files, for the view of a task that failed."""
        named = (self.failed if failed is None else failed)[:_SHOWN]
        return {**self.to_json(), "failed_files": [asdict(one) for one in named]}

    def report(self, failed: Sequence[FailedFile] | None = None) -> dict[str, Any]:
        """Return the outcome with every failed file, for XCom; ``failed`` are the same under better names."""
        return {
            "files": self.total,
            "moved": self.moved,
            "skipped": self.skipped,
            "failed": len(self.failed),
            "failed_files": [asdict(one) for one in (self.failed if failed is None else failed)],
            "bytes_done": self.bytes_done,
            "bytes_moved": self.bytes_moved,
        }

    def __str__(self) -> str:
        eta = "" if self.eta is None else f", about {self.eta:.0f} s left"
        other = f", {self.missing} not shown yet" if self.missing else ""
        return (
            f"{self.done} of {self.total} files, {len(self.failed)} failed, {self.active} under way{other} | "
            f"{self.bytes_done} of {self.bytes_total} bytes ({self.bytes_moved} moved) | "
            f"{self.bytes_per_second / 1e6:.2f} MB/s{eta}"
        )


class SubtaskProbe:
    """Looks at a set of subtasks; asks again only for those that may still change.

    ``patience`` is how many seconds a subtask may be missing before it counts as failed with the status MISSING: how
    soon the service shows a new one, and how long a finished one, is not documented. ``given_up`` are those for which
    somebody has been patient already.
    """

    def __init__(
        self,
        client: NasClient,
        file_system_id: str,
        subtask_ids: Iterable[str],
        *,
        task_ids: Sequence[str] = (),
        patience: float = 300.0,
        given_up: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._file_system_id = file_system_id
        self._task_ids = tuple(task_ids)
        self._open = dict.fromkeys(subtask_ids)
        self._patience = patience
        self._given_up = frozenset(given_up)
        self._clock = clock
        self._ended = Survey(len(self._open))
        self._unseen: dict[str, float] = {}
        self._first: tuple[float, int] | None = None
        self._told: set[str] = set()

    def look(self) -> Survey:
        """Ask the service and return how things stand; blocks, for use in threads."""
        now = self._clock()
        found = self._client.subtasks(self._file_system_id, self._open, task_ids=self._task_ids)
        still: dict[str, None] = {}
        under_way: list[Subtask] = []
        for subtask_id in self._open:
            one = found.get(subtask_id)
            if one is None:
                if self._give_up(subtask_id, now):
                    continue
            elif not one.active:
                self._count(one)
                continue
            else:
                self._unseen.pop(subtask_id, None)
                under_way.append(one)
            still[subtask_id] = None
        self._open = still
        return self._survey(under_way, len(still) - len(under_way), now)

    def cancel(self, *, seconds: float, threads: int = 8) -> Counter[str]:
        """Cancel what may still be moved, see :func:`cancel_subtasks`."""
        found = self._client.subtasks(self._file_system_id, self._open, task_ids=self._task_ids)
        return cancel_subtasks(self._client, found.values(), seconds=seconds, threads=threads)

    def _give_up(self, subtask_id: str, now: float) -> bool:
        waited = now - self._unseen.setdefault(subtask_id, now)
        if subtask_id not in self._given_up and waited < self._patience:
            return False
        reason = f"the service has not shown the subtask for {self._patience:.0f} s"
        self._ended.failed.append(FailedFile("", "", subtask_id, MISSING, reason))
        return True

    def _count(self, one: Subtask) -> None:
        total, progress = self._ended, one.progress
        if one.failed:
            total.failed.append(
                FailedFile(one.source, one.target, one.subtask_id, one.status_text, one.error_message)
            )
            return
        if one.skipped:
            total.skipped += 1
        else:
            total.moved += 1
        total.bytes_total += progress.bytes_total
        total.bytes_done += progress.bytes_done
        total.bytes_moved += progress.bytes_actual

    def _survey(self, under_way: list[Subtask], missing: int, now: float) -> Survey:
        ended = self._ended
        survey = Survey(
            total=ended.total,
            moved=ended.moved,
            skipped=ended.skipped,
            active=len(under_way),
            missing=missing,
            failed=list(ended.failed),
            unknown=Counter(one.status_text for one in under_way if one.status == "UNKNOWN"),
            bytes_total=ended.bytes_total + sum(one.progress.bytes_total for one in under_way),
            bytes_done=ended.bytes_done + sum(one.progress.bytes_done for one in under_way),
            bytes_moved=ended.bytes_moved + sum(one.progress.bytes_actual for one in under_way),
            bytes_per_second=sum(one.progress.bytes_per_second for one in under_way),
        )
        for text in set(survey.unknown) - self._told:
            log.warning("a subtask has the status %r, which this version does not know; waiting for it", text)
            self._told.add(text)
        started, before = self._first = self._first or (now, survey.done)
        if survey.done > before and now > started:
            left = survey.active + survey.missing
            survey.eta = left * (now - started) / (survey.done - before)
        return survey


def show_survey(context: Context, survey: Survey) -> None:
    """Log a survey, and put it into the task's state as ``progress`` for the UI; for use on a worker."""
    log.info("%s", survey)
    store: Any = context.get("task_state_store")
    if store is None:
        return
    try:
        store.set("progress", {**survey.to_json(), "try_number": context["ti"].try_number})
    except AirflowRuntimeError:
        log.warning("could not show progress; the wait goes on", exc_info=True)


def cancel_subtasks(
    client: NasClient, subtasks: Iterable[Subtask], *, seconds: float, threads: int = 8
) -> Counter[str]:
    """Cancel those that are CREATED or RUNNING, for at most ``seconds``; return how many had which outcome.

    Outcomes: ``canceled``, ``ended`` (too late, or on its way already), ``failed`` (logged), ``left`` (no time).
    """
    end = time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    wanted = []
    for one in subtasks:
        if one.status in _CANCELABLE:
            wanted.append(one)
        else:
            outcomes["ended"] += 1

    def cancel(one: Subtask) -> str:
        if time.monotonic() > end:
            return "left"
        return cancel_subtask(client, one.file_system_id, one.dataflow_id, one.task_id, one.subtask_id)

    if wanted:
        with ThreadPoolExecutor(threads, thread_name_prefix="cpfs-cancel") as pool:
            outcomes.update(pool.map(cancel, wanted))
    log.info("canceled subtasks: %s", dict(outcomes))
    return outcomes


def cancel_subtask(
    client: NasClient, file_system_id: str, dataflow_id: str, task_id: str, subtask_id: str
) -> str:
    """Cancel one; return ``canceled``, ``ended`` or ``failed`` as :func:`cancel_subtasks` does."""
    try:
        client.cancel_subtask(file_system_id, dataflow_id, task_id, subtask_id)
    except (StatusConflictError, NotFoundError):
        return "ended"
    except SyncError as error:
        log.warning("could not cancel %s: %s", subtask_id, error)
        return "failed"
    return "canceled"
