"""A local NAS, its knobs, and a client of ours that never really sleeps."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

# Read by the credentials library when it is imported.
os.environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] = "true"

from airflow_provider_sync.clients.nas import DataflowRequest, NasClient, Quotas, TaskRequest
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

FS = "bmcpfs-localcloud"
FLOW = DataflowRequest("oss://examplebucket", "/oss/", "/bmcpfs/")
STREAM = TaskRequest("StreamImport", "SKIP_THE_FILE", "/test/", "/mnt/")


class Cloud:
    """The service, its clock, and what was asked of it."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.slept: list[float] = []
        self.post("reset")
        self.post(
            "options", max_skew_seconds=1e12, subtask_calls_per_second=None, other_calls_per_minute=None
        )
        self.now = 1_790_000_000.0
        self.wait(0)
        self.client = self.connect()

    def send(self, method: str, route: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data)
        answer = urllib3.request(method, f"{self.url}/_control/{route}", body=body, retries=False)
        assert answer.status == 200, answer.data
        return answer.json()

    def post(self, route: str, **data: Any) -> Any:
        return self.send("POST", route, data)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.post("clock", now=self.now)

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [one for one in self.send("GET", "calls") if one["operation"] == operation]

    def connection(self, **fields: Any) -> ConnectionInfo:
        known = {"endpoint": self.url, "access_key_id": "ak", "access_key_secret": Secret("sk")}
        return ConnectionInfo("alibaba_cloud", **{**known, **fields})

    def connect(self, **fields: Any) -> NasClient:
        retry = RetryPolicy(attempts=5, deadline=1000.0, sleep=self.slept.append, random=random.Random(1))
        quotas = Quotas(sleep=self.slept.append, clock=lambda: 0.0, subtask_burst=10**6, other_burst=10**6)
        return NasClient(self.connection(**fields), retry=retry, quotas=quotas)

    def stream(self) -> tuple[str, str]:
        """A running dataflow and its executing task."""
        flow = self.client.create_dataflow(FS, FLOW, client_token="flow")
        self.wait(1)
        task = self.client.create_task(FS, flow, STREAM, client_token="task")
        self.wait(0.5)
        return flow, task

    def submit(self, stream: tuple[str, str], *names: str) -> list[str]:
        """One subtask for each name, the name being its token."""
        return [
            self.client.create_subtask(FS, *stream, f"/{name}", f"/{name}", client_token=name)
            for name in names
        ]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK obeys these even for local addresses."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def nas_server() -> Iterator[Server]:
    with Server(NasService({"ak": "sk"}, file_systems=[FS, "cpfs-general"])) as server:
        yield server


@pytest.fixture
def cloud(nas_server: Server) -> Cloud:
    return Cloud(nas_server)
