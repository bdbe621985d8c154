"""Seeded stream records: computed from a plan when they are read, so that millions cost no memory and no wait.

Record ``i`` of a seeded run takes slot ``i % k`` of a repeating pattern (so many puts, updates, deletes). All
records of a slot have one length: keys and values have a fixed width. A chunk of records is the repeated pattern
with the varying bytes patched in by numpy; checksums are patched too, because CRC-8 is linear: the checksum of a
cell is that of its template xor, for each varying byte, a table entry chosen by how many bytes follow it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.errors import invalid
from airflow_provider_sync.localcloud.tablestore.log import Page, stream_record
from airflow_provider_sync.localcloud.tablestore.seed_bytes import (
    KEY_DIGITS,
    Array,
    bytes_of,
    contribution,
    crc32,
    follow_table,
    key_bytes,
    mix,
    random_bytes,
)
from airflow_provider_sync.localcloud.tablestore.stream import Shard

__all__ = ["DEFAULT_COLUMNS", "SeedPlan", "SeedSegment"]

DEFAULT_COLUMNS: list[list[Any]] = [
    ["customer", "STRING", 24],
    ["amount", "DOUBLE"],
    ["quantity", "INTEGER"],
    ["paid", "BOOLEAN"],
    ["status", "STRING", 10],
    ["currency", "STRING", 3],
    ["note", "STRING", 60],
    ["updated_at", "INTEGER"],
    ["discount", "DOUBLE"],
    ["signature", "BINARY", 16],
]
"""Ten mixed columns: with a two-column key a put record is about 500 bytes."""

_CHUNK_RECORDS = 4096
_CACHED_CHUNKS = 64  # about 128 MB: a benchmark that reads the same records again finds them ready
_VARYING = 8  # bytes of a STRING or BINARY value that differ from record to record
_PUT, _UPDATE, _DELETE = 1, 2, 3
_U64 = np.uint64


@dataclass(slots=True)
class SeedPlan:
    """What to seed: ``count`` records in all, spread over the open shards.

    Record ``i`` of a shard has the time ``start_us + i // per_commit * step_us``. ``keys`` distinct keys numbered
    from ``first_key`` are drawn at random (by ``seed``). The pattern is ``puts`` puts of all columns, then
    ``updates`` updates of the first half that delete the last column, then ``deletes`` deletes. A column is
    ``[name, type]`` or ``[name, type, width]``; STRING and BINARY have a fixed width (16 if not given).
    """

    count: int
    start_us: int
    step_us: int = 1000
    per_commit: int = 1
    keys: int = 0
    first_key: int = 0
    seed: int = 0
    puts: int = 8
    updates: int = 1
    deletes: int = 1
    columns: list[list[Any]] = field(default_factory=lambda: [list(column) for column in DEFAULT_COLUMNS])

    def check(self) -> None:
        """Refuse a plan that cannot be carried out."""
        kinds = ("INTEGER", "DOUBLE", "BOOLEAN", "STRING", "BINARY")
        if self.count < 1 or self.step_us < 1 or self.per_commit < 1 or self.keys < 0:
            raise invalid("seed: count, step_us and per_commit must be at least 1")
        if min(self.puts, self.updates, self.deletes) < 0 or self.puts + self.updates + self.deletes < 1:
            raise invalid("seed: puts + updates + deletes must be at least 1")
        if not self.columns or any(len(c) < 2 or c[1] not in kinds for c in self.columns):  # noqa: PLR2004
            raise invalid(
                f"seed: columns are [name, type] or [name, type, width], type one of {', '.join(kinds)}"
            )

    def segments(self, schema: list[Any], shards: list[Shard]) -> Iterator[tuple[Shard, SeedSegment]]:
        """Yield one segment for each shard; a key goes to the shard that takes its writes."""
        self.check()
        keys = self.first_key + np.arange(self.keys or min(self.count, 1_000_000), dtype=np.int64)
        kind = _KEY_KINDS[schema[0].kind]
        varying = key_bytes(kind, keys)
        head = bytes((kind,)) + (b"" if kind == pb.INTEGER else varying.shape[1].to_bytes(4, "little"))
        heads = np.tile(np.frombuffer(head, dtype=np.uint8), (len(keys), 1))
        hashes = crc32(np.concatenate([heads, varying], axis=1))
        for number, shard in enumerate(shards):
            count = self.count // len(shards) + (number < self.count % len(shards))
            mask = np.zeros(len(keys), dtype=bool)
            for low, high in shard.ranges:
                mask |= (hashes >= low) & (hashes < high)
            pool = keys[mask]
            if count and len(pool):
                yield shard, SeedSegment(self, schema, pool, count, epoch=shard.epoch, number=number)


class SeedSegment:
    """A run of seeded records in one shard."""

    def __init__(
        self,
        plan: SeedPlan,
        schema: list[Any],
        pool: Array,
        count: int,
        *,
        epoch: int = 0,
        number: int = 0,
        in_order: bool = False,
    ) -> None:
        self._plan = plan
        self._pool = pool
        self._count = count
        self._salt = plan.seed * 1_000_003 + number
        pattern = [_PUT] * plan.puts + [_UPDATE] * plan.updates + [_DELETE] * plan.deletes
        self._slots = [_Slot(action, schema, plan.columns, epoch) for action in pattern]
        self._offsets = [0]
        for slot in self._slots:
            self._offsets.append(self._offsets[-1] + len(slot.template))
        self._block = self._offsets[-1]
        self._blocks = max(1, _CHUNK_RECORDS // len(pattern))
        self._chunks: OrderedDict[int, memoryview] = OrderedDict()
        self._in_order = in_order

    @classmethod
    def in_key_order(cls, plan: SeedPlan, schema: list[Any]) -> SeedSegment:
        """Return ``count`` records about as many keys, one each, in ascending order."""
        keys = plan.first_key + np.arange(plan.count, dtype=np.int64)
        return cls(plan, schema, keys, plan.count, in_order=True)

    def rows(self, index: int, count: int) -> Iterator[bytes]:
        """Yield the rows of these records as buffers."""
        for at in range(index, index + count):
            first = self._position(at)
            chunk, offset = divmod(first, self._blocks * self._block)
            slot = self._slots[at % len(self._slots)]
            end = offset + len(slot.template)
            yield bytes(self._chunk(chunk)[offset + slot.row_at : end])

    def __len__(self) -> int:
        return self._count

    @property
    def last_ts_us(self) -> int:
        """The time of the last record."""
        return self._plan.start_us + (self._count - 1) // self._plan.per_commit * self._plan.step_us

    def first_at_or_after(self, ts_us: int) -> int:
        """Compute the index: times rise by one step a commit."""
        commits = -((self._plan.start_us - ts_us) // self._plan.step_us)
        return min(max(commits * self._plan.per_commit, 0), self._count)

    def page(self, index: int, rows: int, size: int) -> Page:
        """Return views of computed chunks."""
        first = self._position(index)
        stop = min(index + rows, self._count)
        ends = range(index + 1, stop + 1)
        stop = index + max(1, bisect_right(ends, first + size, key=self._position))
        last = self._position(stop)
        chunk_size = self._blocks * self._block
        chunks: list[bytes | memoryview] = []
        for chunk in range(first // chunk_size, (last - 1) // chunk_size + 1):
            base = chunk * chunk_size
            chunks.append(self._chunk(chunk)[max(first - base, 0) : last - base])
        return Page(chunks, stop - index, last - first)

    def _position(self, index: int) -> int:
        block, slot = divmod(index, len(self._slots))
        return block * self._block + self._offsets[slot]

    def _chunk(self, number: int) -> memoryview:
        found = self._chunks.pop(number, None)
        if found is None:
            found = memoryview(self._make(number * self._blocks))
            if len(self._chunks) >= _CACHED_CHUNKS:
                self._chunks.popitem(last=False)
        self._chunks[number] = found
        return found

    def _make(self, first_block: int) -> bytes:
        template = b"".join(slot.template for slot in self._slots)
        out = np.tile(np.frombuffer(template, dtype=np.uint8), (self._blocks, 1))
        blocks = np.arange(first_block, first_block + self._blocks, dtype=np.int64)
        for number, slot in enumerate(self._slots):
            index = blocks * len(self._slots) + number
            mixed = mix(index, self._salt)
            drawn = index if self._in_order else (mixed >> _U64(1)).astype(np.int64)
            keys = self._pool[drawn % len(self._pool)]
            commit = index // self._plan.per_commit
            ts_us = self._plan.start_us + commit * self._plan.step_us
            row_index = (index % self._plan.per_commit).astype(np.uint32)
            view = out[:, self._offsets[number] : self._offsets[number + 1]]
            slot.patch(view, _Records(index, keys, ts_us, row_index, mixed))
        return bytes(out.tobytes())


@dataclass(slots=True)
class _Records:
    """What tells the records of one slot in one chunk apart: arrays of one length, and what salts the values."""

    index: Array
    keys: Array
    ts_us: Array
    row_index: Array
    mixed: Array


@dataclass(slots=True)
class _CellPlace:
    """Where a cell lies in a record, and what varies in it."""

    at: int  # of the cell
    size: int
    name_size: int
    value_size: int  # 0 if there is no value
    kind: int | None  # of the value, None if nothing but the time varies
    width: int
    key: bool
    stamped: bool
    checksum: int  # of the template


class _Slot:
    """The template of all records of one slot."""

    def __init__(self, action: int, schema: list[Any], columns: list[list[Any]], epoch: int) -> None:
        self._places: list[_CellPlace] = []
        key = [self._cell(c.name, c.kind, KEY_DIGITS, key=True) for c in schema]
        cells = []
        if action == _PUT:
            cells = [self._cell(c[0], _KINDS[c[1]], _width(c), key=False) for c in columns]
        elif action == _UPDATE:
            half = columns[: (len(columns) + 1) // 2]
            cells = [self._cell(c[0], _KINDS[c[1]], _width(c), key=False) for c in half]
            if len(columns) > len(half):
                cells.append(pb.encode_cell(columns[-1][0].encode(), None, pb.DELETE_ALL, None))
                self._place(cells[-1], columns[-1][0], 0, None, 0, key=False, stamped=False)
        extension = pb.sequence_info(epoch, 0, 0)
        row = pb.HEADER + pb.encode_row(key, cells, extension=extension)
        self.template = stream_record(action, row)
        self.row_at = len(self.template) - len(row)
        at = self.row_at + len(pb.HEADER) + 1
        for number, place in enumerate(self._places):
            if number == len(key):
                at += 1  # the attribute tag
            place.at = at
            at += place.size
        self._extension_at = at

    def patch(self, out: Array, records: _Records) -> None:
        """Write what varies into ``out``: one template per row, uint8."""
        index = records.index
        stamp = bytes_of(records.ts_us // 1000)
        stamp_crc = contribution(stamp, 0)
        row_crc = np.zeros(len(index), dtype=np.uint8)
        for number, place in enumerate(self._places):
            crc = np.full(len(index), place.checksum, dtype=np.uint8)
            if place.kind is not None:
                values = (
                    key_bytes(place.kind, records.keys)
                    if place.key
                    else random_bytes(place.kind, place.width, records.mixed, number * 7919)
                )
                at = place.at + 11 + place.name_size + (5 if place.kind in (pb.STRING, pb.BLOB) else 1)
                out[:, at : at + values.shape[1]] = values
                after = place.value_size - (at - place.at - 11 - place.name_size) - values.shape[1]
                crc ^= contribution(values, after + (8 if place.stamped else 0))
            if place.stamped:
                out[:, place.at + place.size - 10 : place.at + place.size - 2] = stamp
                crc ^= stamp_crc
            out[:, place.at + place.size - 1] = crc
            row_crc ^= follow_table(len(self._places) - number)[crc]
        out[:, self._extension_at + 16 : self._extension_at + 24] = bytes_of(records.ts_us)
        out[:, self._extension_at + 25 : self._extension_at + 29] = bytes_of(records.row_index)
        out[:, -1] = row_crc

    def _cell(self, name: str, kind: int, width: int, *, key: bool) -> tuple[bytes, int]:
        if key:
            kind = _KEY_KINDS[kind]
        width = {pb.INTEGER: 8, pb.DOUBLE: 8, pb.BOOLEAN: 1, pb.BLOB: 8 if key else width}.get(kind, width)
        head = bytes((kind,))
        if kind in (pb.STRING, pb.BLOB):
            value = head + width.to_bytes(4, "little") + (b"." if kind == pb.STRING else b"\0") * width
            # What varies comes first and is shorter than a wide value; those bytes are zero in the template.
            varies = width if key else min(width, _VARYING)
            value = value[:5] + bytes(varies) + value[5 + varies :]
        else:
            value, varies = head + bytes(width), width
        cell = pb.encode_cell(name.encode(), value, None, None if key else 0)
        self._place(cell, name, len(value), kind, varies, key=key, stamped=not key)
        return cell

    def _place(
        self,
        cell: tuple[bytes, int],
        name: str,
        value_size: int,
        kind: int | None,
        width: int,
        *,
        key: bool,
        stamped: bool,
    ) -> None:
        self._places.append(
            _CellPlace(0, len(cell[0]), len(name.encode()), value_size, kind, width, key, stamped, cell[1])
        )


_KINDS = {
    "INTEGER": pb.INTEGER,
    "DOUBLE": pb.DOUBLE,
    "BOOLEAN": pb.BOOLEAN,
    "STRING": pb.STRING,
    "BINARY": pb.BLOB,
}
_KEY_KINDS = {1: pb.INTEGER, 2: pb.STRING, 3: pb.BLOB}


def _width(column: list[Any]) -> int:
    return int(column[2]) if len(column) > 2 else 16  # noqa: PLR2004 - name, type, width
