from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_sync.errors import CancelledError
from airflow_provider_sync.operators import dataflow_tasks
from airflow_provider_sync.operators._status import StatusError, StatusLateError
from airflow_provider_sync.triggers.dataflow import DataflowStatusTrigger
from tests.dataflow_world import FS, TaskRun, World, again

TUNNEL = {
    "action": "StreamImport",
    "conflict_policy": "SKIP_THE_FILE",
    "directory": "/a/",
    "dst_directory": "/b/",
}
BATCH = {"action": "Export", "conflict_policy": "KEEP_LATEST", "directory": "/a/", "dst_directory": "/b/"}


def create(dataflows: World, flow: str, **arguments: Any) -> Any:
    return lambda: dataflow_tasks.CpfsCreateTaskOperator(
        task_id="task", file_system_id=FS, dataflow_id=flow, poll_interval=0.05, **arguments
    )


def tasks(dataflows: World) -> dict[str, str]:
    return {one.task_id: one.status_text for one in dataflows.client.list_tasks(FS)}


def test_a_tunnel_is_ready_when_it_executes(dataflows: World) -> None:
    dataflows.control("options", {"task_seconds": 0.3})
    run = TaskRun()
    report = run.run(create(dataflows, dataflows.flow(), **TUNNEL))
    assert tasks(dataflows) == {report["task_id"]: "Executing"}
    assert run.pushed["task_id"] == report["task_id"]
    assert len(run.deferred) == 1


def test_a_tunnel_that_is_there_is_used_unless_it_differs(dataflows: World) -> None:
    flow = dataflows.flow()
    first = TaskRun().run(create(dataflows, flow, **TUNNEL))["task_id"]
    assert TaskRun().run(create(dataflows, flow, **TUNNEL))["task_id"] == first
    other = TaskRun().run(create(dataflows, flow, **{**TUNNEL, "conflict_policy": "OVERWRITE_EXISTING"}))[
        "task_id"
    ]
    own = TaskRun().run(create(dataflows, flow, adopt=False, **TUNNEL))["task_id"]
    assert len({first, other, own}) == 3


@pytest.mark.parametrize("action", ["Import", "Export"])
def test_a_batch_is_waited_for_to_its_end(dataflows: World, action: str) -> None:
    dataflows.control("options", {"batch_seconds": 0.3})
    report = TaskRun().run(create(dataflows, dataflows.flow(), **{**BATCH, "action": action}))
    assert report["status"] == "Completed"
    assert tasks(dataflows) == {report["task_id"]: "Completed"}


def test_a_lost_reply_makes_no_second_batch(dataflows: World) -> None:
    dataflows.fault("CreateDataFlowTask", "lost_reply")
    dataflows.control("options", {"batch_seconds": 0.0})
    TaskRun().run(create(dataflows, dataflows.flow(), **BATCH))
    assert len(tasks(dataflows)) == 1


def test_a_worker_that_dies_makes_no_second_batch_and_a_clear_does(dataflows: World) -> None:
    dataflows.control("options", {"batch_seconds": 0.0})
    make = create(dataflows, dataflows.flow(), **BATCH)
    run = TaskRun()
    first = run.run(make)["task_id"]
    assert run.run(make)["task_id"] == first  # Airflow did not hear of the success
    run.clear()
    assert run.run(make)["task_id"] != first


def test_a_failed_batch_is_named_and_a_retry_runs_another(dataflows: World) -> None:
    dataflows.control("options", {"batch_seconds": 0.0})
    dataflows.outcome("/a/", of="task", count=1, result="Failed", message="no permission on the bucket")
    make = create(dataflows, dataflows.flow(), **BATCH)
    run = TaskRun()
    with pytest.raises(StatusError, match=r"\(Export\) is Failed: no permission on the bucket; a retry"):
        run.run(make)
    assert run.run(make)["status"] == "Completed"
    assert sorted(tasks(dataflows).values()) == ["Completed", "Failed"]


