from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

import oss2
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from airflow_provider_sync.engine.contract import Committed, Environment, Writer
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.options import parse_options
from airflow_provider_sync.testing.writer_suite import VisibleWriterBench
from airflow_provider_sync.writers.oss import OssWriter

BUCKET, REGION = "lake", "cn-hangzhou"


class OssBench(VisibleWriterBench):
    """The local OSS, looked into through the vendor's SDK and the control routes."""

    def __init__(self, server: Server, **parameter: Any) -> None:
        self.server = server
        self.parameter: dict[str, Any] = {
            "bucket": BUCKET,
            "object": "out/orders",
            "writeMode": "truncate",
            "fileFormat": "csv",
            **parameter,
        }
        self.connection = ConnectionInfo("oss", server.url, "key", Secret("secret"), region=REGION)
        auth = oss2.AuthV4("key", "secret")
        self.bucket = oss2.Bucket(auth, server.url, BUCKET, region=REGION, is_path_style=True)

    def writer(self, **parameter: Any) -> Writer:
        return self._build(Environment(sleep=lambda _: None), parameter)

    def cancelled_writer(self) -> Writer:
        environment = Environment(sleep=lambda _: None)
        environment.cancelled.set()
        return self._build(environment, {})

    def _build(self, environment: Environment, parameter: dict[str, Any]) -> Writer:
        options = parse_options(OssWriter.Options, {**self.parameter, **parameter}, "writer.parameter")
        return OssWriter(options, self.connection, environment)

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.server.url}/_control/{route}", body, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the server of this test
            return json.load(answer)

    def reset(self) -> None:
        self.control("reset", {})

    def visible(self) -> dict[str, bytes]:
        return {
            one["key"]: self.content(one["key"])
            for one in self.control(f"objects?bucket={BUCKET}", method="GET")
        }

    def content(self, key: str) -> bytes:
        data: bytes = self.bucket.get_object(key).read()
        return data

    def hidden(self) -> Sequence[str]:
        return [one["key"] for one in self.control("uploads", method="GET")]

    def rows(self, committed: Committed) -> list[tuple[Any, ...]]:
        names = pacsv.ReadOptions(column_names=["id", "name", "at"])
        convert = pacsv.ConvertOptions(
            column_types={"id": pa.int64(), "name": pa.string(), "at": pa.timestamp("s")},
            null_values=["null"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            timestamp_parsers=["%Y-%m-%d %H:%M:%S"],
        )
        rows: list[tuple[Any, ...]] = []
        for one in committed.objects:
            content = io.BytesIO(self.content(one.name))
            table = pacsv.read_csv(content, names, convert_options=convert)
            rows += ((one["id"], one["name"], one["at"].replace(tzinfo=UTC)) for one in table.to_pylist())
        return rows

    def fail(self, action: str, after: int, count: int) -> None:
        self.control("faults", {"action": action, "after": after, "count": count})

    def heal(self) -> None:
        self.control("faults", method="DELETE")

    def requests(self) -> int:
        return len(self.operations())

    def operations(self) -> list[str]:
        return [one["operation"] for one in self.control("requests", method="GET")]

    def manifest(self, key: str) -> Any:
        return json.loads(self.content(key))


@pytest.fixture(scope="session")
def oss_server() -> Iterator[Server]:
    with Server(OssService({"key": "secret"}, buckets=[BUCKET], region=REGION)) as server:
        yield server


@pytest.fixture
def oss(oss_server: Server) -> OssBench:
    bench = OssBench(oss_server)
    bench.reset()
    return bench
