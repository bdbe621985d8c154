"""One table: its schema, its rows in key order, and the rules of writing a row."""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid
from airflow_provider_sync.localcloud.tablestore.log import stream_record
from airflow_provider_sync.localcloud.tablestore.stream import Shard, Stream

__all__ = [
    "DELETE",
    "PUT",
    "UPDATE",
    "Bound",
    "Commit",
    "Key",
    "KeyColumn",
    "Options",
    "StoredRow",
    "Table",
    "Version",
    "key_hash",
]

PUT, UPDATE, DELETE = 1, 2, 3
_KEY_KINDS = {1: pb.INTEGER, 2: pb.STRING, 3: pb.BLOB}
_ATTRIBUTE_KINDS = (pb.INTEGER, pb.DOUBLE, pb.BOOLEAN, pb.STRING, pb.BLOB)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_TIMESERIES_NAME = re.compile(r"[A-Za-z_#:][A-Za-z0-9_#:]{0,254}")
_MAX_KEY_BYTES = 1024
_MAX_VALUE_BYTES = 2 * 1024 * 1024
_VALUE_HEAD = 5
_INT_RANGE = range(-(1 << 63), 1 << 63)

Key = tuple[int | str | bytes, ...]
Bound = tuple[tuple[int] | tuple[int, int | str | bytes], ...]
"""A key of a range; each column is (-1,) for INF_MIN, (0, value), or (1,) for INF_MAX."""


class KeyColumn(NamedTuple):
    """One primary-key column; ``kind`` is 1 INTEGER, 2 STRING, 3 BINARY."""

    name: str
    kind: int
    auto_increment: bool


class Version(NamedTuple):
    """One version of one cell: milliseconds, value, and the cell as it is sent with its checksum."""

    ts: int
    value: bytes
    encoded: bytes
    checksum: int


@dataclass(slots=True)
class Options:
    """Table options; ``ttl`` and ``deviation`` are in seconds."""

    ttl: int = -1
    max_versions: int = 1
    deviation: int = 86_400
    allow_update: bool = True
    update_full_row: bool = False


@dataclass(slots=True)
class StoredRow:
    """One row; versions are newest first. ``plain`` caches the whole row as it is sent."""

    key_cells: list[tuple[bytes, int]]
    columns: dict[str, list[Version]] = field(default_factory=dict)
    plain: bytes | None = None


@dataclass(slots=True)
class Commit:
    """What one request writes at one moment: rows of a shard share its time and count up their row index."""

    now_us: int
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def place(self, shard: Shard) -> tuple[int, int]:
        """Return (time, row index) of the next record of this shard."""
        ts_us, row_index = self.places.get(shard.id) or (shard.next_ts_us(self.now_us), 0)
        self.places[shard.id] = ts_us, row_index + 1
        shard.last_ts_us = ts_us
        return ts_us, row_index


def key_hash(partition_key: bytes) -> int:
    """Return the hash that routes a row to a shard: CRC-32 of the first key column's value as on the wire.

    The real service cuts key ranges; a hash spreads any keys evenly, and either way a key stays with one shard
    and its descendants.
    """
    return zlib.crc32(partition_key)