def test_a_batch_that_takes_too_long_is_found_by_the_next_try(dataflows: World) -> None:
    dataflows.control("options", {"batch_seconds": 1.0})
    make = create(dataflows, dataflows.flow(), timeout=timedelta(seconds=0.2), **BATCH)
    run = TaskRun()
    with pytest.raises(StatusLateError, match="is Executing after"):
        run.run(make)
    make = create(dataflows, make().dataflow_id, **BATCH)
    assert run.run(make)["status"] == "Completed"
    assert len(tasks(dataflows)) == 1


def test_execution_timeout_bounds_the_wait_that_airflow_does_not_bound(dataflows: World) -> None:
    dataflows.control("options", {"batch_seconds": 60.0})
    make = create(dataflows, dataflows.flow(), execution_timeout=timedelta(seconds=0.2), **BATCH)
    with pytest.raises(StatusLateError, match=r"is Executing after 0:00:00\.2"):
        TaskRun().run(make)


def test_how_far_a_batch_is_can_be_seen(dataflows: World) -> None:
    dataflows.control("options", {"batch_seconds": 0.3})
    run = TaskRun()
    files = {**BATCH, "directory": "", "entries": ["/a/1", "/a/2", "/a/3"]}
    report = run.run(create(dataflows, dataflows.flow(), **files))
    # The service's imagined files have 68 bytes.
    early, done = run.store.get("progress"), run.pushed["progress"]
    assert (early["total"], early["bytes_total"]) == (3, 3 * 68)
    assert (done["total"], done["files_done"], done["active"], done["bytes_done"]) == (3, 3, 0, 3 * 68)
    assert (report["files"], report["moved"], report["skipped"]) == (3, 3, 0)


@pytest.mark.parametrize("cancel_on_kill", [True, False])
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_kill_cancels_a_batch_if_asked_to_and_a_clear_runs_another(
    dataflows: World, deferrable: bool, cancel_on_kill: bool
) -> None:
    dataflows.control("options", {"batch_seconds": 60.0, "cancel_seconds": 0.5})
    flow, run = dataflows.flow(), TaskRun(retries=0)
    make = create(dataflows, flow, cancel_on_kill=cancel_on_kill, deferrable=deferrable, **BATCH)
    run.try_number = 1
    operator = make()
    if deferrable:
        with pytest.raises(TaskDeferred) as raised:
            operator.execute(run.context())
        asyncio.run(again(raised.value.trigger).on_kill())
    else:
        with ThreadPoolExecutor(1) as worker:
            working = worker.submit(operator.execute, run.context())
            while list(tasks(dataflows).values()) != ["Executing"]:
                time.sleep(0.02)
            operator.on_kill()
            with pytest.raises(CancelledError):
                working.result()
    (first,) = tasks(dataflows)
    assert tasks(dataflows)[first] in ({"Canceling", "Canceled"} if cancel_on_kill else {"Executing"})
    if cancel_on_kill:
        run.clear()
        dataflows.control("options", {"batch_seconds": 0.0})
        assert run.run(make)["task_id"] != first
        assert sorted(tasks(dataflows).values()) == ["Canceled", "Completed"]


def test_a_kill_that_comes_while_a_batch_is_created_cancels_it(dataflows: World) -> None:
    dataflows.control("options", {"batch_seconds": 60.0, "cancel_seconds": 0.0})
    operator = create(dataflows, dataflows.flow(), **BATCH)()
    operator.on_kill()  # knows of no batch yet
    with pytest.raises(CancelledError):
        operator.execute(TaskRun().context())
    assert list(tasks(dataflows).values()) == ["Canceled"]


