"""What one process of a migration does: plan, or run its share of the tasks. It may be killed at any time."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.migration.ends import open_source, open_target
from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["Ends", "Job", "Process", "start"]

_FORK = multiprocessing.get_context("fork")  # what is imported here is there at once
Process = multiprocessing.process.BaseProcess


@dataclass(frozen=True, slots=True)
class Ends:
    """Kinds of source and target."""

    source: str = "s3"
    target: str = "oss"


@dataclass(frozen=True, slots=True)
class Job:
    """One migration, its state in a folder; ``target_place`` is a bucket, or the path of a folder."""

    spec: MigrationSpec
    source: ConnectionInfo
    target: ConnectionInfo | None
    source_bucket: str
    target_place: str
    state: Path
    retry: RetryPolicy | None = None
    ends: Ends = Ends()

    @property
    def folder(self) -> JobFolder:
        """Its folder."""
        return JobFolder(LocalFiles(self.state), self.spec.job)

    def plan(self) -> None:
        """Plan, or go on planning."""
        source, target = self._ends()
        with closing(source), closing(target):
            plan_job(self.spec, source, target, self.folder)

    def run(self, share: int, shares: int) -> None:
        """Run every ``shares``-th task that has not succeeded."""
        folder = self.folder
        source, target = self._ends()
        with closing(source), closing(target):
            runner = TaskRunner(self.spec, source, target, folder, host=f"worker-{share}")
            tasks = folder.planned()["summary"]["tasks"]
            for number in range(share, tasks, shares):
                runner.run(number)

    def report(self, function: Callable[[], None], place: Path) -> None:
        """Do something, and write down what it took."""
        base = _memory_mb("VmRSS")
        cpu, wall = time.process_time(), time.perf_counter()
        function()
        took = {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        place.write_text(json.dumps(took | {"base_mb": base, "peak_mb": _memory_mb("VmHWM")}))

    def _ends(self) -> Any:
        pool = self.spec.threads + self.spec.part_threads
        source = {"type": self.ends.source, "bucket": self.source_bucket}
        place = "path" if self.ends.target == "local" else "bucket"
        target = {"type": self.ends.target, place: self.target_place}
        return (
            open_source(source, self.source, retry=self.retry, pool_size=pool),
            open_target(target, self.target, retry=self.retry, pool_size=pool),
        )


def _memory_mb(name: str) -> float:
    """Return what /proc says of this process: resident now, or at its peak."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def start(function: Callable[..., None], *arguments: Any) -> Process:
    """Run something in a new process."""
    process = _FORK.Process(target=function, args=arguments)
    process.start()
    return process
