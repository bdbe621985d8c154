"""Many stream records at once: every cell of a page found by array operations instead of a loop per cell.

The decoder walks all records of a page in step: step *k* reads the *k*-th cell of every record that has one.
The first of these cells is read byte by byte and is the pattern; all records whose cell has the same name, type
and op are read with it, by the same arithmetic for all of them; the others are a run of their own. Both
checksums are verified. It accepts exactly what
:func:`~airflow_provider_sync.clients.tablestore.plainbuffer.decode_stream_record` accepts, except that it does
not look at the text of string values (that is done where they are turned into columns). When anything is
wrong, the plain decoder goes over the page again to say where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from fastcrc import crc8
from numpy.typing import NDArray

from airflow_provider_sync.clients.tablestore.checksums import (
    CRC8,
    append_words,
    checksums_of,
    range_word,
    range_words,
)
from airflow_provider_sync.clients.tablestore.plainbuffer import (
    MAX_SEQUENCE_US,
    MIN_SEQUENCE_US,
    decode_stream_record,
)
from airflow_provider_sync.errors import CorruptDataError

__all__ = [
    "BLOB",
    "BOOLEAN",
    "DOUBLE",
    "INTEGER",
    "NO_VALUE",
    "NULL",
    "STRING",
    "CellTable",
    "Run",
    "parse_records",
]

INTEGER, DOUBLE, BOOLEAN, STRING, NULL, BLOB = 0x00, 0x01, 0x02, 0x03, 0x06, 0x07
NO_VALUE: Final = 0xFF
"""The kind of a cell that deletes."""

_ROW_KEY, _ROW_DATA, _CELL, _NAME, _VALUE, _OP, _TIMESTAMP, _DELETE, _ROW_CRC, _CELL_CRC = range(0x01, 0x0B)
_EXTENSION, _SEQUENCE, _EPOCH, _SEQUENCE_TIME, _ROW_INDEX = range(0x0B, 0x10)
_HEADER_WORD = 0x75
_DELETE_ALL, _DELETE_ONE = 1, 3
_SEQUENCE_SIZE = 24  # sequence info with its tag and length; an extension longer than that holds more
_PREFIX = 5  # type and inner length of a value
_PAD = 64  # a pattern never reaches farther than the longest record and this

_Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int64]


class Run(NamedTuple):
    """Cells ``[first, last)`` of a table, all with the same ``name``, ``kind`` and ``op``."""

    name: int
    kind: int
    op: int
    in_key: bool
    first: int
    last: int


@dataclass(frozen=True)
class CellTable:
    """All cells of ``count`` records, run by run; the cells of one record are in the record's own order.

    ``record``, ``name`` (index into ``names``), ``kind``, ``op``, ``version`` (ms, -1 for none), ``in_key``
    have one entry per cell; inside a run ``record`` rises. A value's bytes are ``data[start : start + length]``
    (without type and inner length). ``epoch``, ``time_us`` and ``row_index`` have one entry per record.
    """

    count: int
    names: list[str]
    data: bytes
    runs: list[Run]
    record: _Ints
    version: _Ints
    start: _Ints
    length: _Ints
    epoch: _Ints
    time_us: _Ints
    row_index: _Ints

    @cached_property
    def buffer(self) -> _Bytes:
        """The bytes as an array."""
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def name(self) -> _Ints:
        """Return the index of each cell's name."""
        return self._spread([run.name for run in self.runs], np.int64)

    @cached_property
    def kind(self) -> _Bytes:
        """Return the type of each cell's value."""
        return self._spread([run.kind for run in self.runs], np.uint8)

    @cached_property
    def op(self) -> _Bytes:
        """Return each cell's op, 0 for a put."""
        return self._spread([run.op for run in self.runs], np.uint8)

    @cached_property
    def in_key(self) -> NDArray[np.bool_]:
        """Tell of each cell whether it belongs to the primary key."""
        return self._spread([run.in_key for run in self.runs], np.bool_)

    def integers(self, cells: _Ints | slice) -> _Ints:
        """Return the values of INTEGER cells."""
        return _words(self.buffer, "<i8")[self.start[cells]]

    def doubles(self, cells: _Ints | slice) -> NDArray[np.float64]:
        """Return the values of DOUBLE cells."""
        return _words(self.buffer, "<f8")[self.start[cells]]

    def booleans(self, cells: _Ints | slice) -> NDArray[np.bool_]:
        """Return the values of BOOLEAN cells."""
        return self.buffer[self.start[cells]].astype(np.bool_)

    def slice(self, first: int, last: int) -> CellTable:
        """Return the records ``[first, last)``; the bytes are shared."""
        if first == 0 and last == self.count:
            return self
        inside = (self.record >= first) & (self.record < last)
        before = np.concatenate([[0], np.cumsum(inside)]).tolist()
        records = slice(first, last)
        return CellTable(
            count=last - first,
            names=self.names,
            data=self.data,
            runs=[run._replace(first=before[run.first], last=before[run.last]) for run in self.runs],
            record=self.record[inside] - first,
            version=self.version[inside],
            start=self.start[inside],
            length=self.length[inside],
            epoch=self.epoch[records],
            time_us=self.time_us[records],
            row_index=self.row_index[records],
        )

    def _spread(self, values: list[int], dtype: Any) -> NDArray[Any]:
        return np.repeat(np.array(values, dtype), [run.last - run.first for run in self.runs])


