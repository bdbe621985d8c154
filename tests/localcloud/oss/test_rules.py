"""Rules that no SDK shows by itself: plain HTTP against a server that verifies no signatures."""

from __future__ import annotations

import base64
import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

import pytest

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.model import Limits
from airflow_provider_sync.localcloud.oss.server import OssService
from tests.localcloud.oss.conftest import BUCKET, Raw

ROOT = f"/{BUCKET}"
KEY = f"{ROOT}/k"


def upload(raw: Raw, *sizes: int) -> tuple[str, list[str]]:
    upload_id = raw("POST", f"{KEY}?uploads").text("UploadId")
    etags = [
        raw("PUT", f"{KEY}?partNumber={number}&uploadId={upload_id}", b"x" * size).headers["etag"]
        for number, size in enumerate(sizes, 1)
    ]
    return upload_id, etags


def complete(*parts: tuple[int, str]) -> bytes:
    items = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    return f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"{KEY}?lifecycle"),
        ("PUT", f"{KEY}?unknown"),
        ("PUT", f"{KEY}?unknown=1"),
        ("PUT", f"{KEY}?acl&tagging"),
        ("PUT", f"{ROOT}/?policy"),
        ("DELETE", f"{KEY}?unknown=1"),
        ("GET", f"{KEY}?x-oss-process=image"),
        ("GET", f"{ROOT}/?lifecycle"),
        ("POST", f"{KEY}?select"),
    ],
)
def test_an_unknown_subresource_is_refused(raw: Raw, method: str, path: str) -> None:
    raw("PUT", KEY, b"kept")
    answer = raw(method, path, b"x")
    assert (answer.status, answer.code) == (400, "NotImplemented")
    assert raw("GET", KEY).body == b"kept"


def test_an_undocumented_parameter_with_a_value_is_ignored_by_reads(raw: Raw) -> None:
    raw("PUT", KEY, b"x")
    assert raw("GET", f"{KEY}?trace=1").body == b"x"


def test_a_part_number_without_an_upload_is_not_a_put(raw: Raw) -> None:
    assert raw("PUT", f"{KEY}?partNumber=1", b"x").code == "InvalidArgument"
    assert raw("GET", KEY).code == "NoSuchKey"


def test_methods_that_nothing_has_are_refused(raw: Raw) -> None:
    assert (raw("POST", KEY, b"").status, raw("PATCH", KEY, b"").code) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("name", ["ab", "-ab", "ab-", "Abc", "a_b", "a" * 64])
def test_a_bad_bucket_name_is_refused(raw: Raw, name: str) -> None:
    assert raw("PUT", f"/{name}/").code == "InvalidBucketName"


@pytest.mark.parametrize("key", ["%2Fa", "%5Ca", "a" * 1024, "%C3%A9" * 512])
def test_a_bad_key_is_refused(raw: Raw, key: str) -> None:
    assert raw("PUT", f"{ROOT}/{key}", b"x").code == "InvalidObjectName"


def test_the_longest_key_is_taken(raw: Raw) -> None:
    assert raw("PUT", f"{ROOT}/{'a' * 1023}", b"x").status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (
            {"Content-MD5": base64.b64encode(hashlib.md5(b"y", usedforsecurity=False).digest()).decode()},
            "InvalidDigest",
        ),
        ({"Content-MD5": "?"}, "InvalidDigest"),
        ({"x-oss-meta-a_b": "1"}, "InvalidArgument"),
        ({"x-oss-meta-a": "x" * 8192}, "MetadataTooLarge"),
        ({"x-oss-storage-class": "Frozen"}, "InvalidArgument"),
        ({"x-oss-object-acl": "mine"}, "InvalidArgument"),
        ({"x-oss-server-side-encryption": "ROT13"}, "InvalidArgument"),
        ({"x-oss-tagging": "&".join(f"k{n}=v" for n in range(11))}, "InvalidTag"),
        ({"x-oss-tagging": "a%40b=1"}, "InvalidTag"),
        ({"x-oss-tagging": f"{'k' * 129}=1"}, "InvalidTag"),
        ({"x-oss-tagging": f"k={'v' * 257}"}, "InvalidTag"),
        ({"x-oss-callback": "e30="}, "NotImplemented"),
    ],
)
def test_a_bad_header_is_refused_and_nothing_is_stored(raw: Raw, headers: dict[str, str], code: str) -> None:
    answer = raw("PUT", KEY, b"x", headers)
    assert (answer.status, answer.code) == (400, code)
    assert raw("HEAD", KEY).status == 404


