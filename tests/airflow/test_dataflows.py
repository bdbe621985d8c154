"""Files between OSS and CPFS, in a real scheduler with a real triggerer."""

from __future__ import annotations

import pytest

from tests.airflow.conftest import World
from tests.airflow.standalone import Dag, wait_for

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


def names(dag_id: str, count: int) -> dict[str, int]:
    return {f"{dag_id}-{number:03}": 1 for number in range(count)}


def start(world: World, name: str) -> tuple[Dag, str]:
    dag = world.airflow.dag(name)
    dag.pause(paused=False)
    return dag, dag.trigger()


def state(dag: Dag, run: str, task: str = "move") -> str:
    return str(dag.call("GET", f"/dagRuns/{run}/taskInstances/{task}")["state"])


def mark_failed(dag: Dag, run: str, task: str = "move") -> None:
    dag.call("PATCH", f"/dagRuns/{run}/taskInstances/{task}", {"new_state": "failed"})


def test_three_failed_files_of_a_hundred_are_named_and_a_clear_moves_only_them(world: World) -> None:
    again = {"hundred-007", "hundred-042", "hundred-099"}
    for name in again:
        outcome = {"path": f"^/{name}", "count": 1, "result": "FAILED", "message": "no space"}
        world.dataflows.control("outcomes", outcome)
    dag, run = start(world, "hundred")
    assert dag.finished(run) == "failed"
    told = dag.xcom(run, "move", "sync_failure")
    assert told["error"] == "FilesFailedError"
    assert told["message"].startswith("3 of 100 files were not moved: ")
    assert {
        name for name in names("hundred", 100) if f"/{name} (FAILED: no space)" in told["message"]
    } == again
    assert world.dataflows.moved("hundred").keys() == names("hundred", 100).keys() - again

    dag.clear(run)
    wait_for(lambda: dag.run(run)["state"] != "failed", 30, "the cleared run to start")
    assert dag.finished(run) == "success"
    report = dag.xcom(run, "move")
    assert (report["files"], report["moved"], report["failed"]) == (100, 100, 0)
    assert world.dataflows.moved("hundred") == names("hundred", 100)
    assert world.dataflows.subtasks("hundred") == {
        name: 2 if name in again else 1 for name in names("hundred", 100)
    }
    assert dag.xcom(run, "move", "progress")["files_done"] == 100


def test_marking_a_deferred_task_failed_cancels_its_files_and_a_clear_moves_them(world: World) -> None:
    world.dataflows.control("outcomes", {"path": "^/deferred-", "seconds": 600, "count": 5})
    dag, run = start(world, "deferred")
    wait_for(lambda: state(dag, run) == "deferred", 120, "the task to defer")
    # What a deferred task does is seen while it does it.
    listed = f"/dagRuns/{run}/taskInstances/move/xcomEntries"
    wait_for(lambda: dag.call("GET", listed)["xcom_entries"], 60, "progress of the deferred task")
    shown = dag.xcom(run, "move", "progress")
    assert (shown["total"], shown["active"], shown["files_done"]) == (5, 5, 0)
    mark_failed(dag, run)
    wait_for(lambda: world.dataflows.statuses("deferred") == {"CANCELED"}, 60, "the files to be canceled")
    dag.clear(run)
    wait_for(lambda: dag.run(run)["state"] != "failed", 30, "the cleared run to start")
    assert dag.finished(run) == "success"
    assert world.dataflows.moved("deferred") == names("deferred", 5)


def test_marking_a_working_task_failed_cancels_its_files(world: World) -> None:
    world.dataflows.control("outcomes", {"path": "^/working-", "seconds": 600, "count": 5})
    dag, run = start(world, "working")
    wait_for(lambda: world.dataflows.subtasks("working").total() == 5, 120, "the files to be submitted")
    mark_failed(dag, run)
    wait_for(lambda: world.dataflows.statuses("working") == {"CANCELED"}, 60, "the files to be canceled")


def test_a_sensor_watches_what_mapped_tasks_have_submitted(world: World) -> None:
    dag, run = start(world, "watched")
    assert dag.finished(run) == "success"
    report = dag.xcom(run, "watch")
    assert (report["files"], report["moved"]) == (3, 3)
    assert world.dataflows.subtasks("watched") == names("watched", 3)

    dag.clear(run)
    wait_for(lambda: dag.run(run)["state"] != "success", 30, "the cleared run to start")
    assert dag.finished(run) == "success"
    assert world.dataflows.subtasks("watched") == dict.fromkeys(names("watched", 3), 2)


def test_the_shipped_import_moves_what_is_new_in_its_window(world: World) -> None:
    dag = world.airflow.dag("cpfs_import")
    dag.pause(paused=False)
    dag.wait(lambda states: states == ["success"], "to import its window")
    report = dag.xcom(dag.runs()[0]["dag_run_id"], "files")
    assert report["window"]["start"] == int(world.first.timestamp() * 1000)
    assert (report["moved"], report["refused"]) == (2, 0)
    assert world.dataflows.moved("incoming") == {"a": 1, "day/b": 1}


def test_the_shipped_export_shows_its_batch_and_a_kill_cancels_it(world: World) -> None:
    world.dataflows.control("outcomes", {"path": "/run-42/", "of": "task", "seconds": 600, "count": 1})
    dag = world.airflow.dag("cpfs_export")
    dag.pause(paused=False)
    run = dag.trigger(conf={"folder": "/run-42/", "conflict_policy": "OVERWRITE_EXISTING"})
    wait_for(lambda: state(dag, run, "export") == "deferred", 120, "the batch to be waited for")
    assert world.dataflows.tasks("/run-42/") == [("Export", "OVERWRITE_EXISTING", "Executing")]
    listed = f"/dagRuns/{run}/taskInstances/export/xcomEntries"
    wait_for(
        lambda: "progress" in [one["key"] for one in dag.call("GET", listed)["xcom_entries"]],
        60,
        "progress of the batch",
    )
    mark_failed(dag, run, "export")
    wait_for(
        lambda: world.dataflows.tasks("/run-42/")[0][2] in {"Canceling", "Canceled"}, 60, "the batch to end"
    )
    world.dataflows.control("options", {"cancel_seconds": 0.0, "batch_seconds": 0.0})
    dag.clear(run)
    wait_for(lambda: dag.run(run)["state"] != "failed", 30, "the cleared run to start")
    assert dag.finished(run) == "success"
    assert sorted(status for *_, status in world.dataflows.tasks("/run-42/")) == ["Canceled", "Completed"]
    assert dag.xcom(run, "export")["status"] == "Completed"
