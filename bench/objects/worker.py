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

__all__ = ["Job", "Process"]

_FORK = multiprocessing.get_context("fork")  # what is imported here is there at once
Process = multiprocessing.process.BaseProcess


@dataclass(frozen=True, slots=True)
class Job:
    """One migration from S3 to OSS, its state in a folder."""

    spec: MigrationSpec
    source: ConnectionInfo
    target: ConnectionInfo
    source_bucket: str
    target_bucket: str
    state: Path
    retry: RetryPolicy | None = None

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
        cpu, wall = time.process_time(), time.perf_counter()
        function()
        took = {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        place.write_text(json.dumps(took | {"peak_mb": _peak_mb()}))

    def _ends(self) -> Any:
        pool = self.spec.threads + self.spec.part_threads
        source = {"type": "s3", "bucket": self.source_bucket}
        target = {"type": "oss", "bucket": self.target_bucket}
        return (
            open_source(source, self.source, retry=self.retry, pool_size=pool),
            open_target(target, self.target, retry=self.retry, pool_size=pool),
        )


def _peak_mb() -> float:
    """Return the most memory that this process held: /proc's mark is per process, also after a fork."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def start(function: Callable[..., None], *arguments: Any) -> Process:
    """Run something in a new process."""
    process = _FORK.Process(target=function, args=arguments)
    process.start()
    return process
