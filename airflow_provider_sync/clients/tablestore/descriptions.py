"""What the service tells about tables and streams, and what writes expect of rows, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from airflow_provider_sync.clients.tablestore.messages import Comparator, KeyType, OperationType, RowExistence
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp, PrimaryKey, Value

__all__ = [
    "ANY_ROW",
    "ColumnCondition",
    "Columns",
    "Condition",
    "KeyColumn",
    "RowChange",
    "Shard",
    "StreamDescription",
    "StreamInfo",
    "StreamPage",
    "TableDescription",
    "cells_of",
]

Columns = Mapping[str, Value] | Iterable[Cell]
"""Attribute columns of a write: names with values, or cells with versions and ops."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One primary key column."""

    name: str
    type: KeyType


@dataclass(frozen=True, slots=True)
class TableDescription:
    """A table: ``time_to_live`` in seconds (-1 is for ever), stream retention in hours, times in microseconds."""

    name: str
    primary_key: tuple[KeyColumn, ...]
    time_to_live: int
    max_versions: int
    stream_enabled: bool
    stream_id: str | None
    expiration_hours: int | None
    last_enable_us: int | None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of a list; ``creation_us`` in microseconds."""

    stream_id: str
    table_name: str
    creation_us: int


@dataclass(frozen=True, slots=True)
class Shard:
    """One partition's log. A split gives two shards with one parent, a merge one shard with two."""

    shard_id: str
    parent_id: str | None = None
    parent_sibling_id: str | None = None


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """A stream with all its shards, in the service's order; retention in hours, time in microseconds."""

    stream_id: str
    table_name: str
    expiration_hours: int
    creation_us: int
    status: int
    shards: tuple[Shard, ...]
    is_timeseries: bool = False


@dataclass(frozen=True, slots=True)
class StreamPage:
    """One page of a shard's log, records undecoded.

    ``next_iterator`` is None when the shard is finished. ``may_more`` is what the service says about more
    records behind this page ("this page was full"), None where it says nothing. ``nbytes`` counts the records.
    """

    actions: list[int]
    records: list[bytes]
    next_iterator: str | None
    may_more: bool | None
    nbytes: int


@dataclass(frozen=True, slots=True)
class ColumnCondition:
    """``column comparator value``, on the latest version; a row without the column passes only if told so."""

    name: str
    comparator: Comparator
    value: Value
    pass_if_missing: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the stored row for a write to happen."""

    row: RowExistence = RowExistence.IGNORE
    column: ColumnCondition | None = None

    @property
    def is_free(self) -> bool:
        """Whether any row, or none, will do."""
        return self.row is RowExistence.IGNORE and self.column is None


ANY_ROW = Condition()


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row of a batch write."""

    type: OperationType
    primary_key: PrimaryKey
    cells: tuple[Cell, ...] = ()
    condition: Condition = field(default=ANY_ROW)

    @property
    def is_repeatable(self) -> bool:
        """Whether doing it twice leaves the same values: no condition, no increment."""
        return self.condition.is_free and all(cell.op is not CellOp.INCREMENT for cell in self.cells)


def cells_of(columns: Columns) -> tuple[Cell, ...]:
    """Return columns as cells."""
    if isinstance(columns, Mapping):
        return tuple(Cell(name, value) for name, value in columns.items())
    return tuple(columns)