def test_parts_are_checked_at_complete(raw: Raw) -> None:
    upload_id, (one, two) = upload(raw, 102_399, 1)
    target = f"{KEY}?uploadId={upload_id}"
    small = raw("POST", target, complete((1, one), (2, two)))
    assert (small.code, small.text("EC"), small.text("PartNumber")) == (
        "EntityTooSmall",
        "0042-00000213",
        "1",
    )
    unordered = raw("POST", target, complete((2, two), (1, one)))
    assert (unordered.code, unordered.text("EC")) == ("InvalidPartOrder", "0042-00000209")
    assert raw("POST", target, complete((1, one), (1, one))).code == "InvalidPartOrder"
    assert raw("POST", target, complete((1, two))).code == "InvalidPart"
    assert raw("POST", target, complete((3, one))).code == "InvalidPart"
    assert raw("POST", target, b"").code == "MalformedXML"
    both = raw("POST", target, complete((1, one)), {"x-oss-complete-all": "yes"})
    assert both.code == "InvalidArgument"
    assert raw("HEAD", KEY).status == 404
    assert raw("POST", target, complete((1, one))).status == 200
    assert raw("HEAD", KEY).headers["content-length"] == "102399"


def test_completing_all_takes_every_part_in_order(raw: Raw) -> None:
    upload_id, _ = upload(raw, 102_400, 5)
    answer = raw("POST", f"{KEY}?uploadId={upload_id}", headers={"x-oss-complete-all": "yes"})
    assert answer.status == 200
    assert len(raw("GET", KEY).body) == 102_405


def test_completing_no_parts_makes_an_empty_object(raw: Raw) -> None:
    upload_id, _ = upload(raw)
    assert raw("POST", f"{KEY}?uploadId={upload_id}", complete()).status == 200
    assert raw("GET", KEY).headers["x-oss-hash-crc64ecma"] == "0"


def test_an_upload_belongs_to_its_key(raw: Raw) -> None:
    upload_id, _ = upload(raw)
    assert raw("PUT", f"{ROOT}/other?partNumber=1&uploadId={upload_id}", b"x").code == "NoSuchUpload"
    assert raw("PUT", f"{KEY}?partNumber=0&uploadId={upload_id}", b"x").code == "InvalidArgument"
    assert raw("PUT", f"{KEY}?partNumber=10001&uploadId={upload_id}", b"x").code == "InvalidArgument"


def test_deleting_many_needs_a_digest_and_can_be_quiet(raw: Raw) -> None:
    raw("PUT", KEY, b"x")
    body = b"<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>"
    assert raw("POST", f"{ROOT}/?delete", body).code == "InvalidArgument"
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    answer = raw("POST", f"{ROOT}/?delete", body, {"Content-MD5": digest})
    assert (answer.status, answer.body) == (200, b"")
    assert raw("GET", KEY).status == 404


@pytest.mark.parametrize(
    "query", ["max-keys=0", "max-keys=1001", "max-keys=x", f"max-keys={'9' * 5000}", "encoding-type=base64"]
)
def test_a_bad_listing_parameter_is_refused(raw: Raw, query: str) -> None:
    assert raw("GET", f"{ROOT}/?{query}").code == "InvalidArgument"


