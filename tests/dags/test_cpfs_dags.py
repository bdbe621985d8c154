from __future__ import annotations

from datetime import timedelta
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

FOLDER = Path(__file__).parents[2] / "dags"
POLICIES = ["SKIP_THE_FILE", "KEEP_LATEST", "OVERWRITE_EXISTING"]


def load(name: str) -> ModuleType:
    spec = util.spec_from_file_location(f"dag_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cpfs_import", "cpfs_export"])
def test_the_conflict_policy_is_chosen_when_a_run_is_triggered(name: str) -> None:
    dag: Any = load(name).dag
    param = dag.params.get_param("conflict_policy")
    assert param.schema["enum"] == POLICIES
    assert param.value in POLICIES
    with pytest.raises(Exception, match="ASK"):
        param.resolve("ASK")


def test_new_objects_are_imported_every_five_minutes_in_order_of_need() -> None:
    dag: Any = load("cpfs_import").dag
    assert isinstance(dag.timetable, SafetyLagTimetable)
    assert dag.timetable.lag == timedelta(minutes=5)
    assert dag.catchup is True
    assert dag.get_task("files").upstream_task_ids == {"dataflow", "tunnel"}
    assert dag.get_task("tunnel").upstream_task_ids == {"dataflow"}
    assert dag.get_task("files").changed_only is True


@pytest.mark.parametrize(("folder", "good"), [("/a/b/", True), ("/", True), ("a/", False), ("/a", False)])
def test_a_folder_to_export_begins_and_ends_with_a_slash(folder: str, good: bool) -> None:
    param = load("cpfs_export").dag.params.get_param("folder")
    if good:
        assert param.resolve(folder) == folder
    else:
        with pytest.raises(Exception, match=r"folder|pattern|match"):
            param.resolve(folder)
