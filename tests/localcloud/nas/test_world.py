"""Files that really move, between a folder and a local OSS in the same process."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastcrc import crc64

from airflow_provider_sync.localcloud.control import Clock
from airflow_provider_sync.localcloud.nas import routes
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.moving import settle
from airflow_provider_sync.localcloud.nas.store import Store
from airflow_provider_sync.localcloud.nas.wire import Call
from airflow_provider_sync.localcloud.nas.world import LocalWorld
from airflow_provider_sync.localcloud.oss.server import OssService

FS, NOW = "bmcpfs-localcloud", 1_790_000_000.0


class Lake:
    """A store over a folder and a tagged bucket, asked without HTTP."""

    def __init__(self, folder: Path) -> None:
        self.oss = OssService({}, buckets=["lake"])
        self.cloud = self.oss.cloud
        self.cloud.clock = Clock(frozen=NOW - 1000)
        self.cloud.bucket("lake").tags["cpfs-dataflow"] = "true"
        self.folder = folder / FS
        (self.folder / "in").mkdir(parents=True)
        self.world = LocalWorld(folder, self.cloud)
        self.store = Store(self.world, random.Random(1))
        self.store.add_file_system(FS, NOW)
        self.now = NOW

    def ask(self, action: str, **params: str) -> dict[str, Any]:
        return routes.run(self.store, Call(action, {"FileSystemId": FS, **params}), self.now)

    def wait(self, seconds: float = 10) -> None:
        self.now += seconds
        settle(self.store, self.now)

    def flow(self, **params: str) -> str:
        known = {"SourceStorage": "oss://lake", "FileSystemPath": "/in/", "SourceStoragePath": "/raw/"}
        flow: str = self.ask("CreateDataFlow", **{**known, **params})["DataFlowId"]
        self.wait()
        return flow

    def task(self, flow: str, action: str, policy: str = "OVERWRITE_EXISTING", **params: str) -> str:
        known = {"Directory": "/", "DstDirectory": "/"} if action.startswith("Stream") else {}
        known |= {"TaskAction": action, "ConflictPolicy": policy, "DataFlowId": flow}
        task: str = self.ask("CreateDataFlowTask", **{**known, **params})["TaskId"]
        self.wait()
        return task

    def move(self, flow: str, task: str, source: str, target: str, **params: str) -> dict[str, Any]:
        names = {"DataFlowId": flow, "DataFlowTaskId": task, "SrcFilePath": source, "DstFilePath": target}
        made = self.ask("CreateDataFlowSubTask", **names, **params)["DataFlowSubTaskId"]
        self.wait()
        return self.described(made)

    def described(self, subtask: str) -> dict[str, Any]:
        filters = {"Filters.1.Key": "DataFlowSubTaskIds", "Filters.1.Value": subtask}
        (found,) = self.ask("DescribeDataFlowSubTasks", **filters)["DataFlowSubTask"]["DataFlowSubTask"]
        return dict(found)

    def put(self, key: str, data: bytes, modified_ns: int = 0) -> None:
        self.world.oss("lake").write(f"/{key}", data, modified_ns)

    def object(self, key: str) -> bytes:
        return self.world.oss("lake").read(f"/{key}")

    def batch(self, task: str) -> dict[str, Any]:
        (found,) = (
            one for one in self.ask("DescribeDataFlowTasks")["TaskInfo"]["Task"] if one["TaskId"] == task
        )
        return dict(found)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    found = Lake(tmp_path)
    yield found
    found.oss.close()


def test_an_import_puts_the_file_with_its_time_and_checksum(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    lake.put("raw/a.bin", b"hello", 1_600_000_000_123_456_789)
    found = lake.move(flow, task, "/a.bin", "/x/y.bin")
    assert (found["Status"], found["Progress"], found["ErrorMsg"]) == ("COMPLETE", 10000, "")
    arrived = lake.folder / "in/x/y.bin"
    assert arrived.read_bytes() == b"hello"
    assert arrived.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert found["FileDetail"] == {
        "ModifyTime": 1_600_000_000_123_456_789,
        "Size": 5,
        "Checksum": f"crc64:{crc64.xz(b'hello')}",
    }
    assert sorted(path.name for path in arrived.parent.iterdir()) == ["y.bin"]  # nothing partial is left


def test_an_export_puts_the_object_and_an_empty_one_for_a_link(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamExport", Directory="/sub/", DstDirectory="/out/")
    (lake.folder / "in/sub").mkdir()
    (lake.folder / "in/sub/a").write_bytes(b"12345")
    (lake.folder / "in/sub/link").symlink_to(lake.folder / "in/sub/a")
    assert lake.move(flow, task, "/a", "/b")["Status"] == "COMPLETE"
    assert lake.object("raw/out/b") == b"12345"
    assert lake.move(flow, task, "/link", "/link")["Status"] == "COMPLETE"
    assert lake.object("raw/out/link") == b""


@pytest.mark.parametrize(
    ("policy", "there_newer", "moved"),
    [
        ("SKIP_THE_FILE", False, False),
        ("SKIP_THE_FILE", True, False),
        ("KEEP_LATEST", False, True),
        ("KEEP_LATEST", True, False),
        ("OVERWRITE_EXISTING", False, True),
        ("OVERWRITE_EXISTING", True, True),
    ],
)
def test_a_conflict_is_solved_by_the_policy(lake: Lake, policy: str, there_newer: bool, moved: bool) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport", policy)
    lake.put("raw/a", b"from oss", 2_000)
    there = lake.folder / "in/a"
    there.write_bytes(b"was here")
    os.utime(there, ns=(3_000, 3_000) if there_newer else (1_000, 1_000))
    found = lake.move(flow, task, "/a", "/a")
    assert found["Status"] == "COMPLETE"
    assert there.read_bytes() == (b"from oss" if moved else b"was here")
    stats = found["ProgressStats"]
    assert (stats["BytesTotal"], stats["BytesDone"], stats["ActualBytes"]) == (8, 8, 8 if moved else 0)


def test_a_missing_source_fails_with_its_name(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    found = lake.move(flow, task, "/nothing", "/a")
    assert (found["Status"], found["ErrorMsg"]) == (
        "FAILED",
        "the source file /raw/nothing does not exist",
    )
    assert "FileDetail" not in found


def test_a_name_that_is_too_long_for_a_file_fails(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    lake.put("raw/a", b"x")
    found = lake.move(flow, task, "/a", "/" + "n" * 256)
    assert found["Status"] == "FAILED"
    assert "File name too long" in found["ErrorMsg"]


def test_a_condition_is_held_against_the_file(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    lake.put("raw/a", b"12345", 7)
    good = {"Condition.Size": "5", "Condition.ModifyTime": "7"}
    assert lake.move(flow, task, "/a", "/a", **good)["Status"] == "COMPLETE"
    bad = {"Condition.Size": "5", "Condition.ModifyTime": "8"}
    assert lake.move(flow, task, "/a", "/b", **bad)["Status"] == "FAILED"


def test_a_canceled_file_does_not_arrive(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    lake.put("raw/a", b"12345")
    names = {"DataFlowId": flow, "DataFlowTaskId": task}
    made = lake.ask("CreateDataFlowSubTask", **names, SrcFilePath="/a", DstFilePath="/a")["DataFlowSubTaskId"]
    lake.ask("CancelDataFlowSubTask", **names, DataFlowSubTaskId=made)
    lake.wait()
    assert lake.described(made)["Status"] == "CANCELED"
    assert not (lake.folder / "in/a").exists()


def test_a_bucket_must_be_there_and_tagged(lake: Lake) -> None:
    with pytest.raises(NasError) as caught:
        lake.flow(SourceStorage="oss://nowhere")
    assert caught.value.code == "InvalidSourceStorage.NotFound"
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    lake.put("raw/a", b"1")
    names = {"DataFlowId": flow, "DataFlowTaskId": task, "SrcFilePath": "/a", "DstFilePath": "/a"}
    made = lake.ask("CreateDataFlowSubTask", **names)["DataFlowSubTaskId"]
    lake.cloud.bucket("lake").tags.clear()
    lake.wait()
    assert "cpfs-dataflow=true" in lake.described(made)["ErrorMsg"]
    (shown,) = lake.ask("DescribeDataFlows")["DataFlowInfo"]["DataFlow"]
    assert (shown["Status"], "cpfs-dataflow=true" in shown["ErrorMessage"]) == ("Misconfigured", True)
    with pytest.raises(NasError, match="Misconfigured"):
        lake.ask("CreateDataFlowSubTask", **names)


def test_the_directory_must_be_there(lake: Lake) -> None:
    with pytest.raises(NasError) as caught:
        lake.flow(FileSystemPath="/nowhere/")
    assert caught.value.code == "InvalidFileSystemPath.NotFound"


def test_a_batch_imports_a_directory(lake: Lake) -> None:
    flow = lake.flow()
    for name in ("raw/d/a", "raw/d/sub/b", "raw/d/other/c", "raw/e/not"):
        lake.put(name, name.encode())
    with pytest.raises(NasError) as caught:
        lake.task(flow, "Import", Directory="/d/", DstDirectory="/new/")
    assert caught.value.code == "InvalidDstDirectory.NotFound"
    task = lake.task(flow, "Import", Directory="/d/", DstDirectory="/new/", CreateDirIfNotExist="true")
    assert lake.batch(task)["Status"] == "Completed"
    new = lake.folder / "in/new"
    found = {str(path.relative_to(new)): path.read_text() for path in new.rglob("*") if path.is_file()}
    assert found == {"a": "raw/d/a", "sub/b": "raw/d/sub/b", "other/c": "raw/d/other/c"}
    only = {"Includes": '["/sub/"]', "CreateDirIfNotExist": "True"}
    lake.task(flow, "Import", Directory="/d/", DstDirectory="/part/", **only)
    assert [path.name for path in (lake.folder / "in/part").rglob("*") if path.is_file()] == ["b"]


def test_a_batch_exports_a_list_and_names_what_failed(lake: Lake) -> None:
    flow = lake.flow()
    (lake.folder / "in/a").write_bytes(b"A")
    task = lake.task(flow, "Export", EntryList='["/a","/missing"]', DstDirectory="/out/")
    found = lake.batch(task)
    assert (found["Status"], lake.object("raw/out/a")) == ("Failed", b"A")
    assert found["ErrorMsg"] == "1 of 2 files failed: /in/missing: the source file /in/missing does not exist"
    assert found["ProgressStats"]["ActualBytes"] == 1


def test_a_batch_takes_its_list_from_the_bucket(lake: Lake) -> None:
    flow = lake.flow()
    lake.put("raw/a", b"A")
    lake.put("lists/1.csv", b"/a,file\n/d/,dir\n")
    lake.task(flow, "Import", TransferFileListPath="/lists/")
    assert (lake.folder / "in/a").read_bytes() == b"A"


def test_the_other_reading_puts_imports_under_the_tasks_directory(lake: Lake) -> None:
    lake.store.options.import_into_task_directory = True
    flow = lake.flow()
    task = lake.task(flow, "StreamImport", Directory="/test/", DstDirectory="/mnt/")
    lake.put("raw/test/a", b"A")
    assert lake.move(flow, task, "/a", "/b")["DstFilePath"] == "/in/mnt/b"
    assert (lake.folder / "in/mnt/b").read_bytes() == b"A"


def test_nothing_leaves_the_file_system(lake: Lake) -> None:
    flow = lake.flow()
    task = lake.task(flow, "StreamImport")
    lake.put("raw/a", b"A")
    for target in ("/../../escaped", "/x/../../../escaped"):
        with pytest.raises(NasError):
            lake.move(flow, task, "/a", target)
