from __future__ import annotations

import time

import pytest

from airflow_provider_sync.hooks._subtasks import FailedFile, FilesFailedError, SubtaskProbe, cancel_subtasks
from tests.dataflow_world import FS, World


def submit(dataflows: World, count: int) -> tuple[str, dict[str, str]]:
    """Submit files and return the task and their ids by name."""
    flow, task = dataflows.tunnel()
    client = dataflows.client
    return task, {
        f"f{n:04}": client.create_subtask(FS, flow, task, f"/f{n:04}", f"/f{n:04}", client_token=f"t{n}")
        for n in range(count)
    }


def test_counts_bytes_and_failures_add_up(dataflows: World) -> None:
    dataflows.outcome("f0000", result="FAILED", message="no space")
    dataflows.outcome("f0001", seconds=60, size=1000)
    dataflows.outcome("", size=500)
    task, ids = submit(dataflows, 5)
    survey = SubtaskProbe(dataflows.client, FS, ids.values(), task_ids=[task]).look()
    assert (survey.total, survey.moved, survey.active, len(survey.failed)) == (5, 3, 1, 1)
    assert survey.failed[0].message == "no space"
    assert survey.bytes_moved >= 1500
    assert survey.bytes_total == 2500
    assert not survey.finished
    assert str(survey).startswith("3 of 5 files, 1 failed, 1 under way | ")


def test_two_thousand_subtasks_cost_twenty_calls_and_then_only_what_is_open(dataflows: World) -> None:
    dataflows.outcome("f0005", seconds=60)
    dataflows.control("options", {"subtask_calls_per_second": None})
    task, ids = submit(dataflows, 2000)
    probe = SubtaskProbe(dataflows.client, FS, ids.values(), task_ids=[task])
    survey = probe.look()
    assert (survey.moved, survey.active) == (1999, 1)
    assert len(dataflows.calls("DescribeDataFlowSubTasks")) == 20
    probe.look()
    assert len(dataflows.calls("DescribeDataFlowSubTasks")) == 21


def test_an_id_that_is_a_part_of_another_is_not_mistaken_for_it(dataflows: World) -> None:
    dataflows.control("ids", ["0001", "1", "0", "11", "1x"])
    dataflows.outcome("f0000", result="FAILED")
    dataflows.outcome("f0003", result="FAILED")
    _, ids = submit(dataflows, 3)
    names = {subtask: name for name, subtask in ids.items()}
    wanted = ids["f0001"]
    survey = SubtaskProbe(dataflows.client, FS, [wanted]).look()
    assert (survey.total, survey.moved, survey.failed) == (1, 1, []), names


def test_patience_with_a_missing_subtask_ends(dataflows: World) -> None:
    now = [0.0]
    probe = SubtaskProbe(dataflows.client, FS, ["subTaskId-nowhere"], patience=10, clock=lambda: now[0])
    assert probe.look().missing == 1
    now[0] = 9.9
    assert not probe.look().finished
    now[0] = 10.0
    survey = probe.look()
    assert survey.finished
    assert survey.never_shown == ["subTaskId-nowhere"]


def test_the_rate_tells_how_long_it_will_take(dataflows: World) -> None:
    now = [100.0]
    dataflows.outcome("f0000", seconds=0.5)
    dataflows.outcome("f000[1-4]", seconds=60)
    task, ids = submit(dataflows, 6)
    probe = SubtaskProbe(dataflows.client, FS, ids.values(), task_ids=[task], clock=lambda: now[0])
    assert probe.look().eta is None
    time.sleep(0.6)
    now[0] = 110.0
    survey = probe.look()
    assert survey.done == 2
    assert survey.eta == pytest.approx(40.0)  # one file in ten seconds, four are left


def test_cancelling_leaves_alone_what_has_ended(dataflows: World) -> None:
    dataflows.outcome("f000[0-3]", seconds=60)
    task, ids = submit(dataflows, 6)
    probe = SubtaskProbe(dataflows.client, FS, ids.values(), task_ids=[task])
    assert probe.cancel(seconds=10) == {"canceled": 4, "ended": 2}
    assert probe.cancel(seconds=10) == {"ended": 6}


def test_cancelling_stops_when_time_is_up(dataflows: World) -> None:
    dataflows.outcome("", seconds=60)
    _, ids = submit(dataflows, 3)
    found = dataflows.client.subtasks(FS, ids.values())
    assert cancel_subtasks(dataflows.client, found.values(), seconds=-1) == {"left": 3}


def test_many_failures_are_counted_and_the_first_twenty_named() -> None:
    failed = [FailedFile(f"/f{n}", f"/t{n}", f"s{n}", "FAILED", "") for n in range(25)]
    text = str(FilesFailedError(100, failed))
    assert text.startswith("25 of 100 files were not moved: /f0 (FAILED); /f1 (FAILED)")
    assert "/f19 (FAILED)" in text
    assert "/f20" not in text
    assert text.endswith("; and 5 more")
