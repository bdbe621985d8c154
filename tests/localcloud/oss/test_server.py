"""Faults, knobs and the service as a whole."""

from __future__ import annotations

import http.client
import random
import time
from typing import Any

import pytest

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from tests.localcloud.oss.conftest import BUCKET, Raw

ROOT = f"/{BUCKET}"
KEY = f"{ROOT}/k"


def arm(raw: Raw, action: str, operation: str, **more: Any) -> None:
    raw.control("faults", {"action": action, "operation": operation, **more})


def test_throttling_is_503_with_retry_after_and_does_nothing(raw: Raw) -> None:
    arm(raw, "throttle", "PutObject", seconds=2, key=f"^{BUCKET}/k$")
    assert raw("PUT", f"{ROOT}/other", b"x").status == 200
    answer = raw("PUT", KEY, b"x")
    assert (answer.status, answer.code, answer.text("EC")) == (503, "QpsLimitExceeded", "0004-00000302")
    assert answer.headers["retry-after"] == "2"
    assert raw("HEAD", KEY).status == 404
    assert raw("PUT", KEY, b"x").status == 200


def test_any_error_can_be_asked_for(raw: Raw) -> None:
    arm(raw, "error", "GetObject", status=403, code="AccessDenied", message="because")
    assert (raw("GET", KEY).status, raw("GET", KEY).code) == (403, "NoSuchKey")


@pytest.mark.parametrize("action", ["lost_reply", "drop_before"])
def test_a_lost_reply_is_lost_after_the_fact(raw: Raw, action: str) -> None:
    arm(raw, action, "AppendObject")
    with pytest.raises((http.client.HTTPException, OSError)):
        raw("POST", f"{KEY}?append&position=0", b"abc")
    assert raw("HEAD", KEY).status == (200 if action == "lost_reply" else 404)


def test_a_lost_reply_to_complete_leaves_the_object_and_no_upload(raw: Raw) -> None:
    upload_id = raw("POST", f"{KEY}?uploads").text("UploadId")
    raw("PUT", f"{KEY}?partNumber=1&uploadId={upload_id}", b"x")
    arm(raw, "lost_reply", "CompleteMultipartUpload")
    whole = {"x-oss-complete-all": "yes"}
    with pytest.raises((http.client.HTTPException, OSError)):
        raw("POST", f"{KEY}?uploadId={upload_id}", headers=whole)
    assert raw("POST", f"{KEY}?uploadId={upload_id}", headers=whole).code == "NoSuchUpload"
    assert raw("GET", KEY).body == b"x"
    assert raw.control("uploads", method="GET") == []


def test_a_cut_answer_ends_early(raw: Raw) -> None:
    raw("PUT", KEY, b"0123456789")
    arm(raw, "cut", "GetObject", bytes=4)
    with pytest.raises(http.client.IncompleteRead) as caught:
        raw("GET", KEY)
    assert caught.value.partial == b"0123"


def test_a_wrong_checksum_is_wrong_only_in_the_answer(raw: Raw) -> None:
    arm(raw, "wrong_crc", "PutObject")
    wrong = raw("PUT", KEY, b"123456789").headers["x-oss-hash-crc64ecma"]
    assert wrong != raw("HEAD", KEY).headers["x-oss-hash-crc64ecma"] == "11051210869376104954"


def test_a_duplicate_is_done_twice(raw: Raw) -> None:
    arm(raw, "duplicate", "AppendObject")
    assert raw("POST", f"{KEY}?append&position=0", b"abc").code == "PositionNotEqualToLength"
    assert raw("GET", KEY).body == b"abc"


def test_a_delay_waits(raw: Raw) -> None:
    arm(raw, "delay", "ListObjects", seconds=0.05)
    start = time.monotonic()
    assert raw("GET", f"{ROOT}/").status == 200
    assert time.monotonic() - start >= 0.05


def test_requests_are_logged_by_their_operation(raw: Raw) -> None:
    raw("PUT", KEY, b"x")
    raw("HEAD", f"{KEY}?objectMeta")
    raw("GET", f"{ROOT}/none")
    arm(raw, "throttle", "GetObject")
    raw("GET", KEY)
    assert raw.control("requests", method="GET") == [
        {"operation": "PutObject", "status": 200, "fault": None},
        {"operation": "GetObjectMeta", "status": 200, "fault": None},
        {"operation": "GetObject", "status": 404, "fault": None},
        {"operation": "GetObject", "status": 503, "fault": "throttle"},
    ]


