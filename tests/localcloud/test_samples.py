"""What the demo offers beside its main DAG is really there."""

from __future__ import annotations

import time
from pathlib import Path

import boto3
import pytest

from airflow_provider_sync.localcloud.programs import Places, free_port
from airflow_provider_sync.localcloud.samples import Samples

DAGS = Path(__file__).parents[2] / "dags"


class Bucket:
    def __init__(self) -> None:
        self.keys: list[str] = []

    def put_object(self, key: str, data: bytes) -> None:
        assert data
        self.keys.append(key)


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    for name in ("logs", "dags"):
        (tmp_path / name).mkdir()
    places = Places(tmp_path, tmp_path / "dags", 0, "", "")
    return Samples(
        places, DAGS, "http://127.0.0.1:1", f"http://127.0.0.1:{free_port(0)}", "samples", "samples-secret"
    )


def test_a_bucket_to_migrate_the_dags_and_new_objects_are_there(samples: Samples) -> None:
    bucket = Bucket()
    with samples.running(lambda name: bucket if name == "examplebucket" else None):
        client = boto3.client(
            "s3",
            endpoint_url=samples.s3,
            aws_access_key_id="samples",
            aws_secret_access_key="samples-secret",
            region_name="us-east-1",
        )
        page = client.list_objects_v2(Bucket="photos-tokyo")
        assert page["KeyCount"] == 601
        deadline = time.monotonic() + 10
        while not bucket.keys and time.monotonic() < deadline:
            time.sleep(0.01)
        assert bucket.keys[0].startswith("incoming/")
        copied = {path.name: path.read_text() for path in samples.places.dags.iterdir()}
    assert set(copied) == {"migrate_once.py", "cpfs_import.py"}
    assert "photos-tokyo" in copied["migrate_once.py"]
    assert '"task_object_count": 50' in copied["migrate_once.py"]
    assert 'FILE_SYSTEM = "bmcpfs-370jz26fkr2st9"' in copied["cpfs_import.py"]


def test_what_has_arrived_in_cpfs_is_seen(samples: Samples) -> None:
    assert samples.arrived() == set()
    samples.arrivals.mkdir(parents=True, exist_ok=True)
    (samples.arrivals / "100000.txt").write_bytes(b"x")
    assert samples.arrived() == {"100000.txt"}
