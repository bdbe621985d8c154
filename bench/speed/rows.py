"""The rows that are measured: two key columns and ten mixed ones, 400 to 500 bytes a record."""

from __future__ import annotations

import random
from typing import Any

from airflow_provider_sync.clients.tablestore.plainbuffer import encode_row
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp, SequenceInfo
from airflow_provider_sync.localcloud.tablestore.seed import DEFAULT_COLUMNS

__all__ = ["COLUMNS", "KEY", "PLAN", "TEXT_COLUMNS", "records"]

KEY = [["order_id", "STRING"], ["line", "INTEGER"]]
PLAN: dict[str, Any] = {"puts": 1, "updates": 0, "deletes": 0}
"""Every record puts all columns: the most work per record."""

_TYPES = {"STRING": "string", "DOUBLE": "double", "INTEGER": "long", "BOOLEAN": "bool", "BINARY": "bytes"}
COLUMNS: list[dict[str, str]] = [
    {"name": name, "type": _TYPES[kind]} for name, kind, *_ in [*KEY, *DEFAULT_COLUMNS]
]
TEXT_COLUMNS = [one | {"type": "bytes" if one["type"] == "bytes" else "string"} for one in COLUMNS]
"""The same with the default type, which turns everything but bytes into text."""

_START_US = 1_790_000_000_000_000
_PUT, _UPDATE, _DELETE = 1, 2, 3


def records(count: int, *, mixed: bool = False) -> tuple[list[bytes], list[int]]:
    """Return ``count`` stream records and their actions; texts are up to as long as in the seeded rows.

    ``mixed`` makes one in ten an update of half the columns that deletes the last one, and one a delete.
    """
    chance = random.Random(1)
    actions = [{8: _UPDATE, 9: _DELETE}.get(index % 10, _PUT) if mixed else _PUT for index in range(count)]
    return [_record(index, action, chance) for index, action in enumerate(actions)], actions


def _record(index: int, action: int, chance: random.Random) -> bytes:
    time_us = _START_US + index * 10
    key = (("order_id", f"{index:012d}"), ("line", index))
    chosen = {_PUT: DEFAULT_COLUMNS, _UPDATE: DEFAULT_COLUMNS[:5], _DELETE: []}[action]
    cells = [
        Cell(name, _value(kind, width[0] if width else 16, chance), time_us // 1000)
        for name, kind, *width in chosen
    ]
    if action == _UPDATE:
        cells.append(Cell(DEFAULT_COLUMNS[-1][0], None, None, CellOp.DELETE_ALL_VERSIONS))
    return encode_row(key, cells, sequence=SequenceInfo(0, time_us, 0))


def _value(kind: str, width: int, chance: random.Random) -> str | int | float | bool | bytes:
    match kind:
        case "INTEGER":
            return chance.getrandbits(40)
        case "DOUBLE":
            return chance.getrandbits(24) / 100
        case "BOOLEAN":
            return chance.random() < 0.5
        case "BINARY":
            return chance.randbytes(width)
    return f"{chance.getrandbits(width * 4):x}"[: chance.randint(width // 3, width)]
