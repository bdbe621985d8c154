"""The vendor's first SDK against the service, signatures V1 and V4 verified."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import oss2
import pytest
import requests
from oss2.exceptions import OssError, ServerError

from tests.localcloud.oss.conftest import KEY_ID, SECRET, Raw

# The SDK leaves the connection of an answer without a body to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

STRANGE = "sales/2026 Q1/数据+1&%?=#~'()*!.csv"


def error(call: Callable[[], Any]) -> ServerError:
    with pytest.raises(ServerError) as caught:
        call()
    return caught.value


def test_an_object_comes_back_with_everything_it_was_given(bucket: oss2.Bucket) -> None:
    given = {
        "Content-Type": "text/csv",
        "Cache-Control": "no-cache",
        "Content-Disposition": "attachment",
        "Content-Encoding": "gzip",
        "Content-Language": "de",
        "Expires": "Fri, 02 Jan 2026 03:04:05 GMT",
        "x-oss-meta-Owner": "etl",
        "x-oss-storage-class": "IA",
        "x-oss-tagging": "a=1&b%20c=2",
        "x-oss-server-side-encryption": "AES256",
    }
    put = bucket.put_object(STRANGE, b"123456789", headers=given)
    assert put.etag == hashlib.md5(b"123456789", usedforsecurity=False).hexdigest().upper()
    assert put.crc == 11051210869376104954
    assert put.headers["x-oss-server-side-encryption"] == "AES256"
    got = bucket.get_object(STRANGE)
    # The stored encoding is only a header here: the raw bytes are asked for, as the client would unpack them.
    assert got.resp.response.raw.read(decode_content=False) == b"123456789"
    head = bucket.head_object(STRANGE).headers
    for name, value in given.items():
        if name != "x-oss-tagging":
            assert head[name.lower()] == got.headers[name] == value
    assert (head["x-oss-tagging-count"], head["x-oss-object-type"]) == ("2", "Normal")
    assert head["Content-MD5"] == "JfnnlDI7RTiF9RgfG2JNCw=="
    assert head["x-oss-hash-crc64ecma"] == "11051210869376104954"
    meta = bucket.get_object_meta(STRANGE)
    assert (meta.content_length, meta.etag) == (9, put.etag)


def test_existence_is_an_answer(bucket: oss2.Bucket) -> None:
    assert not bucket.object_exists("k")
    assert error(lambda: bucket.get_object("k")).code == "NoSuchKey"
    missing = error(lambda: bucket.head_object("k"))
    assert (missing.status, missing.code, missing.ec) == (404, "NoSuchKey", "0026-00000001")
    bucket.put_object("k", b"")
    assert bucket.object_exists("k")
    assert bucket.get_object("k").read() == b""
    assert bucket.delete_object("k").status == bucket.delete_object("k").status == 204
    assert not bucket.object_exists("k")


def test_ranges_are_served(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"0123456789")
    part = bucket.get_object("k", byte_range=(2, 4))
    assert (part.status, part.read(), part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    whole_crc = bucket.head_object("k").headers["x-oss-hash-crc64ecma"]
    assert part.headers["x-oss-hash-crc64ecma"] == whole_crc
    outside = bucket.get_object("k", byte_range=(5, 50))
    assert (outside.status, outside.read()) == (200, b"0123456789")


def test_listings_page_and_group(bucket: oss2.Bucket, signed: Raw) -> None:
    signed.control("seed", {"bucket": "bucket-one", "prefix": "many/", "count": 1001, "size": 3})
    for key in ("top", "dir/a", "dir/b", "ding", "ümlaut/x", STRANGE):
        bucket.put_object(key, b"x")
    everything = sorted(
        [f"many/{n:08d}" for n in range(1001)] + ["top", "dir/a", "dir/b", "ding", "ümlaut/x", STRANGE]
    )
    assert [item.key for item in oss2.ObjectIterator(bucket, max_keys=1000)] == everything
    assert [item.key for item in oss2.ObjectIteratorV2(bucket, max_keys=99)] == everything
    for iterator in (oss2.ObjectIterator, oss2.ObjectIteratorV2):
        for page in (1, 2, 100):
            grouped = [item.key for item in iterator(bucket, delimiter="/", max_keys=page)]
            assert grouped == ["ding", "dir/", "many/", "sales/", "top", "ümlaut/"]
        assert [item.key for item in iterator(bucket, prefix="dir/", delimiter="/", max_keys=1)] == [
            "dir/a",
            "dir/b",
        ]
    first = bucket.list_objects_v2(prefix="many/", start_after="many/00000998", fetch_owner=True)
    assert [(item.key, item.size, item.type) for item in first.object_list] == [
        ("many/00000999", 3, "Normal"),
        ("many/00001000", 3, "Normal"),
    ]
    assert first.object_list[0].owner.id


def test_many_objects_are_deleted_at_once(bucket: oss2.Bucket) -> None:
    for key in ("a", STRANGE, "c"):
        bucket.put_object(key, b"x")
    assert bucket.batch_delete_objects(["a", STRANGE, "never"]).deleted_keys == ["a", STRANGE, "never"]
    assert [item.key for item in oss2.ObjectIterator(bucket)] == ["c"]
    assert error(lambda: bucket.batch_delete_objects([str(n) for n in range(1001)])).ec == "0016-00000609"


def test_appends_check_the_position_and_sum_the_whole(bucket: oss2.Bucket) -> None:
    assert bucket.append_object("log", 0, b"12345").next_position == 5
    second = bucket.append_object("log", 5, b"6789", init_crc=6748440630437108969)
    assert (second.next_position, second.crc) == (9, 11051210869376104954)
    wrong = error(lambda: bucket.append_object("log", 5, b"x"))
    assert isinstance(wrong, oss2.exceptions.PositionNotEqualToLength)
    assert wrong.next_position == 9
    head = bucket.head_object("log").headers
    assert (head["x-oss-object-type"], head["x-oss-next-append-position"]) == ("Appendable", "9")
    assert bucket.get_object("log").read() == b"123456789"
    bucket.put_object("log", b"normal")
    refused = error(lambda: bucket.append_object("log", 6, b"x"))
    assert (refused.status, refused.code, refused.ec) == (409, "ObjectNotAppendable", "0026-00000017")


def test_a_multipart_object_is_invisible_until_it_is_whole(bucket: oss2.Bucket, signed: Raw) -> None:
    bucket.put_object("mp", b"old")
    upload = bucket.init_multipart_upload("mp", headers={"x-oss-meta-a": "b"}).upload_id
    pieces = [b"a" * 102_400, b"b" * 150_000, b"c"]
    parts = []
    for number, piece in zip((1, 5, 10_000), pieces, strict=True):
        put = bucket.upload_part("mp", upload, number, piece)
        parts.append(oss2.models.PartInfo(number, put.etag, size=len(piece), part_crc=put.crc))
    listed = list(oss2.PartIterator(bucket, "mp", upload, max_parts=2))
    assert [(part.part_number, part.size) for part in listed] == [(1, 102_400), (5, 150_000), (10_000, 1)]
    assert [item.key for item in oss2.MultipartUploadIterator(bucket, max_uploads=1)] == ["mp"]
    assert bucket.get_object("mp").read() == b"old"
    done = bucket.complete_multipart_upload("mp", upload, parts)
    assert done.crc == bucket.put_object("same", b"".join(pieces)).crc
    head = bucket.head_object("mp").headers
    assert (head["x-oss-object-type"], head["x-oss-meta-a"]) == ("Multipart", "b")
    assert bucket.get_object("mp").read() == b"".join(pieces)
    assert bucket.get_object("mp", byte_range=(102_399, 252_400)).read() == b"a" + pieces[1] + b"c"
    assert signed.control("uploads", method="GET") == []
    assert error(lambda: bucket.complete_multipart_upload("mp", upload, parts)).code == "NoSuchUpload"


def test_an_aborted_upload_leaves_nothing(bucket: oss2.Bucket, signed: Raw) -> None:
    upload = bucket.init_multipart_upload("mp").upload_id
    bucket.upload_part("mp", upload, 1, b"x")
    (open_,) = signed.control("uploads", method="GET")
    assert (open_["key"], open_["parts"]) == ("mp", [{"number": 1, "size": 1}])
    bucket.abort_multipart_upload("mp", upload)
    assert signed.control("uploads", method="GET") == []
    assert error(lambda: bucket.upload_part("mp", upload, 2, b"x")).code == "NoSuchUpload"


def test_parts_are_copied(bucket: oss2.Bucket) -> None:
    bucket.put_object(STRANGE, b"x" * 200_000 + b"tail")
    upload = bucket.init_multipart_upload("copy").upload_id
    first = bucket.upload_part_copy(bucket.bucket_name, STRANGE, (0, 199_999), "copy", upload, 1)
    second = bucket.upload_part_copy(bucket.bucket_name, STRANGE, (200_000, None), "copy", upload, 2)
    parts = [oss2.models.PartInfo(1, first.etag), oss2.models.PartInfo(2, second.etag)]
    bucket.complete_multipart_upload("copy", upload, parts)
    assert bucket.get_object("copy").read() == b"x" * 200_000 + b"tail"


def test_a_copy_keeps_or_replaces_what_describes_it(bucket: oss2.Bucket) -> None:
    bucket.put_object(
        STRANGE, b"body", headers={"x-oss-meta-a": "1", "x-oss-tagging": "t=1", "Content-Type": "a/b"}
    )
    bucket.copy_object(bucket.bucket_name, STRANGE, "kept")
    replaced = {
        "x-oss-metadata-directive": "REPLACE",
        "x-oss-tagging-directive": "Replace",
        "x-oss-meta-b": "2",
    }
    bucket.copy_object(bucket.bucket_name, STRANGE, "replaced", headers=replaced)
    kept, new = bucket.head_object("kept").headers, bucket.head_object("replaced").headers
    assert (kept["x-oss-meta-a"], kept["Content-Type"], kept["x-oss-tagging-count"]) == ("1", "a/b", "1")
    assert new["x-oss-meta-b"] == "2"
    assert not {"x-oss-meta-a", "x-oss-tagging-count"} & {name.lower() for name in new}
    assert bucket.get_object("replaced").read() == b"body"
    condition = {"x-oss-copy-source-if-match": '"0"'}
    assert (
        error(lambda: bucket.copy_object(bucket.bucket_name, STRANGE, "k", headers=condition)).status == 412
    )
    assert error(lambda: bucket.copy_object(bucket.bucket_name, "none", "k")).code == "NoSuchKey"
    assert error(lambda: bucket.copy_object("no-bucket", "none", "k")).code == "NoSuchBucket"
    bucket.update_object_meta("kept", {"x-oss-meta-c": "3"})
    assert bucket.head_object("kept").headers["x-oss-meta-c"] == "3"


def test_an_existing_object_can_be_protected(bucket: oss2.Bucket) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("k", b"1", headers=forbid)
    refused = error(lambda: bucket.put_object("k", b"2", headers=forbid))
    assert (refused.status, refused.code, refused.ec) == (409, "FileAlreadyExists", "0026-00000201")
    assert error(lambda: bucket.init_multipart_upload("k", headers=forbid)).code == "FileAlreadyExists"
    upload = bucket.init_multipart_upload("k").upload_id
    part = oss2.models.PartInfo(1, bucket.upload_part("k", upload, 1, b"3").etag)
    late = error(lambda: bucket.complete_multipart_upload("k", upload, [part], headers=forbid))
    assert late.ec == "0042-00000214"
    assert bucket.get_object("k").read() == b"1"


def test_tags_acl_and_links(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"body")
    changed = bucket.head_object("k").headers["Last-Modified"]
    rule = oss2.models.TaggingRule()
    rule.add("key +-=._:/", "wert ü"[:5])
    bucket.put_object_tagging("k", oss2.models.Tagging(rule))
    assert bucket.get_object_tagging("k").tag_set.tagging_rule == {"key +-=._:/": "wert "}
    assert bucket.head_object("k").headers["Last-Modified"] == changed
    bucket.delete_object_tagging("k")
    assert bucket.get_object_tagging("k").tag_set.tagging_rule == {}
    assert bucket.get_object_acl("k").acl == "default"
    bucket.put_object_acl("k", "public-read")
    assert bucket.get_object_acl("k").acl == "public-read"
    bucket.put_symlink("k", "link")
    assert bucket.get_symlink("link").target_key == "k"
    assert bucket.get_object("link").read() == b"body"
    bucket.put_symlink("nothing", "link")
    assert error(lambda: bucket.get_object("link")).code == "SymlinkTargetNotExist"


def test_buckets_are_made_described_and_removed(bucket: oss2.Bucket, url: str) -> None:
    other = oss2.Bucket(bucket.auth, url, "bucket-two", region="cn-hangzhou", session=bucket.session)
    other.create_bucket("public-read", oss2.models.BucketCreateConfig("IA", "ZRS"))
    assert [
        item.name
        for item in oss2.BucketIterator(
            oss2.Service(bucket.auth, url, region="cn-hangzhou", session=bucket.session)
        )
    ] == [
        "bucket-one",
        "bucket-two",
    ]
    info = other.get_bucket_info()
    assert (info.name, info.storage_class, info.acl.grant, info.location) == (
        "bucket-two",
        "IA",
        "public-read",
        "oss-cn-hangzhou",
    )
    assert other.get_bucket_location().location == "oss-cn-hangzhou"
    other.put_bucket_acl("private")
    assert other.get_bucket_acl().acl == "private"
    rule = oss2.models.TaggingRule()
    rule.add("team", "data")
    other.put_bucket_tagging(oss2.models.Tagging(rule))
    assert other.get_bucket_tagging().tag_set.tagging_rule == {"team": "data"}
    other.delete_bucket_tagging()
    assert other.get_bucket_tagging().tag_set.tagging_rule == {}
    other.put_object("k", b"1234")
    assert other.head_object("k").headers["x-oss-storage-class"] == "IA"
    stat = other.get_bucket_stat()
    assert (stat.storage_size_in_bytes, stat.object_count, stat.infrequent_access_object_count) == (4, 1, 1)
    assert error(other.delete_bucket).code == "BucketNotEmpty"
    other.delete_object("k")
    other.delete_bucket()
    assert error(other.get_bucket_info).code == "NoSuchBucket"
    assert error(lambda: other.put_object("k", b"")).code == "NoSuchBucket"


def test_versions_keep_history(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"before")
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    assert bucket.get_bucket_versioning().status == "Enabled"
    first = bucket.put_object("k", b"1", headers={"x-oss-forbid-overwrite": "true"}).versionid
    second = bucket.put_object("k", b"2").versionid
    marker = bucket.delete_object("k")
    assert marker.delete_marker
    gone = error(lambda: bucket.get_object("k"))
    assert (gone.status, gone.headers["x-oss-delete-marker"]) == (404, "true")
    of_marker = error(lambda: bucket.head_object("k", params={"versionId": marker.versionid}))
    assert (of_marker.status, of_marker.headers["Allow"]) == (405, "DELETE")
    assert bucket.get_object("k", params={"versionId": first}).read() == b"1"
    assert bucket.get_object("k", params={"versionId": "null"}).read() == b"before"
    found, key_marker, version_marker = [], "", ""
    while True:
        page = bucket.list_object_versions(key_marker=key_marker, versionid_marker=version_marker, max_keys=1)
        found += [("marker", m.versionid, m.is_latest) for m in page.delete_marker]
        found += [("version", v.versionid, v.is_latest) for v in page.versions]
        if not page.is_truncated:
            break
        key_marker, version_marker = page.next_key_marker, page.next_versionid_marker
    assert found == [
        ("marker", marker.versionid, True),
        ("version", second, False),
        ("version", first, False),
        ("version", "null", False),
    ]
    assert [item.key for item in oss2.ObjectIterator(bucket)] == []
    assert bucket.delete_object("k", params={"versionId": marker.versionid}).delete_marker
    assert bucket.get_object("k").read() == b"2"
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Suspended"))
    assert bucket.put_object("k", b"s").versionid == "null"
    assert error(lambda: bucket.get_object("k", params={"versionId": "0" * 32})).code == "NoSuchVersion"
    assert [v.versionid for v in bucket.list_object_versions().versions] == ["null", second, first]
    assert bucket.delete_object("k").versionid == "null"
    versions = oss2.models.BatchDeleteObjectVersionList()
    versions.append(oss2.models.BatchDeleteObjectVersion("k", first))
    versions.append(oss2.models.BatchDeleteObjectVersion("k", "null"))
    deleted = bucket.delete_object_versions(versions).delete_versions
    assert [(item.versionid, item.delete_marker) for item in deleted] == [(first, False), ("null", True)]
    assert [v.versionid for v in bucket.list_object_versions().versions] == [second]


def test_an_appendable_object_makes_no_history(bucket: oss2.Bucket) -> None:
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    assert bucket.append_object("log", 0, b"1").versionid == "null"
    assert bucket.append_object("log", 1, b"2").versionid == "null"
    assert len(bucket.list_object_versions().versions) == 1
    assert bucket.get_object("log").read() == b"12"


def test_archived_objects_are_restored_before_they_are_read(bucket: oss2.Bucket) -> None:
    bucket.put_object("k", b"cold", headers={"x-oss-storage-class": "Archive"})
    assert error(lambda: bucket.get_object("k")).code == "InvalidObjectState"
    assert bucket.restore_object("k").status == 202
    assert bucket.restore_object("k").status == 200
    assert 'ongoing-request="false"' in bucket.head_object("k").headers["x-oss-restore"]
    assert bucket.get_object("k").read() == b"cold"


@pytest.mark.parametrize("slash_safe", [True, False])
def test_presigned_addresses_work_without_credentials(bucket: oss2.Bucket, slash_safe: bool) -> None:
    target = bucket.sign_url("PUT", STRANGE, 60, slash_safe=slash_safe, headers={"Content-Type": "a/b"})
    assert requests.put(target, b"body", headers={"Content-Type": "a/b"}, timeout=10).status_code == 200
    source = bucket.sign_url(
        "GET", STRANGE, 60, slash_safe=slash_safe, params={"response-content-type": "text/x"}
    )
    answer = requests.get(source, timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (b"body", "text/x")
    assert requests.get(source.replace("text", "test"), timeout=10).status_code == 403


def test_a_wrong_secret_or_id_or_clock_is_refused(
    bucket_of: Callable[[Any], oss2.Bucket], signed: Raw
) -> None:
    for kind in (oss2.Auth, oss2.AuthV4):
        assert error(lambda: bucket_of(kind(KEY_ID, "wrong")).get_object("k")).code == "SignatureDoesNotMatch"  # noqa: B023
        assert error(lambda: bucket_of(kind("nobody", SECRET)).get_object("k")).code == "InvalidAccessKeyId"  # noqa: B023
    signed.control("clock", {"offset": 1000})
    for kind in (oss2.Auth, oss2.AuthV4):
        skewed = error(lambda: bucket_of(kind(KEY_ID, SECRET)).get_object("k"))  # noqa: B023
        assert (skewed.status, skewed.code, skewed.ec) == (403, "RequestTimeTooSkewed", "0002-00000504")


@pytest.mark.parametrize("version", [oss2.AUTH_VERSION_1, oss2.AUTH_VERSION_4])
def test_temporary_credentials_need_their_token_and_end(
    bucket_of: Callable[[Any], oss2.Bucket], signed: Raw, version: str
) -> None:
    expires = time.time() + 600
    grant = {"access_key_id": "STS.id", "access_key_secret": "s", "token": "to/k+en=", "expires": expires}
    signed.control("sts", grant)
    bucket = bucket_of(oss2.StsAuth("STS.id", "s", "to/k+en=", auth_version=version))
    bucket.put_object("k", b"x")
    assert requests.get(bucket.sign_url("GET", "k", 60), timeout=10).content == b"x"
    wrong = bucket_of(oss2.StsAuth("STS.id", "s", "other", auth_version=version))
    assert error(lambda: wrong.get_object("k")).code == "InvalidSecurityToken"
    signed.control("clock", {"offset": 700})
    assert error(lambda: bucket.get_object("k")).code == "SecurityTokenExpired"


def test_anonymous_requests_see_only_what_is_public(
    bucket: oss2.Bucket, bucket_of: Callable[[Any], oss2.Bucket]
) -> None:
    nobody = bucket_of(oss2.AnonymousAuth())
    bucket.put_object("k", b"x")
    assert error(lambda: nobody.get_object("k")).code == "AccessDenied"
    bucket.put_object_acl("k", "public-read")
    assert nobody.get_object("k").read() == b"x"
    assert error(lambda: nobody.put_object("k", b"y")).code == "AccessDenied"


def test_virtual_hosted_addresses_are_verified_too(bucket: oss2.Bucket, url: str) -> None:
    """The real host names, with the service as the HTTP proxy."""
    hosted = oss2.Bucket(
        bucket.auth,
        "http://oss-cn-hangzhou.aliyuncs.com",
        bucket.bucket_name,
        region="cn-hangzhou",
        session=bucket.session,
        proxies={"http": url},
    )
    hosted.put_object(STRANGE, b"x")
    assert hosted.get_object(STRANGE).read() == bucket.get_object(STRANGE).read() == b"x"
    assert [item.key for item in oss2.ObjectIteratorV2(hosted)] == [STRANGE]


def test_a_resumable_upload_of_a_file_works(bucket: oss2.Bucket, tmp_path: Any) -> None:
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 2048)
    oss2.resumable_upload(
        bucket,
        "file",
        str(source),
        store=oss2.ResumableStore(root=str(tmp_path)),
        multipart_threshold=100 * 1024,
        part_size=200 * 1024,
        num_threads=2,
    )
    target = tmp_path / "back"
    bucket.get_object_to_file("file", str(target))
    assert target.read_bytes() == source.read_bytes()


def test_every_error_names_the_request(bucket: oss2.Bucket) -> None:
    with pytest.raises(OssError) as caught:
        bucket.get_object("none")
    assert len(caught.value.request_id) == 24
    assert caught.value.details["Key"] == "none"