def test_a_listing_has_a_page_of_100_and_the_documented_elements(raw: Raw) -> None:
    raw.control("seed", {"bucket": BUCKET, "count": 101, "size": 1, "modified": 1767323045})
    answer = raw("GET", f"{ROOT}/?encoding-type=url&prefix=0")
    assert answer.xml is not None
    assert [child.tag for child in answer.xml if child.tag != "Contents"] == [
        "Name", "Prefix", "Marker", "MaxKeys", "Delimiter", "EncodingType", "IsTruncated", "NextMarker",
    ]  # fmt: skip
    contents = answer.xml.findall("Contents")
    assert len(contents) == 100
    assert [child.tag for child in contents[0]] == [
        "Key", "LastModified", "ETag", "Type", "Size", "StorageClass", "Owner",
    ]  # fmt: skip
    assert contents[0].findtext("LastModified") == "2026-01-02T03:04:05.000Z"
    second = raw("GET", f"{ROOT}/?list-type=2&max-keys=1")
    assert second.text("KeyCount") == "1"


def test_url_encoding_covers_keys_prefixes_and_delimiters(raw: Raw) -> None:
    raw("PUT", f"{ROOT}/a%20b%2Bc/%01", b"x")
    answer = raw("GET", f"{ROOT}/?encoding-type=url&prefix=a+b")
    assert (answer.text("Prefix"), answer.text("Contents/Key")) == ("a%20b", "a%20b%2Bc%2F%01")


def test_conditions_and_ranges_reach_the_wire(raw: Raw) -> None:
    etag = raw("PUT", KEY, b"0123456789").headers["etag"]
    cached = raw("GET", KEY, headers={"If-None-Match": etag})
    assert (cached.status, cached.body, cached.headers["etag"]) == (304, b"", etag)
    assert raw("HEAD", KEY, headers={"If-None-Match": etag}).status == 304
    assert raw("GET", KEY, headers={"If-Match": '"no"'}).code == "PreconditionFailed"
    clipped = raw("GET", KEY, headers={"Range": "bytes=8-99", "x-oss-range-behavior": "standard"})
    assert (clipped.status, clipped.body, clipped.headers["content-range"]) == (206, b"89", "bytes 8-9/10")
    outside = raw("GET", KEY, headers={"Range": "bytes=10-", "x-oss-range-behavior": "standard"})
    assert (outside.status, outside.code) == (416, "InvalidRange")
    source = {"x-oss-copy-source": f"{ROOT}/k", "x-oss-copy-source-if-none-match": etag}
    assert raw("PUT", f"{ROOT}/copy", headers=source).status == 304


def test_errors_have_the_documented_elements_also_on_head(raw: Raw) -> None:
    answer = raw("GET", KEY)
    assert answer.xml is not None
    assert [child.tag for child in answer.xml] == ["Code", "Message", "RequestId", "HostId", "Key", "EC"]
    assert answer.headers["x-oss-request-id"] == answer.text("RequestId")
    head = raw("HEAD", KEY)
    assert (head.status, head.body, head.headers["x-oss-ec"]) == (404, b"", "0026-00000001")
    hidden = ET.fromstring(base64.b64decode(head.headers["x-oss-err"]))  # noqa: S314 - our own server's
    assert hidden.findtext("Code") == "NoSuchKey"


def test_a_copy_of_a_version_and_of_a_range(raw: Raw) -> None:
    raw.control("bucket", {"name": BUCKET, "versioning": "Enabled"})
    first = raw("PUT", KEY, b"first").headers["x-oss-version-id"]
    raw("PUT", KEY, b"second")
    source = {"x-oss-copy-source": f"/{BUCKET}/k?versionId={first}"}
    copied = raw("PUT", f"{ROOT}/copy", headers=source)
    assert copied.headers["x-oss-copy-source-version-id"] == first
    assert raw("GET", f"{ROOT}/copy").body == b"first"
    upload_id = raw("POST", f"{KEY}?uploads").text("UploadId")
    wide = {**source, "x-oss-copy-source-range": "bytes=0-5"}
    assert raw("PUT", f"{KEY}?partNumber=1&uploadId={upload_id}", headers=wide).code == "InvalidRange"
    fits = {**source, "x-oss-copy-source-range": "bytes=1-2"}
    assert raw("PUT", f"{KEY}?partNumber=1&uploadId={upload_id}", headers=fits).status == 200


