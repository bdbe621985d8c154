"""The rows that are measured: two key columns and ten mixed ones, about 500 bytes a record."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace
from typing import Any

from airflow_provider_sync.localcloud.tablestore.seed import DEFAULT_COLUMNS, SeedPlan, SeedSegment

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

_KINDS = {"INTEGER": 1, "STRING": 2}
_START_US = 1_790_000_000_000_000


def records(count: int, *, mixed: bool = False) -> tuple[list[bytes], list[int]]:
    """Return ``count`` stream records and their actions; ``mixed`` makes one in ten an update, one a delete."""
    plan = SeedPlan(count=count, start_us=_START_US, **({} if mixed else PLAN))
    schema = [SimpleNamespace(name=name, kind=_KINDS[kind]) for name, kind in KEY]
    segment = SeedSegment.in_key_order(plan, schema)
    pattern = [1] * plan.puts + [2] * plan.updates + [3] * plan.deletes
    actions = (pattern * (count // len(pattern) + 1))[:count]
    return list(islice(segment.rows(0, count), count)), actions
