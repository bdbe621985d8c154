from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.sensors.dataflow import CpfsSubtaskSensor
from tests.dataflow_world import FS, TaskRun, World


def maker(dataflows: World, count: int, **arguments: Any) -> Any:
    flow, task = dataflows.tunnel()
    ids = [
        dataflows.client.create_subtask(FS, flow, task, f"/f{n}", f"/f{n}", client_token=f"t{n}")
        for n in range(count)
    ]
    return lambda: CpfsSubtaskSensor(
        task_id="wait",
        file_system_id=FS,
        subtask_ids=ids,
        dataflow_task_ids=task,
        **{"poke_interval": 0.05, **arguments},
    )


@pytest.mark.parametrize("deferrable", [True, False])
def test_it_succeeds_when_every_file_has_arrived(dataflows: World, deferrable: bool) -> None:
    dataflows.outcome("f1", seconds=0.4)
    run = TaskRun()
    report = run.run(maker(dataflows, 3, deferrable=deferrable))
    assert (report["files"], report["moved"], report["bytes_moved"]) == (3, 3, 3 * 68)
    assert len(run.deferred) == deferrable


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("status", ["FAILED", "CANCELED", "EXPIRED"])
def test_a_file_that_ends_otherwise_fails_it_with_the_services_words(
    dataflows: World, status: str, deferrable: bool
) -> None:
    dataflows.outcome("f1", result=status, message="the file has changed", seconds=0.2)
    with pytest.raises(AirflowFailException, match=rf"1 of 3 files .*f1 \({status}: the file has changed\)"):
        TaskRun().run(maker(dataflows, 3, deferrable=deferrable))


@pytest.mark.parametrize("deferrable", [True, False])
def test_complete_with_a_part_of_the_progress_is_not_the_end(dataflows: World, deferrable: bool) -> None:
    dataflows.outcome("", lag=0.4)
    assert TaskRun().run(maker(dataflows, 2, deferrable=deferrable))["moved"] == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_unknown_status_is_waited_for(dataflows: World, deferrable: bool) -> None:
    dataflows.outcome("", status="THAWING", seconds=0.3)
    assert TaskRun().run(maker(dataflows, 2, deferrable=deferrable))["moved"] == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_it_gives_up_when_time_is_up(dataflows: World, deferrable: bool) -> None:
    dataflows.outcome("", seconds=60)
    with pytest.raises(AirflowSensorTimeout):
        TaskRun().run(maker(dataflows, 2, deferrable=deferrable, timeout=0.3))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_subtask_that_is_never_shown_fails_it(dataflows: World, deferrable: bool) -> None:
    dataflows.outcome("", hidden=1e9)
    with pytest.raises(AirflowFailException, match="MISSING"):
        TaskRun().run(maker(dataflows, 1, deferrable=deferrable, patience=0.2))


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_mapped_tasks_have_submitted_is_one_set(dataflows: World, deferrable: bool) -> None:
    dataflows.outcome("f1", seconds=0.4)
    make = maker(dataflows, 3, deferrable=deferrable)
    one, two, three = make().subtask_ids

    def mapped() -> CpfsSubtaskSensor:
        sensor: CpfsSubtaskSensor = make()
        sensor.subtask_ids = [[one, two], [three]]
        return sensor

    run = TaskRun()
    assert run.run(mapped)["moved"] == 3
    assert run.pushed["progress"]["files_done"] == 3


def test_failed_files_can_be_listed_for_another_try(dataflows: World) -> None:
    dataflows.outcome("f1", result="FAILED", message="no space")
    report = TaskRun().run(maker(dataflows, 3, on_failed="list"))
    assert (report["moved"], report["failed"]) == (2, 1)
    assert report["failed_files"][0]["message"] == "no space"


def test_a_soft_failure_skips(dataflows: World) -> None:
    dataflows.outcome("", result="FAILED")
    with pytest.raises(AirflowSkipException):
        TaskRun().run(maker(dataflows, 1, deferrable=False, soft_fail=True))


def test_between_two_looks_a_rescheduled_sensor_holds_no_worker(dataflows: World) -> None:
    dataflows.outcome("", seconds=60)
    sensor = maker(dataflows, 1, deferrable=False, mode="reschedule")()
    context = TaskRun().context()
    context["ti"].get_first_reschedule_date = [None].append  # answers None, the first time
    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context)


def test_it_looks_before_it_defers(dataflows: World) -> None:
    run = TaskRun()
    run.run(maker(dataflows, 2))
    assert run.deferred == []


@pytest.mark.parametrize(("cancel_on_kill", "status"), [(True, "CANCELED"), (False, "RUNNING")])
def test_a_kill_of_the_worker_cancels_if_asked_to(
    dataflows: World, cancel_on_kill: bool, status: str
) -> None:
    dataflows.outcome("", seconds=60)
    sensor = maker(dataflows, 3, cancel_on_kill=cancel_on_kill)()
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(TaskRun().context())
    assert deferred.value.trigger.cancel_on_kill is cancel_on_kill
    sensor.on_kill()
    assert {one["status"] for one in dataflows.control("subtasks", method="GET")} == {status}


def test_how_failures_are_treated_is_one_of_two_ways(dataflows: World) -> None:
    with pytest.raises(ConfigError, match="on_failed: got 'shrug'"):
        maker(dataflows, 1, on_failed="shrug")()
