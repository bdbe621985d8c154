"""What is refused, with which code; the exceptions are the vendor's."""

from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_nas20170626 import models
from alibabacloud_tea_openapi.exceptions import (
    ClientException,
    ServerException,
    ThrottlingException,
)
from darabonba.exceptions import UnretryableException

FS = "bmcpfs-localcloud"


def code_of(function: Any, *arguments: Any, **fields: Any) -> tuple[int, str]:
    with pytest.raises(ClientException) as caught:
        function(*arguments, **fields)
    return caught.value.status_code, caught.value.code


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"file_system_id": None}, (400, "MissingFileSystemId")),
        ({"file_system_id": "bmcpfs-other"}, (404, "InvalidFileSystem.NotFound")),
        ({"source_storage": None}, (400, "MissingSourceStorage")),
        ({"source_storage": "s3://bucket"}, (400, "InvalidSourceStorage")),
        ({"source_storage": "oss://Upper"}, (400, "InvalidSourceStorage")),
        ({"file_system_path": None}, (400, "MissingFileSystemPath")),
        ({"file_system_path": "oss/"}, (400, "InvalidFileSystemPath")),
        ({"file_system_path": "/oss"}, (400, "InvalidFileSystemPath")),
        ({"source_storage_path": "/" + "x" * 1022 + "/"}, (400, "InvalidSourceStoragePath")),
        ({"source_storage_path": "/a\x01/"}, (400, "IllegalCharacters")),
        ({"description": "1st"}, (400, "InvalidDescription")),
        ({"description": "http://x"}, (400, "InvalidDescription")),
        ({"source_security_type": "TLS"}, (400, "InvalidSourceSecurityType")),
        ({"client_token": "x" * 65}, (400, "InvalidClientToken")),
        ({"client_token": "ü"}, (400, "IllegalCharacters")),
    ],
)
def test_a_dataflow_that_cannot_be(nas: Any, fields: dict[str, Any], answer: tuple[int, str]) -> None:
    assert code_of(nas.flow, **fields) == answer


@pytest.mark.parametrize("storage", ["oss://examplebucket", "oss://1234567890:examplebucket", "oss://a-1"])
def test_buckets_of_both_forms_are_taken(nas: Any, storage: str) -> None:
    assert nas.flow(source_storage=storage).startswith("df-")


def test_old_file_systems_have_no_streams_and_no_other_accounts(nas: Any) -> None:
    nas.control("file_system", {"id": FS, "version": "2.5.0"})
    assert code_of(nas.flow, source_storage="oss://12:b")[1] == "InvalidSourceStorage"
    flow = nas.flow()
    assert code_of(nas.task, flow) == (403, "OperationDenied.VersionNotSupported")
    nas.control("file_system", {"id": FS, "version": "2.3.9"})
    assert code_of(nas.flow, file_system_path="/b/") == (403, "OperationDenied.VersionNotSupported")


def test_ten_dataflows_are_enough_and_a_directory_has_one(nas: Any) -> None:
    nas.flow()
    assert code_of(nas.flow) == (403, "OperationDenied.DataFlowConflict")
    for number in range(9):
        nas.flow(file_system_path=f"/d{number}/")
    assert code_of(nas.flow, file_system_path="/more/") == (403, "OperationDenied.DataFlowLimit")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"data_flow_id": None}, (400, "MissingDataFlowId")),
        ({"data_flow_id": "df-x"}, (404, "InvalidDataFlow.NotFound")),
        ({"task_action": "Copy"}, (400, "InvalidTaskAction")),
        ({"task_action": "Evict"}, (400, "InvalidTaskAction")),
        ({"data_type": "Metadata"}, (400, "InvalidDataType")),
        ({"conflict_policy": None}, (400, "MissingConflictPolicy")),
        ({"conflict_policy": "ASK"}, (400, "InvalidConflictPolicy")),
        ({"directory": None}, (400, "MissingDirectory")),
        ({"dst_directory": "/a/../b/"}, (400, "InvalidDstDirectory")),
        ({"entry_list": '["/a"]'}, (400, "InvalidEntryList")),
        ({"task_action": "Import", "directory": None, "entry_list": "/a"}, (400, "InvalidEntryList")),
        ({"task_action": "Import", "directory": None, "entry_list": '["a"]'}, (400, "InvalidEntryList")),
        (
            {"task_action": "Import", "directory": None, "entry_list": '["/' + "x" * 65536 + '"]'},
            (400, "InvalidEntryList"),
        ),
        ({"task_action": "Import", "includes": "a"}, (400, "InvalidIncludes")),
        ({"task_action": "Import", "directory": None, "includes": "/a/"}, (400, "InvalidIncludes")),
        ({"src_task_id": "task-x"}, (404, "InvalidDataFlowTask.NotFound")),
    ],
)
def test_a_task_that_cannot_be(nas: Any, fields: dict[str, Any], answer: tuple[int, str]) -> None:
    assert code_of(nas.task, nas.flow(), **fields) == answer


