"""The client against the local service, with what goes wrong on the way; content is checked by another CRC."""

from __future__ import annotations

import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import crcmod
import pytest

from airflow_provider_sync.clients.oss.errors import (
    AppendPositionError,
    ChecksumError,
    ClockSkewError,
    NoSuchBucketError,
    NoSuchUploadError,
    ObjectExistsError,
)
from airflow_provider_sync.errors import AccessDeniedError, CorruptDataError, ThrottledError, TransientError
from airflow_provider_sync.spec.connection import Secret

BUCKET = "lake"
KEY = "a b/数据+1~.csv"
crc = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


def test_an_object_makes_the_round_trip(oss: Any) -> None:
    client = oss.client()
    headers = {"content-type": "text/csv", "x-oss-meta-owner": "etl"}
    stored = client.put(BUCKET, KEY, b"hello", headers=headers)
    assert stored.crc64 == crc(b"hello") == 11177612005948864433
    assert client.get(BUCKET, KEY) == b"hello"
    assert client.get(BUCKET, KEY, 1, 3) == b"el"
    found = client.head(BUCKET, KEY)
    assert (found.size, found.kind, found.crc64) == (5, "Normal", crc(b"hello"))
    assert found.metadata["owner"] == "etl"
    assert [one.key for one in client.list_objects(BUCKET, "a b/")] == [KEY]
    client.delete(BUCKET, KEY)
    client.delete(BUCKET, KEY)
    assert client.get(BUCKET, KEY) is None
    assert client.head(BUCKET, KEY) is None


def test_a_missing_bucket_is_not_a_missing_object(oss: Any) -> None:
    client = oss.client()
    for call in (client.get, client.head):
        with pytest.raises(NoSuchBucketError):
            call("nowhere", "k")
    with pytest.raises(NoSuchBucketError, match="create the bucket"):
        list(client.list_objects("nowhere"))
    with pytest.raises(NoSuchBucketError):
        client.bucket_info("nowhere")


def test_bucket_info_tells_versioning(oss: Any) -> None:
    assert oss.client().bucket_info(BUCKET).versioning == ""
    oss.control("bucket", {"name": BUCKET, "versioning": "Suspended"})
    assert oss.client().bucket_info(BUCKET).versioning == "Suspended"


def test_buckets_are_listed(oss: Any) -> None:
    oss.control("bucket", {"name": "another"})
    assert list(oss.client().list_buckets()) == ["another", BUCKET]


def test_long_listings_are_paged_and_deleted_by_thousands(oss: Any) -> None:
    oss.control("seed", {"bucket": BUCKET, "count": 2100, "size": 1, "prefix": "many/"})
    client = oss.client()
    keys = [one.key for one in client.list_objects(BUCKET, "many/")]
    assert keys == [f"many/{i:08d}" for i in range(2100)]
    client.delete_many(BUCKET, keys)
    assert list(client.list_objects(BUCKET, "many/")) == []
    assert oss.operations().count("DeleteMultipleObjects") == 3


def test_tags_make_the_round_trip(oss: Any) -> None:
    client = oss.client()
    client.put(BUCKET, "k", b"")
    client.put_tagging(BUCKET, "k", {"team": "data", "x y": "1"})
    assert client.get_tagging(BUCKET, "k") == {"team": "data", "x y": "1"}


def test_parts_become_one_object(oss: Any) -> None:
    client = oss.client()
    upload = client.initiate(BUCKET, "big", headers={"x-oss-meta-a": "1"})
    bodies = [bytes([n]) * 150_000 for n in range(3)] + [b"tail"]
    parts = [client.upload_part(BUCKET, "big", upload, n, body) for n, body in enumerate(bodies, 1)]
    assert client.head(BUCKET, "big") is None
    assert [(one.key, one.upload_id) for one in client.list_uploads(BUCKET, "b")] == [("big", upload)]
    assert client.complete(BUCKET, "big", upload, parts).crc64 == crc(b"".join(bodies))
    assert client.get(BUCKET, "big") == b"".join(bodies)
    assert client.complete(BUCKET, "big", upload, parts).crc64 == crc(b"".join(bodies))