class Table:
    """One table. ``meta`` is the message it was created with."""

    def __init__(self, meta: Any, options: Options, created_us: int) -> None:
        self.name: str = meta.table_meta.table_name
        self.meta = meta
        self.options = options
        self.created_us = created_us
        self.schema = [KeyColumn(c.name, c.type, c.HasField("option")) for c in meta.table_meta.primary_key]
        self.rows: dict[Key, StoredRow] = {}
        self.stream: Stream | None = None
        self._keys: list[Key] = []
        self._last_auto = 0
        self._names = _TIMESERIES_NAME if self.is_timeseries else _NAME

    @property
    def is_timeseries(self) -> bool:
        """Tell whether this is the data table of a time-series table: its first key column is ``_#h``."""
        return self.schema[0].name == "_#h"

    def key(self, cells: list[pb.Cell]) -> Key:
        """Check a full primary key against the schema and return it."""
        if [c.name for c in cells] != [c.name for c in self.schema]:
            raise ServiceError("OTSInvalidPK")
        values: list[Any] = []
        for cell, column in zip(cells, self.schema, strict=True):
            if cell.op is not None or cell.ts is not None or not cell.value:
                raise ServiceError("OTSInvalidPK")
            if cell.value == pb.AUTO_INCREMENT and column.auto_increment:
                values.append(0)
                continue
            if cell.value[0] != _KEY_KINDS[column.kind]:
                raise ServiceError("OTSInvalidPK")
            if len(cell.value) - _VALUE_HEAD > _MAX_KEY_BYTES:
                raise invalid(
                    f"The length of primary key column: '{cell.name}' exceeds the MaxLength:{_MAX_KEY_BYTES}"
                    f" with CurrentLength:{len(cell.value) - _VALUE_HEAD}."
                )
            values.append(pb.decode_value(cell.value))
        return tuple(values)

    def bound(self, cells: list[pb.Cell]) -> Bound:
        """Check the start or end of a range and return it; columns may be INF_MIN or INF_MAX."""
        limits: dict[bytes | None, tuple[int]] = {pb.INF_MIN: (-1,), pb.INF_MAX: (1,)}
        plain = [
            pb.Cell(c.name, v) if (v := c.value) not in limits else self._placeholder(c, i)
            for i, c in enumerate(cells)
        ]
        key = self.key(plain)
        return tuple(limits.get(c.value) or (0, value) for c, value in zip(cells, key, strict=True))

    def scan(self, start: Bound, end: Bound, *, backward: bool) -> Iterator[Key]:
        """Yield the keys from ``start`` (included) to ``end`` (excluded) in the asked order."""
        if backward:
            low = bisect_right(self._keys, end, key=_bound_of)
            high = bisect_right(self._keys, start, key=_bound_of)
            return (self._keys[at] for at in range(high - 1, low - 1, -1))
        low = bisect_left(self._keys, start, key=_bound_of)
        high = bisect_left(self._keys, end, key=_bound_of)
        return (self._keys[at] for at in range(low, high))

    def ordered_keys(self) -> list[Key]:
        """Return all keys in order (not a copy)."""
        return self._keys

    def check(self, action: int, row: pb.Row, now_us: int) -> Key:
        """Refuse a row change that breaks a rule; return the key it is about."""
        key = self.key(row.key)
        if action == DELETE and row.cells:
            raise invalid("Invalid attribute columns in DeleteRow.")
        if action == UPDATE and not row.cells:
            raise invalid("No attribute column specified to update row.")
        if action == UPDATE and not self.options.allow_update:
            raise invalid("The table does not allow UpdateRow: allow_update is false.")
        for cell in row.cells:
            self._check_cell(action, cell, now_us)
        stored = self.rows.get(key)
        for cell in row.cells:
            if cell.op == pb.INCREMENT:
                self._incremented(stored, cell)
        return key

    def write(self, action: int, row: pb.Row, commit: Commit) -> Key:
        """Carry out a checked row change and append it to the stream, if there is one; return the key."""
        self._fill_auto_increment(row, commit.now_us)
        key = self.key(row.key)
        key_cells = [pb.encode_cell(c.name.encode(), c.value, None, None) for c in row.key]
        before = self.rows.get(key)
        origin = self._origin(key_cells, before) if self.stream is not None else None
        cells = self._change(action, key, key_cells, row.cells, commit.now_us // 1000)
        if self.stream is not None:
            shard = self.stream.shard_for(key_hash(row.key[0].value or b""))
            ts_us, row_index = commit.place(shard)
            data = pb.HEADER + pb.encode_row(
                key_cells, cells, extension=pb.sequence_info(shard.epoch, ts_us, row_index)
            )
            shard.log.append(stream_record(action, data, origin), ts_us)
        return key

    def _change(
        self, action: int, key: Key, key_cells: list[tuple[bytes, int]], cells: list[pb.Cell], now_ms: int
    ) -> list[tuple[bytes, int]]:
        """Change the stored row; return the cells as they appear in the stream."""
        if action == DELETE:
            if self.rows.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return []
        before = self.rows.get(key)
        row = before if before is not None and action == UPDATE else StoredRow(key_cells)
        sent = []
        for cell in cells:
            name = cell.name.encode()
            if cell.op in (pb.DELETE_ALL, pb.DELETE_ONE):
                sent.append(pb.encode_cell(name, None, cell.op, cell.ts))
                _remove(row, cell)
                continue
            value = cell.value or b""
            if cell.op == pb.INCREMENT:
                value = pb.encode_value(self._incremented(row, cell))
            ts = now_ms if cell.ts is None else cell.ts
            encoded, checksum = pb.encode_cell(name, value, None, ts)
            sent.append((encoded, checksum))
            _insert(row, cell.name, Version(ts, value, encoded, checksum), self.options.max_versions)
        row.plain = None
        if before is None and (action == PUT or row.columns):
            if self._keys and key > self._keys[-1]:
                self._keys.append(key)
            else:
                insort(self._keys, key)
        if before is not None or action == PUT or row.columns:
            self.rows[key] = row
        return sent

    def _check_cell(self, action: int, cell: pb.Cell, now_us: int) -> None:
        if not self._names.fullmatch(cell.name):
            raise invalid(f"Invalid column name: '{cell.name}'.")
        if any(cell.name == column.name for column in self.schema):
            raise invalid(f"Duplicated attribute column name with primary key column: '{cell.name}'.")
        if action == PUT and cell.op is not None:
            raise invalid(f"Invalid cell operation in PutRow: '{cell.name}'.")
        if cell.op == pb.DELETE_ALL:
            shape = cell.value is None and cell.ts is None
        elif cell.op == pb.DELETE_ONE:
            shape = cell.value is None and cell.ts is not None
        else:
            shape = cell.value is not None and cell.op in (None, pb.INCREMENT)
        if not shape:
            raise invalid(f"Invalid cell: '{cell.name}'.")
        if cell.value is not None:
            if not cell.value or cell.value[0] not in _ATTRIBUTE_KINDS:
                raise invalid(f"Invalid type of column '{cell.name}'.")
            if len(cell.value) - _VALUE_HEAD > _MAX_VALUE_BYTES:
                raise invalid(
                    f"The length of attribute column: '{cell.name}' exceeds the MaxLength:{_MAX_VALUE_BYTES}"
                    f" with CurrentLength:{len(cell.value) - _VALUE_HEAD}."
                )
            pb.decode_value(cell.value)
            self._check_version(cell, now_us // 1_000_000)

    def _check_version(self, cell: pb.Cell, now: int) -> None:
        """Allow [max(now - deviation, now - ttl), now + deviation); the text of the refusal is invented."""
        if cell.ts is None:
            return
        options = self.options
        oldest = now - (options.deviation if options.ttl < 0 else min(options.deviation, options.ttl))
        if not max(oldest, 0) <= cell.ts // 1000 < now + options.deviation:
            raise invalid(
                f"Cell version {cell.ts} of column '{cell.name}' is out of range: allowed are"
                f" [{max(oldest, 0) * 1000}, {(now + options.deviation) * 1000}) milliseconds."
            )

    def _incremented(self, row: StoredRow | None, cell: pb.Cell) -> int:
        delta = pb.decode_value(cell.value or b"")
        versions = row.columns.get(cell.name) if row else None
        base = pb.decode_value(versions[0].value) if versions else 0
        for number in (base, delta):
            if isinstance(number, bool) or not isinstance(number, int):
                raise invalid(f"The column '{cell.name}' is not an INTEGER and cannot be incremented.")
        total = int(base or 0) + int(delta or 0)
        if total not in _INT_RANGE:
            raise invalid(f"The increment of column '{cell.name}' overflows.")
        return total

    def _origin(self, key_cells: list[tuple[bytes, int]], row: StoredRow | None) -> bytes | None:
        """Return the pre-image of a row: the columns that the stream was asked to keep."""
        if self.stream is None or not self.stream.origin_columns or row is None:
            return None
        names = [name for name in self.stream.origin_columns if name in row.columns]
        cells = [(row.columns[name][0].encoded, row.columns[name][0].checksum) for name in names]
        return pb.HEADER + pb.encode_row(key_cells, cells)

    def _fill_auto_increment(self, row: pb.Row, now_us: int) -> None:
        for cell in row.key:
            if cell.value == pb.AUTO_INCREMENT:
                self._last_auto = max(self._last_auto + 1, now_us)
                cell.value = pb.encode_value(self._last_auto)

    def _placeholder(self, cell: pb.Cell, at: int) -> pb.Cell:
        empty: dict[int, int | str | bytes] = {1: 0, 2: "", 3: b""}
        kind = self.schema[at].kind if at < len(self.schema) else 1
        return pb.Cell(cell.name, pb.encode_value(empty[kind]))


def _bound_of(key: Key) -> Bound:
    return tuple((0, value) for value in key)


def _insert(row: StoredRow, name: str, version: Version, max_versions: int) -> None:
    versions = row.columns.get(name)
    if versions is None:
        row.columns[name] = [version]
        return
    versions[:] = [old for old in versions if old.ts != version.ts]
    versions.append(version)
    versions.sort(key=lambda v: -v.ts)
    del versions[max_versions:]


def _remove(row: StoredRow, cell: pb.Cell) -> None:
    versions = row.columns.get(cell.name)
    if versions is None:
        return
    left = [] if cell.op == pb.DELETE_ALL else [v for v in versions if v.ts != cell.ts]
    if left:
        row.columns[cell.name] = left
    else:
        del row.columns[cell.name]
