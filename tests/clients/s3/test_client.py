"""Two servers judge: one checks signatures, the other has tags, grants, classes and conditions."""

from __future__ import annotations

import http.server
import logging
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from airflow_provider_sync.clients.objects.errors import (
    NoSuchBucketError,
    NoSuchKeyError,
    NoSuchUploadError,
    PreconditionFailedError,
)
from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.clients.s3.settings import S3Settings
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import AccessDeniedError, ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials, Secret

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from moto.server import ThreadedMotoServer

KEY, SECRET, REGION = "test-key", "test-secret", "us-east-1"
ODD = ["a b", "a+b", "a%20b", "ünï", "日本", "q?x=1&y#z", "~!@$'()*", "x" * 1000]


def sdk(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
        config=Config(
            request_checksum_calculation="when_required", response_checksum_validation="when_required"
        ),
    )


def client_of(url: str, **options: Any) -> S3Client:
    renew = options.pop("renew", None)
    connection = ConnectionInfo("aws", url, KEY, Secret(SECRET), region=REGION, renew=renew)
    return S3Client(connection, retry=RetryPolicy(attempts=2, base=0.001), **options)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("s3")
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", str(folder), "--quiet"]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    command += ["--config", str(folder.parent / "rclone.conf")]
    with subprocess.Popen(command) as process:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture(params=["moto", "rclone"])
def url(request) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def client(url) -> Iterator[S3Client]:
    opened = client_of(url)
    yield opened
    opened.close()


_names = iter(range(1000))


@pytest.fixture
def bucket(url) -> str:
    name = f"bucket-{next(_names)}"
    sdk(url).create_bucket(Bucket=name)
    return name


def test_objects_of_odd_names_are_written_listed_and_read(url, client, bucket):
    for key in ODD[:-1]:
        written = client.put(bucket, key, key.encode(), headers={"content-type": "text/x"})
        assert sdk(url).head_object(Bucket=bucket, Key=key)["ETag"].strip('"') == written.etag
    listed = client.list_page(bucket).objects
    assert [one.key for one in listed] == sorted(ODD[:-1], key=lambda key: key.encode())
    for one in listed:
        assert one.size == len(one.key.encode())
        assert time.time() - 60 < one.modified < time.time() + 60
        reply = client.fetch(bucket, one.key, if_match=one.etag)
        assert reply.body == one.key.encode()


def test_a_listing_is_paged_starts_anywhere_and_folds_folders(client, bucket):
    for n in range(5):
        client.put(bucket, f"d{n}/x", b"")
    page = client.list_page(bucket, limit=2)
    assert [one.key for one in page.objects] == ["d0/x", "d1/x"]
    rest = client.list_page(bucket, token=page.token)
    assert [one.key for one in rest.objects] == ["d2/x", "d3/x", "d4/x"]
    assert rest.token == ""
    assert [one.key for one in client.list_page(bucket, start_after="d3/x").objects] == ["d4/x"]
    assert client.list_page(bucket, delimiter="/").prefixes == [f"d{n}/" for n in range(5)]


def test_a_range_is_exactly_that(client, bucket):
    client.put(bucket, "k", b"0123456789")
    assert client.fetch(bucket, "k", start=2, end=5).body == b"234"


def test_parts_become_one_object(url, client, bucket):
    upload = client.initiate(bucket, "big", headers={"content-type": "text/x"})
    bodies = [b"a" * (5 * 1024 * 1024), b"b" * 10]
    parts = [client.upload_part(bucket, "big", upload, n, body) for n, body in enumerate(bodies, 1)]
    client.complete(bucket, "big", upload, parts)
    assert sdk(url).get_object(Bucket=bucket, Key="big")["Body"].read() == b"".join(bodies)


def test_what_is_not_there_is_none_or_an_error(client, bucket):
    assert client.head_answer(bucket, "no") is None
    with pytest.raises(NoSuchKeyError):
        client.fetch(bucket, "no")
    with pytest.raises(NoSuchBucketError, match="NoSuchBucket"):
        client.list_page("no-such-bucket")
    client.delete(bucket, "no")


def test_a_wrong_secret_is_refused(rclone):
    connection = ConnectionInfo("aws", rclone, KEY, Secret("wrong"), region=REGION)
    client = S3Client(connection)
    with pytest.raises(AccessDeniedError, match="SignatureDoesNotMatch"):
        client.list_page("any")
    client.close()


