"""The folder of a job: an ossimport user finds what he knows where he knows it.

::

    master/jobqueue/<job>                       while the plan is not finished
    master/jobs/<job>/JOB                       the spec, both ends, the plan's summary
    master/jobs/<job>/checkpoints/0/<md5>.cpt   how far the listing came
    master/jobs/<job>/tasks/<number>            task files (ours: ossimport moves them about)
    master/jobs/<job>/lists/<kind>.<number>     rejected names, differences, what only the target has
    master/jobs/<job>/pending_tasks/<task>      not begun
    master/jobs/<job>/dispatched/<host>/<task>  begun, not finished
    master/jobs/<job>/{succeed,failed}_tasks/<task>@<host>/
        audit.log   one CSV line per object
        error.list  one CSV line per failed object
        STATUS      Completed or Failed
        DONE        1, empty when failed
        TASK        counts, as JSON
    worker/jobs/<job>/tasks/<task>/             progress of running and failed tasks
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from airflow_provider_sync.errors import ConfigError, CorruptDataError, NotFoundError
from airflow_provider_sync.migration.files import FileStore
from airflow_provider_sync.migration.spec import check_job_name
from airflow_provider_sync.migration.tasks import Task, decode_task, task_name

__all__ = ["JobFolder", "TaskState"]

TaskState = Literal["pending", "dispatched", "succeeded", "failed"]


class JobFolder:
    """Reads and writes the files of one job; keeps nothing in memory."""

    def __init__(self, files: FileStore, job: str) -> None:
        self.files = files
        self.job = check_job_name(job)
        self.root = f"master/jobs/{job}/"
        self.worker = f"worker/jobs/{job}/tasks/"
        digest = hashlib.md5(job.encode(), usedforsecurity=False).hexdigest().upper()
        self._checkpoint = f"{self.root}checkpoints/0/{digest}.cpt"

    # ── the job ──────────────────────────────────────────────────────────────────────────────────────────

    def read_job(self) -> dict[str, Any] | None:
        """Return the job's description, None before it was planned."""
        return self._read_json(f"{self.root}JOB")

    def write_job(self, job: Mapping[str, Any]) -> None:
        """Replace the job's description."""
        self._write_json(f"{self.root}JOB", job)

    def planned(self) -> dict[str, Any]:
        """Return the description of a job whose plan is finished, else raise."""
        job = self.read_job()
        if job is None or not job.get("planned"):
            raise NotFoundError(
                f"job {self.job!r} in {self.files.name} has no finished plan; plan it (again) first"
            )
        return job

    def queue(self, *, waiting: bool) -> None:
        """Show or take away the mark that the plan is not finished."""
        name = f"master/jobqueue/{self.job}"
        if waiting:
            self.files.write(name, b"")
        else:
            self.files.delete(name)

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return how far the listing came."""
        return self._read_json(self._checkpoint)

    def write_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace it."""
        self._write_json(self._checkpoint, state)

    def clean(self) -> None:
        """Remove everything of this job."""
        self.files.delete_all(self.root)
        self.files.delete_all(f"worker/jobs/{self.job}/")
        self.queue(waiting=False)

    # ── tasks ────────────────────────────────────────────────────────────────────────────────────────────

    def task_name(self, seq: int, job: Mapping[str, Any] | None = None) -> str:
        """Return the name of task ``seq`` (0 to tasks - 1)."""
        planned = job or self.planned()
        count = planned["summary"]["tasks"]
        if not 0 <= seq < count:
            raise ConfigError("task", seq, allowed=f"0 to {count - 1}: job {self.job!r} has {count} tasks")
        return task_name(self.job, planned["planned_ms"], seq)

    def write_task(self, seq: int, data: bytes) -> None:
        """Write a task file."""
        self.files.write(f"{self.root}tasks/{seq:08d}", data)

    def read_task(self, seq: int) -> Task:
        """Return a task."""
        name = f"{self.root}tasks/{seq:08d}"
        data = self.files.read(name)
        if data is None:
            raise NotFoundError(f"{self.files.name}/{name} is gone; plan the job anew")
        return decode_task(data, name)

    def forget_tasks(self, first: int) -> None:
        """Remove task files from number ``first`` on: leftovers of an interrupted plan."""
        for name in self.files.list(f"{self.root}tasks/"):
            if int(name.rpartition("/")[2]) >= first:
                self.files.delete(name)

    def mark_pending(self, task: str) -> None:
        """Say that a task is not begun."""
        self.files.write(f"{self.root}pending_tasks/{task}", b"")

    def mark_dispatched(self, task: str, host: str, about: Mapping[str, Any]) -> None:
        """Say that a host has begun a task."""
        self._write_json(f"{self.root}dispatched/{host}/{task}", about)
        self.files.delete(f"{self.root}pending_tasks/{task}")

    def finish(self, task: str, host: str, files: Mapping[str, bytes], *, succeeded: bool) -> None:
        """Write a finished task's folder, then take away all other marks of it."""
        kind = "succeed_tasks" if succeeded else "failed_tasks"
        folder = f"{self.root}{kind}/{task}@{host}/"
        for name, data in files.items():
            self.files.write(folder + name, data)
        # the mark that counts comes last
        self.files.write(f"{folder}STATUS", b"Completed" if succeeded else b"Failed")
        for old in self.finished_folders(task):
            if old != folder:
                self.files.delete_all(old)
        self.files.delete(f"{self.root}pending_tasks/{task}")
        for name in list(self.files.list(f"{self.root}dispatched/")):
            if name.rpartition("/")[2] == task:
                self.files.delete(name)

    def finished_folders(self, task: str) -> list[str]:
        """Return the folders of a finished task, succeeded first; empty if it is not finished."""
        found = []
        for kind in ("succeed_tasks", "failed_tasks"):
            names = self.files.list(f"{self.root}{kind}/{task}@")
            found += [name.removesuffix("STATUS") for name in names if name.endswith("/STATUS")]
        return found

    def read_finished(self, task: str) -> tuple[bool, dict[str, Any]] | None:
        """Return whether a finished task succeeded, and its counts; None if it is not finished."""
        for folder in self.finished_folders(task):
            about = self._read_json(f"{folder}TASK")
            if about is not None:
                return "/succeed_tasks/" in folder, about
        return None

    def read_report(self, place: str) -> dict[str, Any]:
        """Return the counts of a finished task by its folder, see :meth:`places`."""
        about = self._read_json(f"{place}TASK")
        if about is None:
            raise NotFoundError(f"{self.files.name}/{place}TASK is gone; run the task anew")
        return about

    def states(self) -> dict[str, TaskState]:
        """Return the state of every task by name: pending, dispatched, succeeded or failed."""
        return {task: state for task, (state, _) in self.places().items()}

    def places(self) -> dict[str, tuple[TaskState, str]]:
        """Return, by task, its state and its folder (empty unless it is finished), from four listings."""
        found: dict[str, tuple[TaskState, str]] = {}
        for name in self.files.list(f"{self.root}pending_tasks/"):
            found[name.rpartition("/")[2]] = ("pending", "")
        for name in self.files.list(f"{self.root}dispatched/"):
            found[name.rpartition("/")[2]] = ("dispatched", "")
        running = {name for name, (state, _) in found.items() if state == "dispatched"}
        kinds: tuple[tuple[str, TaskState], ...] = (
            ("failed_tasks", "failed"),
            ("succeed_tasks", "succeeded"),
        )
        for kind, state in kinds:
            for name in self.files.list(f"{self.root}{kind}/"):
                if name.endswith("/STATUS"):
                    place = name.removesuffix("STATUS")
                    task = place.split("/")[-2].partition("@")[0]
                    # a failed task that runs again is running
                    if state == "succeeded" or task not in running:
                        found[task] = (state, place)
        return found

    # ── lists ────────────────────────────────────────────────────────────────────────────────────────────

    def write_list(self, kind: str, number: int, rows: list[list[Any]]) -> None:
        """Write one piece of a list, one JSON array per line."""
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        self.files.write(f"{self.root}lists/{kind}.{number:06d}", text.encode("utf-8", "backslashreplace"))

    def read_list(self, kind: str) -> Iterator[list[Any]]:
        """Yield the rows of a list: ``rejected`` and ``extra`` have [key, reason], ``different`` too."""
        for name in self.files.list(f"{self.root}lists/"):
            if name.rpartition("/")[2].startswith(f"{kind}."):
                for line in (self.files.read(name) or b"").decode().splitlines():
                    yield json.loads(line)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        data = self.files.read(name)
        if data is None:
            return None
        try:
            value = json.loads(data)
        except ValueError as error:
            raise CorruptDataError(f"{self.files.name}/{name} is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise CorruptDataError(f"{self.files.name}/{name} is not a JSON object")
        return value

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        self.files.write(name, json.dumps(value, ensure_ascii=False, indent=1).encode())