def test_a_fifth_batch_waits_for_the_others(nas: Any) -> None:
    flow = nas.flow()
    nas.control("options", {"batch_seconds": 1000})
    for _ in range(4):
        nas.task(flow, task_action="Import")
    assert code_of(nas.task, flow, task_action="Import") == (403, "OperationDenied.DataFlowTaskLimit")
    assert nas.task(flow).startswith("task-")  # streaming ones are not limited
    nas.wait(1001)
    assert nas.task(flow, task_action="Import").startswith("task-")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"data_flow_task_id": None}, (400, "MissingTaskId")),
        ({"data_flow_task_id": "task-x"}, (404, "InvalidDataFlowTask.NotFound")),
        ({"src_file_path": None}, (400, "MissingSrcFilePath")),
        ({"src_file_path": "a"}, (400, "InvalidSrcFilePath")),
        ({"src_file_path": "/a/"}, (400, "InvalidSrcFilePath")),
        ({"dst_file_path": "/" + "x" * 1023}, (400, "InvalidDstFilePath")),
    ],
)
def test_a_subtask_that_cannot_be(nas: Any, fields: dict[str, Any], answer: tuple[int, str]) -> None:
    assert code_of(nas.subtask, *nas.stream(), **fields) == answer


def test_nothing_is_made_before_its_parent_runs(nas: Any) -> None:
    request = models.CreateDataFlowRequest(
        file_system_id=FS, source_storage="oss://b", file_system_path="/o/", source_storage_path="/b/"
    )
    flow = nas.client.create_data_flow(request).body.data_flow_id
    assert code_of(nas.task, flow) == (400, "InvalidStatus.ResourceMismatch")
    nas.wait(1)
    nas.control("options", {"task_seconds": 60})
    task = nas.task(flow)
    assert code_of(nas.subtask, flow, task) == (400, "InvalidStatus.ResourceMismatch")
    batch = nas.task(flow, task_action="Import")
    assert code_of(nas.subtask, flow, batch) == (400, "InvalidDataFlowTaskId")


def test_a_dataflow_with_tasks_stays(nas: Any) -> None:
    flow, task = nas.stream()
    request = models.DeleteDataFlowRequest(file_system_id=FS, data_flow_id=flow)
    assert code_of(nas.client.delete_data_flow, request) == (403, "OperationDenied.DependencyViolation")
    cancel = models.CancelDataFlowTaskRequest(file_system_id=FS, data_flow_id=flow, task_id=task)
    nas.client.cancel_data_flow_task(cancel)
    assert code_of(nas.client.cancel_data_flow_task, cancel) == (400, "InvalidStatus.ResourceMismatch")
    nas.wait(1)
    nas.client.delete_data_flow(request)


def test_the_stricter_reading_lets_only_pending_tasks_be_canceled(nas: Any) -> None:
    flow, task = nas.stream()
    nas.control("options", {"cancel_executing": False})
    request = models.CancelDataFlowTaskRequest(file_system_id=FS, data_flow_id=flow, task_id=task)
    assert code_of(nas.client.cancel_data_flow_task, request) == (400, "InvalidStatus.ResourceMismatch")


def describe(nas: Any, **fields: Any) -> Any:
    request = models.DescribeDataFlowSubTasksRequest(**{"file_system_id": FS, **fields})
    return nas.client.describe_data_flow_sub_tasks(request).body


def wanted(**filters: str) -> list[Any]:
    return [models.DescribeDataFlowSubTasksRequestFilters(key=k, value=v) for k, v in filters.items()]


@pytest.mark.parametrize(
    "fields",
    [
        {"max_results": 19},
        {"max_results": 101},
        {"next_token": "mine"},
        {"filters": wanted(Owner="me")},
        {"filters": wanted(DataFlowIds=",".join(f"df-{n}" for n in range(11)))},
        {"filters": wanted(SrcFilePath="/" + "x" * 1023)},
    ],
)
def test_a_list_that_cannot_be(nas: Any, fields: dict[str, Any]) -> None:
    assert code_of(describe, nas, **fields)[0] == 400