def test_seeded_objects_are_the_same_for_the_same_seed(raw: Raw) -> None:
    request = {"bucket": "seeded", "prefix": "p/", "suffix": ".bin", "count": 3, "size": 1000, "seed": 7}
    assert raw.control("seed", request) == {"bucket": "seeded", "objects": 3, "bytes": 3000}
    body = raw("GET", "/seeded/p/00000002.bin").body
    assert body == random.Random("7:p/00000002.bin").randbytes(1000)
    listed = raw.control("objects?bucket=seeded&prefix=p/", method="GET")
    assert [(item["key"], item["size"]) for item in listed] == [
        (f"p/{number:08d}.bin", 1000) for number in range(3)
    ]


def test_a_quota_stops_writes_and_counts_parts(raw: Raw) -> None:
    raw("PUT", KEY, b"x" * 60)
    raw.control("quota", {"bucket": BUCKET, "bytes": 100})
    assert raw("PUT", f"{ROOT}/b", b"x" * 41).code == "QuotaExceeded"
    upload_id = raw("POST", f"{KEY}?uploads").text("UploadId")
    assert raw("PUT", f"{KEY}?partNumber=1&uploadId={upload_id}", b"x" * 40).status == 200
    assert raw("POST", f"{ROOT}/log?append&position=0", b"x").code == "QuotaExceeded"
    raw("DELETE", f"{KEY}?uploadId={upload_id}")
    assert raw("PUT", f"{ROOT}/b", b"x" * 40).status == 200
    raw.control("quota", {"bucket": BUCKET, "bytes": None})
    assert raw("PUT", f"{ROOT}/c", b"x" * 400).status == 200


def test_keys_can_be_denied(raw: Raw) -> None:
    raw("PUT", KEY, b"x")
    raw.control("deny", {"key_regex": "^k$", "operation": "GetObject|PutObject"})
    assert (raw("GET", KEY).code, raw("PUT", KEY, b"y").status) == ("AccessDenied", 403)
    assert raw("HEAD", KEY).status == raw("PUT", f"{ROOT}/kk", b"x").status == 200
    raw.control("deny", method="DELETE")
    assert raw("GET", KEY).body == b"x"


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "seed", b"{}"),
        ("POST", "seed", b"[]"),
        ("POST", "bucket", b'{"name": "X"}'),
        ("POST", "bucket", b'{"name": "abc", "versioning": "On"}'),
        ("POST", "quota", b'{"bucket": "none", "bytes": 1}'),
        ("POST", "deny", b'{"key_regex": "("}'),
        ("GET", "objects?bucket=none", b""),
        ("GET", "nothing", b""),
    ],
)
def test_a_control_request_that_makes_no_sense_is_400(raw: Raw, method: str, route: str, body: bytes) -> None:
    assert raw(method, f"/_control/{route}", body).status == 400


def test_a_reset_forgets_all_but_the_configured_buckets(raw: Raw) -> None:
    raw("PUT", KEY, b"x")
    raw.control("bucket", {"name": "extra", "versioning": "Enabled"})
    raw.control("deny", {"key_regex": "."})
    raw.control("reset")
    assert raw("PUT", KEY, b"y", {"x-oss-forbid-overwrite": "true"}).status == 200
    assert raw("GET", "/extra/").code == "NoSuchBucket"


def test_the_clock_dates_everything(raw: Raw) -> None:
    raw.control("clock", {"now": 1767323045})
    put = raw("PUT", KEY, b"x")
    assert put.headers["date"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert raw("HEAD", KEY).headers["last-modified"] == "Fri, 02 Jan 2026 03:04:05 GMT"


def test_both_styles_of_addresses_reach_the_same_object(raw: Raw) -> None:
    raw("PUT", "/k", b"x", {"Host": f"{BUCKET}.oss.localhost:{raw.port}"})
    assert raw("GET", KEY).body == b"x"
    assert raw("GET", "/k", headers={"Host": f"{BUCKET}.127.0.0.1.nip.io"}).body == b"x"


def test_a_service_can_behave_like_a_bucket_created_today() -> None:
    service = OssService({"id": "s"}, buckets=[BUCKET], refuse_path_style=True, region="cn-beijing")
    with Server(service) as server:
        raw = Raw(server.port)
        assert raw("GET", KEY).code == "SecondLevelDomainForbidden"
        host = {"Host": f"{BUCKET}.oss.localhost"}
        assert raw("GET", "/k", headers=host).code == "AccessDenied"


def test_a_failure_inside_is_a_500_and_the_service_goes_on(
    raw: Raw, open_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    service: Any = open_server.service
    with monkeypatch.context() as patch:
        patch.setattr(service._knobs, "check", broken)
        assert (raw("GET", KEY).status, raw("GET", KEY).code) == (500, "InternalError")
    assert raw("GET", KEY).status == 404
