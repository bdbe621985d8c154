from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_sync.errors import AccessDeniedError, TransientError
from airflow_provider_sync.triggers import _settle, dataflow
from airflow_provider_sync.triggers.dataflow import DataflowStatusTrigger, SubtasksTrigger
from tests.dataflow_world import FS, World, again, first_event


def waiting(dataflows: World, count: int, **arguments: Any) -> SubtasksTrigger:
    flow, task = dataflows.tunnel()
    ids = [
        dataflows.client.create_subtask(FS, flow, task, f"/f{n}", f"/f{n}", client_token=f"t{n}")
        for n in range(count)
    ]
    return SubtasksTrigger(
        cpfs_conn_id="cpfs_default",
        file_system_id=FS,
        task_ids=[task],
        subtask_ids=ids,
        **{"poll_interval": 0.05, **arguments},
    )


def test_it_fires_when_all_have_ended_well_or_badly(dataflows: World) -> None:
    dataflows.outcome("f0", seconds=0.3, result="FAILED")
    event = asyncio.run(first_event(again(waiting(dataflows, 3))))
    assert event.payload == {"state": "finished", "files": 3, "failed": 1, "never_shown": []}


def test_it_fires_when_time_is_up(dataflows: World) -> None:
    dataflows.outcome("", seconds=60)
    trigger = again(waiting(dataflows, 1, deadline=time.time() + 0.2))
    assert asyncio.run(first_event(trigger)).payload == {"state": "late"}


def test_everything_survives_serialization(dataflows: World) -> None:
    one = waiting(dataflows, 2, deadline=17.0, patience=3.0, cancel_on_kill=True)
    assert again(one).serialize() == one.serialize()
    other = DataflowStatusTrigger(
        cpfs_conn_id="c", file_system_id=FS, kind="task", subject="t", until=["Completed"], deadline=1.0
    )
    assert again(other).serialize() == other.serialize()


def test_a_service_that_is_away_is_waited_for(dataflows: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataflow, "_CALL_PATIENCE", 0.0)
    dataflows.fault("DescribeDataFlowSubTasks", "error", status=502, message="<html>", count=3)
    assert asyncio.run(first_event(waiting(dataflows, 1))).payload["state"] == "finished"


def test_a_service_that_stays_away_is_an_error_in_the_end(
    dataflows: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataflow, "_CALL_PATIENCE", 0.0)
    monkeypatch.setattr(dataflow, "_OUTAGE_PATIENCE", 0.2)
    dataflows.fault("DescribeDataFlowSubTasks", "drop_before", count=-1)
    with pytest.raises(TransientError):
        asyncio.run(first_event(waiting(dataflows, 1)))


def test_credentials_that_are_refused_are_an_error_at_once(dataflows: World) -> None:
    dataflows.fault("DescribeDataFlowSubTasks", "error", status=403, code="Forbidden.RAM")
    with pytest.raises(AccessDeniedError):
        asyncio.run(first_event(waiting(dataflows, 1)))


def test_a_slow_service_does_not_block_the_loop(dataflows: World) -> None:
    dataflows.fault("DescribeDataFlowSubTasks", "delay", seconds=1.0, count=-1)
    triggers = [waiting(dataflows, 1)]
    triggers += [again(triggers[0]) for _ in range(9)]

    async def together() -> int:
        events = asyncio.gather(*(first_event(one) for one in triggers))
        turns = 0
        while not events.done():
            await asyncio.sleep(0.01)
            turns += 1
        await events
        return turns

    # Ten looks of a second each on four threads: a loop that is free turns 300 times, a blocked one once a look.
    assert asyncio.run(together()) > 20


@pytest.mark.parametrize(("cancel_on_kill", "status"), [(True, "CANCELED"), (False, "RUNNING")])
def test_a_kill_cancels_if_asked_to(dataflows: World, cancel_on_kill: bool, status: str) -> None:
    dataflows.outcome("", seconds=60)
    asyncio.run(waiting(dataflows, 30, cancel_on_kill=cancel_on_kill).on_kill())
    assert {one["status"] for one in dataflows.control("subtasks", method="GET")} == {status}


