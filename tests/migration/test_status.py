from __future__ import annotations

import json

from airflow_provider_sync.migration.status import JobStat, slices, stat


def test_tasks_are_dealt_out_to_a_bounded_number_of_workers():
    assert slices(range(7), 3) == [[0, 3, 6], [1, 4], [2, 5]]
    assert slices([4, 9], 1000) == [[4], [9]]
    assert slices([], 10) == []


def test_the_text_is_that_of_ossimports_stat():
    stat = JobStat(
        job="local_test",
        state="Running",
        scan_finished=True,
        tasks=3,
        pending=0,
        dispatched=1,
        succeeded=1,
        failed=1,
        objects=30,
        copied=15,
        skipped=3,
        failed_objects=2,
        rejected=0,
        different=0,
        bytes=99,
        reasons={"ACCESS_DENIED": 2},
        running={"0123456789ABCDEF0123456789ABCDEF_1760000000000": (1048576, 4194304, 3, 12)},
    )
    assert stat.as_text().splitlines() == [
        "-------------- job stats ---------------",
        "---------------- job stat ------------------",
        "JobName:local_test",
        "JobState:Running",
        "PendingTasks:0",
        "DispatchedTasks:1",
        "RunningTasks:1",
        "SucceedTasks:1",
        "FailedTasks:1",
        "ScanFinished:true",
        "RunningTasks Progress:",
        "0123456789ABCDEF0123456789ABCDEF_1760000000000:1048576/4194304 3/12",
        "Objects:30 copied 15, skipped 3, failed 2, rejected 0, different 0",
        "----------------------------------------",
    ]


def test_a_running_task_shows_how_far_it_is(folder):
    folder.write_job(
        {
            "planned": True,
            "planned_ms": 1,
            "summary": {"tasks": 2, "objects": 9, "rejected": 0, "different": 0},
        }
    )
    first, second = folder.task_name(0), folder.task_name(1)
    folder.mark_pending(first)
    folder.mark_pending(second)
    assert stat(folder).state == "Pending"
    folder.mark_dispatched(first, "here", {})
    assert stat(folder).running == {first: (0, 0, 0, 0)}
    shown = {"bytes": 1, "bytes_total": 2, "objects": 3, "objects_total": 4}
    folder.files.write(f"{folder.worker}{first}/STAT", json.dumps(shown).encode())
    found = stat(folder)
    assert (found.state, found.running) == ("Running", {first: (1, 2, 3, 4)})
    assert (found.pending, found.dispatched, found.scan_finished) == (1, 1, True)
