"""How a job is doing, for programs and for people who know ossimport's ``stat``."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_provider_sync.migration.folder import JobFolder, TaskState

__all__ = ["JobStat", "failed_objects", "slices", "stat", "tasks_to_run"]

_READERS = 16
JobState = Literal["Unknown", "Scanning", "Pending", "Running", "Succeed", "Failed"]


@dataclass(frozen=True, slots=True)
class JobStat:
    """States of a job's tasks and sums of their objects; ``bytes`` are those of copied objects.

    ``running`` has, per dispatched task: bytes done and in all, objects done and in all. Sums are of finished
    tasks only. ``Failed`` needs every task to be finished, and one failed, or names rejected by the plan.
    """

    job: str
    state: JobState
    scan_finished: bool
    tasks: int
    pending: int
    dispatched: int
    succeeded: int
    failed: int
    objects: int
    copied: int
    skipped: int
    failed_objects: int
    rejected: int
    different: int
    bytes: int
    reasons: Mapping[str, int]
    running: Mapping[str, tuple[int, int, int, int]]

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Return it in the form of ossimport's ``stat``, with lines of ours at the end."""
        lines = [
            "-------------- job stats ---------------",
            "---------------- job stat ------------------",
            f"JobName:{self.job}",
            f"JobState:{self.state}",
            f"PendingTasks:{self.pending}",
            f"DispatchedTasks:{self.dispatched}",
            f"RunningTasks:{len(self.running)}",
            f"SucceedTasks:{self.succeeded}",
            f"FailedTasks:{self.failed}",
            f"ScanFinished:{str(self.scan_finished).lower()}",
            "RunningTasks Progress:",
        ]
        lines += [
            f"{task}:{done}/{total} {objects}/{objects_total}"
            for task, (done, total, objects, objects_total) in sorted(self.running.items())
        ]
        lines += [
            (
                f"Objects:{self.objects} copied {self.copied}, skipped {self.skipped}, "
                f"failed {self.failed_objects}, rejected {self.rejected}, different {self.different}"
            ),
            "----------------------------------------",
        ]
        return "\n".join(lines)


def stat(folder: JobFolder) -> JobStat:
    """Read a job's state; reads one small file per finished task."""
    job = folder.read_job()
    planned = bool(job and job.get("planned"))
    summary: Mapping[str, Any] = job["summary"] if job and planned else {}
    places = folder.places() if planned else {}
    finished = [place for _, place in places.values() if place]
    sums: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with ThreadPoolExecutor(_READERS) as threads:
        for about in threads.map(folder.read_report, finished):
            sums.update({name: about[name] for name in ("copied", "skipped", "failed", "bytes")})
            reasons.update(about["reasons"])
    running = {task: _progress(folder, task) for task, (state, _) in places.items() if state == "dispatched"}
    counts: Counter[TaskState] = Counter(state for state, _ in places.values())
    return JobStat(
        job=folder.job,
        state=_state(job, counts, summary),
        scan_finished=planned,
        tasks=summary.get("tasks", 0),
        pending=counts["pending"],
        dispatched=counts["dispatched"],
        succeeded=counts["succeeded"],
        failed=counts["failed"],
        objects=summary.get("objects", 0),
        copied=sums["copied"],
        skipped=sums["skipped"],
        failed_objects=sums["failed"],
        rejected=summary.get("rejected", 0),
        different=summary.get("different", 0),
        bytes=sums["bytes"],
        reasons=dict(reasons),
        running=running,
    )


def _progress(folder: JobFolder, task: str) -> tuple[int, int, int, int]:
    data = folder.files.read(f"{folder.worker}{task}/STAT")
    shown = json.loads(data) if data else {}
    return (
        shown.get("bytes", 0),
        shown.get("bytes_total", 0),
        shown.get("objects", 0),
        shown.get("objects_total", 0),
    )


def _state(
    job: Mapping[str, Any] | None, counts: Mapping[TaskState, int], summary: Mapping[str, Any]
) -> JobState:
    if job is None:
        return "Unknown"
    if not job.get("planned"):
        return "Scanning"
    if counts["dispatched"]:
        return "Running"
    if counts["pending"]:
        return "Running" if counts["succeeded"] or counts["failed"] else "Pending"
    bad = counts["failed"] or summary["rejected"] or summary["different"]
    return "Failed" if bad else "Succeed"


def tasks_to_run(folder: JobFolder) -> list[int]:
    """Return the numbers of all tasks that have not succeeded: what a resumed run or a retry has to do."""
    job = folder.planned()
    states = folder.states()
    return [
        seq for seq in range(job["summary"]["tasks"]) if states.get(folder.task_name(seq, job)) != "succeeded"
    ]


def failed_objects(folder: JobFolder) -> Iterator[dict[str, str]]:
    """Yield what could not be moved, of all tasks and of the plan: ``key``, ``code``, ``note`` and more."""
    for key, reason in folder.read_list("rejected"):
        yield {"key": key, "code": "REJECTED", "note": reason}
    for key, reason in folder.read_list("different"):
        yield {"key": key, "code": reason.partition(":")[0], "note": reason}
    for _, (state, place) in sorted(folder.places().items()):
        if state == "failed":
            data = folder.files.read(f"{place}error.list") or b""
            yield from csv.DictReader(io.StringIO(data.decode(), newline=""))


def slices(seqs: Sequence[int], most: int) -> list[list[int]]:
    """Deal task numbers out to at most ``most`` workers (Airflow's map limit), alike in number and kind."""
    count = min(most, len(seqs))
    return [list(seqs[first::count]) for first in range(count)]