def test_the_end_of_the_triggerer_cancels_nothing(dataflows: World) -> None:
    dataflows.outcome("", seconds=60)
    trigger = waiting(dataflows, 3, cancel_on_kill=True)

    async def stopped() -> None:
        running = asyncio.ensure_future(first_event(trigger))
        await asyncio.sleep(0.2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await trigger.cleanup()

    asyncio.run(stopped())
    assert dataflows.calls("CancelDataFlowSubTask") == []


def test_progress_is_shown_once_for_each_change_until_the_end(
    dataflows: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []

    def show(key: str, value: dict[str, Any], **ids: Any) -> None:
        assert (key, ids["map_index"]) == ("progress", 3)
        shown.append(value)

    monkeypatch.setattr("airflow.sdk.bases.xcom.BaseXCom.set", show)
    dataflows.outcome("f0", seconds=0.4)
    trigger = waiting(dataflows, 2)
    trigger._task_instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=3)
    asyncio.run(first_event(trigger))
    assert {one["files_done"] for one in shown} == {1}  # the end is for the task to tell
    assert all(one != other for one, other in pairwise(shown))


def test_a_task_that_ends_fires_with_its_status(dataflows: World) -> None:
    dataflows.control("options", {"task_seconds": 0.2})
    _, task = dataflows.tunnel()
    trigger = DataflowStatusTrigger(
        cpfs_conn_id="cpfs_default",
        file_system_id=FS,
        kind="task",
        subject=task,
        until=["Executing"],
        poll_interval=0.05,
    )
    assert asyncio.run(first_event(again(trigger))).payload == {"state": "finished", "status": "Executing"}


def test_a_dataflow_that_is_gone_fires_without_a_status(dataflows: World) -> None:
    trigger = DataflowStatusTrigger(
        cpfs_conn_id="cpfs_default",
        file_system_id=FS,
        kind="dataflow",
        subject="df-nowhere",
        until=["Running"],
        poll_interval=0.05,
    )
    assert asyncio.run(first_event(trigger)).payload == {"state": "finished", "status": ""}


def test_the_first_look_is_late_enough_for_the_worker_to_be_gone(
    dataflows: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_settle, "SETTLE_SECONDS", 0.6)
    began = time.monotonic()
    asyncio.run(first_event(waiting(dataflows, 1)))
    assert time.monotonic() - began > 0.6


def test_a_deadline_before_that_does_not_hurry_it(dataflows: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_settle, "SETTLE_SECONDS", 0.6)
    dataflows.outcome("", seconds=60)
    began = time.monotonic()
    event = asyncio.run(first_event(waiting(dataflows, 1, deadline=time.time() + 0.1)))
    assert event.payload == {"state": "late"}
    assert time.monotonic() - began > 0.6


def test_many_triggers_of_a_process_share_one_rate_and_none_starves(
    dataflows: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataflows.outcome("", seconds=60)
    one = waiting(dataflows, 100, poll_interval=0.01)
    rate = dataflow._RATE
    triggers = []
    for number in range(10):
        trigger = again(one)
        trigger.subtask_ids = one.subtask_ids[number::10]
        triggers.append(trigger)
    looks: Counter[int] = Counter()
    look = SubtasksTrigger._look

    def counted(self: SubtasksTrigger) -> Any:
        looks[id(self)] += 1
        return look(self)

    monkeypatch.setattr(SubtasksTrigger, "_look", counted)

    async def together() -> None:
        running = [asyncio.ensure_future(first_event(trigger)) for trigger in triggers]
        await asyncio.sleep(3)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0.3)  # those that are under way in threads come to their end

    asyncio.run(together())
    times = sorted(call["at"] for call in dataflows.calls("DescribeDataFlowSubTasks"))
    in_a_second = max(sum(start <= at < start + 1 for at in times) for start in times)
    assert in_a_second <= rate + 8  # a burst of two, and what four threads send late on a busy machine
    assert len(times) > rate
    assert len(looks) == 10
    assert max(looks.values()) - min(looks.values()) <= 2


def test_slow_looks_at_tasks_hold_up_no_look_at_files(dataflows: World) -> None:
    dataflows.fault("DescribeDataFlowTasks", "delay", seconds=0.5, count=-1)
    files = waiting(dataflows, 3)
    slow = [
        DataflowStatusTrigger(
            cpfs_conn_id="cpfs_default",
            file_system_id=FS,
            kind="task",
            subject=files.task_ids[0],
            until=["Canceled"],
            poll_interval=0.01,
        )
        for _ in range(20)
    ]

    async def together() -> int:
        running = [asyncio.ensure_future(first_event(trigger)) for trigger in slow]
        await asyncio.sleep(0.2)
        await first_event(files)
        looks = len(dataflows.calls("DescribeDataFlowTasks"))
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0.6)  # those that are under way in threads come to their end
        return looks

    assert asyncio.run(together()) < len(slow)  # of the others some still wait for their first look
