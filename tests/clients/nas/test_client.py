"""The client against the local service, over the vendor's SDK; the service's own records are the oracle."""

from __future__ import annotations

import concurrent.futures
import logging
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sync.clients.nas import (
    Condition,
    DataflowRequest,
    DataflowStatus,
    NasClient,
    StatusConflictError,
    SubtaskStatus,
    TaskRequest,
    TaskStatus,
    TokenReusedError,
)
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    PermanentError,
    ThrottledError,
    TransientError,
)
from airflow_provider_sync.localcloud.nas.subtask_routes import create
from airflow_provider_sync.localcloud.nas.wire import Call
from airflow_provider_sync.spec.connection import Secret

FS = "bmcpfs-localcloud"
FLOW = DataflowRequest("oss://examplebucket", "/oss/", "/bmcpfs/", "the example")
STREAM = TaskRequest("StreamImport", "SKIP_THE_FILE", "/test/", "/mnt/")


def test_a_file_system_is_described_or_absent(cloud: Any) -> None:
    found = cloud.client.file_system(FS)
    assert (found.file_system_id, found.status, found.version) == (FS, "Running", "2.6.0")
    assert cloud.client.file_system("bmcpfs-nowhere") is None


def test_a_dataflow_lives_from_starting_to_gone(cloud: Any) -> None:
    client = cloud.client
    flow = client.create_dataflow(FS, FLOW, client_token="t1")
    found = client.dataflow(FS, flow)
    assert (found.status, found.description) == (DataflowStatus.STARTING, "the example")
    assert (found.file_system_path, found.source_storage_path) == ("/oss/", "/bmcpfs/")
    assert found.source_storage == "oss://examplebucket"
    with pytest.raises(StatusConflictError, match=r"OperationDenied\.InvalidState"):
        client.delete_dataflow(FS, flow)
    cloud.wait(1)
    assert client.dataflow(FS, flow).status is DataflowStatus.RUNNING
    client.modify_dataflow(FS, flow, description="another")
    assert client.dataflow(FS, flow).status is DataflowStatus.UPDATING
    assert client.dataflow(FS, flow).description == "another"
    cloud.wait(1)
    client.delete_dataflow(FS, flow)
    assert client.dataflow(FS, flow).status is DataflowStatus.DELETING
    cloud.wait(1)
    assert client.dataflow(FS, flow) is None
    assert list(client.list_dataflows(FS)) == []


def test_starting_and_stopping_are_for_general_file_systems(cloud: Any) -> None:
    flow = cloud.client.create_dataflow(FS, FLOW, client_token="t1")
    with pytest.raises(PermanentError, match="general-purpose"):
        cloud.client.start_dataflow(FS, flow)
    with pytest.raises(PermanentError, match="general-purpose"):
        cloud.client.stop_dataflow(FS, flow)


def test_a_streaming_task_executes_until_it_is_canceled(cloud: Any) -> None:
    flow, task = cloud.stream()
    found = cloud.client.task(FS, task)
    assert (found.status, found.action, found.streaming) == (TaskStatus.EXECUTING, "StreamImport", True)
    assert (found.directory, found.dst_directory) == ("/test/", "/mnt/")
    assert (found.conflict_policy, found.file_system_id) == ("SKIP_THE_FILE", FS)
    cloud.wait(10_000)
    assert cloud.client.task(FS, task).active
    cloud.client.cancel_task(FS, flow, task)
    assert cloud.client.task(FS, task).status is TaskStatus.CANCELING
    cloud.wait(1)
    found = cloud.client.task(FS, task)
    assert (found.status, found.active, found.failed) == (TaskStatus.CANCELED, False, True)
    assert cloud.client.task(FS, "task-nothing") is None


def test_a_batch_task_completes_by_itself(cloud: Any) -> None:
    flow, _ = cloud.stream()
    request = TaskRequest("Export", "OVERWRITE_EXISTING", entries=["/ä.bin", "/b.bin"])
    task = cloud.client.create_task(FS, flow, request, client_token="batch")
    assert cloud.client.task(FS, task).status is TaskStatus.PENDING
    cloud.wait(10)
    (found,) = cloud.client.list_tasks(FS, {"TaskIds": task}, with_reports=True)
    assert found.succeeded
    assert (found.progress.files_total, found.progress.files_done, found.progress.bytes_actual) == (2, 2, 136)
    assert found.reports == (("TotalFilesReport", f"/.dataflow_report/{task}/TotalFilesReport.csv"),)
    assert cloud.send("GET", "moves")[0]["target"] == "/bmcpfs/ä.bin"


