"""The judge of the fault run over dataflows sees what it is there to see."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def world() -> Iterator[Any]:
    sys.path.insert(0, str(BENCH))
    try:
        import dataflow.world  # noqa: PLC0415 - found only now

        yield dataflow.world
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture
def nas(world: Any) -> Iterator[tuple[Any, Any, str, str]]:
    with Server(NasService({world.KEY: world.SECRET})) as server:
        nas = world.Nas(server)
        nas.control("options", {"flow_seconds": 0.0, "task_seconds": 0.0, "subtask_start_seconds": 0.0})
        nas.control("outcomes", {"path": "", "seconds": 0.0})
        from airflow_provider_sync.clients import nas as client  # noqa: PLC0415
        from airflow_provider_sync.spec.connection import ConnectionInfo, Secret  # noqa: PLC0415

        connection = ConnectionInfo("cpfs", server.url, world.KEY, Secret(world.SECRET), region="local")
        one = client.NasClient(connection)
        flow = one.create_dataflow(
            DEFAULT_FILE_SYSTEM, client.DataflowRequest("oss://bench", "/oss/", "/in/"), client_token="f"
        )
        request = client.TaskRequest("StreamImport", "OVERWRITE_EXISTING", "/a/", "/b/")
        yield nas, one, flow, one.create_task(DEFAULT_FILE_SYSTEM, flow, request, client_token="t")


def test_lost_doubled_and_unasked_files_are_counted(world: Any, nas: tuple[Any, Any, str, str]) -> None:
    service, client, flow, task = nas
    files = world.Files(6, 2)
    wanted = files.all()
    assert len(set(wanted)) == 6
    moves = [*wanted[:4], wanted[0], "/g00/other.bin"]
    for number, path in enumerate(moves):
        client.create_subtask(DEFAULT_FILE_SYSTEM, flow, task, path, path, client_token=f"n{number}")
    assert service.verdict(files) == {
        "files": 6,
        "imported_once": 3,
        "lost": 2,
        "doubled": 1,
        "unasked": 1,
    }


def test_a_worker_that_is_held_by_waiting_is_counted(world: Any) -> None:
    files = world.Files(4, 2)
    under_way = [{"source": f"/in/a{path}", "status": "RUNNING"} for path in files.all()]
    slots = world.Slots(files)
    for second in range(0, 40, 5):
        slots.sample(float(second), under_way, {0: ("running", 1), 1: ("deferred", 1)})
    assert slots.most == 1


def test_a_worker_that_comes_and_goes_is_not(world: Any) -> None:
    files = world.Files(4, 2)
    under_way = [{"source": f"/in/a{path}", "status": "RUNNING"} for path in files.all()]
    slots = world.Slots(files)
    for second in range(0, 60, 5):
        slots.sample(float(second), under_way, {0: ("running", second // 10), 1: ("deferred", 1)})
    ended = [{**one, "status": "COMPLETE"} for one in under_way]
    for second in range(60, 120, 5):
        slots.sample(float(second), ended, {0: ("running", 9), 1: ("running", 9)})
    assert slots.most == 0


def test_the_most_calls_in_a_second_are_found(world: Any) -> None:
    assert world._most([5.0, 1.0, 1.5, 1.9, 2.0, 2.4], 1.0) == 4
    assert world._most([], 1.0) == 0


def test_it_tells_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "dataflow_faults.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--subtasks" in done.stdout
    assert "--seed" in done.stdout
