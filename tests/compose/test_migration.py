"""A bucket moves from S3 to OSS in mapped tasks on two Celery workers, and one of the workers is lost."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import oss2
import psutil
import pytest

from tests.airflow.standalone import Dag
from tests.compose.conftest import PER_TASK, SLICES
from tests.compose.stack import PATIENCE, Stack
from tests.migration.conftest import KEY, SECRET, RealS3, s3_server

__all__ = ["s3_server"]

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]
WORKERS = ("worker-1", "worker-2")
SOURCE, TARGET, JOB = "photos-tokyo", "moved/", "moved-photos"
TASKS = 4 * SLICES
# One object in the first task of every slice is not answered for so long; the others are copied meanwhile.
HELD = [task * PER_TASK + 7 for task in range(SLICES)]
HOLD_SECONDS = 40.0


def key_of(number: int) -> str:
    return f"{number:03d} grün.bin"


@dataclass
class Move:
    """One run of the shipped DAG, looked at from outside: Airflow's API, the vendors' SDKs, the processes."""

    stack: Stack
    dag: Dag = field(init=False)
    bucket: oss2.Bucket = field(init=False)
    run_id: str = ""

    def __post_init__(self) -> None:
        self.dag = Dag(self.stack, "moved")  # type: ignore[arg-type]
        auth = oss2.AuthV4("localcloud", "localcloud-secret")
        self.bucket = oss2.Bucket(
            auth, self.stack.url(8801), "demo", region="cn-hangzhou", is_path_style=True
        )

    def copies(self) -> dict[int, dict[str, Any]]:
        """Return the mapped tasks by their index."""
        found = self.dag.call("GET", f"/dagRuns/{self.run_id}/taskInstances/photos.copy/listMapped")
        return {one["map_index"]: one for one in found["task_instances"]}

    def workers(self) -> dict[int, str]:
        """Return which worker runs which mapped task."""
        running = {index: one["pid"] for index, one in self.copies().items() if one["state"] == "running"}
        above = {index: {one.pid for one in psutil.Process(pid).parents()} for index, pid in running.items()}
        pids = {self.stack.processes[name].pid: name for name in WORKERS}
        return {index: pids[(found & pids.keys()).pop()] for index, found in above.items()}

    def result(self, index: int) -> dict[str, Any]:
        path = f"/dagRuns/{self.run_id}/taskInstances/photos.copy/xcomEntries/return_value"
        found: dict[str, Any] = self.dag.call("GET", f"{path}?map_index={index}&deserialize=true")["value"]
        return found

    def contents(self, prefix: str) -> dict[str, bytes]:
        keys = [one.key for one in oss2.ObjectIteratorV2(self.bucket, prefix=prefix)]
        return {key.removeprefix(prefix): self.bucket.get_object(key).read() for key in keys}

    def noted(self) -> set[str]:
        """Return the objects that the journals of unfinished tasks call done."""
        journals = self.contents(f"state/migration/worker/jobs/{JOB}/")
        rows = [
            json.loads(line)
            for name, data in journals.items()
            if "/progress." in name
            for line in data.splitlines()
        ]
        return {row[1] for row in rows if row[0] == "D"}

    def count_puts(self) -> None:
        """Hold the first attempt of the objects in ``HELD``, and count every attempt of every object."""
        held = "|".join(f"{number:03d}" for number in HELD)
        put = {"action": "delay", "operation": "PutObject"}
        rules = [
            {**put, "key": f"^demo/{TARGET}({held}) ", "count": SLICES, "seconds": HOLD_SECONDS},
            {**put, "key": f"^demo/{TARGET}", "count": -1, "seconds": 0},
        ]
        self.stack.control("POST", "faults", rules, port=8801)

    def puts(self) -> tuple[int, int]:
        """Return how many writes were held, and how many were not."""
        held, passed = (one["fired"] for one in self.stack.control("GET", "faults", port=8801))
        return held, passed


@pytest.fixture
def move(stack: Stack, s3_server: RealS3) -> Iterator[Move]:
    extra = {"endpoint_url": s3_server.url, "region_name": "us-east-1"}
    connection = {"connection_id": "aws_default", "conn_type": "aws", "login": KEY, "password": SECRET}
    stack.call("POST", "/api/v2/connections", {**connection, "extra": json.dumps(extra)})
    move = Move(stack)
    yield move
    move.dag.pause()
    stack.control("DELETE", "faults", port=8801)
    move.bucket.session.session.close()


def test_a_migration_goes_on_when_a_worker_is_lost_and_copies_nothing_twice_but_what_it_held(
    move: Move, s3_server: RealS3
) -> None:
    rng = random.Random(20261121)
    objects = {key_of(n): rng.randbytes(rng.randrange(8000)) for n in range(TASKS * PER_TASK)}
    s3_server.bucket(SOURCE, objects)
    move.count_puts()
    move.dag.pause(paused=False)
    move.run_id = move.dag.trigger()
    done = {key_of(n) for n in range(SLICES * PER_TASK) if n not in HELD}
    move.stack.wait_for(lambda: move.puts() == (SLICES, len(done)), "all slices in the middle of a task")
    move.stack.wait_for(lambda: move.noted() == done, "the journals")

    workers = move.workers()
    assert set(workers.values()) == set(WORKERS)
    lost = {index for index, worker in workers.items() if worker == workers[0]}
    move.stack.kill(workers[0])
    assert move.dag.finished(move.run_id, PATIENCE) == "success"

    copies = move.copies()
    assert {index: one["try_number"] for index, one in copies.items()} == {
        index: 2 if index in lost else 1 for index in range(SLICES)
    }
    assert move.contents(TARGET) == s3_server.contents(SOURCE) == objects
    held, passed = move.puts()
    assert held + passed == len(objects) + len(
        lost
    )  # what the lost worker had in its hands, one in each slice
    results = {index: move.result(index) for index in range(SLICES)}
    assert {index: one["resumed"] for index, one in results.items()} == {
        index: PER_TASK - 1 if index in lost else 0 for index in range(SLICES)
    }
    sums = Counter[str]()
    for one in results.values():
        sums.update({name: one[name] for name in ("tasks", "objects", "copied", "skipped", "bytes")})
    size = sum(map(len, objects.values()))
    assert sums == {
        "tasks": TASKS,
        "objects": len(objects),
        "copied": len(objects),
        "skipped": 0,
        "bytes": size,
    }
    report = move.dag.xcom(move.run_id, "photos.report")
    whole = {"state": "Succeed", "tasks": TASKS, "succeeded": TASKS, "copied": len(objects), "bytes": size}
    assert whole.items() <= report["copy"].items()
    assert report["verify"] == {"verified": len(objects)}
    assert move.noted() == set()
    assert [one["rendered_map_index"] for _, one in sorted(copies.items())] == [
        f"slice {number} of {SLICES} · 4 tasks" for number in range(1, SLICES + 1)
    ]