def test_a_subtask_goes_from_created_to_complete(cloud: Any) -> None:
    stream = cloud.stream()
    (name,) = cloud.submit(stream, "file.xml")
    states = []
    for seconds in (0, 0.3, 5):
        cloud.wait(seconds)
        found = cloud.client.subtasks(FS, [name])[name]
        states.append((found.status.value, found.active, found.succeeded))
    assert states == [("CREATED", True, False), ("RUNNING", True, False), ("COMPLETE", False, True)]
    assert (found.source, found.target) == ("/bmcpfs/test/file.xml", "/oss/file.xml")
    assert (found.size, found.checksum) == (68, "crc64:850309505450944")
    assert found.modify_time_ns == 1725897600000000000
    assert (found.progress.bytes_total, found.progress.bytes_actual, found.skipped) == (68, 68, False)
    assert (found.dataflow_id, found.task_id) == stream


def test_a_file_that_is_there_is_skipped(cloud: Any) -> None:
    stream = cloud.stream()
    cloud.submit(stream, "a")
    cloud.wait(5)
    again = cloud.client.create_subtask(FS, *stream, "/a", "/a", client_token="again")
    cloud.wait(5)
    assert cloud.client.subtasks(FS, [again])[again].skipped


def test_what_went_wrong_with_a_file_is_told(cloud: Any) -> None:
    stream = cloud.stream()
    cloud.send(
        "POST",
        "outcomes",
        [
            {"path": "bad", "result": "FAILED", "message": "disk full"},
            {"path": "old", "result": "EXPIRED"},
            {"path": "gone", "result": "CANCELED"},
            {"path": "new", "status": "VERIFYING"},
            {"path": "late", "lag": 60},
            {"path": "unseen", "hidden": 60},
        ],
    )
    names = ("bad", "old", "gone", "new", "late", "unseen", "good")
    ids = dict(zip(names, cloud.submit(stream, *names), strict=True))
    cloud.wait(0.3)
    found = cloud.client.subtasks(FS, ids.values())
    assert (found[ids["new"]].status, found[ids["new"]].status_text) == (SubtaskStatus.UNKNOWN, "VERIFYING")
    assert found[ids["new"]].active
    assert ids["unseen"] not in found
    cloud.wait(10)
    found = cloud.client.subtasks(FS, ids.values())
    assert {name for name in names if found.get(ids[name]) and found[ids[name]].failed} == {
        "bad",
        "old",
        "gone",
    }
    assert found[ids["bad"]].error_message == "disk full"
    late = found[ids["late"]]
    assert (late.status, late.succeeded, late.active) == (SubtaskStatus.COMPLETE, False, True)
    cloud.wait(60)
    found = cloud.client.subtasks(FS, ids.values())
    assert found[ids["late"]].succeeded
    assert found[ids["unseen"]].succeeded


def test_ids_match_as_a_whole_only(cloud: Any) -> None:
    stream = cloud.stream()
    cloud.send("POST", "ids", ["part", "part-of-another"])
    short, long = cloud.submit(stream, "a", "b")
    assert (short, long) == ("subTaskId-part", "subTaskId-part-of-another")
    assert set(cloud.client.subtasks(FS, [short])) == {short}
    assert cloud.client.subtasks(FS, ["subTaskId-par"]) == {}


def test_many_subtasks_are_found_by_few_calls(cloud: Any) -> None:
    stream = cloud.stream()
    ids = cloud.submit(stream, *map(str, range(250)))
    found = cloud.client.subtasks(FS, ids[:25])
    assert set(found) == set(ids[:25])
    assert len(cloud.asked("DescribeDataFlowSubTasks")) == 3
    found = cloud.client.subtasks(FS, ids, task_ids=[stream[1]])
    assert set(found) == set(ids)
    assert len(cloud.asked("DescribeDataFlowSubTasks")) == 3 + 3
    # Without the task's id they are asked for by ten.
    assert len(cloud.client.subtasks(FS, ids)) == 250
    assert len(cloud.asked("DescribeDataFlowSubTasks")) == 6 + 25


def test_a_long_history_costs_no_more_than_twice_the_calls_by_ten(cloud: Any, nas_server: Any) -> None:
    stream = cloud.stream()
    names = {"FileSystemId": FS, "DataFlowId": stream[0], "DataFlowTaskId": stream[1]}
    paths = {"SrcFilePath": "/a", "DstFilePath": "/a"}
    call = Call("CreateDataFlowSubTask", {**names, **paths})
    store = nas_server.service._store
    ids = sorted(create(store, call, cloud.now)["DataFlowSubTaskId"] for _ in range(1300))
    wanted = ids[-101:]  # the last pages of what the task has
    assert set(cloud.client.subtasks(FS, wanted, task_ids=[stream[1]])) == set(wanted)
    assert len(cloud.asked("DescribeDataFlowSubTasks")) <= 2 * 11


