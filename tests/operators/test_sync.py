from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_sync.engine.chain import watermark
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import CancelledError, ConfigError, DataLossError, ThrottledError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.operators.ots_stream import OTSStreamToOSSOperator
from airflow_provider_sync.operators.sync import SyncOperator
from airflow_provider_sync.registry import build_store
from airflow_provider_sync.spec.job import Endpoint, JobSpec
from airflow_provider_sync.spec.window import Window

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)


class Run:
    """Executes an operator as Airflow does, for the window number ``n`` after ``START``."""

    def __init__(self, folder: Path) -> None:
        self.store = Endpoint("file", {"path": str(folder)})
        self.dag = DAG("orders", schedule=None)
        self.pushed: dict[str, Any] = {}
        self.state: dict[str, Any] = {}

    def operator(self, **arguments: Any) -> SyncOperator:
        job = JobSpec("job", Endpoint("generator", {"sliceRecordCount": 10, "columns": 0}), Endpoint("null"))
        return SyncOperator(
            task_id="copy",
            dag=DAG("orders", schedule=None),
            **{"job": job, "checkpoint": self.store, "progress_interval": 0.0, **arguments},
        )

    def context(self, n: int, kind: str = "scheduled", conf: dict[str, Any] | None = None) -> Any:
        start = START + n * FIVE
        return {
            "dag": self.dag,
            "dag_run": SimpleNamespace(run_type=kind, run_after=start + 2 * FIVE, conf=conf or {}),
            "data_interval_start": start,
            "data_interval_end": start + FIVE,
            "params": {},
            "task_state_store": SimpleNamespace(set=self.state.__setitem__),
            "ti": SimpleNamespace(
                dag_id="orders",
                task_id="copy",
                map_index=-1,
                try_number=1,
                xcom_push=self.pushed.__setitem__,
            ),
        }

    def mark(self, job: str = "job") -> datetime | None:
        millis = watermark(build_store(self.store, None, Environment()), job)
        return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "progress")


