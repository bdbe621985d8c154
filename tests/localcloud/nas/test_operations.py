"""Every operation, through the vendor's sync and async methods; and every answer through the SDK's models and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_nas20170626 import models

FS, GENERAL = "bmcpfs-localcloud", "cpfs-general"
Ask = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, nas: Any) -> Ask:
    """``ask("create_data_flow", …fields)``: the answer's body."""

    def call(operation: str, **fields: Any) -> Any:
        name = "".join(part.title() for part in operation.split("_"))
        asked = getattr(models, f"{name}Request")(**fields)
        if request.param == "sync":
            answer = getattr(nas.client, operation)(asked)
        else:
            answer = asyncio.run(getattr(nas.client, f"{operation}_async")(asked))
        assert answer.status_code == 200
        assert answer.body.request_id
        return answer.body

    return call


def test_streaming_operations(nas: Any, ask: Ask) -> None:
    (system,) = ask("describe_file_systems", file_system_id=FS).file_systems.file_system
    assert (system.file_system_id, system.status, system.version) == (FS, "Running", "2.6.0")
    flow = ask(
        "create_data_flow",
        file_system_id=FS,
        source_storage="oss://examplebucket",
        file_system_path="/oss/",
        source_storage_path="/bmcpfs/",
        description="a flow",
        client_token="t1",
    ).data_flow_id
    assert flow.startswith("df-")
    (found,) = ask("describe_data_flows", file_system_id=FS).data_flow_info.data_flow
    assert (found.data_flow_id, found.status) == (flow, "Starting")
    nas.wait(1)
    ask("modify_data_flow", file_system_id=FS, data_flow_id=flow, description="changed")
    (found,) = ask("describe_data_flows", file_system_id=FS).data_flow_info.data_flow
    assert (found.status, found.description) == ("Updating", "changed")
    nas.wait(1)
    task = ask(
        "create_data_flow_task",
        file_system_id=FS,
        data_flow_id=flow,
        task_action="StreamExport",
        data_type="MetaAndData",
        directory="/yaml/",
        dst_directory="/dataflows/",
        conflict_policy="KEEP_LATEST",
        dry_run=False,
    ).task_id
    (shown,) = ask("describe_data_flow_tasks", file_system_id=FS, with_reports=False).task_info.task
    assert (shown.task_id, shown.status, shown.filesystem_id) == (task, "Pending", FS)
    nas.wait(1)
    names = {"file_system_id": FS, "data_flow_id": flow, "data_flow_task_id": task}
    made = [
        ask(
            "create_data_flow_sub_task", **names, src_file_path="/test/file.png", dst_file_path=target
        ).data_flow_sub_task_id
        for target in ("/mnt/file.png", "/mnt/other.png")
    ]
    ask("cancel_data_flow_sub_task", **names, data_flow_sub_task_id=made[1])
    nas.wait(5)
    listed = ask("describe_data_flow_sub_tasks", file_system_id=FS, max_results=20)
    states = {one.data_flow_sub_task_id: one for one in listed.data_flow_sub_task.data_flow_sub_task}
    assert [states[one].status for one in made] == ["COMPLETE", "CANCELED"]
    # The documentation's example, with the root directories of its own CreateDataFlow.
    assert states[made[0]].src_file_path == "/oss/yaml/test/file.png"
    assert states[made[0]].dst_file_path == "/bmcpfs/dataflows/mnt/file.png"
    ask("cancel_data_flow_task", file_system_id=FS, data_flow_id=flow, task_id=task)
    nas.wait(2)
    (shown,) = ask("describe_data_flow_tasks", file_system_id=FS).task_info.task
    assert shown.status == "Canceled"
    ask("delete_data_flow", file_system_id=FS, data_flow_id=flow)
    nas.wait(2)
    assert ask("describe_data_flows", file_system_id=FS).data_flow_info.data_flow == []


def test_operations_of_general_file_systems(nas: Any, ask: Ask) -> None:
    nas.control("file_system", {"id": GENERAL, "version": "2.3.0"})
    flow = ask(
        "create_data_flow",
        file_system_id=GENERAL,
        source_storage="oss://examplebucket",
        fset_id="fset-1",
        throughput=600,
        auto_refresh_policy="ImportChanged",
        auto_refresh_interval=60,
        auto_refreshs=[models.CreateDataFlowRequestAutoRefreshs(refresh_path="/data/")],
        source_security_type="SSL",
    ).data_flow_id
    nas.wait(1)

    def state() -> Any:
        (found,) = ask("describe_data_flows", file_system_id=GENERAL).data_flow_info.data_flow
        return found

    found = state()
    assert (found.throughput, found.auto_refresh_interval, found.fset_id) == (600, 60, "fset-1")
    assert found.auto_refresh.auto_refresh[0].refresh_path == "/data/"
    ask("stop_data_flow", file_system_id=GENERAL, data_flow_id=flow)
    assert state().status == "Stopping"
    nas.wait(1)
    assert state().status == "Stopped"
    ask("start_data_flow", file_system_id=GENERAL, data_flow_id=flow)
    assert state().status == "Starting"
    nas.wait(1)
    assert state().status == "Running"
    task = ask(
        "create_data_flow_task",
        file_system_id=GENERAL,
        data_flow_id=flow,
        task_action="Evict",
        data_type="Data",
        directory="/data/",
    ).task_id
    nas.wait(5)
    (shown,) = ask("describe_data_flow_tasks", file_system_id=GENERAL).task_info.task
    assert (shown.task_id, shown.status, shown.data_type) == (task, "Completed", "Data")
    ask("modify_data_flow", file_system_id=GENERAL, data_flow_id=flow, throughput=1200)
    assert state().throughput == 1200


def test_batches_and_their_reports(nas: Any, ask: Ask) -> None:
    flow = nas.flow()
    task = ask(
        "create_data_flow_task",
        file_system_id=FS,
        data_flow_id=flow,
        task_action="Import",
        conflict_policy="SKIP_THE_FILE",
        create_dir_if_not_exist=True,
        entry_list='["/a b.bin","/ü.bin"]',
    ).task_id
    nas.wait(5)
    (shown,) = ask("describe_data_flow_tasks", file_system_id=FS, with_reports=True).task_info.task
    assert shown.status == "Completed"
    assert shown.progress_stats.to_map() == {
        "FilesTotal": 2,
        "FilesDone": 2,
        "ActualFiles": 2,
        "BytesTotal": 136,
        "BytesDone": 136,
        "ActualBytes": 136,
        "AverageSpeed": 135,
        "RemainTime": 0,
    }
    assert shown.reports.report[0].name == "TotalFilesReport"
    again = ask(
        "create_data_flow_task",
        file_system_id=FS,
        data_flow_id=flow,
        src_task_id=task,
        conflict_policy="SKIP_THE_FILE",
    ).task_id
    nas.wait(5)
    listed = ask("describe_data_flow_tasks", file_system_id=FS, with_reports=False).task_info.task
    (copy,) = (one for one in listed if one.task_id == again)
    assert copy.task_action == "Import"
    assert (copy.progress_stats.files_done, copy.progress_stats.actual_files) == (2, 0)
    assert copy.reports is None
