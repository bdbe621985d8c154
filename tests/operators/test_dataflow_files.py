from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_sync.errors import CancelledError, ConfigError
from airflow_provider_sync.hooks._subtasks import FilesFailedError, FilesLateError
from airflow_provider_sync.operators.dataflow_files import CpfsMoveFilesOperator
from tests.dataflow_world import FS, START, TaskRun, WorkerDied, World


def maker(dataflows: World, action: str = "StreamImport", **arguments: Any) -> Any:
    return maker_of(dataflows.tunnel(action), **arguments)


def maker_of(tunnel: tuple[str, str], **arguments: Any) -> Any:
    flow, task = tunnel

    def make() -> CpfsMoveFilesOperator:
        return CpfsMoveFilesOperator(
            task_id="move",
            file_system_id=FS,
            dataflow_id=flow,
            dataflow_task_id=task,
            **{"poll_interval": 0.05, "calls_per_second": 1000.0, **arguments},
        )

    return make


def names(count: int) -> list[str]:
    return [f"/f{number:04}.bin" for number in range(count)]


def once(count: int) -> dict[str, int]:
    return {name[1:]: 1 for name in names(count)}


def test_every_file_is_moved_by_one_subtask_and_counted(dataflows: World) -> None:
    run = TaskRun()
    report = run.run(maker(dataflows, files=names(120)))
    assert (report["files"], report["moved"], report["skipped"], report["failed"]) == (120, 120, 0, 0)
    assert report["bytes_moved"] == 120 * 68  # the service's imagined files have 68 bytes
    assert dataflows.moved() == once(120)
    assert dataflows.subtasks() == once(120)


def test_a_task_that_waits_defers_and_goes_on_in_the_same_try(dataflows: World) -> None:
    dataflows.outcome("", seconds=0.4)
    run = TaskRun()
    report = run.run(maker(dataflows, files=names(3)))
    assert report["moved"] == 3
    assert len(run.deferred) == 1
    assert dataflows.subtasks() == once(3)
    assert run.pushed["progress"]["files_done"] == 3


def test_without_deferring_it_waits_on_the_worker(dataflows: World) -> None:
    dataflows.outcome("", seconds=0.3)
    run = TaskRun()
    assert run.run(maker(dataflows, files=names(3), deferrable=False))["moved"] == 3
    assert run.deferred == []


def test_a_lost_reply_makes_no_second_subtask(dataflows: World) -> None:
    dataflows.fault("CreateDataFlowSubTask", "lost_reply", count=5)
    TaskRun().run(maker(dataflows, files=names(20)))
    assert len(dataflows.calls("CreateDataFlowSubTask")) == 25
    assert dataflows.subtasks() == once(20)


@pytest.mark.parametrize("write", range(1, 9))
def test_a_worker_that_dies_at_any_write_leaves_nothing_to_do_twice(dataflows: World, write: int) -> None:
    make = maker(dataflows, files=names(120))
    run = TaskRun()
    run.store.dies_at = write
    died = False
    try:
        run.run(make)
    except WorkerDied:
        died = True
        run.run(make)
    assert died is (write <= 5)  # the nonce, three notes of ids, the end
    assert dataflows.subtasks() == once(120)


def test_a_worker_that_dies_after_the_end_finds_everything_done(dataflows: World) -> None:
    make = maker(dataflows, files=names(5))
    run = TaskRun()
    run.run(make)  # Airflow never heard of its success: a retry, not a clear
    assert run.run(make)["moved"] == 5
    assert dataflows.subtasks() == once(5)


def test_clearing_a_success_moves_everything_again(dataflows: World) -> None:
    make = maker(dataflows, files=names(5))
    run = TaskRun()
    run.run(make)
    run.clear()
    run.run(make)
    assert dataflows.subtasks() == dict.fromkeys(once(5), 2)


