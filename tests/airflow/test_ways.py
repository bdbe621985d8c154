"""Other ways to the same rows: job files, mapped tasks; and a run that comes late."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.airflow.conftest import World
from tests.airflow.lake import FIVE, label
from tests.airflow.standalone import wait_for

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


def test_a_dataworks_job_file_runs_as_it_is(world: World) -> None:
    dag = world.airflow.dag("dataworks")
    dag.pause(paused=False)
    dag.wait(lambda states: states == ["success"] * 2, "to do its two windows")
    shanghai = (world.first + 2 * FIVE).astimezone(ZoneInfo("Asia/Shanghai"))
    prefix = f"dataworks/{shanghai - timedelta(days=1):%Y%m%d}"
    assert set(world.lake.manifests(prefix)) == {label(world.first), label(world.first + FIVE)}
    assert world.lake.csv_rows(prefix) == world.lake.written("jobs", world.first, world.first + 2 * FIVE)


def test_an_open_source_datax_job_file_runs_as_it_is(world: World) -> None:
    dag = world.airflow.dag("datax")
    dag.pause(paused=False)
    dag.wait(lambda states: states == ["success"] * 2, "to do its two windows")
    for start in (world.first, world.first + FIVE):
        prefix = f"datax/{start.astimezone(ZoneInfo('Asia/Shanghai')):%Y%m%d%H%M%S}"
        assert set(world.lake.manifests(prefix)) == {label(start)}
        assert world.lake.csv_rows(prefix) == world.lake.written("jobs", start, start + FIVE)


def test_a_window_that_mapped_tasks_copy_is_committed_whole(world: World) -> None:
    dag = world.airflow.dag("spread")
    dag.pause(paused=False)
    dag.wait(lambda states: states == ["success"], "to do its window")
    assert set(world.lake.manifests("spread")) == {label(world.first)}
    assert world.lake.csv_rows("spread") == world.lake.written("spread", world.first, world.first + FIVE)
    report = dag.xcom(dag.runs()[0]["dag_run_id"], "spread.commit")
    assert report["written"] == 15
    assert len(report["windows"]) == 1
    run_id = dag.runs()[0]["dag_run_id"]
    (part,) = dag.call("GET", f"/dagRuns/{run_id}/taskInstances/spread.copy/listMapped")["task_instances"]
    assert part["rendered_map_index"] == "part 1 of 1 · 1 shard"


def test_a_run_that_is_late_is_told_once_and_so_is_its_success(world: World) -> None:
    world.lake.break_oss(f"late/.*{label(world.first)}", status=503, code="ServiceUnavailable")
    dag = world.airflow.dag("late")
    dag.pause(paused=False)
    wait_for(lambda: world.hook.events("late"), 120, "the news that it is late")
    world.lake.cure_oss()
    dag.wait(lambda states: states == ["success"], "to be done")
    wait_for(lambda: world.hook.events("late")[1:], 60, "the news that it is done")
    assert world.hook.events("late") == ["late", "recovered"]
    late = world.hook.told[[one["dag_id"] for one in world.hook.told].index("late")]
    assert late["window"] == f"[{world.first.isoformat()}, {(world.first + FIVE).isoformat()})"
