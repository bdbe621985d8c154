"""A random history of one table and its stream, written through the client and the side doors."""

from __future__ import annotations

import itertools
import random
from typing import Any

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn, RowChange, cells_of
from airflow_provider_sync.clients.tablestore.messages import KeyType, OperationType
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from faults.world import HISTORY, SECRET, TABLE, World

__all__ = ["FURTHEST_BACK", "History"]

FURTHEST_BACK = 280.0
"""Seconds that all backward steps of a history's clocks make together: less than a search by time looks back."""

_KEYS = tuple("abcdefghijkl")
_MOST_SHARDS = 6
_TEXTS = ("", "plain", "a,b", 'say "so"', "two\nlines", "null", "é中😀", " padded ", "#", "0")
_PAD = 300_000


class History:
    """Writes what the job is to read.

    ``large`` makes some rows so big that a window takes several parts; ``writes`` are how many writes there are for
    five other events.
    """

    def __init__(
        self,
        world: World,
        chance: random.Random,
        *,
        stream_hours: int,
        large: bool = False,
        writes: int = 10,
    ) -> None:
        self._world = world
        self._chance = chance
        self._large = 8 if large else 0
        self._writes = writes
        self._numbers = itertools.count()
        self._began = world.now
        self._back = 0.0
        self.stepped_back = False
        connection = ConnectionInfo(
            "tablestore", world.tablestore, HISTORY, Secret(SECRET), extra={"instance": "demo"}
        )
        self._client = TablestoreClient(connection, retry=RetryPolicy(), clock=lambda: world.now)
        self._client.create_table(TABLE, (KeyColumn("id", KeyType.STRING),), stream_hours=stream_hours)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def event(self) -> str:
        """Let one thing happen now; return its name."""
        kinds = ("write",) * self._writes + ("split", "split", "merge", "epoch", "page")
        kind = self._chance.choice(kinds)
        getattr(self, kind)()
        return kind

    def write(self) -> None:
        """Change some rows in one batch."""
        keys = self._chance.sample(_KEYS, self._chance.randint(1, 8))
        outcome = self._client.batch_write_row(TABLE, [self._change(key) for key in keys])
        assert outcome == [None] * len(keys)

    def split(self) -> None:
        """Cut a shard in two."""
        shards = self._open()
        if len(shards) < _MOST_SHARDS:
            self._do("shards/split", shard=self._chance.choice(shards))

    def merge(self) -> None:
        """Make one shard of two."""
        shards = self._open()
        if len(shards) > 2:
            self._do("shards/merge", shards=self._chance.sample(shards, 2))

    def epoch(self) -> None:
        """Raise the epoch of one shard or all; their clocks step back."""
        room = min(FURTHEST_BACK, self._world.now - self._began - 1) - self._back
        back = self._chance.uniform(0, max(room, 0.0)) if self._chance.random() < 0.8 else 0.0
        self._back += back
        self.stepped_back |= back > 0
        which = {"shard": self._chance.choice(self._open())} if self._chance.random() < 0.7 else {}
        self._do("epoch", shift_us=-int(back * 1_000_000), **which)

    def page(self) -> None:
        """Put pages without records before the end of a shard."""
        self._do("empty_page", shard=self._chance.choice(self._open()), count=self._chance.randint(1, 3))

    def trim(self, before: float, *, closed_before: float) -> None:
        """Forget the records before a time, as retention does, and shards that were closed before another.

        Retention takes a shard only after those above it, also where it never had a record.
        """
        self._do("shards/trim", before_us=int(before * 1_000_000))
        shards = {one["shard"]: one for one in self._shards()}
        above = {name: {one["parent"], one["sibling"]} - {None} for name, one in shards.items()}
        empty = {name for name, one in shards.items() if one["closed"] and one["trimmed"] >= one["records"]}
        # A shard's id ends with the time of its creation, which is when those above it were closed.
        closed = [int(name.rpartition("_")[2]) for name in shards if above[name] & empty]
        below_all = all(above[name] <= empty for name in empty)
        if below_all and all(moment < closed_before * 1_000_000 for moment in closed):
            self._do("shards/retire")

    def _change(self, key: str) -> RowChange:
        primary_key = (("id", key),)
        kind = self._chance.choice(
            (OperationType.PUT,) * 3 + (OperationType.UPDATE,) * 3 + (OperationType.DELETE,)
        )
        if kind is OperationType.DELETE:
            return RowChange(kind, primary_key)
        cells = [Cell("v", next(self._numbers))]
        if kind is OperationType.UPDATE and self._chance.random() < 0.3:
            cells.append(Cell("w", None, None, CellOp.DELETE_ALL_VERSIONS))
        elif self._chance.random() < 0.8:
            cells.append(Cell("w", self._text()))
        return RowChange(kind, primary_key, cells_of(cells))

    def _text(self) -> str:
        if self._large and self._chance.random() < 0.2:
            self._large -= 1
            return self._chance.choice("xyz") * _PAD
        return self._chance.choice(_TEXTS)

    def _open(self) -> list[str]:
        return [shard["shard"] for shard in self._shards() if not shard["closed"]]

    def _shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = self._world.control("tablestore", "GET", f"shards?table={TABLE}")[
            "shards"
        ]
        return shards

    def _do(self, route: str, **data: Any) -> None:
        self._world.control("tablestore", "POST", route, {"table": TABLE, **data})
