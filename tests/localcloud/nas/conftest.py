from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

# Read by the credentials library when it is imported.
os.environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] = "true"

from alibabacloud_nas20170626 import models
from alibabacloud_nas20170626.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM

KEY_ID, SECRET = "test-id", "test-secret"
FS = DEFAULT_FILE_SYSTEM


class Nas:
    """A running service, the vendor's client of it, and its control routes. Its clock stands still."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.service: Any = server.service
        self.client = self.client_of(KEY_ID, SECRET)
        self.control("options", {"max_skew_seconds": 1e12})
        self.now = 1_790_000_000.0
        self.wait(0)

    def client_of(self, key: str, secret: str, **options: Any) -> Client:
        """The vendor's client."""
        endpoint = f"127.0.0.1:{self.server.port}"
        config = Config(
            access_key_id=key, access_key_secret=secret, endpoint=endpoint, protocol="http", **options
        )
        return Client(config)

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        """One control request, which must succeed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, f"/_control/{route}", json.dumps({} if data is None else data))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return json.loads(body)
        finally:
            connection.close()

    def get(self, route: str) -> Any:
        return self.control(route, method="GET")

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.control("clock", {"now": self.now})

    def flow(self, **fields: Any) -> str:
        """A dataflow that is Running."""
        request = models.CreateDataFlowRequest(
            **{
                "file_system_id": FS,
                "source_storage": "oss://examplebucket",
                "file_system_path": "/oss/",
                "source_storage_path": "/bmcpfs/",
                **fields,
            }
        )
        found: str = self.client.create_data_flow(request).body.data_flow_id
        self.wait(1)
        return found

    def task(self, flow: str, **fields: Any) -> str:
        """A streaming import task that is Executing."""
        request = models.CreateDataFlowTaskRequest(
            **{
                "file_system_id": FS,
                "data_flow_id": flow,
                "task_action": "StreamImport",
                "data_type": "MetaAndData",
                "directory": "/test/",
                "dst_directory": "/mnt/",
                "conflict_policy": "SKIP_THE_FILE",
                **fields,
            }
        )
        found: str = self.client.create_data_flow_task(request).body.task_id
        self.wait(0.5)
        return found

    def subtask(self, flow: str, task: str, source: str = "/file.xml", **fields: Any) -> str:
        """A subtask that is CREATED."""
        request = models.CreateDataFlowSubTaskRequest(
            **{
                "file_system_id": FS,
                "data_flow_id": flow,
                "data_flow_task_id": task,
                "src_file_path": source,
                "dst_file_path": f"/mnt{source}",
                **fields,
            }
        )
        found: str = self.client.create_data_flow_sub_task(request).body.data_flow_sub_task_id
        return found

    def stream(self) -> tuple[str, str]:
        """A dataflow and its streaming import task."""
        flow = self.flow()
        return flow, self.task(flow)

    def subtasks(self, **filters: str) -> list[Any]:
        """The first page of subtasks."""
        request = models.DescribeDataFlowSubTasksRequest(
            file_system_id=FS,
            filters=[
                models.DescribeDataFlowSubTasksRequestFilters(key=k, value=v) for k, v in filters.items()
            ],
            max_results=100,
        )
        found: list[Any] = self.client.describe_data_flow_sub_tasks(
            request
        ).body.data_flow_sub_task.data_flow_sub_task
        return found

    def of(self, subtask: str) -> Any:
        """One subtask."""
        (found,) = self.subtasks(DataFlowSubTaskIds=subtask)
        return found


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK obeys these even for local addresses."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def nas_server() -> Iterator[Server]:
    with Server(NasService({KEY_ID: SECRET})) as server:
        yield server


@pytest.fixture
def nas(nas_server: Server) -> Nas:
    connection = http.client.HTTPConnection("127.0.0.1", nas_server.port, timeout=10)
    connection.request("POST", "/_control/reset")
    connection.getresponse().read()
    connection.close()
    return Nas(nas_server)