def test_three_failed_files_of_a_hundred_are_named_and_a_retry_moves_only_them(dataflows: World) -> None:
    for number in (7, 42, 99):
        dataflows.outcome(f"f{number:04}", count=1, result="FAILED", message=f"no space for {number}")
    make = maker(dataflows, files=names(100))
    run = TaskRun()
    with pytest.raises(FilesFailedError) as caught:
        run.run(make)
    text = str(caught.value)
    assert text.startswith("3 of 100 files were not moved: ")
    for number in (7, 42, 99):
        assert f"/f{number:04}.bin (FAILED: no space for {number})" in text
    shown = run.pushed["progress"]["failed_files"]  # what the view has of a task that failed
    assert {(one["source"], one["message"]) for one in shown} == {
        (f"/f{number:04}.bin", f"no space for {number}") for number in (7, 42, 99)
    }
    report = run.run(make)
    assert (report["files"], report["moved"], report["failed"]) == (100, 100, 0)
    assert dataflows.moved() == once(100)
    again = {"f0007.bin", "f0042.bin", "f0099.bin"}
    assert dataflows.subtasks() == {name: 2 if name in again else 1 for name in once(100)}


def test_a_clear_after_a_failure_moves_only_what_failed(dataflows: World) -> None:
    dataflows.outcome("f0001", count=1, result="EXPIRED")
    make = maker(dataflows, files=names(4))
    run = TaskRun(retries=0)
    with pytest.raises(FilesFailedError, match="EXPIRED"):
        run.run(make)
    run.clear()
    assert run.run(make)["moved"] == 4
    assert dataflows.subtasks() == {**once(4), "f0001.bin": 2}


def test_files_that_were_canceled_while_it_waited_are_moved_by_the_next_try(dataflows: World) -> None:
    dataflows.control("options", {"subtask_cancel_seconds": 0.3})
    dataflows.outcome("", seconds=30, count=4)
    make = maker(dataflows, files=names(4))
    run = TaskRun(retries=0)
    operator = make()
    run.try_number = 1
    plan = operator._plan(None)
    operator._submit(plan.moves, operator._ledger(run.context()))
    operator.on_kill()
    run.clear()
    assert run.run(make)["moved"] == 4
    assert dataflows.subtasks() == dict.fromkeys(once(4), 2)


def test_a_kill_while_files_are_submitted_leaves_none_under_way(dataflows: World) -> None:
    dataflows.outcome("", seconds=30)
    dataflows.fault("CreateDataFlowSubTask", "delay", seconds=0.3, count=-1)
    operator = maker(dataflows, files=names(30))()
    ledger = operator._ledger(TaskRun().context())
    with ThreadPoolExecutor(1) as worker:
        submitting = worker.submit(operator._submit, operator._plan(None).moves, ledger)
        while len(dataflows.subtasks()) < 3:
            time.sleep(0.02)
        operator.on_kill()
        with pytest.raises(CancelledError):
            submitting.result()
    found = dataflows.control("subtasks", method="GET")
    assert 3 <= len(found) < 30
    assert {one["status"] for one in found} == {"CANCELED"}
    assert {one["id"] for one in found} == {one.subject for one in ledger.entries if one.subject}


def test_who_may_not_submit_is_told_once_and_not_for_every_file(dataflows: World) -> None:
    dataflows.fault("CreateDataFlowSubTask", "error", status=403, code="Forbidden.RAM", count=-1)
    with pytest.raises(AirflowFailException, match=r"Forbidden\.RAM"):
        TaskRun().run(maker(dataflows, files=names(200)))
    assert len(dataflows.calls("CreateDataFlowSubTask")) < 50


def test_a_list_that_was_corrected_after_a_failure_is_what_counts(dataflows: World) -> None:
    dataflows.outcome("wrong", result="FAILED", message="no such object")
    tunnel, run = dataflows.tunnel(), TaskRun(retries=0)
    with pytest.raises(FilesFailedError, match=r"1 of 2 files were not moved: .*wrong"):
        run.run(maker_of(tunnel, files=["/a", "/wrong"]))
    run.clear()
    report = run.run(maker_of(tunnel, files=["/a", "/right"]))
    assert (report["files"], report["moved"], report["failed"]) == (2, 2, 0)
    assert dataflows.subtasks() == {"a": 1, "wrong": 1, "right": 1}


