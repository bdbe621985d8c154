from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_sync.localcloud.http import Server
from tests.operators.dataflow_world import World, servers


@pytest.fixture(scope="session")
def cloud() -> Iterator[tuple[Server, Server]]:
    with servers() as both:
        yield both


@pytest.fixture
def world(cloud: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    world = World(*cloud)
    for name, value in world.connections().items():
        monkeypatch.setenv(name, value)
    yield world
    world.bucket.session.session.close()
