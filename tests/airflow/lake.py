"""The local cloud beside Airflow: tables with a past, faults, and what arrived, read by others' means."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import oss2
import urllib3

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn
from airflow_provider_sync.clients.tablestore.messages import KeyType
from airflow_provider_sync.clients.tablestore.rows import Cell
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

KEY, SECRET, INSTANCE, BUCKET = "access-key", "sk-of-the-lake", "demo", "lake"
FIVE = timedelta(minutes=5)


@dataclass(frozen=True)
class Row:
    """One row that was written, and when."""

    id: str
    n: int
    at: float


class Lake:
    """Tablestore and OSS, and side doors into both."""

    def __init__(self) -> None:
        self.tablestore = Server(TablestoreService(access_keys={KEY: SECRET}))
        self.oss = Server(OssService({KEY: SECRET}, buckets=[BUCKET]))
        self.pool = urllib3.PoolManager()
        self.rows: dict[str, list[Row]] = {}

    def __enter__(self) -> Self:
        self.tablestore.start()
        self.oss.start()
        auth = oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(KEY, SECRET))
        self.bucket = oss2.Bucket(auth, self.oss.url, BUCKET, region="cn-hangzhou", is_path_style=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.bucket.session.session.close()
        self.oss.stop()
        self.tablestore.stop()
        self.pool.clear()

    @property
    def connections(self) -> dict[str, dict[str, Any]]:
        """As Airflow gets them."""
        key = {"login": KEY, "password": SECRET}
        return {
            "tablestore_default": {
                "conn_type": "tablestore",
                "host": self.tablestore.url,
                "extra": {"instance": INSTANCE},
                **key,
            },
            "oss_default": {
                "conn_type": "oss",
                "host": self.oss.url,
                "schema": BUCKET,
                "extra": {"region": "cn-hangzhou", "path_style": True},
                **key,
            },
        }

    def control(self, server: Server, method: str, route: str, body: object = None) -> Any:
        answer = self.pool.request(
            method, f"{server.url}/_control/{route}", body=None if body is None else json.dumps(body)
        )
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    def write_history(
        self, tables: list[str], start: datetime, end: datetime, *, every: float = 20.0
    ) -> None:
        """Create tables and put one row in each every so many seconds, as if it had been at that time."""
        info = ConnectionInfo(
            "tablestore", self.tablestore.url, KEY, Secret(SECRET), extra={"instance": INSTANCE}
        )
        now = start.timestamp()
        client = TablestoreClient(info, retry=RetryPolicy(), clock=lambda: now)
        self.control(self.tablestore, "POST", "clock", {"now": now})
        for table in tables:
            client.create_table(table, (KeyColumn("id", KeyType.STRING),), stream_hours=168)
        number = 0
        while now < end.timestamp():
            self.control(self.tablestore, "POST", "clock", {"now": now})
            for table in tables:
                client.put_row(table, (("id", f"row-{number % 7}"),), (Cell("n", number),))
                self.rows.setdefault(table, []).append(Row(f"row-{number % 7}", number, now))
            number += 1
            now += every
        client.close()
        self.control(self.tablestore, "POST", "clock", {})

    def break_oss(self, key: str, **fault: Any) -> None:
        """Let everything that makes an object under ``key`` (a regular expression) visible fail for good."""
        deny = {"action": "error", "status": 403, "code": "AccessDenied", "message": "denied by the test"}
        makes = "CompleteMultipartUpload|PutObject|InitiateMultipartUpload"
        rule = {**deny, "operation": makes, "key": key, "count": -1, **fault}
        self.control(self.oss, "POST", "faults", rule)

    def cure_oss(self) -> None:
        self.control(self.oss, "DELETE", "faults")

    def manifests(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return the manifests below an object prefix, by window label."""
        folder = f"{prefix}/_manifests/"
        return {
            one.key.removeprefix(folder).removesuffix(".json"): json.loads(
                self.bucket.get_object(one.key).read()
            )
            for one in oss2.ObjectIteratorV2(self.bucket, prefix=folder)
        }

    def csv_rows(self, prefix: str) -> Counter[tuple[str, str]]:
        """Return all rows of all CSV objects below a prefix, whoever lists them."""
        rows: Counter[tuple[str, str]] = Counter()
        for one in oss2.ObjectIteratorV2(self.bucket, prefix=f"{prefix}/"):
            if one.key.endswith(".csv"):
                text = self.bucket.get_object(one.key).read().decode()
                rows.update((row[0], row[1]) for row in csv.reader(io.StringIO(text)))
        return rows

    def written(self, table: str, start: datetime, end: datetime) -> Counter[tuple[str, str]]:
        """Return the rows put into a table from ``start`` until just before ``end``."""
        return Counter(
            (row.id, str(row.n)) for row in self.rows[table] if start.timestamp() <= row.at < end.timestamp()
        )

    def uploads(self, prefix: str) -> list[str]:
        """Return multipart uploads that nobody completed or aborted."""
        return [one.key for one in oss2.MultipartUploadIterator(self.bucket, prefix=prefix)]


def floor(moment: float | None = None) -> datetime:
    """Return the last full five minutes."""
    seconds = time.time() if moment is None else moment
    return datetime.fromtimestamp(seconds // 300 * 300, UTC)


def label(start: datetime) -> str:
    """Return the name of the five-minute window that starts then."""
    return f"{start:%Y%m%dT%H%M%SZ}_{start + FIVE:%Y%m%dT%H%M%SZ}"
