from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_sync.clients.oss import OssClient
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

BUCKET, REGION = "lake", "cn-hangzhou"


class LocalOss:
    """The local OSS, and clients of it that wait for nothing; ``waits`` records what they would have waited."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.port = server.port
        self.waits: list[float] = []
        self._clients: list[OssClient] = []

    def client(
        self, *, clock: Callable[[], float] | None = None, attempts: int = 4, **connection: Any
    ) -> OssClient:
        fields = {
            "kind": "oss",
            "endpoint": self.url,
            "access_key_id": "key",
            "access_key_secret": Secret("secret"),
            "region": REGION,
            **connection,
        }
        retry = RetryPolicy(attempts=attempts, sleep=self.waits.append)
        options: dict[str, Any] = {} if clock is None else {"clock": clock}
        client = OssClient(ConnectionInfo(**fields), retry=retry, **options)
        self._clients.append(client)
        return client

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/_control/{route}", body, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the server of this test
            return json.load(answer)

    def fault(self, action: str, operation: str, **more: Any) -> None:
        self.control("faults", {"action": action, "operation": operation, **more})

    def operations(self) -> list[str]:
        return [one["operation"] for one in self.control("requests", method="GET")]

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="session")
def oss_server() -> Iterator[Server]:
    with Server(OssService({"key": "secret"}, buckets=[BUCKET], region=REGION)) as server:
        yield server


@pytest.fixture
def oss(oss_server: Server) -> Iterator[LocalOss]:
    local = LocalOss(oss_server)
    local.control("reset", {})
    yield local
    local.close()