def test_credentials_are_asked_for_anew_each_time(rclone):
    answers = [Credentials(KEY, Secret(secret), Secret("")) for secret in ("wrong", SECRET)]
    client = client_of(rclone, renew=lambda: answers.pop(0))
    with pytest.raises(AccessDeniedError):
        client.list_page("bucket-none")
    with pytest.raises(NoSuchBucketError):
        client.list_page("bucket-none")
    client.close()


class Late(http.server.BaseHTTPRequestHandler):
    """Refuses what is signed more than 15 minutes off, in Amazon's words."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        signed = datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        skewed = abs(signed.timestamp() - time.time()) > 900
        code = "RequestTimeTooSkewed" if skewed else "NoSuchBucket"
        body = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()
        self.send_response(403 if skewed else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_wrong_clock_is_corrected_by_the_services_own():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    late = client_of(f"http://127.0.0.1:{server.server_address[1]}", clock=lambda: time.time() - 3600)
    with pytest.raises(NoSuchBucketError):
        late.list_page("bucket")
    late.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_tags_and_public_grants_are_read(moto):
    client, vendor = client_of(moto), sdk(moto)
    vendor.create_bucket(Bucket="tags")
    vendor.put_object(Bucket="tags", Key="k ü", Body=b"1", Tagging="a=b%20c&m=x%40y", ACL="public-read")
    vendor.put_object(Bucket="tags", Key="plain", Body=b"1", StorageClass="STANDARD_IA")
    assert client.get_tagging("tags", "k ü") == {"a": "b c", "m": "x@y"}
    assert client.public_grants("tags", "k ü") == {"READ"}
    assert client.public_grants("tags", "plain") == frozenset()
    listed = {one.key: one.storage_class for one in client.list_page("tags").objects}
    assert listed == {"k ü": "STANDARD", "plain": "STANDARD_IA"}
    client.close()


def test_only_new_is_enforced_by_a_service_that_knows_it(moto):
    client = client_of(moto)
    sdk(moto).create_bucket(Bucket="conditions")
    client.put("conditions", "k", b"1", forbid_overwrite=True)
    with pytest.raises(PreconditionFailedError):
        client.put("conditions", "k", b"2", forbid_overwrite=True)
    assert client.fetch("conditions", "k").body == b"1"
    client.close()


@pytest.mark.parametrize(
    ("endpoint", "region", "host", "path_style"),
    [
        ("", "", "bucket.s3.us-east-1.amazonaws.com", False),
        ("", "cn-north-1", "bucket.s3.cn-north-1.amazonaws.com.cn", False),
        ("https://s3.eu-west-1.amazonaws.com", "eu-west-1", "bucket.s3.eu-west-1.amazonaws.com", False),
        ("https://s3.oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou", "bucket.s3.oss-cn-hangzhou.aliyuncs.com", False),
        ("http://10.0.0.1:9000", "", "10.0.0.1", True),
        ("minio.example", "", "minio.example", True),
    ],
)  # fmt: skip
def test_the_address_follows_from_endpoint_and_region(endpoint, region, host, path_style):
    settings = S3Settings.of(ConnectionInfo("aws", endpoint, KEY, Secret(SECRET), region=region))
    assert (settings.host_of("bucket"), settings.path_style) == (host, path_style)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"access_key_id": ""}, "access_key_id"),
        ({"endpoint": "http://host/bucket"}, "endpoint"),
        ({"endpoint": "ftp://host"}, "endpoint"),
        ({"endpoint": "http://host:99999"}, "endpoint"),
        ({"extra": {"path_style": "yes"}}, "path_style"),
        ({"extra": {"timeout": 0}}, "timeout"),
    ],
)
def test_a_wrong_connection_is_refused_by_name(change, field):
    values = {"endpoint": "", "access_key_id": KEY, "access_key_secret": Secret(SECRET), **change}
    with pytest.raises(ConfigError, match=rf"connection\..*{field}"):
        S3Settings.of(ConnectionInfo("aws", **values))


def test_another_version_is_refused(moto):
    client = client_of(moto)
    sdk(moto).create_bucket(Bucket="versions")
    etag = client.put("versions", "k", b"1").etag
    client.put("versions", "k", b"2")
    with pytest.raises(PreconditionFailedError):
        client.fetch("versions", "k", if_match=etag)
    client.close()


def test_an_aborted_upload_is_gone(rclone):
    client = client_of(rclone)
    sdk(rclone).create_bucket(Bucket="aborts")
    upload = client.initiate("aborts", "k")
    client.abort("aborts", "k", upload)
    client.abort("aborts", "k", upload)
    with pytest.raises(NoSuchUploadError):
        client.upload_part("aborts", "k", upload, 1, b"x")
    client.close()