def test_a_kill_leaves_a_tunnel_alone(dataflows: World) -> None:
    _, task = dataflows.tunnel()
    trigger = DataflowStatusTrigger(
        cpfs_conn_id="cpfs_default",
        file_system_id=FS,
        kind="task",
        subject=task,
        until=["Canceled"],
        cancel_on_kill=True,
    )
    asyncio.run(trigger.on_kill())
    assert tasks(dataflows) == {task: "Executing"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"action": "StreamImport", "direction": "export"},
            "action: not an export, got 'StreamImport'; allowed: Exp",
        ),
        ({"action": "Sync"}, "action: got 'Sync'; allowed: Import"),
        ({"conflict_policy": "ASK"}, "conflict_policy: got 'ASK'; allowed: SKIP_THE_FILE"),
        ({"directory": "a/"}, "directory: got 'a/'"),
        ({"directory": "/a"}, "directory: got '/a'"),
        ({"dst_directory": "/" + "x" * 1023 + "/"}, "dst_directory"),
        ({"entries": ["/x"]}, "directory"),
        ({"direction": "both"}, "direction: got 'both'"),
    ],
)
def test_what_the_service_would_refuse_is_refused_with_its_field(
    dataflows: World, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().run(create(dataflows, "df-1", **{**TUNNEL, **arguments}))
    assert dataflows.calls("CreateDataFlowTask") == []


def cancel(flow: str, task: str, **arguments: Any) -> Any:
    return lambda: dataflow_tasks.CpfsCancelTaskOperator(
        task_id="end",
        file_system_id=FS,
        dataflow_id=flow,
        task_id_to_cancel=task,
        poll_interval=0.05,
        **arguments,
    )


def test_a_tunnel_is_canceled_and_a_second_time_is_fine(dataflows: World) -> None:
    flow, task = dataflows.tunnel()
    assert TaskRun().run(cancel(flow, task)) == "Canceled"
    assert TaskRun().run(cancel(flow, task)) == "Canceled"
    assert TaskRun().run(cancel(flow, "task-nowhere")) == ""
    assert len(dataflows.calls("CancelDataFlowTask")) == 1


def test_a_tunnel_with_files_under_way_is_canceled_after_them_if_asked(dataflows: World) -> None:
    dataflows.outcome("", seconds=60)
    flow, task = dataflows.tunnel()
    for number in range(5):
        dataflows.client.create_subtask(
            FS, flow, task, f"/f{number}", f"/f{number}", client_token=f"t{number}"
        )
    with pytest.raises(AirflowFailException, match=r"goes on: .*; cancel its subtasks"):
        TaskRun().run(cancel(flow, task))
    assert TaskRun().run(cancel(flow, task, cancel_subtasks=True)) == "Canceled"
    assert {one["status"] for one in dataflows.control("subtasks", method="GET")} == {"CANCELED"}


def test_files_that_end_slowly_are_waited_for_without_a_worker(dataflows: World) -> None:
    dataflows.outcome("", seconds=60)
    dataflows.control("options", {"subtask_cancel_seconds": 5.0})
    flow, task = dataflows.tunnel()
    dataflows.client.create_subtask(FS, flow, task, "/f", "/f", client_token="t")
    run = TaskRun()
    assert run.run(cancel(flow, task, cancel_subtasks=True)) == "Canceled"
    assert len(run.deferred) == 1
    assert dataflows.subtasks() == {"f": 1}


def test_subtasks_are_canceled_those_that_have_ended_stay(dataflows: World) -> None:
    dataflows.outcome("slow", seconds=60)
    flow, task = dataflows.tunnel()
    ids = [
        dataflows.client.create_subtask(FS, flow, task, f"/{name}", f"/{name}", client_token=name)
        for name in ("slow1", "slow2", "slow3", "quick")
    ]

    def make(chosen: list[str] | None) -> Any:
        return lambda: dataflow_tasks.CpfsCancelSubtasksOperator(
            task_id="end", file_system_id=FS, dataflow_task_id=task, subtask_ids=chosen
        )

    assert TaskRun().run(make([ids[0], ids[3]])) == {"canceled": 1, "ended": 1}
    assert TaskRun().run(make(None)) == {"canceled": 2, "ended": 2}
    ended = {
        one["source"].rpartition("/")[2]: one["status"] for one in dataflows.control("subtasks", method="GET")
    }
    assert ended == {"slow1": "CANCELED", "slow2": "CANCELED", "slow3": "CANCELED", "quick": "COMPLETE"}
