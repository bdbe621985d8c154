"""What is on disk is there again after a restart, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService

KEYS = {"test-key": "test-secret"}
TABLE = ots.TableMeta("t", [("k", "STRING"), ("id", "INTEGER", ots.PK_AUTO_INCR)])


def _control(service: TablestoreService, method: str, route: str, data: Any = None) -> Any:
    return service.on_control(method, route, json.dumps(data or {}).encode())


def _snapshot(service: TablestoreService) -> Any:
    log = _control(service, "POST", "log", {"table": "t"})
    table = service._store.find_table("t")[1]
    rows = {
        key: {n: [tuple(v) for v in vs] for n, vs in row.columns.items()} for key, row in table.rows.items()
    }
    return log, rows, table.ordered_keys()


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Any]:
    service = TablestoreService(KEYS, tmp_path)
    key = [["k", "STRING"], ["id", "INTEGER"]]
    _control(service, "POST", "seed", {"table": "t", "count": 30, "primary_key": key, "deletes": 2})
    _control(service, "POST", "shards/split", {"table": "t"})
    with Server(service) as server:
        client = ots.OTSClient(server.url, "test-key", "test-secret", "demo")
        for number in range(20):
            row = ots.Row([("k", f"k{number}"), ("id", 1)], [("n", number), ("s", "é")])
            client.put_row("t", row, ots.Condition("IGNORE"))
        change = {"INCREMENT": [("n", 3)], "DELETE_ALL": ["s"]}
        row = ots.Row([("k", "k3"), ("id", 1)], change)
        client.update_row("t", row, ots.Condition("EXPECT_EXIST"))
        client.delete_row("t", [("k", "k4"), ("id", 1)], ots.Condition("EXPECT_EXIST"))
    shards = [s["shard"] for s in _control(service, "POST", "log", {"table": "t"})["shards"][1:]]
    _control(service, "POST", "epoch", {"table": "t", "by": 1, "shift_us": -1000})
    _control(service, "POST", "shards/merge", {"table": "t", "shards": shards})
    _control(service, "POST", "shards/trim", {"table": "t", "shard": shards[0], "all": True})
    _control(service, "POST", "shards/retire", {"table": "t"})
    _control(service, "POST", "empty_page", {"table": "t"})
    snapshot = _snapshot(service)
    service.close()
    return tmp_path, snapshot


def test_everything_is_there_after_a_restart(written: tuple[Path, Any]) -> None:
    service = TablestoreService(KEYS, written[0])
    assert _snapshot(service) == written[1]
    service.close()


def test_auto_increment_keys_are_the_same_after_a_restart(tmp_path: Path) -> None:
    service = TablestoreService(KEYS, tmp_path)
    with Server(service) as server:
        client = ots.OTSClient(server.url, "test-key", "test-secret", "demo")
        client.create_table(TABLE, ots.TableOptions(-1, 1), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        row = ots.Row([("k", "a"), ("id", ots.PK_AUTO_INCR)], [("n", 1)])
        client.put_row("t", row, ots.Condition("IGNORE"))
    keys = service._store.find_table("t")[1].ordered_keys()
    service.close()
    again = TablestoreService(KEYS, tmp_path)
    assert again._store.find_table("t")[1].ordered_keys() == keys
    again.close()


@pytest.mark.parametrize("damage", ["cut", "flip", "garbage"])
def test_a_torn_tail_costs_only_the_last_event(written: tuple[Path, Any], damage: str) -> None:
    file = written[0] / "tablestore.journal"
    data = file.read_bytes()
    file.write_bytes(
        {"cut": data[:-3], "flip": data[:-1] + bytes((data[-1] ^ 1,)), "garbage": data + b"\x05\0\0"}[damage]
    )
    service = TablestoreService(KEYS, written[0])
    log, rows, keys = _snapshot(service)
    assert (log, rows, keys) == written[1]  # the last event, an empty page, is in none of these
    _control(service, "POST", "epoch", {"table": "t", "by": 7})
    wanted = _snapshot(service)
    service.close()
    again = TablestoreService(KEYS, written[0])
    assert _snapshot(again) == wanted
    again.close()


def test_reset_forgets_the_disk_too(written: tuple[Path, Any]) -> None:
    service = TablestoreService(KEYS, written[0])
    service.reset()
    service.close()
    again = TablestoreService(KEYS, written[0])
    with pytest.raises(ValueError, match="exists in 0 instances"):
        again._store.find_table("t")
    again.close()
