"""Seeded records are computed; here every one of them is decoded, which verifies both checksums."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from airflow_provider_sync.localcloud.control import ControlError
from airflow_provider_sync.localcloud.tablestore.plainbuffer import encode_value
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService

KEY = [["a", "STRING"], ["b", "INTEGER"], ["c", "BINARY"]]


@pytest.fixture
def service() -> TablestoreService:
    return TablestoreService({})


def _do(service: TablestoreService, route: str, **data: Any) -> Any:
    return service.on_control("POST", route, json.dumps({"table": "t", **data}).encode())


def _shards(service: TablestoreService) -> list[dict[str, Any]]:
    return list(_do(service, "log")["shards"])


def test_records_follow_the_plan(service: TablestoreService) -> None:
    _do(service, "seed", count=5000, primary_key=KEY, start_us=10**15, step_us=7, per_commit=3, keys=100)
    (shard,) = _shards(service)
    log = shard["log"]
    assert len(log) == 5000
    assert [r["ts_us"] for r in log] == [10**15 + n // 3 * 7 for n in range(5000)]
    assert [r["row_index"] for r in log] == [n % 3 for n in range(5000)]
    pattern = ["PUT"] * 8 + ["UPDATE", "DELETE"]
    assert [r["action"] for r in log] == [pattern[n % 10] for n in range(5000)]
    keys = {r["pk"][1][1] for r in log}
    assert keys == set(range(100))
    for record in log:
        number = record["pk"][1][1]
        binary = base64.b64encode(number.to_bytes(8, "big")).decode()
        assert record["pk"] == [["a", f"{number:012d}"], ["b", number], ["c", {"base64": binary}]]
        assert all(cell["ts"] in (None, record["ts_us"] // 1000) for cell in record["cells"])
    assert len(log[0]["cells"]) == 10
    assert [cell["op"] for cell in log[8]["cells"]] == ["PUT"] * 5 + ["DELETE_ALL"]
    assert log[9]["cells"] == []
    notes = {cell["value"] for r in log[:8] for cell in r["cells"] if cell["name"] == "note"}
    assert len(notes) == 8


def test_the_same_seed_gives_the_same_records_and_another_others(service: TablestoreService) -> None:
    def values(seed: int) -> Any:
        fresh = TablestoreService({})
        _do(fresh, "seed", count=50, start_us=10**15, seed=seed)
        return _shards(fresh)[0]["log"]

    assert values(1) == values(1)
    assert values(1) != values(2)


def test_a_seeded_key_goes_to_the_shard_that_takes_its_writes(service: TablestoreService) -> None:
    _do(service, "seed", count=10)
    for _ in range(3):
        _do(service, "shards/split")
    written = _do(service, "seed", count=4001, keys=1000)["records"]
    assert sorted(written.values()) == [1000, 1000, 1000, 1001]
    for shard in _shards(service)[1:]:
        for record in shard["log"]:
            hashed = zlib.crc32(encode_value(record["pk"][0][1]))
            assert any(low <= hashed < high for low, high in shard["ranges"])


def test_times_of_a_second_run_are_later_than_the_first(service: TablestoreService) -> None:
    _do(service, "seed", count=1000)
    _do(service, "seed", count=1000)
    times = [record["ts_us"] for record in _shards(service)[0]["log"]]
    assert times == sorted(times)


def test_seeking_agrees_with_a_scan(service: TablestoreService) -> None:
    _do(service, "seed", count=100, start_us=10**15, step_us=10, per_commit=4)
    log = next(iter(service._store.find_table("t")[1].stream.shards.values())).log  # type: ignore[union-attr]
    times = [10**15 + n // 4 * 10 for n in range(100)]
    for time_us in range(10**15 - 15, 10**15 + 270, 3):
        expected = next((n for n, t in enumerate(times) if t >= time_us), 100)
        assert log.first_at_or_after(time_us) == expected


@pytest.mark.parametrize("kind", ["STRING", "BINARY"])
@pytest.mark.parametrize("width", [0, 1, 3, 8, 9, 300])
def test_columns_have_their_width(service: TablestoreService, kind: str, width: int) -> None:
    _do(service, "seed", count=20, columns=[["v", kind, width], ["w", "INTEGER"]])
    for record in _shards(service)[0]["log"]:
        for cell in record["cells"]:
            if cell["name"] == "v":
                value = cell["value"]
                raw = base64.b64decode(value["base64"]) if kind == "BINARY" else value.encode()
                assert len(raw) == width


def test_rows_can_be_seeded_into_the_table_itself(service: TablestoreService) -> None:
    assert _do(service, "seed-rows", count=1500, primary_key=KEY) == {"rows": 1500}
    table = service._store.find_table("t")[1]
    assert [key[1] for key in table.ordered_keys()] == list(range(1500))
    assert len(table.rows[table.ordered_keys()[7]].columns) == 10


@pytest.mark.parametrize(
    "data",
    [
        {"count": 0},
        {"count": 1, "step_us": 0},
        {"count": 1, "columns": []},
        {"count": 1, "columns": [["x", "COLOUR"]]},
        {"count": 1, "puts": 0, "updates": 0, "deletes": 0},
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(
    service: TablestoreService, data: dict[str, Any]
) -> None:
    with pytest.raises(ControlError):
        _do(service, "seed", **data)
