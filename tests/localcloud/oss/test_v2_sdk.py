"""The vendor's second SDK, sync and async, against the service with signatures verified."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
from collections.abc import Iterator

import alibabacloud_oss_v2 as oss
import alibabacloud_oss_v2.aio as oss_aio
import pytest
import requests

from tests.localcloud.oss.conftest import BUCKET, KEY_ID, SECRET, Raw

# The SDK leaves its connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

KEY = "dir/2026 Q1/数据+1&=?.csv"
CRC = "11051210869376104954"


@pytest.fixture(params=["v4", "v1"])
def config(request: pytest.FixtureRequest, url: str) -> oss.config.Config:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(KEY_ID, SECRET)
    config.region, config.endpoint, config.signature_version = "cn-hangzhou", url, request.param
    return config


@pytest.fixture
def client(config: oss.config.Config) -> Iterator[oss.Client]:
    yield oss.Client(config)
    gc.collect()


def code(error: pytest.ExceptionInfo[oss.exceptions.OperationError]) -> str:
    cause = error.value.unwrap()
    assert isinstance(cause, oss.exceptions.ServiceError)
    return str(cause.code)


def test_objects_go_in_and_out(client: oss.Client) -> None:
    put = client.put_object(
        oss.PutObjectRequest(BUCKET, KEY, body=b"123456789", metadata={"owner": "etl"}, tagging="a=1")
    )
    assert put.hash_crc64 == CRC
    got = client.get_object(oss.GetObjectRequest(BUCKET, KEY))
    assert (got.body.content, got.metadata["owner"], got.tagging_count) == (b"123456789", "etl", 1)
    part = client.get_object(
        oss.GetObjectRequest(BUCKET, KEY, range_header="bytes=5-50", range_behavior="standard")
    )
    assert (part.status_code, part.body.content) == (206, b"6789")
    assert client.is_object_exist(BUCKET, KEY)
    assert not client.is_object_exist(BUCKET, "none")
    assert client.is_bucket_exist(BUCKET)
    assert not client.is_bucket_exist("no-bucket")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_object(oss.PutObjectRequest(BUCKET, KEY, body=b"x", forbid_overwrite=True))
    assert code(caught) == "FileAlreadyExists"
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.head_object(oss.HeadObjectRequest(BUCKET, "none"))
    assert code(caught) == "NoSuchKey"
    client.delete_object(oss.DeleteObjectRequest(BUCKET, KEY))
    assert not client.is_object_exist(BUCKET, KEY)


def test_an_iterator_is_uploaded_in_chunks(client: oss.Client) -> None:
    put = client.put_object(oss.PutObjectRequest(BUCKET, "k", body=iter([b"12345", b"6789"])))
    assert put.hash_crc64 == CRC


def test_listings_page(client: oss.Client) -> None:
    keys = sorted([f"p/{n}" for n in range(5)] + ["q", KEY])
    for key in keys:
        client.put_object(oss.PutObjectRequest(BUCKET, key, body=b"x"))
    pages = client.list_objects_v2_paginator(limit=2).iter_page(oss.ListObjectsV2Request(BUCKET))
    assert [item.key for page in pages for item in page.contents or []] == keys
    pages = client.list_objects_paginator(limit=2).iter_page(oss.ListObjectsRequest(BUCKET))
    assert [item.key for page in pages for item in page.contents or []] == keys
    groups = client.list_objects_v2(oss.ListObjectsV2Request(BUCKET, delimiter="/"))
    assert [group.prefix for group in groups.common_prefixes or []] == ["dir/", "p/"]
    assert [bucket.name for bucket in client.list_buckets(oss.ListBucketsRequest()).buckets or []] == [BUCKET]
    versions = client.list_object_versions(oss.ListObjectVersionsRequest(BUCKET, prefix="p/"))
    assert len(versions.version or []) == 5


def test_multipart_append_copy_and_delete(client: oss.Client) -> None:
    upload = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(BUCKET, KEY)).upload_id
    for number, body in ((1, b"a" * 102_400), (2, b"tail")):
        request = oss.UploadPartRequest(BUCKET, KEY, part_number=number, upload_id=upload, body=body)
        assert client.upload_part(request).hash_crc64
    listed = client.list_parts(oss.ListPartsRequest(BUCKET, KEY, upload_id=upload))
    assert [(part.part_number, part.size) for part in listed.parts or []] == [(1, 102_400), (2, 4)]
    assert all(part.hash_crc64 for part in listed.parts or [])
    uploads = client.list_multipart_uploads(oss.ListMultipartUploadsRequest(BUCKET))
    assert [item.key for item in uploads.uploads or []] == [KEY]
    done = oss.CompleteMultipartUploadRequest(BUCKET, KEY, upload_id=upload, complete_all="yes")
    client.complete_multipart_upload(done)
    copy = oss.CopyObjectRequest(BUCKET, "copy", source_bucket=BUCKET, source_key=KEY)
    client.copy_object(copy)
    assert client.get_object(oss.GetObjectRequest(BUCKET, "copy")).body.content == b"a" * 102_400 + b"tail"
    first = client.append_object(oss.AppendObjectRequest(BUCKET, "log", position=0, body=b"12345"))
    assert first.next_position == 5
    last = client.append_object(oss.AppendObjectRequest(BUCKET, "log", position=5, body=b"6789"))
    assert last.hash_crc64 == CRC
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.append_object(oss.AppendObjectRequest(BUCKET, "log", position=5, body=b"6789"))
    assert code(caught) == "PositionNotEqualToLength"
    gone = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(BUCKET, objects=[oss.DeleteObject("log"), oss.DeleteObject(KEY)])
    )
    assert {item.key for item in gone.deleted_objects or []} == {"log", KEY}


def test_tags_and_bucket_settings(client: oss.Client) -> None:
    client.put_object(oss.PutObjectRequest(BUCKET, "k", body=b"x"))
    tags = oss.Tagging(oss.TagSet([oss.Tag("a", "1")]))
    client.put_object_tagging(oss.PutObjectTaggingRequest(BUCKET, "k", tagging=tags))
    got = client.get_object_tagging(oss.GetObjectTaggingRequest(BUCKET, "k"))
    assert [(tag.key, tag.value) for tag in got.tag_set.tags] == [("a", "1")]
    client.put_bucket(oss.PutBucketRequest("bucket-v2", acl="public-read"))
    info = client.get_bucket_info(oss.GetBucketInfoRequest("bucket-v2")).bucket_info
    assert (info.name, info.acl, info.location) == ("bucket-v2", "public-read", "oss-cn-hangzhou")
    assert client.get_bucket_stat(oss.GetBucketStatRequest(BUCKET)).object_count == 1
    status = oss.VersioningConfiguration(status="Enabled")
    client.put_bucket_versioning(oss.PutBucketVersioningRequest("bucket-v2", versioning_configuration=status))
    answer = client.get_bucket_versioning(oss.GetBucketVersioningRequest("bucket-v2"))
    assert answer.version_status == "Enabled"
    client.delete_bucket(oss.DeleteBucketRequest("bucket-v2"))


def test_presigned_addresses_work(client: oss.Client) -> None:
    client.put_object(oss.PutObjectRequest(BUCKET, KEY, body=b"x"))
    signed = client.presign(oss.GetObjectRequest(BUCKET, KEY), expires=dt.timedelta(minutes=1))
    assert requests.get(signed.url, timeout=10).content == b"x"


def test_the_uploader_and_the_downloader_work(client: oss.Client, tmp_path) -> None:  # type: ignore[no-untyped-def]
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 2048)
    uploader = client.uploader(part_size=128 * 1024, parallel_num=2)
    uploader.upload_file(oss.PutObjectRequest(BUCKET, KEY), str(source))
    target = tmp_path / "back"
    client.downloader(part_size=128 * 1024).download_file(oss.GetObjectRequest(BUCKET, KEY), str(target))
    assert target.read_bytes() == source.read_bytes()


def test_temporary_credentials_work(config: oss.config.Config, signed: Raw) -> None:
    signed.control("sts", {"access_key_id": "STS.id", "access_key_secret": "s", "token": "to/k+en="})
    config.credentials_provider = oss.credentials.StaticCredentialsProvider("STS.id", "s", "to/k+en=")
    client = oss.Client(config)
    client.put_object(oss.PutObjectRequest(BUCKET, KEY, body=b"x"))
    address = client.presign(oss.GetObjectRequest(BUCKET, KEY), expires=dt.timedelta(minutes=1)).url
    assert requests.get(address, timeout=10).content == b"x"
    config.credentials_provider = oss.credentials.StaticCredentialsProvider("STS.id", "s", "wrong")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        oss.Client(config).get_object(oss.GetObjectRequest(BUCKET, KEY))
    assert code(caught) == "InvalidSecurityToken"


def test_additional_headers_are_verified(config: oss.config.Config) -> None:
    config.additional_headers = ["host", "content-length", "user-agent"]
    client = oss.Client(config)
    client.put_object(oss.PutObjectRequest(BUCKET, "k", body=b"x"))
    assert client.get_object(oss.GetObjectRequest(BUCKET, "k")).body.content == b"x"


def test_the_async_client_works(config: oss.config.Config) -> None:
    async def scenario() -> None:
        client = oss_aio.AsyncClient(config)
        try:
            put = await client.put_object(oss.PutObjectRequest(BUCKET, KEY, body=b"123456789"))
            assert put.hash_crc64 == CRC
            got = await client.get_object(oss.GetObjectRequest(BUCKET, KEY))
            assert await got.body.read() == b"123456789"
            head = await client.head_object(oss.HeadObjectRequest(BUCKET, KEY))
            assert head.content_length == 9
            listed = await client.list_objects_v2(oss.ListObjectsV2Request(BUCKET))
            assert [item.key for item in listed.contents or []] == [KEY]
            start = await client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(BUCKET, "mp"))
            part = oss.UploadPartRequest(BUCKET, "mp", part_number=1, upload_id=start.upload_id, body=b"x")
            await client.upload_part(part)
            done = oss.CompleteMultipartUploadRequest(
                BUCKET, "mp", upload_id=start.upload_id, complete_all="yes"
            )
            assert (await client.complete_multipart_upload(done)).etag
            await client.delete_object(oss.DeleteObjectRequest(BUCKET, KEY))
            assert not await client.is_object_exist(BUCKET, KEY)
        finally:
            await client.close()

    asyncio.run(scenario())