def parse_records(records: Sequence[bytes]) -> CellTable:
    """Parse the records of a page (one PlainBuffer each).

    Raise :class:`CorruptDataError` naming the record and the byte when grammar or checksum are broken.
    """
    try:
        return _Parser(records).run()
    except _BrokenError:
        pass
    for index, record in enumerate(records):
        try:
            decode_stream_record(record)
        except CorruptDataError as error:
            raise CorruptDataError(f"record {index} of {len(records)} on a stream page: {error}") from None
    raise CorruptDataError(f"a stream page of {len(records)} records breaks the grammar of stream records")


class _BrokenError(Exception):
    """Something is wrong somewhere in the page."""


def _require(condition: NDArray[np.bool_]) -> None:
    if not condition.all():
        raise _BrokenError


def _words(buffer: _Bytes, dtype: str) -> NDArray[Any]:
    """View every offset of ``buffer`` as the start of a word: an unaligned array with a stride of one byte."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((len(buffer) - size + 1,), dtype, buffer, 0, (1,))


class _Pattern(NamedTuple):
    """How a cell is laid out: ``head`` are its bytes up to where cells of its kind may differ.

    ``value_at`` is the distance from the cell's start to its value with its type, ``length`` that value's
    length, None where it differs from cell to cell; ``tail`` is what stands between value and checksum.
    """

    name: bytes
    head: bytes
    kind: int
    value_at: int
    length: int | None
    op: int
    has_version: bool
    tail: int

    @classmethod
    def read(cls, data: bytes, at: int, end: int, *, in_key: bool) -> _Pattern:
        """Read the cell at ``at``; refuse what is wrong with every cell of this pattern."""
        size = int.from_bytes(data[at + 2 : at + 6], "little")
        after = at + 6 + size
        if data[at + 1] != _NAME or not size or after >= end:
            raise _BrokenError
        kind, length, head = NO_VALUE, 0, data[at : after + 1]
        value_at = len(head) - 1
        value_end = after
        if data[after] == _VALUE:
            length, kind = int.from_bytes(data[after + 1 : after + 5], "little"), data[after + 5]
            value_at += 5
            value_end += 5 + length
            if kind not in (STRING, BLOB):
                head = data[at : after + 6]
                if length != _LENGTHS.get(kind) or (kind == NULL and in_key):
                    raise _BrokenError
            if value_end >= end:
                raise _BrokenError
        op = data[value_end + 1] if data[value_end] == _OP else 0
        tail = 2 if data[value_end] == _OP else 0
        has_version = data[value_end + tail] == _TIMESTAMP
        shape = (kind != NO_VALUE, tail, op, has_version)
        tail += 9 * has_version
        if shape not in (_KEY_SHAPES if in_key else _DATA_SHAPES) or data[value_end + tail] != _CELL_CRC:
            raise _BrokenError
        return cls(
            name=data[at + 6 : after],
            head=head,
            kind=kind,
            value_at=value_at,
            length=None if kind in (STRING, BLOB) else length,
            op=op,
            has_version=has_version,
            tail=tail,
        )


_KEY_SHAPES = {(True, 0, 0, False)}
_DATA_SHAPES = {(True, 0, 0, True), (False, 2, _DELETE_ONE, True), (False, 2, _DELETE_ALL, False)}
"""Has a value, bytes of the op and its tag, op, has a version: what can be."""
_LENGTHS = {INTEGER: 9, DOUBLE: 9, BOOLEAN: 2, NULL: 1}
"""Lengths of values with their type."""


class _Cells(NamedTuple):
    """The cells of one run; ``value`` and ``length`` include a value's type and inner length."""

    pattern: _Pattern
    in_key: bool
    record: _Ints
    version: _Ints
    value: _Ints
    length: _Ints
    crc: _Bytes


