from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from tests.postgres import postgres_server

Control = Callable[..., Any]


@pytest.fixture(scope="session")
def postgres() -> Iterator[int]:
    """Start a PostgreSQL server that trusts everyone on this machine; return its port."""
    with postgres_server() as port:
        yield port


@pytest.fixture(scope="session")
def tablestore_server() -> Iterator[Server]:
    with Server(TablestoreService(access_keys={"ak": "sk"})) as server:
        yield server


@pytest.fixture
def tablestore_control(tablestore_server: Server) -> Control:
    """``control("POST", "faults", action="throttle")``; everything is forgotten before each test."""
    return _control(tablestore_server)


@pytest.fixture(scope="session")
def oss_server() -> Iterator[Server]:
    with Server(OssService(access_keys={"ak": "sk"}, buckets=("progress",))) as server:
        yield server


@pytest.fixture
def oss_control(oss_server: Server) -> Control:
    """Like :func:`tablestore_control`; the bucket ``progress`` is there and empty."""
    return _control(oss_server)


def _control(server: Server) -> Control:
    def call(method: str, route: str, **data: Any) -> Any:
        body = json.dumps(data) if data else b""
        answer = urllib3.request(method, f"{server.url}/_control/{route}", body=body, retries=False)
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    call("POST", "reset")
    return call