def windows(report: dict[str, Any]) -> list[int]:
    """Return the numbers of the windows that a run committed."""
    first = int(START.timestamp() * 1000)
    return [(one["start"] - first) // 300_000 for one in report["windows"]]


def test_a_run_reports_its_window_and_moves_the_progress(run: Run) -> None:
    report = run.operator().execute(run.context(0))
    assert (report["read"], report["written"], windows(report)) == (10, 10, [0])
    assert report["window"]["from"] == "2026-11-20T10:00:00+00:00"
    assert json.loads(json.dumps(report)) == report
    assert run.mark() == START + FIVE


def test_a_later_run_completes_what_was_left_open_first(run: Run) -> None:
    run.operator().execute(run.context(0))
    assert windows(run.operator().execute(run.context(3))) == [1, 2, 3]
    assert run.mark() == START + 4 * FIVE


def test_the_first_window_is_completed_by_the_next_run_when_its_own_failed_for_good(run: Run) -> None:
    broken = JobSpec("job", Endpoint("generator", {"columns": -1}), Endpoint("null"))
    with pytest.raises(AirflowFailException):
        run.operator(job=broken).execute(run.context(0))
    assert windows(run.operator().execute(run.context(1))) == [0, 1]


def test_a_run_that_is_repeated_does_its_own_window_and_moves_nothing_back(run: Run) -> None:
    for n in range(3):
        run.operator().execute(run.context(n))
    assert windows(run.operator().execute(run.context(0))) == [0]
    assert run.mark() == START + 3 * FIVE


def test_a_backfill_does_exactly_its_window_and_moves_nothing(run: Run) -> None:
    run.operator().execute(run.context(0))
    assert windows(run.operator().execute(run.context(5, "backfill"))) == [5]
    assert run.mark() == START + FIVE


def test_a_window_named_by_hand_moves_nothing(run: Run) -> None:
    run.operator().execute(run.context(0))
    conf = {"start": "2026-11-20T10:20:00Z", "end": "2026-11-20T10:25:00Z"}
    assert windows(run.operator().execute(run.context(1, "manual", conf))) == [4]
    assert run.mark() == START + FIVE


def test_the_first_manual_run_leaves_it_to_the_schedule_where_the_job_begins(run: Run) -> None:
    run.operator().execute(run.context(7, "manual"))
    assert run.mark() is None
    run.operator().execute(run.context(0))
    assert windows(run.operator().execute(run.context(2, "manual"))) == [1, 2]
    assert run.mark() == START + 3 * FIVE


def test_strict_runs_do_their_own_window_and_no_gap_is_hidden(run: Run) -> None:
    run.operator(self_dependency="strict").execute(run.context(0))
    assert windows(run.operator(self_dependency="strict").execute(run.context(2))) == [2]
    assert run.mark() == START + FIVE


def test_independent_runs_keep_no_progress(run: Run) -> None:
    assert windows(run.operator(self_dependency="none").execute(run.context(4))) == [4]
    assert run.mark() is None


def test_a_job_without_windows_needs_no_store(run: Run) -> None:
    report = run.operator(windowed=False, checkpoint=None).execute(run.context(0))
    assert report["window"] is None
    assert report["windows"] == []
    assert report["written"] == 10


def test_a_job_with_windows_must_say_where_progress_is_kept(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="checkpoint: missing"):
        run.operator(checkpoint=None).execute(run.context(0))


def test_a_window_that_is_not_safe_defers_and_goes_on_afterwards(run: Run) -> None:
    operator = run.operator(safety_delay=timedelta(days=36500))
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(run.context(0))
    assert caught.value.method_name == "resume"
    assert caught.value.trigger.moment == START + FIVE + timedelta(days=36500)  # type: ignore[attr-defined]
    assert windows(run.operator().resume(run.context(0), {"any": "event"})) == [0]


def test_a_failure_leaves_its_cause_for_the_alert(run: Run) -> None:
    job = JobSpec("job", Endpoint("generator", {"sliceRecordCount": -1}), Endpoint("null"))
    with pytest.raises(AirflowFailException, match=r"ConfigError: reader\.parameter\.sliceRecordCount"):
        run.operator(job=job).execute(run.context(2))
    left = run.pushed["sync_failure"]
    assert (left["error"], left["window"]["from"]) == ("ConfigError", "2026-11-20T10:10:00+00:00")


def test_progress_is_shown_with_window_and_try(run: Run) -> None:
    run.operator().execute(run.context(0))
    shown = run.state["progress"]
    assert (shown["read"], shown["splits"], shown["splits_done"], shown["try_number"]) == (10, 1, 1, 1)
    assert shown["window"]["label"] == "20261120T100000Z_20261120T100500Z"
    assert json.loads(json.dumps(shown)) == shown


def test_a_transform_gets_and_gives_data_frames(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def keep_even(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["id"] % 2 == 0].assign(double=lambda f: f["id"] * 2)

    with caplog.at_level(logging.INFO):
        report = run.operator(transform=keep_even).execute(run.context(0))
    assert (report["read"], report["written"]) == (10, 5)


def test_parameters_are_worked_out_for_each_window(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(
        json.dumps(
            {
                "reader": {
                    "plugin": "otsstream",
                    "parameter": {
                        "dataTable": "orders",
                        "startTimestampMillis": "${start_time}",
                        "endTimestampMillis": "${end_time}",
                    },
                },
                "writer": {"plugin": "oss", "parameter": {"object": "orders/${date}/${end_time}"}},
            }
        )
    )
    operator = run.operator(
        job=path,
        timezone="Asia/Shanghai",
        parameters={
            "start_time": "$[yyyymmddhh24miss-10/24/60]",
            "end_time": "$[yyyymmddhh24miss-5/24/60]",
            "date": "${bdp.system.bizdate}",
        },
        window_width=FIVE,
    )
    context = run.context(0)
    context["data_interval_start"] = context["data_interval_end"] = (
        START + 2 * FIVE
    )  # a plain cron expression
    found = operator._resolve(context)
    assert found.window == Window.between(START, START + FIVE)
    assert operator._load(context, found, found.window).spec.writer.parameter == {
        "object": "orders/20261119/20261120180500"
    }
    earlier = Window.between(START - FIVE, START)
    assert operator._load(context, found, earlier).spec.writer.parameter == {
        "object": "orders/20261119/20261120180000"
    }


def test_a_job_file_with_a_mistake_is_refused_when_the_dag_is_parsed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"reader": {"plugin": "generator"},\n "writer": }')
    with pytest.raises(ConfigError, match="line 2"):
        run.operator(job=str(tmp_path / "job.json"))
    with pytest.raises(ConfigError, match="there is no file"):
        run.operator(job=str(tmp_path / "absent.json"))
    with pytest.raises(ConfigError, match=r"\.json or \.jsonc"):
        run.operator(job="job.yaml")
    with pytest.raises(ConfigError, match="self_dependency"):
        run.operator(self_dependency="maybe")


def test_names_are_rendered_for_the_window_they_name_and_not_for_the_run(run: Run) -> None:
    operator = OTSStreamToOSSOperator(
        task_id="copy",
        dag=DAG("orders", schedule=None),
        table="orders",
        columns=["id"],
        object_name="lake/{{ ds }}/{{ ti.task_id }}",
        writer_options={"metadata": {"hour": "{{ data_interval_start.hour }}"}},
    )
    assert not {"object_name", "writer_options"} & set(operator.template_fields)
    yesterday = Window.between(START - timedelta(hours=11), START - timedelta(hours=10))
    manual = {key: value for key, value in run.context(0).items() if not key.startswith("data_interval")}
    for context in (run.context(0), manual):
        writer = operator._load(context, None, yesterday).spec.writer.parameter
        assert (writer["object"], writer["metadata"]) == ("lake/2026-11-19/copy", {"hour": "23"})


def test_the_stream_operator_makes_the_job_that_datax_users_know(run: Run) -> None:
    operator = OTSStreamToOSSOperator(
        task_id="copy",
        dag=DAG("orders", schedule=None),
        table="orders",
        bucket="lake",
        object_name="tablestore/orders",
        columns=["id", {"name": "n", "type": "long"}],
        writer_options={"fieldDelimiter": "|"},
    )
    spec = operator._load(run.context(0), None, None).spec
    assert spec.to_json() == {
        "name": "orders.copy",
        "reader": {
            "plugin": "otsstream",
            "connection": "tablestore_default",
            "parameter": {
                "dataTable": "orders",
                "mode": "single_version_and_update_only",
                "statusTable": "TableStoreStreamReaderStatusTable",
                "isExportSequenceInfo": False,
                "column": [{"name": "id"}, {"name": "n", "type": "long"}],
            },
        },
        "writer": {
            "plugin": "oss",
            "connection": "oss_default",
            "parameter": {
                "bucket": "lake",
                "object": "tablestore/orders",
                "writeMode": "truncate",
                "fileFormat": "csv",
                "fieldDelimiter": "|",
            },
        },
        "limits": {
            "concurrent": 1,
            "bytes_per_second": None,
            "records_per_second": None,
            "error_records": 0,
            "error_ratio": None,
            "batch_records": 65536,
            "batch_bytes": 16777216,
        },
        "checkpoint": {
            "plugin": "tablestore",
            "connection": "tablestore_default",
            "parameter": {"table": "TableStoreStreamReaderStatusTable"},
        },
        "transform": [],
    }


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ConfigError("field"), AirflowFailException),
        (DataLossError("gone"), AirflowFailException),
        (ThrottledError("busy"), ThrottledError),
        (CancelledError("stopped"), CancelledError),
        (KeyError("a bug"), KeyError),
    ],
)
def test_only_what_no_retry_can_help_fails_at_once(error: Exception, raised: type[Exception]) -> None:
    with pytest.raises(raised) as caught, airflow_errors():
        raise error
    assert caught.value is error or caught.value.__cause__ is error


def test_a_kill_stops_the_job_and_commits_nothing(run: Run) -> None:
    operator = run.operator()

    def kill(frame: pd.DataFrame) -> pd.DataFrame:
        operator.on_kill()
        return frame

    operator.transform = kill
    with pytest.raises(CancelledError):
        operator.execute(run.context(0))
    assert run.mark() == START
