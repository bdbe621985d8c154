"""Rows as values: a key, cells, and for a stream record its place in the log."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple

__all__ = [
    "AUTO_INCREMENT",
    "INF_MAX",
    "INF_MIN",
    "Cell",
    "CellOp",
    "Marker",
    "PrimaryKey",
    "Row",
    "SequenceInfo",
    "Value",
]


class Marker(Enum):
    """A key value that is a place in the order, or to be filled in by the service."""

    INF_MIN = 0x09
    INF_MAX = 0x0A
    AUTO_INCREMENT = 0x0B

    def __repr__(self) -> str:
        return self.name


INF_MIN: Final = Marker.INF_MIN
INF_MAX: Final = Marker.INF_MAX
AUTO_INCREMENT: Final = Marker.AUTO_INCREMENT

Value = int | float | bool | str | bytes | None | Marker
PrimaryKey = tuple[tuple[str, Value], ...]


class CellOp(IntEnum):
    """What a cell does to its column; a cell without one puts its value."""

    DELETE_ALL_VERSIONS = 1
    DELETE_ONE_VERSION = 3
    INCREMENT = 4


class Cell(NamedTuple):
    """One attribute cell. ``timestamp`` is the version in milliseconds."""

    name: str
    value: Value = None
    timestamp: int | None = None
    op: CellOp | None = None


class SequenceInfo(NamedTuple):
    """Where a stream record stands in its shard: ``timestamp`` is the commit time in microseconds."""

    epoch: int
    timestamp: int
    row_index: int


class Row(NamedTuple):
    """One row as it is written in a buffer; ``delete`` is the delete marker of a request."""

    primary_key: PrimaryKey
    cells: tuple[Cell, ...] = ()
    delete: bool = False
    sequence: SequenceInfo | None = None
