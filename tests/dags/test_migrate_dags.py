from __future__ import annotations

import json
from datetime import timedelta
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

FOLDER = Path(__file__).parents[2] / "dags"
NAMES = ["migrate_once", "migrate_incremental", "migrate_cutover", "migrate_ossimport"]


def load(name: str) -> DAG:
    spec = util.spec_from_file_location(f"dag_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = module.dag
    return dag


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_of_one_migration_are_never_side_by_side(name: str) -> None:
    assert load(name).max_active_runs == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_dags_survive_airflows_serialization(name: str) -> None:
    dag = load(name)
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert again.task_ids == dag.task_ids


def test_the_cut_over_asks_a_person_between_the_copies() -> None:
    dag = load("migrate_cutover")
    question: Any = dag.get_task("switched")
    assert question.upstream_task_ids == {"warm_up.report"}
    assert question.downstream_task_ids == {"catch_up.plan"}
    assert question.retries == 0
    assert dag.get_task("warm_up.plan").upstream_task_ids == {"full.report"}
    options = {group: dag.get_task(f"{group}.plan").options for group in ("full", "warm_up", "catch_up")}
    assert "import_since" not in options["full"]
    assert "full.plan" in options["warm_up"]["import_since"]
    assert options["catch_up"]["import_since"] == options["warm_up"]["import_since"]
    assert options["catch_up"]["overwrite"] == "older"
    assert "warm_up.report" in options["catch_up"]["target_since"]


def test_the_incremental_dag_looks_again_every_fifteen_minutes() -> None:
    dag = load("migrate_incremental")
    assert dag.schedule == timedelta(minutes=15)
    plan: Any = dag.get_task("photos.plan")
    assert plan.incremental is True
    assert plan.options["overwrite"] == "changed"


def test_the_ossimport_dag_is_what_its_files_say() -> None:
    dag = load("migrate_ossimport")
    assert dag.schedule is None
    plan: Any = dag.get_task("ossimport.plan")
    assert plan._request().options["threads"] == 60
    assert plan._request().job == "local_test"
    assert "ossimport.verify" in dag.task_ids
