"""Whatever happens to runs: every window is committed, its rows are there once, nobody has to operate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.airflow.conftest import WINDOWS, World
from tests.airflow.lake import FIVE, label
from tests.airflow.standalone import Dag, wait_for

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


def all_done(states: list[str]) -> bool:
    assert "failed" not in states
    return len(states) >= WINDOWS and set(states) == {"success"}


def check_complete(world: World, name: str) -> None:
    """Compare the side doors: windows without a gap, and the rows of the table's log once each."""
    manifests = world.lake.manifests(name)
    starts = sorted(datetime.fromtimestamp(one["window"]["start"] / 1000, UTC) for one in manifests.values())
    assert starts[0] == world.first
    assert starts == [world.first + n * FIVE for n in range(len(starts))]
    assert len(starts) >= WINDOWS
    assert set(manifests) == {label(start) for start in starts}
    expected = world.lake.written(name, world.first, starts[-1] + FIVE)
    assert sum(one["rows"] for one in manifests.values()) == expected.total()
    assert world.lake.csv_rows(name) == expected
    assert world.lake.uploads(name) == []


def etags(world: World, name: str) -> dict[str, str]:
    objects = world.lake.bucket.list_objects_v2(prefix=f"{name}/", max_keys=1000).object_list
    return {one.key: one.etag for one in objects}


def start(world: World, name: str) -> Dag:
    dag = world.airflow.dag(name)
    dag.pause(paused=False)
    return dag


def test_windows_missed_by_a_scheduler_that_was_down_are_made_up_in_order(world: World) -> None:
    dag = start(world, "steady")
    dag.wait(all_done, "to make up what was missed")
    check_complete(world, "steady")
    runs = dag.runs()[:WINDOWS]
    # What the grid shows is what was read.
    for number, run in enumerate(runs):
        assert datetime.fromisoformat(run["data_interval_start"]) == world.first + number * FIVE
        report = dag.xcom(run["dag_run_id"], "move")
        assert report["windows"] == [
            {
                "start": int((world.first + number * FIVE).timestamp() * 1000),
                "end": int((world.first + (number + 1) * FIVE).timestamp() * 1000),
            }
        ]
        assert report["written"] == 15
    ended = [datetime.fromisoformat(run["end_date"]) for run in runs]
    assert ended == sorted(ended)
    assert world.hook.events("steady") == []


def test_a_window_that_fails_for_good_stops_the_next_ones_and_the_first_run_after_the_cure_repairs_all(
    world: World,
) -> None:
    broken = world.first + FIVE
    world.lake.break_oss(f"healed/.*{label(broken)}")
    dag = start(world, "healed")
    over = {"success", "failed"}
    dag.wait(lambda states: len(states) >= WINDOWS and set(states) <= over, "to fail from the second on")
    assert dag.states()[:WINDOWS] == ["success"] + ["failed"] * (WINDOWS - 1)
    assert set(world.lake.manifests("healed")) == {label(world.first)}
    wait_for(lambda: world.hook.events("healed"), 60, "the alert")

    world.lake.cure_oss()
    run = dag.trigger()
    assert dag.finished(run) == "success"
    check_complete(world, "healed")
    # The run by hand, or one that the schedule had in the queue: whichever came first repaired everything.
    later = [one["dag_run_id"] for one in dag.runs() if one["state"] == "success"][1:]
    repairs = [done for done in (dag.xcom(one, "move")["windows"] for one in later) if len(done) > 1]
    (healed,) = repairs
    assert healed[0]["start"] == int(broken.timestamp() * 1000)
    assert len(healed) >= WINDOWS - 1

    wait_for(lambda: world.hook.events("healed")[1:], 60, "the news of the recovery")
    assert world.hook.events("healed") == ["failed", "recovered"]
    failed, recovered = (one for one in world.hook.told if one["dag_id"] == "healed")
    assert "AccessDenied" in failed["cause"]
    assert failed["window"] == recovered["window"] == f"[{broken.isoformat()}, {(broken + FIVE).isoformat()})"
    assert "denied by the test" in failed["text"]


def test_strict_self_dependency_pauses_at_the_failure_and_goes_on_in_order_after_clear_and_unpause(
    world: World,
) -> None:
    world.lake.break_oss(f"strict/.*{label(world.first + FIVE)}")
    dag = start(world, "strict")
    wait_for(lambda: dag.is_paused, 240, "the DAG to pause itself")
    assert dag.states() == ["success", "failed"]

    world.lake.cure_oss()
    dag.clear(dag.runs()[1]["dag_run_id"])
    dag.pause(paused=False)
    dag.wait(all_done, "to go on")
    check_complete(world, "strict")
    runs = dag.runs()[:WINDOWS]
    ended = [datetime.fromisoformat(run["end_date"]) for run in runs]
    assert ended == sorted(ended)


def test_a_failed_window_that_is_cleared_is_committed_and_nothing_else_changes(world: World) -> None:
    dag = start(world, "cleared")
    world.lake.break_oss(f"cleared/.*{label(world.first + (WINDOWS - 1) * FIVE)}")
    dag.wait(lambda states: "failed" in states, "to fail at the last window")
    before = etags(world, "cleared")
    world.lake.cure_oss()
    failed = next(run["dag_run_id"] for run in dag.runs() if run["state"] == "failed")
    dag.clear(failed)
    assert dag.finished(failed) == "success"
    dag.wait(all_done, "to be done")
    check_complete(world, "cleared")
    after = etags(world, "cleared")
    assert {key: after[key] for key in before} == before