class _Parser:
    """One page; every method works on all records that are still inside the part it reads."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self.records = records
        lengths = np.fromiter(map(len, records), np.int64, len(records))
        self.data = b"".join((*records, bytes(int(lengths.max(initial=0)) + _PAD)))
        self.buffer: _Bytes = np.frombuffer(self.data, np.uint8)
        self.ends: _Ints = np.cumsum(lengths)
        self.starts: _Ints = self.ends - lengths
        self.u2 = _words(self.buffer, "<u2")
        self.u4 = _words(self.buffer, "<u4")
        self.u8 = _words(self.buffer, "<u8")
        self.i8 = _words(self.buffer, "<i8")
        self.at: _Ints = self.starts + 5
        self.row_crc: _Bytes = np.zeros(len(records), np.uint8)
        self.runs: list[_Cells] = []

    def run(self) -> CellTable:
        count, buffer = len(self.records), self.buffer
        _require(self.ends - self.starts > 5)  # noqa: PLR2004 - header and row tag
        _require(self.u4[self.starts] == _HEADER_WORD)
        _require(buffer[self.starts + 4] == _ROW_KEY)
        _require(buffer[self.at] == _CELL)  # a record without a key cannot be
        self._read_cells(np.arange(count), in_key=True)
        has_data = buffer[self.at] == _ROW_DATA
        self.at += has_data
        self._read_cells(np.flatnonzero(has_data), in_key=False)
        delete = buffer[self.at] == _DELETE
        self.at += delete
        epoch, time_us, row_index = self._read_extension()
        _require(buffer[self.at] == _ROW_CRC)
        _require(self.at + 2 == self.ends)
        _require(buffer[self.at + 1] == CRC8[self.row_crc ^ delete.astype(np.uint8)])
        return self._table(epoch, time_us, row_index)

    def _read_cells(self, active: _Ints, *, in_key: bool) -> None:
        """Read cell after cell, until no record of ``active`` has another one."""
        while len(active):
            groups, left = [active[:0]], active
            while len(left):
                first = int(self.at[left[0]])
                if self.data[first] != _CELL:
                    left = left[self.buffer[self.at[left]] == _CELL]
                    continue
                pattern = _Pattern.read(self.data, first, int(self.ends[left[0]]), in_key=in_key)
                group = self._read_run(left, pattern, in_key=in_key)
                groups.append(group)
                if len(group) == len(left):
                    break
                taken = np.zeros(len(self.at), np.bool_)
                taken[group] = True
                left = left[~taken[left]]
            active = groups[1] if len(groups) == 2 else np.sort(np.concatenate(groups))  # noqa: PLR2004 - one run

    def _read_run(self, records: _Ints, pattern: _Pattern, *, in_key: bool) -> _Ints:
        """Read a cell of each record whose next one is as ``pattern`` says; return these records."""
        at = self.at[records]
        fits = self._fits_head(at, pattern.head)
        if pattern.length is None:
            fits &= self.buffer[at + pattern.value_at] == pattern.kind
        if not fits.all():
            records, at = records[fits], at[fits]
        value = at + pattern.value_at
        if pattern.length is None:
            length = self.u4[value - 4].astype(np.int64)
            _require(self.u4[value + 1] == length - _PREFIX)
        else:
            length = np.full(len(value), pattern.length)
        end = value + length
        ends = self.ends[records]
        _require(end < ends)
        fits = self._fits_tail(end, pattern)
        if not fits.all():
            records, value, length = records[fits], value[fits], length[fits]
            end, ends = end[fits], ends[fits]
        if pattern.kind == BOOLEAN:
            _require(self.buffer[value + 1] <= 1)
        if pattern.has_version:
            version = self.i8[end + (pattern.tail - 8)]
            _require(version >= 0)
        else:
            version = np.full(len(end), -1)
        at = end + (pattern.tail + 1)
        crc = self.buffer[at]
        at += 1
        _require(at < ends)
        self.at[records] = at
        self.row_crc[records] = CRC8.take(self.row_crc[records] ^ crc)
        self.runs.append(_Cells(pattern, in_key, records, version, value, length, crc))
        return records

    def _fits_head(self, at: _Ints, head: bytes) -> NDArray[np.bool_]:
        """Compare eight bytes at a time; a head has as many at least, and the last eight may overlap."""
        last = len(head) - 8
        fits: NDArray[np.bool_] = self.u8[at] == int.from_bytes(head[:8], "little")
        for offset in (*range(8, last, 8), *([last] if last else [])):
            fits &= self.u8[at + offset] == int.from_bytes(head[offset : offset + 8], "little")
        return fits

    def _fits_tail(self, end: _Ints, pattern: _Pattern) -> NDArray[np.bool_]:
        fits: NDArray[np.bool_] = self.buffer[end + pattern.tail] == _CELL_CRC
        if pattern.has_version:
            fits &= self.buffer[end + (pattern.tail - 9)] == _TIMESTAMP
        if pattern.op:
            fits &= self.u2[end] == (_OP | pattern.op << 8)
        return fits

    def _read_extension(self) -> tuple[_Ints, _Ints, _Ints]:
        buffer, at = self.buffer, self.at
        _require((buffer[at] == _EXTENSION) & (at + 5 + _SEQUENCE_SIZE < self.ends))
        size = self.u4[at + 1].astype(np.int64)
        _require((size >= _SEQUENCE_SIZE) & (at + 5 + size < self.ends))
        _require((buffer[at + 5] == _SEQUENCE) & (self.u4[at + 6] == _SEQUENCE_SIZE - 5))
        _require(
            (buffer[at + 10] == _EPOCH)
            & (buffer[at + 15] == _SEQUENCE_TIME)
            & (buffer[at + 24] == _ROW_INDEX)
        )
        epoch, time_us, row_index = self.u4[at + 11], self.i8[at + 16], self.u4[at + 25]
        _require((time_us >= MIN_SEQUENCE_US) & (time_us < MAX_SEQUENCE_US))
        for unusual in np.flatnonzero(size > _SEQUENCE_SIZE):
            decode_stream_record(self.records[int(unusual)])  # it knows how to walk entries nobody knows
        self.at = at + 5 + size
        return epoch.astype(np.int64), time_us, row_index.astype(np.int64)

    def _table(self, epoch: _Ints, time_us: _Ints, row_index: _Ints) -> CellTable:
        self._check_deletes()
        self._check_puts()
        cells = self.runs
        sizes = [len(one.record) for one in cells]
        ends = np.cumsum(sizes).tolist()
        names: dict[bytes, int] = {}
        numbers = [names.setdefault(one.pattern.name, len(names)) for one in cells]
        try:
            texts = [one.decode() for one in names]
        except UnicodeDecodeError:
            raise _BrokenError from None
        prefix = np.repeat([_PREFIX if one.pattern.length is None else 1 for one in cells], sizes)
        return CellTable(
            count=len(self.records),
            names=texts,
            data=self.data,
            runs=[
                Run(number, one.pattern.kind, one.pattern.op, one.in_key, end - size, end)
                for one, number, size, end in zip(cells, numbers, sizes, ends, strict=True)
            ],
            record=np.concatenate([one.record for one in cells]),
            version=np.concatenate([one.version for one in cells]),
            start=np.concatenate([one.value for one in cells]) + prefix,
            length=np.concatenate([one.length for one in cells]) - prefix,
            epoch=epoch,
            time_us=time_us,
            row_index=row_index,
        )

    def _check_puts(self) -> None:
        """Compare the checksums of all cells that have a value: name, value, then the version outside the key."""
        puts = [one for one in self.runs if one.pattern.kind != NO_VALUE]  # those of the key come first
        sizes = [len(one.record) for one in puts]
        words = range_words(
            self.buffer,
            self.u8,
            np.concatenate([one.value for one in puts]),
            np.concatenate([one.length for one in puts]),
            np.repeat(np.array([crc8.smbus(one.pattern.name) for one in puts], np.uint8), sizes),
        )
        versions = [one.version for one in puts if not one.in_key]
        if versions:
            keys = sum(len(one.record) for one in puts if one.in_key)
            words[keys:] = append_words(words[keys:], np.concatenate(versions))
        _require(checksums_of(words) == np.concatenate([one.crc for one in puts]))

    def _check_deletes(self) -> None:
        """Compare the checksums of cells that delete: name, version if there is one, op."""
        for one in self.runs:
            if one.pattern.kind != NO_VALUE:
                continue
            words = np.full(len(one.record), range_word(one.pattern.name), np.uint64)
            if one.pattern.has_version:
                words = append_words(words, one.version)
            _require(CRC8[checksums_of(words) ^ one.pattern.op] == one.crc)