def test_an_aborted_upload_is_gone(oss: Any) -> None:
    client = oss.client()
    upload = client.initiate(BUCKET, "big")
    part = client.upload_part(BUCKET, "big", upload, 1, b"x")
    client.abort(BUCKET, "big", upload)
    client.abort(BUCKET, "big", upload)
    with pytest.raises(NoSuchUploadError):
        client.complete(BUCKET, "big", upload, [part])
    client.put(BUCKET, "big", b"other")
    with pytest.raises(NoSuchUploadError):
        client.complete(BUCKET, "big", upload, [part])


def test_forbidden_overwrites_are_errors(oss: Any) -> None:
    client = oss.client()
    client.put(BUCKET, "k", b"1", forbid_overwrite=True)
    with pytest.raises(ObjectExistsError):
        client.put(BUCKET, "k", b"1", forbid_overwrite=True)
    upload = client.initiate(BUCKET, "k")
    part = client.upload_part(BUCKET, "k", upload, 1, b"x")
    with pytest.raises(ObjectExistsError):
        client.complete(BUCKET, "k", upload, [part], forbid_overwrite=True)


def test_a_lost_reply_to_an_exclusive_put_is_no_conflict(oss: Any) -> None:
    oss.fault("lost_reply", "PutObject")
    assert oss.client().put(BUCKET, "k", b"1", forbid_overwrite=True).crc64 == crc(b"1")


def test_lost_replies_to_complete_and_append_are_resolved(oss: Any) -> None:
    client = oss.client()
    upload = client.initiate(BUCKET, "k")
    part = client.upload_part(BUCKET, "k", upload, 1, b"x")
    oss.fault("lost_reply", "CompleteMultipartUpload")
    assert client.complete(BUCKET, "k", upload, [part]).crc64 == crc(b"x")
    oss.fault("lost_reply", "AppendObject", count=1)
    body = io.BytesIO(b"abc")
    stored = client.append(BUCKET, "log", body, size=3, checksum=crc(b"abc"), position=0, base=0)
    assert (stored.crc64, stored.next_position) == (crc(b"abc"), 3)
    assert client.get(BUCKET, "log") == b"abc"


def test_appends_go_where_they_say(oss: Any) -> None:
    client = oss.client()
    client.append(BUCKET, "log", b"ab", size=2, checksum=crc(b"ab"), position=0, base=0)
    client.append(BUCKET, "log", b"c", size=1, checksum=crc(b"c"), position=2, base=crc(b"ab"))
    assert client.get(BUCKET, "log") == b"abc"
    with pytest.raises(AppendPositionError) as caught:
        client.append(BUCKET, "log", b"d", size=1, checksum=crc(b"d"), position=2, base=crc(b"ab"))
    assert caught.value.position == 3
    with pytest.raises(CorruptDataError, match="crc-64"):
        client.append(BUCKET, "log", b"d", size=1, checksum=crc(b"d"), position=3, base=12345)


@pytest.mark.parametrize("action", ["error", "throttle", "drop_before", "lost_reply", "cut", "wrong_crc"])
@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "HeadObject", "ListObjectsV2", "UploadPart"])
def test_every_transient_failure_is_tried_again(oss: Any, action: str, operation: str) -> None:
    client = oss.client()
    client.put(BUCKET, "k", b"content" * 100)
    upload = client.initiate(BUCKET, "m")
    oss.fault(action, operation, count=2, bytes=40)
    calls = {
        "PutObject": lambda: client.put(BUCKET, "k", b"content" * 100).crc64 == crc(b"content" * 100),
        "GetObject": lambda: client.get(BUCKET, "k") == b"content" * 100,
        "HeadObject": lambda: client.head(BUCKET, "k").size == 700,
        "ListObjectsV2": lambda: [one.key for one in client.list_objects(BUCKET)] == ["k"],
        "UploadPart": lambda: client.upload_part(BUCKET, "m", upload, 1, b"x").size == 1,
    }
    assert calls[operation]()


def test_patience_ends(oss: Any) -> None:
    client = oss.client(attempts=3)
    oss.fault("throttle", "PutObject", count=-1, seconds=1.5)
    with pytest.raises(ThrottledError):
        client.put(BUCKET, "k", b"")
    assert len(oss.waits) == 2
    assert min(oss.waits) >= 1.0
    oss.control("faults", method="DELETE")
    oss.fault("wrong_crc", "PutObject", count=-1)
    with pytest.raises(ChecksumError):
        client.put(BUCKET, "k", b"x")


