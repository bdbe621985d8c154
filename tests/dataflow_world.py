"""A local NAS and OSS, and one task instance as Airflow would treat it: defers, retries, clears, dies."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import oss2
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

# Read by the vendor's credentials library when it is imported.
os.environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] = "true"

from airflow_provider_sync.clients.nas import DataflowRequest, NasClient, Quotas, TaskRequest
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

KEY, SECRET, BUCKET = "access-key", "sk-of-the-test", "examplebucket"
FS = DEFAULT_FILE_SYSTEM
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
QUICK = {"flow_seconds": 0.0, "task_seconds": 0.0, "subtask_start_seconds": 0.0, "subtask_seconds": 0.0}


class World:
    """Both services, a client of our own for set-up, and side doors."""

    def __init__(self, nas: Server, oss: Server) -> None:
        self.nas = nas
        self.oss = oss
        self.reset()
        self.control("options", {**QUICK, "cancel_seconds": 0.0, "subtask_cancel_seconds": 0.0})
        self.client = NasClient(
            ConnectionInfo("cpfs", nas.url, KEY, Secret(SECRET), region="local"),
            quotas=Quotas(other_rate=1000.0, other_burst=1000),
        )
        auth = oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(KEY, SECRET))
        self.bucket = oss2.Bucket(auth, oss.url, BUCKET, region="cn-hangzhou", is_path_style=True)

    def control(
        self, route: str, data: Any = None, method: str = "POST", server: Server | None = None
    ) -> Any:
        port = (server or self.nas).port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, f"/_control/{route}", json.dumps({} if data is None else data))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return json.loads(body)

    def reset(self) -> None:
        self.control("reset")

    def put_at(self, moment: float, key: str) -> None:
        """Put an object as if it were then; the signature is of now, which the service is told to bear."""
        self.control("clock", {"now": moment}, server=self.oss)
        url = self.bucket.sign_url("PUT", key, 3600, slash_safe=True)
        answer = self.bucket.put_object_with_url(url, b"x")
        assert answer.status == 200
        self.control("clock", {}, server=self.oss)

    def outcome(self, path: str, **fields: Any) -> None:
        self.control("outcomes", {"path": path, **fields})

    def fault(self, operation: str, action: str, **fields: Any) -> None:
        self.control("faults", {"operation": operation, "action": action, "key": ".*", "count": 1, **fields})

    def flow(self) -> str:
        request = DataflowRequest(f"oss://{BUCKET}", "/oss/", "/bmcpfs/")
        return self.client.create_dataflow(FS, request, client_token=uuid.uuid4().hex)

    def tunnel(self, action: str = "StreamImport") -> tuple[str, str]:
        """Return a dataflow and an Executing streaming task of it."""
        flow = self.flow()
        request = TaskRequest(action, "SKIP_THE_FILE", "/test/", "/mnt/")
        return flow, self.client.create_task(FS, flow, request, client_token=uuid.uuid4().hex)

    def moved(self) -> Counter[str]:
        """Return how often each source was moved, by the service's own log."""
        return Counter(one["source"].rpartition("/")[2] for one in self.control("moves", method="GET"))

    def subtasks(self) -> Counter[str]:
        """Return how many subtasks each source has, hidden or not."""
        return Counter(one["source"].rpartition("/")[2] for one in self.control("subtasks", method="GET"))

    def calls(self, operation: str) -> list[dict[str, Any]]:
        return [one for one in self.control("calls", method="GET") if one["operation"] == operation]

    def connections(self) -> dict[str, str]:
        key = {"login": KEY, "password": SECRET}
        cpfs = {"conn_type": "cpfs", "host": self.nas.url, "extra": {"region": "local"}, **key}
        oss = {
            "conn_type": "oss",
            "host": self.oss.url,
            "extra": {"region": "cn-hangzhou", "path_style": True},
            **key,
        }
        return {
            "AIRFLOW_CONN_CPFS_DEFAULT": json.dumps(cpfs),
            "AIRFLOW_CONN_OSS_DEFAULT": json.dumps(oss),
        }


@contextmanager
def servers() -> Iterator[tuple[Server, Server]]:
    with Server(NasService({KEY: SECRET})) as nas, Server(OssService({KEY: SECRET}, buckets=[BUCKET])) as oss:
        yield nas, oss


class Store:
    """Airflow's task state, which outlives tries; ``dies_at`` kills the worker just before the n-th write."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.writes = 0
        self.dies_at = -1

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        if key != "progress":
            self.writes += 1
            if self.writes == self.dies_at:
                raise WorkerDied
        self.values[key] = json.dumps(value)


class WorkerDied(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


class TaskRun:
    """One task instance."""

    def __init__(self, *, retries: int = 3, conf: dict[str, Any] | None = None) -> None:
        self.retries = retries
        self.store = Store()
        self.pushed: dict[str, Any] = {}
        self.try_number = 0
        self.max_tries = retries
        self.conf = conf or {}
        self.deferred: list[TaskDeferred] = []

    def clear(self) -> None:
        """What Airflow does to the numbers when somebody clears an ended task."""
        self.max_tries = self.try_number + self.retries

    def context(self) -> Any:
        return {
            "dag": DAG("moves", schedule=None),
            "dag_run": SimpleNamespace(
                run_type="scheduled", run_after=START + timedelta(minutes=10), conf=self.conf
            ),
            "data_interval_start": START,
            "data_interval_end": START + timedelta(minutes=5),
            "params": {},
            "task_state_store": self.store,
            "ti": SimpleNamespace(
                dag_id="moves",
                task_id="move",
                map_index=-1,
                try_number=self.try_number,
                max_tries=self.max_tries,
                xcom_push=self.pushed.__setitem__,
            ),
        }

    def run(self, make: Any) -> Any:
        """Run the next try to its end, with a new operator for each process that Airflow would use."""
        self.try_number += 1
        method, kwargs = "execute", {}
        while True:
            try:
                return getattr(make(), method)(self.context(), **kwargs)
            except TaskDeferred as raised:
                deferred = raised
            self.deferred.append(deferred)
            event = asyncio.run(first_event(again(deferred.trigger)))
            method = deferred.method_name
            kwargs = {**(deferred.kwargs or {}), "event": event.payload}


def again(trigger: Any) -> Any:
    """Return the trigger as another process builds it from what is stored."""
    kind, arguments = trigger.serialize()
    module, _, name = kind.rpartition(".")
    return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))


async def first_event(trigger: Any) -> Any:
    return await anext(trigger.run())
