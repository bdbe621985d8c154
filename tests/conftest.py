from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from airflow_provider_sync.localcloud.http import Server
    from tests.dataflow_world import World

settings.register_profile("patient", deadline=None)  # a busy machine is not a failure
settings.load_profile("patient")

_LAST = (
    "tests/compose/",
    "tests/airflow/",
)  # each with a whole Airflow, which then idles beside nothing else


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what takes milliseconds first, and each real Airflow by itself at the end."""

    def place(item: pytest.Item) -> int:
        return next((rank for rank, folder in enumerate(_LAST, 1) if item.nodeid.startswith(folder)), 0)

    items.sort(key=place)


@pytest.fixture(scope="session")
def nas_and_oss() -> Iterator[tuple[Server, Server]]:
    from tests.dataflow_world import servers  # noqa: PLC0415 - only those who ask for it pay

    with servers() as both:
        yield both


@pytest.fixture
def dataflows(nas_and_oss: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    from tests.dataflow_world import World  # noqa: PLC0415

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("airflow_provider_sync.triggers._settle.SETTLE_SECONDS", 0.0)
    world = World(*nas_and_oss)
    for name, value in world.connections().items():
        monkeypatch.setenv(name, value)
    yield world
    world.bucket.session.session.close()
