from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.factory import dags_from_folder

GOOD = '{"name": "own", "reader": {"plugin": "generator"}, "writer": {"plugin": "null"}}  // ours'
DATAX = """{"job": {"content": [{"reader": {"name": "streamreader", "parameter": {"sliceRecordCount": 5}},
                                  "writer": {"name": "streamwriter", "parameter": {"print": false}}}]}}"""


def dags(folder: Path, **more: Any) -> dict[str, DAG]:
    return dags_from_folder(
        folder, schedule="*/5 * * * *", start_date=datetime(2026, 11, 1, tzinfo=UTC), **more
    )


def test_every_job_file_becomes_a_dag_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(GOOD)
    (tmp_path / "two.jsonc").write_text(DATAX)
    (tmp_path / "notes.txt").write_text("no job")
    found = dags(tmp_path, tags=["mine"])
    assert sorted(found) == ["one", "two"]
    assert sorted(found["one"].tags) == ["mine", "sync"]
    (task,) = found["two"].tasks
    assert task.task_id == "sync"
    assert task.retries == 3


def test_a_file_with_a_mistake_keeps_its_dag_and_its_runs_say_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"name": "x",\n "reader": }')
    (tmp_path / "good.json").write_text(GOOD)
    found = dags(tmp_path)
    assert "broken" in found["bad"].tags
    assert "broken" not in found["good"].tags
    (task,) = found["bad"].tasks
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="bad", task_id="sync", map_index=-1, xcom_push=lambda key, value: pushed.update({key: value})
    )
    run = SimpleNamespace(run_type="manual", run_after=datetime(2026, 11, 20, tzinfo=UTC), conf={})
    with pytest.raises(AirflowFailException, match=r"line 2.*column 12"):
        task.execute({"ti": ti, "dag_run": run, "dag": found["bad"], "params": {}})
    assert pushed["sync_failure"]["error"] == "ConfigError"
    assert "line 2" in pushed["sync_failure"]["message"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(GOOD)
    (tmp_path / "one.jsonc").write_text(GOOD)
    with pytest.raises(ConfigError, match="makes the DAG 'one' too"):
        dags(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        dags(tmp_path / "absent")
