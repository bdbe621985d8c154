from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

import airflow_provider_sync.triggers
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.triggers import _settle
from airflow_provider_sync.triggers.window import WindowSafeTrigger

ARGUMENTS: dict[str, dict[str, Any]] = {
    "WindowSafeTrigger": {
        "window_end": datetime(2026, 11, 20, 10, 5, tzinfo=UTC),
        "delay": 300.0,
        "end_from_trigger": True,
    },
    "SubtasksTrigger": {
        "cpfs_conn_id": "cpfs",
        "file_system_id": "cpfs-1",
        "task_ids": ["task-1"],
        "subtask_ids": ["subtask-1", "subtask-2"],
        "poll_interval": 7.0,
        "deadline": 1795168800.0,
        "patience": 60.0,
        "cancel_on_kill": True,
    },
    "DataflowStatusTrigger": {
        "cpfs_conn_id": "cpfs",
        "file_system_id": "cpfs-1",
        "kind": "task",
        "subject": "task-1",
        "until": ["Completed", "Failed"],
        "poll_interval": 31.0,
        "deadline": None,
        "cancel_on_kill": True,
    },
}


def all_triggers() -> list[type[BaseTrigger]]:
    package = airflow_provider_sync.triggers
    modules = [
        importlib.import_module(f"{package.__name__}.{one.name}")
        for one in pkgutil.iter_modules(package.__path__)
    ]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, BaseTrigger)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]


async def first_event(trigger: BaseTrigger) -> TriggerEvent:
    async for event in trigger.run():
        return event
    raise AssertionError("no event")


@pytest.mark.parametrize("trigger", all_triggers(), ids=lambda one: one.__name__)
def test_every_trigger_is_made_again_from_what_it_serializes(trigger: type[BaseTrigger]) -> None:
    built = trigger(**ARGUMENTS[trigger.__name__])
    path, arguments = built.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert type(again) is trigger
    assert again.serialize() == (path, arguments)


def test_it_fires_at_the_end_plus_the_delay() -> None:
    end = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
    assert WindowSafeTrigger(end, 300).moment == datetime(2026, 11, 20, 10, 10, tzinfo=UTC)
    assert WindowSafeTrigger("2026-11-20T18:05:00+08:00", 300).moment == datetime(
        2026, 11, 20, 10, 10, tzinfo=UTC
    )


@pytest.fixture
def settle_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return lambda seconds: monkeypatch.setattr(_settle, "SETTLE_SECONDS", seconds)


def test_it_waits_no_shorter_than_asked(settle_seconds: Callable[[float], None]) -> None:
    settle_seconds(0.0)
    end = datetime.now(UTC)
    event = asyncio.run(first_event(WindowSafeTrigger(end, 0.3)))
    assert datetime.now(UTC) >= end + timedelta(seconds=0.3)
    assert event.payload == (end + timedelta(seconds=0.3)).isoformat()


def test_an_event_for_a_worker_comes_when_the_last_one_is_gone(
    settle_seconds: Callable[[float], None],
) -> None:
    settle_seconds(0.4)
    began = time.monotonic()
    event = asyncio.run(first_event(WindowSafeTrigger(datetime(2020, 1, 1, tzinfo=UTC))))
    assert time.monotonic() - began >= 0.4
    assert event.payload == "2020-01-01T00:00:00+00:00"


def test_a_moment_that_has_passed_ends_the_task_at_once() -> None:
    end = datetime(2020, 1, 1, tzinfo=UTC)
    event = asyncio.run(asyncio.wait_for(first_event(WindowSafeTrigger(end, end_from_trigger=True)), 1))
    assert isinstance(event, TaskSuccessEvent)


@pytest.mark.parametrize("end", ["soon", "2026-11-20T10:00:00"])
def test_a_text_that_is_no_moment_is_refused(end: str) -> None:
    with pytest.raises(ConfigError, match="window_end"):
        asyncio.run(first_event(WindowSafeTrigger(end)))
