from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_nas20170626 import models
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.clients.nas import (
    Dataflow,
    DataflowStatus,
    DataflowTask,
    Progress,
    Subtask,
    SubtaskStatus,
    TaskStatus,
)

# The documentation's own answer.
DOCUMENTED: dict[str, Any] = {
    "FileSystemId": "bmcpfs-370jz26fkr2st9",
    "DataFlowId": "df-37bae1804cc6",
    "DataFlowTaskId": "task-37b705830bcb",
    "DataFlowSubTaskId": "subTaskId-370kyfmyknxcyzw",
    "SrcFilePath": "/bmcpfs/test/file.xml",
    "DstFilePath": "/oss/mnt/file.xml",
    "Status": "COMPLETE",
    "Progress": 10000,
    "CreateTime": "2024-10-23 16:28:16",
    "StartTime": "2024-10-23 16:28:17",
    "EndTime": "2024-10-23 16:29:22",
    "ErrorMsg": "",
    "ProgressStats": {"BytesTotal": 68, "BytesDone": 68, "ActualBytes": 68, "AverageSpeed": 34},
    "FileDetail": {"ModifyTime": 1725897600000000000, "Size": 68, "Checksum": "crc64:850309505450944"},
}


def subtask(**fields: Any) -> Subtask:
    kind = models.DescribeDataFlowSubTasksResponseBodyDataFlowSubTaskDataFlowSubTask
    return Subtask.of(kind().from_map({**DOCUMENTED, **fields}))


def test_the_documented_subtask_is_read() -> None:
    assert subtask() == Subtask(
        file_system_id="bmcpfs-370jz26fkr2st9",
        dataflow_id="df-37bae1804cc6",
        task_id="task-37b705830bcb",
        subtask_id="subTaskId-370kyfmyknxcyzw",
        source="/bmcpfs/test/file.xml",
        target="/oss/mnt/file.xml",
        status=SubtaskStatus.COMPLETE,
        status_text="COMPLETE",
        progress_value=10000,
        progress=Progress(bytes_total=68, bytes_done=68, bytes_actual=68, bytes_per_second=34),
        create_time="2024-10-23 16:28:16",
        start_time="2024-10-23 16:28:17",
        end_time="2024-10-23 16:29:22",
        size=68,
        modify_time_ns=1725897600000000000,
        checksum="crc64:850309505450944",
    )


@pytest.mark.parametrize(
    ("status", "progress", "outcome"),
    [
        ("CREATED", 0, "active"),
        ("RUNNING", 10000, "active"),
        ("COMPLETE", 9999, "active"),
        ("COMPLETE", 10000, "succeeded"),
        ("CANCELING", 0, "active"),
        ("CANCELED", 0, "failed"),
        ("FAILED", 10000, "failed"),
        ("EXPIRED", 0, "failed"),
        ("SOMETHING_NEW", 10000, "active"),
        (None, None, "active"),
    ],
)
def test_a_subtask_is_exactly_one_of_three_things(status: str, progress: int, outcome: str) -> None:
    found = subtask(Status=status, Progress=progress)
    assert [name for name in ("active", "succeeded", "failed") if getattr(found, name)] == [outcome]


@given(st.text())
def test_no_status_is_a_fault(text: str) -> None:
    found = subtask(Status=text)
    assert found.status_text == text
    assert found.status is (
        SubtaskStatus(text) if text in {one.value for one in SubtaskStatus} else SubtaskStatus.UNKNOWN
    )
    assert DataflowStatus("?" + text) is DataflowStatus.UNKNOWN
    assert TaskStatus("?" + text) is TaskStatus.UNKNOWN


def test_a_skipped_file_moved_nothing() -> None:
    assert subtask(ProgressStats={"BytesTotal": 68, "BytesDone": 68, "ActualBytes": 0}).skipped
    assert not subtask().skipped
    assert not subtask(Status="FAILED", ProgressStats={"BytesDone": 68, "ActualBytes": 0}).skipped


def test_an_answer_with_nothing_in_it_is_read() -> None:
    empty = models.DescribeDataFlowSubTasksResponseBodyDataFlowSubTaskDataFlowSubTask().from_map({})
    found = Subtask.of(empty)
    assert (found.status, found.size, found.checksum, found.progress) == (
        SubtaskStatus.UNKNOWN,
        None,
        "",
        Progress(),
    )
    task = DataflowTask.of(models.DescribeDataFlowTasksResponseBodyTaskInfoTask().from_map({}))
    assert (task.status, task.active, task.reports) == (TaskStatus.UNKNOWN, True, ())
    flow = Dataflow.of(models.DescribeDataFlowsResponseBodyDataFlowInfoDataFlow().from_map({}))
    assert (flow.status, flow.file_system_path) == (DataflowStatus.UNKNOWN, "")
