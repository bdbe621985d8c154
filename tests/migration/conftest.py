from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import oss2
import pytest
from botocore.config import Config

from airflow_provider_sync.clients.oss.transfer import OssTransferClient
from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.sources.oss import OssSource
from airflow_provider_sync.migration.sources.s3 import S3Source
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.targets.oss import OssTarget
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

KEY, SECRET, REGION, BUCKET = "test-key", "test-secret", "cn-hangzhou", "lake"
RCLONE = str(Path(sys.executable).with_name("rclone"))
FAST = RetryPolicy(attempts=4, base=0.001, cap=0.005)


class LocalOss:
    """The local OSS; looked into through the vendor's SDK and the control routes."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.opened: list[Any] = []
        self.connection = ConnectionInfo("oss", server.url, KEY, Secret(SECRET), region=REGION)
        self.sdk = oss2.Bucket(
            oss2.AuthV4(KEY, SECRET), server.url, BUCKET, region=REGION, is_path_style=True
        )

    def client(self, retry: RetryPolicy = FAST) -> OssTransferClient:
        self.opened.append(OssTransferClient(self.connection, retry=retry))
        return self.opened[-1]

    def target(self, prefix: str = "", **options: Any) -> OssTarget:
        return OssTarget(self.client(), BUCKET, prefix, **options)

    def source(self, prefix: str = "", **options: Any) -> OssSource:
        return OssSource(self.client(), BUCKET, prefix, **options)

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/_control/{route}", body, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the server of this test
            return json.load(answer)

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        """Every visible object, read by the vendor's SDK."""
        keys = [one.key for one in oss2.ObjectIteratorV2(self.sdk, prefix=prefix)]
        return {key: self.sdk.get_object(key).read() for key in keys}

    def requests(self, operation: str) -> int:
        return sum(1 for one in self.control("requests", method="GET") if one["operation"] == operation)

    def uploads(self) -> list[Any]:
        return list(self.control("uploads", method="GET"))


class RealS3:
    """``rclone serve s3``, written to through boto3."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened: list[Any] = []
        self.connection = ConnectionInfo("aws", url, KEY, Secret(SECRET), region="us-east-1")
        self.sdk = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(
                request_checksum_calculation="when_required", response_checksum_validation="when_required"
            ),
        )

    def client(self) -> S3Client:
        self.opened.append(S3Client(self.connection, retry=FAST))
        return self.opened[-1]

    def bucket(self, name: str, objects: dict[str, bytes]) -> None:
        with contextlib.suppress(self.sdk.exceptions.BucketAlreadyExists):
            self.sdk.create_bucket(Bucket=name)
        for key, body in objects.items():
            self.sdk.put_object(Bucket=name, Key=key, Body=body)

    def source(self, bucket: str, prefix: str = "", **options: Any) -> S3Source:
        return S3Source(self.client(), bucket, prefix, **options)

    def contents(self, bucket: str) -> dict[str, bytes]:
        pages = self.sdk.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {key: self.sdk.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealS3]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("s3")
    command = [RCLONE, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{KEY},{SECRET}", "--config", str(folder.parent / "rclone.conf"), "--quiet"]
    with subprocess.Popen(command) as process:
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield RealS3(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


_buckets = iter(range(10**6))


@pytest.fixture
def s3(s3_server: RealS3) -> Iterator[RealS3]:
    yield s3_server
    while s3_server.opened:
        s3_server.opened.pop().close()


@pytest.fixture
def bucket_name() -> str:
    """A bucket nobody has used."""
    return f"src-{next(_buckets)}"


@pytest.fixture(scope="session")
def oss_server() -> Iterator[LocalOss]:
    with Server(OssService({KEY: SECRET}, buckets=[BUCKET], region=REGION)) as server:
        yield LocalOss(server)


@pytest.fixture
def oss(oss_server: LocalOss) -> Iterator[LocalOss]:
    oss_server.control("reset")
    yield oss_server
    while oss_server.opened:
        oss_server.opened.pop().close()


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(LocalFiles(tmp_path / "state"), "test-job")


@pytest.fixture
def spec() -> MigrationSpec:
    return MigrationSpec("test-job", threads=4, scan_threads=2)