def test_filters_match_in_part_and_together(nas: Any) -> None:
    flow, task = nas.stream()
    one, two = nas.subtask(flow, task, "/one.xml"), nas.subtask(flow, task, "/two.xml")
    nas.control("outcomes", {"path": "three", "result": "FAILED"})
    three = nas.subtask(flow, task, "/three.xml")
    nas.wait(5)

    def ids(**filters: str) -> set[str]:
        return {found.data_flow_sub_task_id for found in nas.subtasks(**filters)}

    assert ids() == {one, two, three}
    assert ids(DataFlowSubTaskIds=one) == {one}
    assert ids(DataFlowSubTaskIds=f"{one},{two}") == {one, two}
    assert ids(DataFlowSubTaskIds="subTaskId-") == {one, two, three}
    assert ids(DataFlowTaskIds=task[:-3], DataFlowIds=flow) == {one, two, three}
    assert ids(Status="FAILED") == {three}
    assert ids(Status="FAILED,COMPLETE", SrcFilePath="o") == {one, two}
    assert ids(DstFilePath="/oss/mnt/two.xml") == {two}
    assert ids(DataFlowIds="df-none") == set()


def test_tasks_and_dataflows_are_filtered(nas: Any) -> None:
    flow, task = nas.stream()
    other = nas.flow(file_system_path="/deep/er/", description="second one")

    def tasks(**filters: str) -> list[str]:
        pairs = [models.DescribeDataFlowTasksRequestFilters(key=k, value=v) for k, v in filters.items()]
        request = models.DescribeDataFlowTasksRequest(file_system_id=FS, filters=pairs)
        return [one.task_id for one in nas.client.describe_data_flow_tasks(request).body.task_info.task]

    def flows(**filters: str) -> list[str]:
        pairs = [models.DescribeDataFlowsRequestFilters(key=k, value=v) for k, v in filters.items()]
        request = models.DescribeDataFlowsRequest(file_system_id=FS, filters=pairs, max_results=10)
        found = nas.client.describe_data_flows(request).body.data_flow_info.data_flow
        return [one.data_flow_id for one in found]

    assert tasks(TaskActions="StreamImport,Import") == [task]
    assert tasks(Status="Executing", DataTypes="MetaAndData", Originator="User") == [task]
    assert tasks(CreateTimeBegin="2026-09-21T00:00Z", CreateTimeEnd="2026-09-22T00:00Z") == [task]
    assert tasks(CreateTimeBegin="2026-09-22T00:00Z") == []
    assert tasks(EndTimeBegin="2020-01-01T00:00Z") == []
    assert code_of(tasks, CreateTimeBegin="yesterday")[0] == 400
    assert flows(FileSystemPath="/deep") == [other]
    assert flows(Description="second") == [other]
    assert flows(SourceStorage="oss://examplebucket", DataFlowIds=flow) == [flow]
    assert sorted(flows(Status="Running")) == sorted([flow, other])


def test_a_list_comes_in_pages(nas: Any) -> None:
    nas.control("options", {"subtask_calls_per_second": None})
    flow, task = nas.stream()
    made = {nas.subtask(flow, task, f"/{number}") for number in range(45)}
    seen: list[str] = []
    token = None
    sizes = []
    while True:
        body = describe(nas, max_results=20, next_token=token)
        found = [one.data_flow_sub_task_id for one in body.data_flow_sub_task.data_flow_sub_task]
        sizes.append(len(found))
        seen += found
        token = body.next_token
        if not token:
            break
    assert sizes == [20, 20, 5]
    assert (set(seen), len(seen)) == (made, 45)


def test_each_class_of_operations_has_its_rate(nas: Any) -> None:
    flow, task = nas.stream()
    for number in range(100):
        nas.subtask(flow, task, f"/{number}")
    assert code_of(nas.subtask, flow, task, "/more") == (400, "Throttling.User")
    describe(nas)  # another operation
    nas.wait(1)
    nas.subtask(flow, task, "/more")
    request = models.DescribeDataFlowsRequest(file_system_id=FS)
    for _ in range(120):
        nas.client.describe_data_flows(request)
    assert code_of(nas.client.describe_data_flows, request) == (400, "Throttling.User")
    nas.wait(61)
    nas.client.describe_data_flows(request)


def test_a_token_repeats_its_answer_until_it_meets_other_parameters(nas: Any) -> None:
    flow, task = nas.stream()
    first = nas.subtask(flow, task, client_token="t")
    nas.wait(100)
    assert nas.subtask(flow, task, client_token="t") == first
    assert code_of(nas.subtask, flow, task, "/x", client_token="t") == (400, "IdempotentParameterMismatch")
    assert nas.subtask(flow, task) != nas.subtask(flow, task)
    # A refusal keeps no token.
    assert code_of(nas.subtask, flow, task, "bad", client_token="u")[0] == 400
    assert nas.subtask(flow, task, "/good", client_token="u")
    # Nor does a dry run.
    assert nas.subtask(flow, task, client_token="v", dry_run=True) == ""
    assert nas.subtask(flow, task, client_token="v") != ""