def test_an_object_that_was_deleted_after_a_failure_is_not_wanted_any_more(dataflows: World) -> None:
    for name in ("keep", "gone"):
        dataflows.bucket.put_object(f"bmcpfs/test/{name}", b"x")
    dataflows.outcome("gone", result="FAILED", message="no such object")
    make, run = maker(dataflows, pattern="*"), TaskRun()
    with pytest.raises(FilesFailedError, match="gone"):
        run.run(make)
    dataflows.bucket.delete_object("bmcpfs/test/gone")
    assert run.run(make)["moved"] == 1
    assert dataflows.subtasks() == {"keep": 1, "gone": 1}


def test_failed_files_can_be_listed_instead(dataflows: World) -> None:
    dataflows.outcome("f0001", result="FAILED", message="gone")
    run, tunnel = TaskRun(), dataflows.tunnel()
    report = run.run(maker_of(tunnel, files=names(3), on_failed="list"))
    assert (report["moved"], report["failed"]) == (2, 1)
    (failed,) = report["failed_files"]
    assert (failed["source"], failed["target"], failed["status"], failed["message"]) == (
        "/f0001.bin",
        "/mnt/f0001.bin",
        "FAILED",
        "gone",
    )
    dataflows.control("outcomes", method="DELETE")
    again = run.pushed["failed_files"]
    assert TaskRun().run(maker_of(tunnel, files=again))["moved"] == 1


def test_complete_is_not_enough_before_progress_is_whole(dataflows: World) -> None:
    dataflows.outcome("", lag=0.5)
    run = TaskRun()
    assert run.run(maker(dataflows, files=names(2)))["moved"] == 2
    assert len(run.deferred) == 1


def test_a_status_of_a_newer_api_is_waited_for(dataflows: World, caplog: pytest.LogCaptureFixture) -> None:
    dataflows.outcome("", status="REHYDRATING", seconds=0.4)
    run = TaskRun()
    assert run.run(maker(dataflows, files=names(2)))["moved"] == 2
    assert "REHYDRATING" in caplog.text


def test_a_subtask_that_is_not_shown_at_first_is_waited_for(dataflows: World) -> None:
    dataflows.outcome("", hidden=0.4)
    assert TaskRun().run(maker(dataflows, files=names(2)))["moved"] == 2
    assert dataflows.subtasks() == once(2)


def test_a_subtask_that_is_never_shown_fails_by_its_name(dataflows: World) -> None:
    dataflows.outcome("f0001", hidden=1e9)
    with pytest.raises(FilesFailedError, match=r"1 of 2 .*/f0001.bin \(MISSING: "):
        TaskRun().run(maker(dataflows, files=names(2), patience=0.2))


def test_a_timeout_leaves_the_files_to_the_next_try(dataflows: World) -> None:
    dataflows.outcome("", seconds=1.0)
    make = maker(dataflows, files=names(3), timeout=timedelta(seconds=0.3))
    run = TaskRun()
    with pytest.raises(FilesLateError, match="3 under way"):
        run.run(make)
    time.sleep(0.8)
    assert run.run(make)["moved"] == 3
    assert dataflows.subtasks() == once(3)


def test_ids_are_returned_for_a_sensor_and_a_retry_returns_the_same(dataflows: World) -> None:
    make = maker(dataflows, files=names(3), wait=False)
    run = TaskRun()
    ids = run.run(make)["subtask_ids"]
    assert len(set(ids)) == 3
    assert run.run(make)["subtask_ids"] == ids
    run.clear()
    assert not set(run.run(make)["subtask_ids"]) & set(ids)


def test_objects_that_match_a_pattern_are_moved(dataflows: World) -> None:
    for key in ("bmcpfs/test/a.csv", "bmcpfs/test/day/b.csv", "bmcpfs/test/c.txt", "bmcpfs/else/d.csv"):
        dataflows.bucket.put_object(key, b"x")
    report = TaskRun().run(maker(dataflows, pattern="**/*.csv"))
    assert report["moved"] == 2
    assert dataflows.moved() == {"a.csv": 1, "b.csv": 1}
    targets = {one["target"] for one in dataflows.control("moves", method="GET")}
    assert {target.partition("/mnt/")[2] for target in targets} == {"a.csv", "day/b.csv"}


