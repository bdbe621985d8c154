"""The whole process, as users start it: a file is imported and exported for real."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
from alibabacloud_nas20170626 import models
from alibabacloud_nas20170626.client import Client
from alibabacloud_tea_openapi.utils_models import Config

FS = "bmcpfs-localcloud"


def _until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 15
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def _flow_state(client: Client) -> str:
    found = client.describe_data_flows(models.DescribeDataFlowsRequest(file_system_id=FS))
    state: str = found.body.data_flow_info.data_flow[0].status
    return state


def _task(client: Client, flow: str, action: str) -> str:
    created = client.create_data_flow_task(
        models.CreateDataFlowTaskRequest(
            file_system_id=FS,
            data_flow_id=flow,
            task_action=action,
            directory="/",
            dst_directory="/",
            conflict_policy="OVERWRITE_EXISTING",
        )
    )
    task: str = created.body.task_id
    wanted = models.DescribeDataFlowTasksRequestFilters(key="TaskIds", value=task)
    request = models.DescribeDataFlowTasksRequest(file_system_id=FS, filters=[wanted])
    _until(lambda: client.describe_data_flow_tasks(request).body.task_info.task[0].status == "Executing")
    return task


def test_files_move_between_the_folder_and_the_bucket(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud", "--tablestore-port", "0"]
    command += ["--oss-port", "0", "--nas-port", "0", "--cpfs", str(tmp_path), "--dataflow-bucket", "lake"]
    (tmp_path / FS / "in").mkdir(parents=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        urls = dict(process.stdout.readline().split() for _ in range(3))
        session = oss2.Session()
        bucket = oss2.Bucket(
            oss2.Auth("localcloud", "localcloud-secret"), urls["oss"], "lake", session=session
        )
        bucket.put_object("raw/a.csv", b"1,2\n")
        client = Client(
            Config(
                access_key_id="localcloud",
                access_key_secret="localcloud-secret",
                endpoint=urls["nas"].removeprefix("http://"),
                protocol="http",
            )
        )
        flow = client.create_data_flow(
            models.CreateDataFlowRequest(
                file_system_id=FS,
                source_storage="oss://lake",
                file_system_path="/in/",
                source_storage_path="/raw/",
            )
        ).body.data_flow_id
        _until(lambda: _flow_state(client) == "Running")

        def move(action: str, source: str, target: str) -> None:
            client.create_data_flow_sub_task(
                models.CreateDataFlowSubTaskRequest(
                    file_system_id=FS,
                    data_flow_id=flow,
                    data_flow_task_id=_task(client, flow, action),
                    src_file_path=source,
                    dst_file_path=target,
                )
            )

        move("StreamImport", "/a.csv", "/deep/b.csv")
        arrived = tmp_path / FS / "in/deep/b.csv"
        _until(arrived.exists)  # nobody asked the service about it
        assert arrived.read_bytes() == b"1,2\n"
        arrived.write_bytes(b"3,4\n")
        move("StreamExport", "/deep/b.csv", "/out/c.csv")
        _until(lambda: bucket.object_exists("raw/out/c.csv"))
        found = bucket.get_object("raw/out/c.csv")
        assert found.read() == b"3,4\n"
        assert found.headers["x-oss-meta-alihbr-sync-mtime"] == str(arrived.stat().st_mtime_ns)
        session.session.close()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_without_a_folder_files_are_imagined() -> None:
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud", "--tablestore-port", "0"]
    command += ["--oss-port", "0", "--nas-port", "0", "--file-system", "bmcpfs-mine"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        urls = dict(process.stdout.readline().split() for _ in range(3))
        client = Client(
            Config(
                access_key_id="localcloud",
                access_key_secret="localcloud-secret",
                endpoint=urls["nas"].removeprefix("http://"),
                protocol="http",
            )
        )
        found = client.describe_file_systems(models.DescribeFileSystemsRequest()).body.file_systems
        assert [one.file_system_id for one in found.file_system] == ["bmcpfs-mine"]
        request = models.CreateDataFlowRequest(
            file_system_id="bmcpfs-mine",
            source_storage="oss://no-such-bucket",
            file_system_path="/any/",
            source_storage_path="/any/",
        )
        assert client.create_data_flow(request).body.data_flow_id.startswith("df-")
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0
