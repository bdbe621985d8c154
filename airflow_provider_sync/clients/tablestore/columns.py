"""Many stream records at once: every cell of a page found by array operations instead of a loop per cell.

The decoder walks all records of a page in step: step *k* reads the *k*-th cell of every record that has one,
with numpy doing the same arithmetic for all of them. Both checksums are verified. It accepts exactly what
:func:`~airflow_provider_sync.clients.tablestore.plainbuffer.decode_stream_record` accepts, except that it does
not look at the text of string values (that is done where they are turned into columns). When anything is
wrong, the plain decoder goes over the page again to say where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from fastcrc import crc8
from numpy.typing import NDArray

from airflow_provider_sync.clients.tablestore.plainbuffer import (
    MAX_SEQUENCE_US,
    MIN_SEQUENCE_US,
    decode_stream_record,
)
from airflow_provider_sync.errors import CorruptDataError

__all__ = ["BLOB", "BOOLEAN", "DOUBLE", "INTEGER", "NO_VALUE", "NULL", "STRING", "CellTable", "parse_records"]

INTEGER, DOUBLE, BOOLEAN, STRING, NULL, BLOB = 0x00, 0x01, 0x02, 0x03, 0x06, 0x07
NO_VALUE: Final = 0xFF
"""The kind of a cell that deletes."""

_ROW_KEY, _ROW_DATA, _CELL, _NAME, _VALUE, _OP, _TIMESTAMP, _DELETE, _ROW_CRC, _CELL_CRC = range(0x01, 0x0B)
_EXTENSION, _SEQUENCE, _EPOCH, _SEQUENCE_TIME, _ROW_INDEX = range(0x0B, 0x10)
_HEADER_WORD = 0x75
_DELETE_ALL, _DELETE_ONE = 1, 3
_SEQUENCE_SIZE = 24  # sequence info with its tag and length; an extension longer than that holds more
_PAD = 64  # so that looking a few fields ahead of a broken end stays inside the buffer
_LONG_VALUE = 256  # from here on one CRC call per value is cheaper than stepping through it
_VECTOR_NAMES = 8  # distinct names per step that are compared by arrays; the rest by a dictionary

_Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CellTable:
    """All cells of ``count`` records, record after record, in the records' own order.

    ``record``, ``name`` (index into ``names``), ``kind``, ``op``, ``version`` (ms, -1 for none), ``in_key``
    have one entry per cell; a value's bytes are ``buffer[start : start + length]`` (without type and inner
    length). ``epoch``, ``time_us`` and ``row_index`` have one entry per record.
    """

    count: int
    names: list[str]
    buffer: _Bytes
    record: _Ints
    name: _Ints
    kind: _Bytes
    op: _Bytes
    version: _Ints
    start: _Ints
    length: _Ints
    in_key: NDArray[np.bool_]
    epoch: _Ints
    time_us: _Ints
    row_index: _Ints

    def integers(self, cells: _Ints) -> _Ints:
        """Return the values of INTEGER cells."""
        return _words(self.buffer, "<i8")[self.start[cells]]

    def doubles(self, cells: _Ints) -> NDArray[np.float64]:
        """Return the values of DOUBLE cells."""
        return _words(self.buffer, "<f8")[self.start[cells]]

    def booleans(self, cells: _Ints) -> NDArray[np.bool_]:
        """Return the values of BOOLEAN cells."""
        return self.buffer[self.start[cells]].astype(np.bool_)

    def slice(self, first: int, last: int) -> CellTable:
        """Return the records ``[first, last)``; the buffer is shared."""
        if first == 0 and last == self.count:
            return self
        low, high = np.searchsorted(self.record, (first, last))
        cells, records = slice(low, high), slice(first, last)
        return CellTable(
            count=last - first,
            names=self.names,
            buffer=self.buffer,
            record=self.record[cells] - first,
            name=self.name[cells],
            kind=self.kind[cells],
            op=self.op[cells],
            version=self.version[cells],
            start=self.start[cells],
            length=self.length[cells],
            in_key=self.in_key[cells],
            epoch=self.epoch[records],
            time_us=self.time_us[records],
            row_index=self.row_index[records],
        )


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


def _require(condition: Any) -> None:
    if not np.all(condition):
        raise _BrokenError


def _words(buffer: _Bytes, dtype: str) -> NDArray[Any]:
    """View every offset of ``buffer`` as the start of a word: an unaligned array with a stride of one byte."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((len(buffer) - size + 1,), dtype, buffer, 0, (1,))


