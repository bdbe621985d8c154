"""A local Tablestore with a clock of its own, written and inspected through side doors."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import urllib3

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn, RowChange
from airflow_provider_sync.clients.tablestore.messages import KeyType, OperationType
from airflow_provider_sync.clients.tablestore.rows import Cell
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from airflow_provider_sync.readers.otsstream import OTSStreamReader
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.options import parse_options

KEYS = {"ak": "secret"}
NOON = 1_790_000_100  # a multiple of 300 seconds, whatever the day


class Cloud:
    """One service, one table ``orders`` with a stream; time stands still until :meth:`at` moves it."""

    def __init__(self, server: Server, *, table: str = "orders") -> None:
        self.server = server
        self.table = table
        self.now = float(NOON)
        self.pool = urllib3.PoolManager()
        self.control("POST", "reset")
        self.control("POST", "clock", {"now": self.now})
        self.connection = ConnectionInfo(
            "tablestore", server.url, "ak", Secret("secret"), extra={"instance": "demo"}
        )
        self.client = TablestoreClient(self.connection, retry=RetryPolicy(), clock=lambda: self.now)
        self.counter = itertools.count()
        self.create(table)

    def create(self, table: str, *, stream_hours: int | None = 168) -> None:
        key = (KeyColumn("id", KeyType.STRING), KeyColumn("n", KeyType.INTEGER))
        self.client.create_table(table, key, stream_hours=stream_hours)

    def close(self) -> None:
        self.client.close()
        self.pool.clear()

    def control(self, method: str, route: str, data: object = None) -> Any:
        reply = self.pool.request(
            method, f"{self.server.url}/_control/{route}", body=None if data is None else json.dumps(data)
        )
        answer = json.loads(reply.data)
        assert reply.status == 200, answer
        return answer

    def at(self, seconds: float) -> None:
        """Move both clocks to so many seconds after noon."""
        self.now = NOON + seconds
        self.control("POST", "clock", {"now": self.now})

    @property
    def environment(self) -> Environment:
        return Environment(clock=lambda: self.now, sleep=lambda _: None, random=random.Random(1))

    def put(self, *keys: str, **columns: Any) -> None:
        """Put one row per key, numbered in the order of all puts."""
        for key in keys:
            self.write(OperationType.PUT, key, {"v": next(self.counter), **columns})

    def write(self, kind: OperationType, key: str, columns: Mapping[str, Any] | Sequence[Cell] = ()) -> None:
        cells = (
            tuple(Cell(name, value) for name, value in columns.items())
            if isinstance(columns, Mapping)
            else tuple(columns)
        )
        failed = self.client.batch_write_row(self.table, [RowChange(kind, (("id", key), ("n", 0)), cells)])
        assert failed == [None]

    def reader(self, **parameter: Any) -> OTSStreamReader:
        parameter = {
            "dataTable": self.table,
            "mode": "single_version_and_update_only",
            "column": [{"name": "id"}, {"name": "v", "type": "long"}],
            **parameter,
        }
        parameter = {key: value for key, value in parameter.items() if value is not None}
        options = parse_options(OTSStreamReader.Options, parameter, "reader.parameter")
        return OTSStreamReader(options, self.connection, self.environment)

    def log(self) -> list[dict[str, Any]]:
        return self.control("GET", f"log?table={self.table}")["shards"]


def new_server() -> Server:
    """Return a service to be entered, for a whole module."""
    return Server(TablestoreService(KEYS))
