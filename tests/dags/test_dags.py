from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_sync.notifications import SyncAlert
from airflow_provider_sync.operators.ots_stream import OTSStreamToOSSOperator
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

FOLDER = Path(__file__).parents[2] / "dags"
FILES = sorted(path.stem for path in FOLDER.glob("*.py"))

PARSE = """
import json, sys
from airflow.sdk import DAG, BaseHook, BaseNotifier, BaseOperator
import airflow.serialization.encoders, airflow.timetables.trigger, airflow.triggers.base
before = set(sys.modules)
import runpy
runpy.run_path(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""
HEAVY = {"pyarrow", "pandas", "numpy", "oss2", "boto3", "tablestore", "fastcrc", "urllib3", "google.protobuf"}


def load(name: str) -> ModuleType:
    spec = util.spec_from_file_location(f"dag_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FILES)
def test_parsing_a_dag_loads_nothing_heavy(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(FOLDER / f"{name}.py")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", ["ots_stream_to_oss", "ots_stream_to_oss_strict"])
def test_the_five_minute_dags_read_ten_to_five_minutes_ago_in_order(name: str) -> None:
    with_dag = load(name)
    dag = with_dag.dag
    assert dag.catchup is True
    assert dag.max_active_runs == 1
    assert isinstance(dag.timetable, SafetyLagTimetable)
    assert dag.timetable.lag == timedelta(minutes=5)
    (task,) = dag.tasks
    assert isinstance(task, OTSStreamToOSSOperator)
    assert (task.retries, task.retry_delay) == (3, timedelta(minutes=2))
    assert isinstance(dag.on_failure_callback, SyncAlert)
    assert isinstance(dag.on_success_callback, SyncAlert)


def test_the_strict_dag_pauses_instead_of_blocking() -> None:
    dag = load("ots_stream_to_oss_strict").dag
    assert dag.max_consecutive_failed_dag_runs == 1
    assert dag.dagrun_timeout is None
    (task,) = dag.tasks
    assert task.depends_on_past is True
    assert task.self_dependency == "strict"


def test_every_job_file_is_a_dag() -> None:
    module = load("job_folder")
    jobs = {path.stem for path in (FOLDER / "jobs").glob("*.json*")}
    found = {one.dag_id: one for one in vars(module).values() if isinstance(one, DAG)}
    assert set(found) == jobs
    assert all("broken" not in dag.tags for dag in found.values())


@pytest.mark.parametrize("name", ["ots_stream_to_oss", "ots_stream_to_oss_strict"])
def test_dags_survive_airflows_serialization(name: str) -> None:
    dag = load(name).dag
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert again.dag_id == dag.dag_id
    assert again.timetable.serialize() == dag.timetable.serialize()
    assert again.deadline