def test_a_body_without_a_length_is_refused_and_a_chunked_one_taken(raw: Raw) -> None:
    with socket.create_connection(("127.0.0.1", raw.port), timeout=10) as sock, sock.makefile("rb") as file:

        def ask(text: str) -> tuple[bytes, bytes]:
            sock.sendall(text.replace("\n", "\r\n").encode())
            status, length = file.readline(), 0
            while (line := file.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            return status, file.read(length)

        status, body = ask(f"PUT {KEY} HTTP/1.1\nHost: x\n\n")
        assert b" 411 " in status
        assert b"MissingContentLength" in body
        chunked = "Transfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n"
        assert b" 200 " in ask(f"PUT {KEY} HTTP/1.1\nHost: x\n{chunked}")[0]
        assert ask(f"GET {KEY} HTTP/1.1\nHost: x\n\n")[1] == b"abcde"
        sock.sendall(
            f"PUT {KEY} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert file.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert file.readline() == b"\r\n"
        assert b" 200 " in ask("xyz")[0]


def test_a_compressed_body_is_stored_as_sent(raw: Raw) -> None:
    packed = base64.b64decode("H4sIAAAAAAAAA0vOSCzKBABTjU3xBQAAAA==")
    raw("PUT", KEY, packed, {"Content-Encoding": "gzip"})
    answer = raw("GET", KEY)
    assert (answer.body, answer.headers["content-encoding"]) == (packed, "gzip")


def test_of_many_writers_exactly_one_wins(raw: Raw) -> None:
    big = b"x" * 1_100_000

    def create(number: int) -> int:
        return raw("PUT", KEY, big + bytes([number]), {"x-oss-forbid-overwrite": "true"}).status

    def extend(number: int) -> int:
        return raw("POST", f"{ROOT}/log?append&position=0", bytes([number]) * 10).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [200] + [409] * 7
        assert sorted(pool.map(extend, range(8))) == [200] + [409] * 7
    assert len(raw("GET", f"{ROOT}/log").body) == 10


def test_a_reader_never_sees_half_an_object(raw: Raw) -> None:
    bodies = [bytes([number]) * 500_000 for number in range(6)]
    raw("PUT", KEY, bodies[0])
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(raw, "GET", KEY) for _ in range(12)]
        writes = [pool.submit(raw, "PUT", KEY, body) for body in bodies]
        assert {write.result().status for write in writes} == {200}
        assert {read.result().body for read in reads} <= set(bodies)


def test_an_appendable_object_in_a_versioned_bucket_is_not_copied(raw: Raw) -> None:
    raw.control("bucket", {"name": BUCKET, "versioning": "Enabled"})
    raw("POST", f"{ROOT}/log?append&position=0", b"x")
    answer = raw("PUT", f"{ROOT}/copy", headers={"x-oss-copy-source": f"{ROOT}/log"})
    assert answer.code == "OperationNotSupported"


def test_an_open_service_takes_signed_and_unsigned_requests() -> None:
    with Server(OssService({"id": "s"}, buckets=[BUCKET], anonymous=True)) as server:
        raw = Raw(server.port)
        assert raw("PUT", KEY, b"x").status == 200
        assert raw("GET", KEY, headers={"Authorization": "OSS nobody:x", "Date": "soon"}).status == 403


def test_size_limits_hold() -> None:
    limits = Limits(put_max=10)
    with Server(OssService({}, buckets=[BUCKET], limits=limits)) as server:
        raw = Raw(server.port)
        assert raw("PUT", KEY, b"x" * 11).code == "EntityTooLarge"
        assert raw("POST", f"{KEY}?append&position=0", b"x" * 6).status == 200
        assert raw("POST", f"{KEY}?append&position=6", b"x" * 5).code == "EntityTooLarge"
        assert raw("POST", f"{KEY}?append&position=6", b"x" * 4).status == 200