def test_clearing_a_run_that_succeeded_does_its_work_again_to_the_same_bytes(world: World) -> None:
    dag = world.airflow.dag("cleared")
    before = etags(world, "cleared")
    second = dag.runs()[1]["dag_run_id"]
    world.lake.control(world.lake.oss, "DELETE", "faults")
    lost = next(key for key in before if label(world.first + FIVE) in key and key.endswith(".csv"))
    world.lake.bucket.delete_object(lost)
    dag.clear(second)
    wait_for(
        lambda: dag.run(second)["state"] != "success" or etags(world, "cleared") == before, 30, "a start"
    )
    assert dag.finished(second) == "success"
    assert {key: etags(world, "cleared").get(key) for key in before} == before
    check_complete(world, "cleared")


def test_a_run_that_somebody_marks_failed_is_made_up_by_the_next_one(world: World) -> None:
    slow = world.first + FIVE
    # Not at its first request: an upload that begins after its process was killed is found by the next run of its
    # window only.
    world.lake.break_oss(
        f"marked/.*{label(slow)}", action="delay", seconds=12, count=1, operation="UploadPart"
    )
    dag = start(world, "marked")
    dag.wait(lambda states: states[1:2] == ["running"], "to reach the second window")
    wait_for(lambda: label(slow - FIVE) in world.lake.manifests("marked"), 10, "the first window")
    second = dag.runs()[1]["dag_run_id"]
    dag.mark(second, "failed")
    dag.wait(lambda states: len(states) >= WINDOWS and set(states) == {"success", "failed"}, "to go on")
    assert dag.states().count("failed") == 1
    check_complete(world, "marked")
    third = dag.runs()[2]["dag_run_id"]
    assert [one["start"] for one in dag.xcom(third, "move")["windows"]] == [
        int((slow + n * FIVE).timestamp() * 1000) for n in range(2)
    ]


def test_a_backfill_beside_scheduled_runs_writes_the_same_bytes_and_moves_nothing(world: World) -> None:
    dag = start(world, "refilled")
    dag.wait(lambda states: states.count("success") >= 2, "to commit the first two windows")
    before = etags(world, "refilled")
    number = backfill(world, dag, "completed")
    finish_backfill(world, number)
    dag.wait(all_done, "to be done beside it")
    check_complete(world, "refilled")
    assert {key: etags(world, "refilled")[key] for key in before} == before
    kinds = [run["run_type"] for run in dag.runs()[:WINDOWS]]
    assert kinds == ["backfill"] * 2 + ["scheduled"] * (WINDOWS - 2)


def test_a_backfill_that_fails_is_repeated_and_fills_what_failed(world: World) -> None:
    dag = world.airflow.dag("refilled")
    before = etags(world, "refilled")
    world.lake.break_oss(f"refilled/.*{label(world.first + FIVE)}")
    finish_backfill(world, backfill(world, dag, "completed"))
    assert dag.states()[:2] == ["success", "failed"]
    world.lake.cure_oss()
    finish_backfill(world, backfill(world, dag, "failed"))
    dag.wait(all_done, "to be done")
    check_complete(world, "refilled")
    assert {key: etags(world, "refilled")[key] for key in before} == before


def backfill(world: World, dag: Dag, reprocess: str) -> int:
    """Ask for the first two windows again, both at once; a backfill's range is of starts of windows."""
    start, last = world.first.isoformat(), (world.first + FIVE).isoformat()
    return dag.backfill(start, last, reprocess_behavior=reprocess, max_active_runs=2)


def finish_backfill(world: World, number: int) -> None:
    path = f"/api/v2/backfills/{number}"
    wait_for(lambda: world.airflow.call("GET", path)["completed_at"], 240, f"backfill {number}")


def test_a_manual_run_without_logical_date_does_the_last_window_that_is_due(world: World) -> None:
    dag = world.airflow.dag("steady")
    run = dag.trigger()
    assert dag.finished(run) == "success"
    (done,) = dag.xcom(run, "move")["windows"]
    end = datetime.fromtimestamp(done["end"] / 1000, UTC)
    run_after = datetime.fromisoformat(dag.run(run)["run_after"])
    assert timedelta(minutes=5) <= run_after - end < timedelta(minutes=10)
    check_complete(world, "steady")


def test_a_window_named_by_hand_is_exported_and_leaves_the_schedule_alone(world: World) -> None:
    dag = world.airflow.dag("steady")
    start, end = world.first + timedelta(minutes=1), world.first + timedelta(minutes=3)
    run = dag.trigger(conf={"start": start.isoformat(), "end": end.isoformat()})
    assert dag.finished(run) == "success"
    report = dag.xcom(run, "move")
    assert report["written"] == world.lake.written("steady", start, end).total() == 6
    name = f"{start:%Y%m%dT%H%M%SZ}_{end:%Y%m%dT%H%M%SZ}"
    assert name in world.lake.manifests("steady")


def test_a_window_that_is_not_safe_yet_waits_without_a_worker(world: World) -> None:
    dag = world.airflow.dag("steady")
    end = datetime.now(UTC) - FIVE + timedelta(seconds=40)
    start = end - timedelta(minutes=2)
    run = dag.trigger(conf={"start": start.isoformat(), "end": end.isoformat()})
    path = f"/dagRuns/{run}/taskInstances/move"
    wait_for(lambda: dag.call("GET", path)["state"] == "deferred", 60, "the task to defer")
    assert dag.finished(run) == "success"
    ended = datetime.fromisoformat(dag.call("GET", path)["end_date"])
    assert ended >= end + FIVE