class _Cells(NamedTuple):
    """Cells in the order they are met; ``value`` and ``length`` include a value's type and inner length."""

    record: _Ints
    name: _Ints
    kind: _Bytes
    op: _Bytes
    version: _Ints
    value: _Ints
    length: _Ints
    in_key: NDArray[np.bool_]
    version_start: _Ints
    crc: _Bytes


class _Parser:
    """One page; every method works on all records that are still inside the part it reads."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self.records = records
        lengths = np.fromiter(map(len, records), np.int64, len(records))
        self.buffer: _Bytes = np.frombuffer(b"".join(records) + bytes(_PAD), np.uint8)
        self.ends: _Ints = np.cumsum(lengths)
        self.starts: _Ints = self.ends - lengths
        self.u4 = _words(self.buffer, "<u4")
        self.i8 = _words(self.buffer, "<i8")
        self.at: _Ints = self.starts + 5
        self.row_crc: _Bytes = np.zeros(len(records), np.uint8)
        self.names: dict[bytes, int] = {}
        self.steps: list[_Cells] = []

    def run(self) -> CellTable:
        count, buffer = len(self.records), self.buffer
        _require(self.ends - self.starts > 5)  # noqa: PLR2004 - header and row tag
        _require(self.u4[self.starts] == _HEADER_WORD)
        _require(buffer[self.starts + 4] == _ROW_KEY)
        self._read_cells(np.arange(count), in_key=True)
        has_data = buffer[self.at] == _ROW_DATA
        self.at += has_data
        self._read_cells(np.flatnonzero(has_data), in_key=False)
        delete = buffer[self.at] == _DELETE
        self.at += delete
        epoch, time_us, row_index = self._read_extension()
        _require(buffer[self.at] == _ROW_CRC)
        _require(self.at + 2 == self.ends)
        _require(buffer[self.at + 1] == _CRC8[self.row_crc ^ delete.astype(np.uint8)])
        return self._table(epoch, time_us, row_index)

    def _read_cells(self, active: _Ints, *, in_key: bool) -> None:
        if in_key:
            _require(self.buffer[self.at] == _CELL)  # a record without a key cannot be
        while len(active := active[self.buffer[self.at[active]] == _CELL]):
            self._read_cell(active, in_key=in_key)

    def _read_cell(self, active: _Ints, *, in_key: bool) -> None:
        buffer, at, end = self.buffer, self.at[active], self.ends[active]
        _require(buffer[at + 1] == _NAME)
        name_length = self.u4[at + 2].astype(np.int64)
        name_start = at + 6
        at = name_start + name_length
        _require((name_length > 0) & (at < end))
        has_value = buffer[at] == _VALUE
        length = np.where(has_value, self.u4[at + 1], 0).astype(np.int64)
        value = at + 5
        _require(~has_value | ((length > 0) & (value + length < end)))
        kind = np.where(has_value, buffer[value], NO_VALUE).astype(np.uint8)
        at = np.where(has_value, value + length, at)
        has_op = buffer[at] == _OP
        op = np.where(has_op, buffer[at + 1], 0).astype(np.uint8)
        at += has_op * 2
        has_version = buffer[at] == _TIMESTAMP
        version = np.where(has_version, self.i8[at + 1], -1)
        version_start = at + 1
        at += has_version * 9
        _require((at + 2 < end) & (buffer[at] == _CELL_CRC) & (~has_version | (version >= 0)))
        crc = buffer[at + 1]
        if in_key:
            _require(has_value & ~has_op & ~has_version)
        self.row_crc[active] = _CRC8[self.row_crc[active] ^ crc]
        self.at[active] = at + 2
        name = self._intern(name_start, name_length)
        keys = np.full(len(active), in_key)
        self.steps.append(_Cells(active, name, kind, op, version, value, length, keys, version_start, crc))

    def _intern(self, start: _Ints, length: _Ints) -> _Ints:
        """Give every name of this step its number; nearly always all of them are the same."""
        ids = np.full(len(start), -1, np.int64)
        buffer = self.buffer
        for _ in range(_VECTOR_NAMES):
            left = np.flatnonzero(ids < 0)
            if not len(left):
                return ids
            size = int(length[left[0]])
            first = int(start[left[0]])
            pattern = buffer[first : first + size]
            same = left[length[left] == size]
            match = (buffer[start[same][:, None] + np.arange(size)] == pattern).all(axis=1)
            ids[same[match]] = self.names.setdefault(pattern.tobytes(), len(self.names))
        for one in np.flatnonzero(ids < 0):
            name = buffer[start[one] : start[one] + length[one]].tobytes()
            ids[one] = self.names.setdefault(name, len(self.names))
        return ids

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
        flat = _Cells(*(np.concatenate(part) for part in zip(*self.steps, strict=True)))
        self._check_values(flat)
        _require(self._cell_crcs(flat) == flat.crc)
        # Steps hold one cell of each record; a record wants its cells together.
        order = np.argsort(flat.record, kind="stable")
        try:
            names = [one.decode() for one in self.names]
        except UnicodeDecodeError:
            raise _BrokenError from None
        prefix = np.where((flat.kind == STRING) | (flat.kind == BLOB), 5, 1)
        return CellTable(
            count=len(self.records),
            names=names,
            buffer=self.buffer,
            record=flat.record[order],
            name=flat.name[order],
            kind=flat.kind[order],
            op=flat.op[order],
            version=flat.version[order],
            start=(flat.value + prefix)[order],
            length=(flat.length - prefix)[order],
            in_key=flat.in_key[order],
            epoch=epoch,
            time_us=time_us,
            row_index=row_index,
        )

    def _check_values(self, flat: _Cells) -> None:
        kind, op, version, value, length = flat.kind, flat.op, flat.version, flat.value, flat.length
        number = ((kind == INTEGER) | (kind == DOUBLE)) & (length == 9)  # noqa: PLR2004 - type and 8 bytes
        flag = (kind == BOOLEAN) & (length == 2) & (self.buffer[value + 1] <= 1)  # noqa: PLR2004 - type and 1 byte
        text = ((kind == STRING) | (kind == BLOB)) & (length >= 5) & (self.u4[value + 1] == length - 5)  # noqa: PLR2004
        null = (kind == NULL) & (length == 1) & ~flat.in_key
        put = (op == 0) & (number | flag | text | null) & (flat.in_key | (version >= 0))
        gone = kind == NO_VALUE
        delete = gone & (((op == _DELETE_ONE) & (version >= 0)) | ((op == _DELETE_ALL) & (version < 0)))
        _require(put | delete)

    def _cell_crcs(self, flat: _Cells) -> _Bytes:
        """CRC-8 over name, value, version, op: for all cells side by side, two bytes a step."""
        value, length, op = flat.value, flat.length, flat.op
        per_name = np.array([crc8.smbus(one) for one in self.names], np.uint16)
        crc = per_name[flat.name]
        for one in np.flatnonzero(length > _LONG_VALUE):
            data = self.buffer[value[one] : value[one] + length[one]].tobytes()
            crc[one] = crc8.smbus(data, int(crc[one]))
        u2 = _words(self.buffer, ">u2")
        short = np.where(length > _LONG_VALUE, 0, length)
        order = np.argsort(-short, kind="stable")
        ordered, position, pairs = crc[order], value[order], short[order] // 2
        for step in range(int(pairs.max(initial=0))):
            count = int(np.searchsorted(-pairs, -step))  # how many still have a pair at this step
            ordered[:count] = _CRC16[(ordered[:count] << 8) ^ u2[position[:count] + 2 * step]]
        crc[order] = ordered
        odd = np.flatnonzero(short & 1)
        crc[odd] = _CRC8[crc[odd] ^ self.buffer[value[odd] + short[odd] - 1]]
        versioned = np.flatnonzero(flat.version >= 0)
        part, position = crc[versioned], flat.version_start[versioned]
        for step in range(4):
            part = _CRC16[(part << 8) ^ u2[position + 2 * step]]
        crc[versioned] = part
        with_op = np.flatnonzero(op)
        crc[with_op] = _CRC8[crc[with_op] ^ op[with_op]]
        return crc.astype(np.uint8)


_CRC8: NDArray[np.uint8] = np.array([crc8.smbus(bytes((one,))) for one in range(256)], np.uint8)
_PAIRS = np.arange(65536)
_CRC16: NDArray[np.uint16] = _CRC8[_CRC8[_PAIRS >> 8] ^ (_PAIRS & 0xFF)].astype(np.uint16)
"""The checksum of two bytes at once; the running checksum is xored into the first of them."""
