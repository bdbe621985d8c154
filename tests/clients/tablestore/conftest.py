"""A local Tablestore, its knobs, a client of ours and one of the vendor's."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

with warnings.catch_warnings():
    # The SDK warns at import that its native module is for another Python.
    warnings.simplefilter("ignore")
    import tablestore

Control = Callable[..., Any]


@pytest.fixture(scope="session")
def cloud() -> Iterator[Server]:
    with Server(TablestoreService(access_keys={"ak": "sk"})) as server:
        yield server


@pytest.fixture
def control(cloud: Server) -> Control:
    """``control("POST", "faults", action="throttle")``; everything is forgotten before each test."""

    def call(method: str, route: str, **data: Any) -> Any:
        answer = urllib3.request(
            method, f"{cloud.url}/_control/{route}", body=json.dumps(data) if data else b"", retries=False
        )
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    call("POST", "reset")
    return call


@pytest.fixture
def connection(cloud: Server) -> ConnectionInfo:
    return ConnectionInfo(
        "tablestore", cloud.url, "ak", Secret("sk"), extra={"instance": "demo", "timeout": 10}
    )


@pytest.fixture
def client(connection: ConnectionInfo, cloud: Server, control: Control) -> Iterator[TablestoreClient]:
    """A client with few and quick tries, that goes by the service's clock."""
    retry = RetryPolicy(attempts=5, base=0.001, cap=0.01, random=random.Random(1))
    with TablestoreClient(connection, retry=retry, clock=cloud.service.control.clock.now) as client:
        yield client


@pytest.fixture
def vendor(cloud: Server, control: Control) -> tablestore.OTSClient:
    return tablestore.OTSClient(cloud.url, "ak", "sk", "demo")