def test_only_what_changed_in_the_window_is_moved(dataflows: World) -> None:
    for offset, name in ((-1, "before"), (0, "first"), (299, "last"), (300, "after")):
        dataflows.put_at(START.timestamp() + offset, f"bmcpfs/test/{name}.bin")
    report = TaskRun().run(maker(dataflows, pattern="*.bin", changed_only=True))
    assert dataflows.moved() == {"first.bin": 1, "last.bin": 1}
    assert report["window"]["start"] == int(START.timestamp() * 1000)


def test_files_of_a_mounted_folder_are_exported(dataflows: World, tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "a.bin").write_bytes(b"1")
    (tmp_path / "day" / "b.bin").write_bytes(b"2")
    (tmp_path / "c.txt").write_bytes(b"3")
    make = maker(dataflows, "StreamExport", pattern="**/*.bin", mounted_at=str(tmp_path), direction="export")
    assert TaskRun().run(make)["moved"] == 2
    assert dataflows.moved() == {"a.bin": 1, "b.bin": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["/ok", "relative.txt"], r"files\[1\].source: got 'relative.txt'; allowed: a path"),
        (["/folder/"], r"files\[0\].source"),
        (["/" + "x" * 1023], r"files\[0\].source"),
        (["/a/../b"], r"files\[0\].source"),
        ([{"source": "/a", "goal": "/b"}], r"files\[0\].goal: got '/b'; allowed: source, target"),
        ([{"source": "/a", "target": "b"}], r"files\[0\].target"),
        ([{"source": "/a", "size": -1}], r"files\[0\].size"),
        (
            [{"source": "/a", "target": "/x"}, {"source": "/b", "target": "/x"}],
            r"files\[1\].target: /a is to be",
        ),
        ([7], r"files\[0\]: got 7"),
        ("[1,", "files: not JSON"),
    ],
)
def test_wrong_files_are_refused_before_anything_is_asked(dataflows: World, files: Any, message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().run(maker(dataflows, files=files, target_directory="/"))
    assert dataflows.calls("CreateDataFlowSubTask") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": "*"}, "a task of action StreamExport, but pattern asks for an import"),
        ({"files": ["/a"], "direction": "import"}, "allowed: a StreamImport task"),
    ],
)
def test_a_task_of_the_other_direction_is_refused(
    dataflows: World, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=f"dataflow_task_id: .*{message}"):
        TaskRun().run(maker(dataflows, "StreamExport", **arguments))


def test_a_dataflow_that_does_not_run_is_refused(dataflows: World) -> None:
    make = maker(dataflows, files=names(2))
    operator = make()
    dataflows.client.cancel_task(FS, operator.dataflow_id, operator.dataflow_task_id)
    with pytest.raises(
        AirflowFailException, match=r"dataflow_task_id: .*InvalidStatus.* allowed: an Executing"
    ):
        TaskRun().run(make)


def test_an_unknown_file_system_is_refused(dataflows: World) -> None:
    make = maker(dataflows, files=names(2))

    def wrong() -> CpfsMoveFilesOperator:
        operator = make()
        operator.file_system_id = "bmcpfs-nowhere"
        return operator

    with pytest.raises(AirflowFailException, match="InvalidFileSystem"):
        TaskRun().run(wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"files": [], "pattern": "*"},
        {"files": [], "changed_only": True},
        {"files": [], "direction": "sideways"},
        {"files": [], "on_failed": "ignore"},
        {"files": [], "poll_interval": 0},
        {"files": [], "calls_per_second": 0},
    ],
)
def test_contradictions_are_refused_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        CpfsMoveFilesOperator(
            task_id="move", file_system_id=FS, dataflow_id="d", dataflow_task_id="t", **arguments
        )