def test_absent_subtasks_end_the_search(cloud: Any) -> None:
    stream = cloud.stream()
    ids = cloud.submit(stream, *map(str, range(110)))
    found = cloud.client.subtasks(FS, [*ids, "subTaskId-never"], task_ids=[stream[1]])
    assert set(found) == set(ids)
    assert len(cloud.asked("DescribeDataFlowSubTasks")) == 2


def test_canceling_works_while_it_runs_and_conflicts_afterwards(cloud: Any) -> None:
    stream = cloud.stream()
    cloud.send("POST", "outcomes", {"path": "slow", "seconds": 1000})
    slow, quick = cloud.submit(stream, "slow", "quick")
    cloud.wait(5)
    with pytest.raises(StatusConflictError, match="COMPLETE"):
        cloud.client.cancel_subtask(FS, *stream, quick)
    with pytest.raises(StatusConflictError, match="running subtasks"):
        cloud.client.cancel_task(FS, *stream)
    cloud.client.cancel_subtask(FS, *stream, slow)
    assert cloud.client.subtasks(FS, [slow])[slow].status is SubtaskStatus.CANCELING
    cloud.wait(5)
    assert cloud.client.subtasks(FS, [slow])[slow].status is SubtaskStatus.CANCELED
    with pytest.raises(NotFoundError):
        cloud.client.cancel_subtask(FS, *stream, "subTaskId-never")
    assert [move["source"] for move in cloud.send("GET", "moves")] == ["/bmcpfs/test/quick"]


def test_a_condition_that_is_not_met_fails_the_file(cloud: Any) -> None:
    stream = cloud.stream()
    make = cloud.client.create_subtask
    right = make(FS, *stream, "/a", "/a", client_token="a", condition=Condition(1725897600000000000, 68))
    wrong = make(FS, *stream, "/b", "/b", client_token="b", condition=Condition(size=69))
    cloud.wait(5)
    found = cloud.client.subtasks(FS, [right, wrong])
    assert found[right].succeeded
    assert found[wrong].failed
    assert "Size=69" in found[wrong].error_message


def test_one_token_makes_one_subtask_and_belongs_to_its_parameters(cloud: Any) -> None:
    stream = cloud.stream()
    first, second = cloud.submit(stream, "same", "same")
    assert first == second
    with pytest.raises(TokenReusedError, match="IdempotentParameterMismatch"):
        cloud.client.create_subtask(FS, *stream, "/other", "/same", client_token="same")
    assert len(cloud.send("GET", "subtasks")) == 1


def test_a_dry_run_makes_nothing(cloud: Any) -> None:
    flow, task = cloud.stream()
    client = cloud.client
    other = replace(FLOW, file_system_path="/other/")
    assert client.create_dataflow(FS, other, client_token="d1", dry_run=True) == ""
    assert client.create_task(FS, flow, STREAM, client_token="d2", dry_run=True) == ""
    assert client.create_subtask(FS, flow, task, "/a", "/a", client_token="d3", dry_run=True) == ""
    assert len(list(client.list_dataflows(FS))) == 1
    assert len(list(client.list_tasks(FS))) == 1
    assert list(client.list_subtasks(FS)) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "lost_reply"},
        {"action": "drop_before"},
        {"action": "cut", "bytes": 10},
        {"action": "throttle"},
        {"action": "error", "status": 503},
        {"action": "error", "status": 500, "code": "InternalError"},
        {"action": "error", "status": 502, "message": "<html>Bad Gateway</html>"},
    ],
)
def test_a_transient_fault_makes_no_second_subtask(cloud: Any, fault: dict[str, Any]) -> None:
    stream = cloud.stream()
    cloud.post("faults", operation="CreateDataFlowSubTask", count=2, **fault)
    (name,) = cloud.submit(stream, "a")
    assert [one["id"] for one in cloud.send("GET", "subtasks")] == [name]
    calls = cloud.asked("CreateDataFlowSubTask")
    assert [one["token"] for one in calls] == ["a", "a", "a"]


def test_a_repeated_cancel_is_one_cancel(cloud: Any) -> None:
    stream = cloud.stream()
    (name,) = cloud.submit(stream, "a")
    cloud.post("faults", operation="CancelDataFlowSubTask", action="lost_reply")
    cloud.client.cancel_subtask(FS, *stream, name)
    tokens = [one["token"] for one in cloud.asked("CancelDataFlowSubTask")]
    assert len(tokens) == 2
    assert tokens[0] == tokens[1] != ""


