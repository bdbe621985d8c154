from __future__ import annotations

import csv
import io
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_sync.errors import CancelledError, ConfigError, TransientError
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.operators.migration import MigrationCopyOperator
from airflow_provider_sync.operators.migration_group import (
    object_migration,
    ossimport_migration,
    ossimport_schedule,
)
from airflow_provider_sync.operators.migration_report import MigrationCleanOperator
from airflow_provider_sync.sensors.migration import MigrationSensor
from tests.migration.conftest import bucket_name, oss, oss_server, s3, s3_server
from tests.operators.migration_world import MigrationWorld

__all__ = ["bucket_name", "oss", "oss_server", "s3", "s3_server"]

OBJECTS = {f"d/{n:03d}": b"x" * n for n in range(35)}


@pytest.fixture
def moving(
    s3: Any, oss: Any, bucket_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MigrationWorld:
    return MigrationWorld(s3, oss, bucket_name, tmp_path, monkeypatch)


def test_a_run_moves_everything_in_slices_and_reports(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    run = moving.group(slices=3, verify="checksum").run()
    assert run.plan() == [0, 1, 2]
    results = [run.copy(index) for index in range(3)]
    assert [one["tasks"] for one in results] == [2, 1, 1]
    assert sum(one["copied"] for one in results) == 35
    assert run.plan("all.compare") == []  # both services' checksums told everything
    report = run.report()
    assert moving.oss.contents() == OBJECTS
    assert (report["job"], report["copy"]["state"], report["copy"]["copied"]) == ("move-all", "Succeed", 35)
    assert report["verify"] == {"verified": 35}
    assert json.loads(json.dumps(report)) == report
    assert len(json.dumps(run.told)) < 6000  # references, however many objects


def test_a_refused_object_fails_alone_and_alone_is_tried_again(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    moving.oss.control("deny", {"key_regex": "d/01[37]$", "operation": "PutObject"})
    run = moving.group(slices=2).run()
    assert run.plan() == [0, 1]
    failed = []
    for index in range(2):
        try:
            run.copy(index)
        except AirflowFailException as error:
            failed.append(str(error))
    assert len(failed) == 1
    assert "2 ACCESS_DENIED" in failed[0]
    shown = run.told["all.copy"]["progress"]  # the view shows it; a failed task returns nothing
    assert (shown["reasons"], shown["objects"] - shown["copied"]) == ({"ACCESS_DENIED": 2}, 2)
    with pytest.raises(AirflowFailException, match="2 objects failed"):
        run.report()
    told = run.told["all.report"]["progress"]
    assert (told["copy"]["copied"], told["copy"]["failed_objects"]) == (33, 2)
    assert [one["key"] for one in told["failures"]] == ["d/013", "d/017"]
    lines = (moving.state / "master/jobs/move-all/errors.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert [(row["key"], row["code"]) for row in rows] == [
        ("d/013", "ACCESS_DENIED"),
        ("d/017", "ACCESS_DENIED"),
    ]
    moving.oss.control("deny", method="DELETE")
    before = moving.oss.requests("PutObject")
    for index in range(2):
        run.copy(index)
    assert moving.oss.requests("PutObject") - before == 2
    assert run.report()["copy"]["state"] == "Succeed"
    assert moving.oss.contents() == OBJECTS


def test_failures_that_no_retry_helps_fail_the_task_at_once(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, {"gone": b"1", "there": b"2"})
    run = moving.group().run()
    run.plan()
    moving.s3.sdk.delete_object(Bucket=moving.bucket, Key="gone")
    with pytest.raises(AirflowFailException, match="1 SOURCE_DELETED"):
        run.copy(0)
    assert moving.oss.contents() == {"there": b"2"}


def test_the_next_run_goes_on_with_what_is_unfinished_and_starts_a_finished_job_anew(
    moving: MigrationWorld,
) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    group = moving.group(slices=4)
    first = group.run()
    first.plan()
    first.copy(0)
    second = group.run()
    assert second.plan() == [0, 1, 2]  # what the first run has done is done
    for index in range(3):
        second.copy(index)
    assert second.report()["copy"]["copied"] == 35
    moving.s3.bucket(moving.bucket, {"d/new": b"new"})
    third = group.run()
    assert third.all()["copy"]["copied"] == 1
    assert third.planned()["planned_ms"] > second.planned()["planned_ms"]
    # clearing a task of a run that was overtaken says so
    with pytest.raises(AirflowFailException, match="planned anew"):
        second.copy(0)


def test_a_run_may_forget_everything_first(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    group = moving.group(slices=4)
    group.run().plan()
    options = {**group.said["options"], "exclude": ["d/00*"]}
    group.said["options"] = options
    with pytest.raises(AirflowFailException, match="another spec"):
        group.run().plan()
    run = group.run(anew=True)
    assert run.all()["copy"]["copied"] == 25
    run.plan()  # a retry of the same run goes on
    assert run.planned()["tasks"] == 0


def test_a_dry_run_writes_nothing_and_says_what_would_be_done(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    run = moving.group(verify="size").run(dry_run="true")
    report = run.all()
    assert report["plan"]["objects"] == 35
    assert moving.oss.contents() == {}
    assert not moving.state.exists()


def test_each_incremental_run_takes_what_changed_since_the_last_success(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, {"a": b"1", "b": b"1"})
    group = moving.group(incremental=True, keep=2, options={"since_margin": 0.0, "scan_threads": 1})
    assert group.run().all()["copy"]["copied"] == 2
    time.sleep(1.1)  # the server's clock has seconds
    moving.s3.bucket(moving.bucket, {"b": b"2", "c": b"1"})
    moving.oss.control("deny", {"key_regex": "^c$", "operation": "PutObject"})
    with pytest.raises(AirflowFailException):
        group.run().all()
    assert moving.oss.contents() == {"a": b"1", "b": b"2"}
    moving.oss.control("deny", method="DELETE")
    report = group.run().all()  # still due: the series did not move
    assert (report["plan"]["counts"]["filtered"], report["copy"]["copied"]) == (1, 1)
    assert moving.oss.contents() == {"a": b"1", "b": b"2", "c": b"1"}
    group.run().all()
    kept = sorted(path.name for path in (moving.state / "master/jobs").iterdir())
    assert kept == ["move-all-20261120T101500", "move-all-20261120T102000"]
    series = json.loads((moving.state / "master/series/move-all").read_text())
    assert series["jobs"] == kept


def test_a_comparison_finds_what_is_not_the_same(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    run = moving.group(verify="checksum").run()
    for index in run.plan():
        run.copy(index)
    moving.oss.sdk.put_object("d/009", b"another!!")
    moving.oss.sdk.delete_object("d/020")
    for index in run.plan("all.compare"):
        with pytest.raises(TransientError, match="1 CHECKSUM_NOT_MATCH"):
            run.copy(index, "all.compare", "all.verify")
    with pytest.raises(AirflowFailException, match="1 objects failed, 1 objects are not the same"):
        run.report()
    lines = (moving.state / "master/jobs/move-all-audit/errors.csv").read_text()
    assert {row["key"]: row["code"] for row in csv.DictReader(io.StringIO(lines))} == {
        "d/009": "CHECKSUM_NOT_MATCH",
        "d/020": "MISSING",
    }


def test_limits_of_the_job_are_shared_by_the_slices_that_run_side_by_side() -> None:
    def limit(slices: int, sharers: int | None) -> tuple[int | None, int | None]:
        operator = MigrationCopyOperator(
            task_id="copy",
            planned=None,
            index=0,
            sharers=sharers,
            bytes_per_second=1000,
            objects_per_second=9,
        )
        spec = operator._limited(MigrationSpec("some-job"), slices)
        return spec.bytes_per_second, spec.objects_per_second

    assert limit(8, 4) == (250, 2)
    assert limit(2, 4) == (500, 4)
    assert limit(8, None) == (125, 1)
    assert limit(64, None) == (15, 1)


def test_an_ossimport_file_runs_as_it_is(moving: MigrationWorld, tmp_path: Path) -> None:
    moving.s3.bucket(moving.bucket, {f"in/{key}": body for key, body in OBJECTS.items()})
    config, system = tmp_path / "local_job.cfg", tmp_path / "sys.properties"
    config.write_text(
        f"srcType=s3\nsrcBucket={moving.bucket}\nsrcPrefix=in/\nsrcAccessKey=test-key\nsrcSecretKey=test-secret\n"
        f"srcDomain={moving.s3.url}\ndestBucket=lake\ndestPrefix=out/\ntaskObjectCountLimit=20\n"
        "isSkipExistFile=true\nisIncremental=true\nincrementalModeInterval=900\n"
    )
    system.write_text(f"workingDir={moving.state}\nworkerTaskThreadNum=4\n")
    group = moving.group()
    group.said = {
        "config": str(config),
        "system_config": str(system),
        "verify": "",
        "target_conn_id": "oss_default",
    }
    report = group.run().all()
    assert (report["job"], report["copy"]["copied"], report["copy"]["tasks"]) == ("local_test", 35, 2)
    assert moving.oss.contents() == {f"out/{key}": body for key, body in OBJECTS.items()}
    assert ossimport_schedule(config) == timedelta(seconds=900)
    with DAG("move", schedule=None) as dag:
        ossimport_migration(config, system)
    plan: Any = dag.get_task("ossimport.plan")
    assert plan.incremental is True
    assert "test-secret" not in json.dumps(DagSerialization.to_dict(dag))


def test_paths_of_ossimport_files_must_not_depend_on_who_reads_them() -> None:
    with pytest.raises(ConfigError, match="absolute"):
        ossimport_schedule("local_job.cfg")


def test_a_sensor_tells_how_a_job_stands(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    sensor = MigrationSensor(task_id="wait", job="move-all", state=str(moving.state))
    assert not sensor.poke({})
    run = moving.group(slices=2).run()
    run.plan()
    assert not sensor.poke({})
    run.copy(0)
    assert not sensor.poke({})
    run.copy(1)
    found = sensor.poke({})
    assert found
    assert found.xcom_value["copied"] == 35


def test_a_sensor_fails_with_the_job(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    moving.oss.control("deny", {"key_regex": "d/", "operation": "PutObject"})
    run = moving.group(slices=1).run()
    run.plan()
    with pytest.raises(AirflowFailException):
        run.copy(0)
    sensor = MigrationSensor(task_id="wait", job="move-all", state=str(moving.state))
    with pytest.raises(AirflowFailException, match="35 objects"):
        sensor.poke({})


def test_a_killed_copy_stops_within_a_moment_and_keeps_what_is_done(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    run = moving.group(slices=1, options={"objects_per_second": 10, "threads": 2, "scan_threads": 1}).run()
    run.plan()
    operator = MigrationCopyOperator(
        task_id="copy",
        dag=DAG("move", schedule=None),
        job="move-all",
        planned=run.planned(),
        index=0,
        **{name: moving.group().said[name] for name in ("source", "target", "state")},
    )
    threading.Timer(1.5, operator.on_kill).start()
    with pytest.raises(CancelledError):
        operator.execute({})
    done = moving.oss.requests("PutObject")
    assert 0 < done < 35
    run.group.said["options"] = {}
    run.copy(0)
    assert moving.oss.contents() == OBJECTS
    assert moving.oss.requests("PutObject") <= 35 + 2


def test_cleaning_forgets_the_job_and_keeps_the_objects(moving: MigrationWorld) -> None:
    moving.s3.bucket(moving.bucket, OBJECTS)
    group = moving.group()
    group.run().all()
    operator = MigrationCleanOperator(
        task_id="clean",
        dag=DAG("move", schedule=None),
        job="move-all",
        source={},
        target={},
        state=str(moving.state),
    )
    operator.execute({})
    assert [path for path in moving.state.rglob("*") if path.is_file()] == []
    assert moving.oss.contents() == OBJECTS


def build(**arguments: Any) -> DAG:
    ends = {
        "source": {"type": "local", "path": "/a"},
        "target": {"type": "local", "path": "/b"},
        "state": "/c",
    }
    with DAG("move", schedule=None, start_date=datetime(2026, 11, 1, tzinfo=UTC)) as dag:
        object_migration("all", **{**ends, **arguments})
    return dag


def test_plan_comes_before_copies_before_comparison_before_report() -> None:
    dag = build(pool="moves", side_by_side=3)
    downstream = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert downstream == {
        "all.plan": {"all.copy", "all.compare"},
        "all.copy": {"all.compare", "all.report"},
        "all.compare": {"all.verify"},
        "all.verify": {"all.report"},
        "all.report": set(),
    }
    assert {task.pool for task in dag.tasks if task.task_id in {"all.copy", "all.verify"}} == {"moves"}
    assert dag.get_task("all.copy").max_active_tis_per_dagrun == 3
    assert dag.get_task("all.report").trigger_rule == "all_done"


def test_it_survives_airflows_serialization() -> None:
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(build()))))
    assert again.get_task("all.copy").is_mapped


@pytest.mark.parametrize("task", ["all.copy", "all.verify"])
def test_people_read_which_slice_a_mapped_task_is_and_how_much_it_has_to_do(task: str) -> None:
    dag = build()
    template = dag.get_template_env().from_string(dag.get_task(task).map_index_template or "")
    planned = {"tasks": 9, "slices": 4, "job": "move-all"}

    def label(index: Any, planned: Any) -> str:
        return template.render(task=MigrationCopyOperator(task_id="copy", planned=planned, index=index))

    labels = [label(index, planned) for index in range(4)]
    assert labels == [
        "slice 1 of 4 · 3 tasks",
        "slice 2 of 4 · 2 tasks",
        "slice 3 of 4 · 2 tasks",
        "slice 4 of 4 · 2 tasks",
    ]
    assert label(0, {**planned, "tasks": 1, "slices": 1}) == "slice 1 of 1 · 1 task"
    many = [label(index, {**planned, "tasks": 5000, "slices": 128}) for index in range(128)]
    assert many == sorted(many)  # Airflow lists them by these texts
    assert (label(7, None), label(None, planned)) == ("slice 8", "slice")  # what is known, and never an error


def test_ones_own_label_wins() -> None:
    assert build(map_index_template="mine").get_task("all.copy").map_index_template == "mine"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"slices": 0}, "slices"),
        ({"slices": 513}, "slices"),
        ({"verify": "md5"}, "verify"),
        ({"keep": 0}, "keep"),
        ({"options": {"job": "x"}}, "options.job"),
        ({"options": {"threads": 0}}, "migration.threads"),
        ({"options": {"thread": 1}}, "options.thread"),
    ],
)
def test_what_cannot_work_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": None}, "source: missing"),
        ({"state": ""}, "state: missing"),
        ({"source": {"type": "s3", "bucket": "b"}, "source_conn_id": "nobody"}, "no connection with this id"),
        ({"source": {"type": "s3", "bucket": "b"}, "source_conn_id": "oss_default"}, "conn_type"),
        ({"source": {"type": "ftp"}}, "source.type"),
        ({"config": "nowhere.cfg"}, "there is no file"),
    ],
)
def test_what_cannot_work_fails_at_once_and_says_why(
    moving: MigrationWorld, arguments: dict[str, Any], words: str
) -> None:
    group = moving.group(**arguments)
    with pytest.raises(AirflowFailException, match=words):
        group.run().plan()
