"""Dataflows for the tests of this folder: the local NAS, and DAG files that move files through it."""

from __future__ import annotations

import http.client
import json
import uuid
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from typing import Any, Self

from airflow_provider_sync.clients.nas import DataflowRequest, NasClient, TaskRequest
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from tests.airflow.lake import BUCKET, KEY, SECRET, Lake

FS = DEFAULT_FILE_SYSTEM
SHIPPED = Path(__file__).parents[2] / "dags"


class Dataflows:
    """The local NAS, and side doors into it."""

    def __init__(self) -> None:
        self.server = Server(NasService({KEY: SECRET}))

    def __enter__(self) -> Self:
        self.server.start()
        self.control("options", {"flow_seconds": 0.0, "task_seconds": 0.0, "subtask_seconds": 0.2})
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    @property
    def connections(self) -> dict[str, dict[str, Any]]:
        """As Airflow gets them."""
        cpfs = {"conn_type": "cpfs", "host": self.server.url, "login": KEY, "password": SECRET}
        return {"cpfs_default": {**cpfs, "extra": {"region": "local"}}}

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        with closing(connection):
            connection.request(method, f"/_control/{route}", json.dumps({} if data is None else data))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return json.loads(body)

    def tunnel(self, name: str) -> tuple[str, str]:
        """Return a dataflow of its own and an Executing streaming import of it."""
        client = NasClient(ConnectionInfo("cpfs", self.server.url, KEY, Secret(SECRET), region="local"))
        asked = DataflowRequest("oss://anything", f"/{name}/", f"/{name}/")
        flow = client.create_dataflow(FS, asked, client_token=uuid.uuid4().hex)
        request = TaskRequest("StreamImport", "SKIP_THE_FILE", "/", "/")
        return flow, client.create_task(FS, flow, request, client_token=uuid.uuid4().hex)

    def tasks(self, directory: str) -> list[tuple[str, str, str]]:
        """Return action, conflict policy and status of every task from a directory."""
        client = NasClient(ConnectionInfo("cpfs", self.server.url, KEY, Secret(SECRET), region="local"))
        return [
            (one.action, one.conflict_policy, one.status_text)
            for one in client.list_tasks(FS)
            if one.directory == directory
        ]

    def moved(self, name: str) -> Counter[str]:
        """Return how often each file of a dataflow was moved."""
        return self._names(name, self.control("moves", method="GET"))

    def subtasks(self, name: str) -> Counter[str]:
        """Return how many subtasks each file of a dataflow has."""
        return self._names(name, self.control("subtasks", method="GET"))

    def statuses(self, name: str) -> set[str]:
        return {
            one["status"]
            for one in self.control("subtasks", method="GET")
            if one["source"].startswith(f"/{name}/")
        }

    def _names(self, name: str, found: list[dict[str, Any]]) -> Counter[str]:
        return Counter(
            one["source"].removeprefix(f"/{name}/") for one in found if one["source"].startswith(f"/{name}/")
        )


def write_dags(folder: Path, dataflows: Dataflows, lake: Lake, first: datetime) -> None:
    """Write one DAG for each scenario, and the shipped import for one window."""
    _files_dag(folder, dataflows, "hundred", files=100, task="retries=0,")
    _files_dag(folder, dataflows, "deferred", files=5, task="retries=0,")
    _files_dag(folder, dataflows, "working", files=5, task="retries=0, deferrable=False,")
    _watched_dag(folder, dataflows, "watched")
    _shipped_import(folder, lake, first)
    _shipped_export(folder)


def _files_dag(folder: Path, dataflows: Dataflows, dag_id: str, *, files: int, task: str) -> None:
    flow, tunnel = dataflows.tunnel(dag_id)
    text = f"""
    from airflow.sdk import DAG

    from airflow_provider_sync.operators.dataflow_files import CpfsMoveFilesOperator

    with DAG("{dag_id}", schedule=None):
        CpfsMoveFilesOperator(
            task_id="move",
            file_system_id="{FS}",
            dataflow_id="{flow}",
            dataflow_task_id="{tunnel}",
            files=[f"/{dag_id}-{{n:03}}" for n in range({files})],
            poll_interval=1.0,
            {task}
        )
    """
    (folder / f"{dag_id}.py").write_text(dedent(text))


def _watched_dag(folder: Path, dataflows: Dataflows, dag_id: str) -> None:
    """Write a DAG of mapped tasks that submit a file each, and a sensor that waits for all of them."""
    flow, tunnel = dataflows.tunnel(dag_id)
    text = f"""
    from airflow.sdk import DAG

    from airflow_provider_sync.operators.dataflow_files import CpfsMoveFilesOperator
    from airflow_provider_sync.sensors.dataflow import CpfsSubtaskSensor

    with DAG("{dag_id}", schedule=None):
        moves = CpfsMoveFilesOperator.partial(
            task_id="move",
            file_system_id="{FS}",
            dataflow_id="{flow}",
            dataflow_task_id="{tunnel}",
            wait=False,
        ).expand(files=[[f"/{dag_id}-{{n:03}}"] for n in range(3)])
        CpfsSubtaskSensor(
            task_id="watch",
            file_system_id="{FS}",
            subtask_ids=moves.output["subtask_ids"],
            dataflow_task_ids="{tunnel}",
            poke_interval=1.0,
        )
    """
    (folder / f"{dag_id}.py").write_text(dedent(text))


def _shipped_import(folder: Path, lake: Lake, first: datetime) -> None:
    """Write the DAG of ``dags/`` for the window at ``first``, and objects just before, in and after it."""
    lake.control(lake.oss, "POST", "clock", {"now": first.timestamp()})
    for seconds, name in ((-1, "early"), (0, "a"), (299, "day/b"), (300, "late")):
        lake.control(lake.oss, "POST", "clock", {"now": first.timestamp() + seconds})
        url = lake.bucket.sign_url("PUT", f"incoming/{name}", 3600, slash_safe=True)
        assert lake.bucket.put_object_with_url(url, b"x").status == 200
    lake.control(lake.oss, "POST", "clock", {})
    text = (SHIPPED / "cpfs_import.py").read_text()
    for old, new in {
        "bmcpfs-370jz26fkr2st9": FS,
        '"examplebucket"': f'"{BUCKET}"',
        "2026-11-20T00:00:00+00:00": first.isoformat(),
        "catchup=True": f'catchup=True, end_date=datetime.fromisoformat("{first.isoformat()}")',
        'task_id="dataflow",': 'task_id="dataflow", poll_interval=1.0,',
        'task_id="files",': 'task_id="files", poll_interval=1.0,',
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "cpfs_import.py").write_text(text)


def _shipped_export(folder: Path) -> None:
    """Write the DAG of ``dags/``; its looks are a second apart."""
    text = (SHIPPED / "cpfs_export.py").read_text()
    for old, new in {
        "bmcpfs-370jz26fkr2st9": FS,
        'task_id="dataflow",': 'task_id="dataflow", poll_interval=1.0,',
        'task_id="export",': 'task_id="export", poll_interval=1.0,',
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "cpfs_export.py").write_text(text)