def test_throttling_waits_as_long_as_it_is_told(cloud: Any) -> None:
    cloud.post("faults", operation="DescribeDataFlows", action="throttle", seconds=12.5)
    assert list(cloud.client.list_dataflows(FS)) == []
    assert cloud.slept == [12.5]


def test_one_who_is_throttled_slows_all_of_the_process(cloud: Any) -> None:
    cloud.post("faults", operation="DescribeDataFlows", action="throttle")
    assert list(cloud.client.list_dataflows(FS)) == []
    cloud.slept.clear()
    assert list(cloud.client.list_dataflows(FS)) == []
    (pause,) = cloud.slept  # the clock of these quotas stands still
    assert 2.0 <= pause <= 7.0


def test_what_lasts_is_raised_as_it_is(cloud: Any) -> None:
    cloud.post("faults", operation="Describe.*", action="throttle", count=-1)
    with pytest.raises(ThrottledError, match=r"nas DescribeDataFlows .*Throttling\.User"):
        list(cloud.client.list_dataflows(FS))
    assert len(cloud.asked("DescribeDataFlows")) == 5
    nobody = NasClient(
        cloud.connection(endpoint="http://127.0.0.1:9"),
        retry=cloud.client._session._retry,
    )
    with pytest.raises(TransientError, match="RetryError"):
        nobody.file_system(FS)


def test_who_may_not_is_refused_at_once(cloud: Any) -> None:
    for fields in ({"access_key_secret": Secret("wrong")}, {"access_key_id": "nobody"}):
        with pytest.raises(AccessDeniedError) as caught:
            cloud.connect(**fields).file_system(FS)
        assert "wrong" not in str(caught.value)
    cloud.post("faults", action="error", status=403, code="Forbidden.RAM", message="not you")
    with pytest.raises(AccessDeniedError, match="policy"):
        cloud.client.file_system(FS)
    assert cloud.slept == []


def test_temporary_credentials_are_sent_with_their_token(cloud: Any) -> None:
    cloud.post("sts", access_key_id="temp", access_key_secret="s", token="tok+en/=")
    fields = {"access_key_id": "temp", "access_key_secret": Secret("s")}
    assert cloud.connect(**fields, security_token=Secret("tok+en/=")).file_system(FS) is not None
    with pytest.raises(AccessDeniedError, match="renew"):
        cloud.connect(**fields, security_token=Secret("stale")).file_system(FS)


def test_threads_share_a_client(cloud: Any) -> None:
    stream = cloud.stream()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: cloud.submit(stream, str(n))[0], range(100)))
    assert len(set(ids)) == 100
    assert {one["id"] for one in cloud.send("GET", "subtasks")} == set(ids)


def test_pages_are_followed_to_the_end(cloud: Any) -> None:
    stream = cloud.stream()
    ids = cloud.submit(stream, *map(str, range(230)))
    assert sorted(one.subtask_id for one in cloud.client.list_subtasks(FS)) == sorted(ids)
    assert len(cloud.asked("DescribeDataFlowSubTasks")) == 3


@pytest.mark.parametrize(
    ("source", "target", "field"),
    [
        ("a.csv", "/a.csv", "source"),
        ("/a/", "/a", "source"),
        ("/" + "x" * 1023, "/a", "source"),
        ("/a", "/../etc/passwd", "target"),
        ("/a\n", "/a", "source"),
    ],
)
def test_a_bad_path_is_refused_before_it_is_sent(cloud: Any, source: str, target: str, field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        cloud.client.create_subtask(FS, "df-1", "task-1", source, target, client_token="t")
    assert cloud.asked("CreateDataFlowSubTask") == []


@pytest.mark.parametrize("token", ["", "x" * 65, "ü"])
def test_a_bad_client_token_is_refused_before_it_is_sent(cloud: Any, token: str) -> None:
    with pytest.raises(ConfigError, match="client_token"):
        cloud.client.create_subtask(FS, "df-1", "task-1", "/a", "/a", client_token=token)


def test_the_sdk_is_imported_by_the_first_call_only() -> None:
    program = """
import sys
from airflow_provider_sync.clients.nas import NasClient
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
NasClient(ConnectionInfo("alibaba_cloud", access_key_id="a", access_key_secret=Secret("s"), region="cn-hangzhou"))
print([name for name in sys.modules if name.startswith(("alibabacloud", "darabonba", "Tea", "airflow."))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_sdk_writes_nothing_to_stderr_beside_the_logging(cloud: Any) -> None:
    assert cloud.client.file_system(FS) is not None
    for name in ("darabonba-core", "credentials"):
        assert logging.getLogger(name).handlers == []