def test_faults_look_as_the_vendor_expects(nas: Any) -> None:
    request = models.DescribeDataFlowsRequest(file_system_id=FS)

    def fail(**fault: Any) -> BaseException:
        nas.control("faults", fault)
        with pytest.raises(Exception) as caught:
            nas.client.describe_data_flows(request)
        return caught.value

    error: Any = fail(action="throttle")
    assert (type(error), error.code, error.status_code) == (ClientException, "Throttling.User", 400)
    error = fail(action="throttle", seconds=2.5)
    assert (type(error), error.status_code, error.retry_after) == (ThrottlingException, 429, 2500)
    error = fail(action="error", status=503)
    assert (type(error), error.code) == (ServerException, "ServiceUnavailable")
    assert type(fail(action="error", status=502, message="<html></html>")) is UnretryableException
    assert type(fail(action="drop_before")) is UnretryableException
    assert type(fail(action="cut", bytes=5)) is UnretryableException
    nas.client.describe_data_flows(request)


def test_a_lost_reply_and_a_duplicate_are_done(nas: Any) -> None:
    flow, task = nas.stream()
    nas.control("faults", {"action": "lost_reply", "operation": "CreateDataFlowSubTask", "key": "lost"})
    with pytest.raises(UnretryableException):
        nas.subtask(flow, task, "/lost")
    nas.control("faults", {"action": "duplicate", "operation": "CreateDataFlowSubTask"})
    nas.subtask(flow, task, "/twice")
    assert [one["source"] for one in nas.get("subtasks")] == [
        "/bmcpfs/test/lost",
        "/bmcpfs/test/twice",
        "/bmcpfs/test/twice",
    ]


def test_the_call_log_has_tokens(nas: Any) -> None:
    flow, task = nas.stream()
    nas.subtask(flow, task, client_token="t")
    assert [(one["operation"], one["token"], one["status"]) for one in nas.get("calls")[-3:]] == [
        ("CreateDataFlow", "", 200),
        ("CreateDataFlowTask", "", 200),
        ("CreateDataFlowSubTask", "t", 200),
    ]


def test_a_control_request_that_makes_no_sense_says_so(nas: Any) -> None:
    for route, data in [("options", {"speed": 1}), ("outcomes", {"path": "("}), ("outcomes", {"end": 1})]:
        with pytest.raises(AssertionError, match="error"):
            nas.control(route, data)


def test_a_misconfigured_dataflow_says_why(nas: Any) -> None:
    nas.control(
        "outcomes", {"of": "flow", "path": "oss", "result": "Misconfigured", "message": "no permission"}
    )
    flow = nas.flow()
    found = nas.client.describe_data_flows(models.DescribeDataFlowsRequest(file_system_id=FS)).body
    (shown,) = found.data_flow_info.data_flow
    assert (shown.status, shown.error_message) == ("Misconfigured", "no permission")
    assert code_of(nas.task, flow) == (400, "InvalidStatus.ResourceMismatch")
    nas.client.delete_data_flow(models.DeleteDataFlowRequest(file_system_id=FS, data_flow_id=flow))


def test_a_task_that_fails_says_why(nas: Any) -> None:
    flow = nas.flow()
    nas.control("outcomes", {"of": "task", "path": "test", "result": "Failed", "message": "no space"})
    nas.task(flow, task_action="Import")
    nas.wait(5)
    found = nas.client.describe_data_flow_tasks(models.DescribeDataFlowTasksRequest(file_system_id=FS)).body
    (shown,) = found.task_info.task
    assert (shown.status, shown.error_msg) == ("Failed", "no space")


def test_finished_subtasks_can_be_made_to_vanish(nas: Any) -> None:
    flow, task = nas.stream()
    nas.control("options", {"keep_seconds": 60})
    made = nas.subtask(flow, task)
    nas.wait(30)
    assert nas.of(made).status == "COMPLETE"
    nas.wait(60)
    assert nas.subtasks() == []


def test_progress_grows_with_time(nas: Any) -> None:
    flow, task = nas.stream()
    nas.control("outcomes", {"seconds": 100, "size": 1000})
    made = nas.subtask(flow, task)
    nas.wait(0.2)
    seen = []
    for _ in range(3):
        nas.wait(25)
        found = nas.of(made)
        seen.append((found.status, found.progress, found.progress_stats.bytes_done))
    assert seen == [("RUNNING", 2500, 250), ("RUNNING", 5000, 500), ("RUNNING", 7500, 750)]
    nas.wait(25)
    assert (nas.of(made).status, nas.of(made).progress) == ("COMPLETE", 10000)