def test_refusals_are_not_tried_again(oss: Any) -> None:
    with pytest.raises(AccessDeniedError, match=r"check connection\.access_key_secret"):
        oss.client(access_key_secret=Secret("wrong")).put(BUCKET, "k", b"")
    with pytest.raises(AccessDeniedError, match=r"check connection\.access_key_id"):
        list(oss.client(access_key_id="nobody").list_objects(BUCKET))
    assert oss.waits == []


def test_a_dead_service_is_transient(oss: Any) -> None:
    client = oss.client(endpoint="http://127.0.0.1:1", attempts=2)
    with pytest.raises(TransientError, match=r"put lake/k: cannot connect to 127\.0\.0\.1:1"):
        client.put(BUCKET, "k", b"")
    with pytest.raises(TransientError, match="no answer"):
        client.bucket_info(BUCKET)


@pytest.mark.parametrize("offset", [-7200, 7200])
def test_a_wrong_clock_is_set_by_the_service(oss: Any, offset: int) -> None:
    for call in ("put", "list"):
        client = oss.client(clock=lambda: time.time() + offset)
        if call == "put":
            client.put(BUCKET, "k", b"1")
        else:
            assert len(list(client.list_objects(BUCKET))) == 1
        assert client.get(BUCKET, "k") == b"1"
    assert oss.waits == []


def test_a_file_is_sent_again_from_where_it_stood_once_the_clock_is_set(oss: Any) -> None:
    file = io.BytesIO(b"abc" * 200_000)
    client = oss.client(clock=lambda: time.time() - 7200)
    client.append(BUCKET, "log", file, size=600_000, checksum=crc(file.getvalue()), position=0, base=0)
    assert client.get(BUCKET, "log") == file.getvalue()
    assert oss.waits == []


def test_a_clock_that_cannot_be_set_is_reported(oss: Any) -> None:
    times = iter(range(0, 10**9, 10**7))  # every look at this clock is months after the last
    client = oss.client(clock=lambda: float(next(times)))
    with pytest.raises(ClockSkewError, match="set the clock"):
        client.put(BUCKET, "k", b"1")


def test_temporary_credentials_sign_both_planes(oss: Any) -> None:
    sts = {"access_key_id": "STS.1", "access_key_secret": "tmp", "token": "tok"}
    oss.control("sts", sts)
    fields = {"access_key_id": "STS.1", "access_key_secret": Secret("tmp")}
    client = oss.client(**fields, security_token=Secret("tok"))
    client.put(BUCKET, "k", b"1")
    assert len(list(client.list_objects(BUCKET))) == 1
    with pytest.raises(AccessDeniedError):
        oss.client(**fields, security_token=Secret("other")).put(BUCKET, "k", b"1")


def test_old_signatures_work_where_asked_for(oss: Any) -> None:
    client = oss.client(extra={"signature_version": "v1"})
    upload = client.initiate(BUCKET, KEY)
    part = client.upload_part(BUCKET, KEY, upload, 1, b"x")
    client.complete(BUCKET, KEY, upload, [part])
    assert [one.key for one in client.list_objects(BUCKET, "a b")] == [KEY]
    assert client.get(BUCKET, KEY) == b"x"


def test_buckets_may_be_in_the_host_name(oss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo  # not every resolver knows that *.localhost is this machine
    monkeypatch.setattr("socket.getaddrinfo", lambda _, *more, **named: resolve("127.0.0.1", *more, **named))
    client = oss.client(endpoint=f"http://oss.localhost:{oss.port}")
    client.put(BUCKET, KEY, b"x")
    assert [one.key for one in client.list_objects(BUCKET)] == [KEY]


def test_many_threads_share_one_client(oss: Any) -> None:
    client = oss.client()
    started = threading.Barrier(16)

    def work(number: int) -> bool:
        started.wait()
        for i in range(20):
            client.put(BUCKET, f"t/{number}/{i}", str(number * i).encode())
        return all(client.get(BUCKET, f"t/{number}/{i}") == str(number * i).encode() for i in range(20))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))
