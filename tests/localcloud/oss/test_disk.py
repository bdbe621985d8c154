"""A service on disk, closed or abandoned, and opened again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from tests.localcloud.oss.conftest import BUCKET, Raw

ROOT = f"/{BUCKET}"
BIG = bytes(range(256)) * 1024


def files(folder: Path) -> list[int]:
    return sorted(path.stat().st_size for path in (folder / "oss-blobs").glob("*/*"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def fill(raw: Raw) -> str:
    """Put something of every kind; returns the id of an open upload."""
    headers = {"x-oss-meta-a": "ü".encode().decode("latin-1"), "x-oss-tagging": "t=1", "Content-Type": "a/b"}
    raw("PUT", f"{ROOT}/small", b"small", headers)
    raw("PUT", f"{ROOT}/big", BIG)
    raw("PUT", f"{ROOT}/copy", headers={"x-oss-copy-source": f"{ROOT}/big"})
    raw("POST", f"{ROOT}/log?append&position=0", b"12345")
    raw("POST", f"{ROOT}/log?append&position=5", b"6789")
    done = raw("POST", f"{ROOT}/mp?uploads").text("UploadId")
    raw("PUT", f"{ROOT}/mp?partNumber=1&uploadId={done}", BIG)
    raw("PUT", f"{ROOT}/mp?partNumber=2&uploadId={done}", b"tail")
    raw("POST", f"{ROOT}/mp?uploadId={done}", headers={"x-oss-complete-all": "yes"})
    raw.control("bucket", {"name": "versioned", "versioning": "Enabled"})
    raw("PUT", "/versioned/k", b"1")
    raw("PUT", "/versioned/k", b"2")
    raw("DELETE", "/versioned/k")
    upload_id = raw("POST", f"{ROOT}/open?uploads").text("UploadId")
    raw("PUT", f"{ROOT}/open?partNumber=1&uploadId={upload_id}", BIG)
    return upload_id


def check(raw: Raw, upload_id: str) -> None:
    small = raw("GET", f"{ROOT}/small")
    assert (small.body, small.headers["content-type"], small.headers["x-oss-tagging-count"]) == (
        b"small",
        "a/b",
        "1",
    )
    assert raw("GET", f"{ROOT}/big").body == raw("GET", f"{ROOT}/copy").body == BIG
    assert raw("GET", f"{ROOT}/big", headers={"Range": "bytes=255-257"}).body == b"\xff\x00\x01"
    log = raw("GET", f"{ROOT}/log")
    assert (log.body, log.headers["x-oss-hash-crc64ecma"]) == (b"123456789", "11051210869376104954")
    assert raw("GET", f"{ROOT}/mp").body == BIG + b"tail"
    assert raw("GET", "/versioned/k").headers["x-oss-delete-marker"] == "true"
    versions = raw("GET", "/versioned/?versions").xml
    assert versions is not None
    assert [child.tag for child in versions if child.tag in ("Version", "DeleteMarker")] == [
        "DeleteMarker",
        "Version",
        "Version",
    ]
    (open_,) = raw.control("uploads", method="GET")
    assert (open_["upload_id"], open_["parts"]) == (upload_id, [{"number": 1, "size": len(BIG)}])


def test_everything_survives_a_restart(folder: Path) -> None:
    service = OssService({}, folder, buckets=[BUCKET])
    with Server(service) as server:
        upload_id = fill(Raw(server.port))
        check(Raw(server.port), upload_id)
    service.close()
    service = OssService({}, folder)
    with Server(service) as server:
        raw = Raw(server.port)
        check(raw, upload_id)
        assert files(folder) == [len(BIG)] * 3
        raw("DELETE", f"{ROOT}/big")
        assert len(files(folder)) == 3, "the copy still needs the file"
        raw("DELETE", f"{ROOT}/copy")
        raw("DELETE", f"{ROOT}/open?uploadId={upload_id}")
        assert raw("PUT", f"{ROOT}/mp", b"").status == 200
        assert files(folder) == []
    service.close()


def test_a_killed_process_loses_nothing_it_answered_and_leaves_no_files(folder: Path) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
server = Server(OssService({{}}, Path({str(folder)!r}), buckets=[{BUCKET!r}])).start()
print(server.port, flush=True)
sys.stdin.readline()
server.service._cloud.storage.write(b"x" * 100_000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        raw = Raw(int(process.stdout.readline()))
        upload_id = fill(raw)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(10)
    assert 100_000 in files(folder)
    service = OssService({}, folder)
    with Server(service) as server:
        check(Raw(server.port), upload_id)
    assert 100_000 not in files(folder)
    service.close()


def test_a_reset_empties_the_folder(folder: Path) -> None:
    service = OssService({}, folder, buckets=[BUCKET])
    with Server(service) as server:
        raw = Raw(server.port)
        fill(raw)
        raw.control("reset")
        assert files(folder) == []
        assert raw("GET", f"{ROOT}/small").code == "NoSuchKey"
    service.close()
