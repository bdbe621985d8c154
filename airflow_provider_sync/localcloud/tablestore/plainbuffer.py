"""PlainBuffer, the service's row encoding: bytes ↔ rows, both checksums made and verified.

All integers are little-endian::

    buffer = u32 0x75, row*
    row    = 0x01 cell* [0x02 cell*] [0x08] [extension] 0x09 u8(row checksum)
    cell   = 0x03  0x04 u32 name  [0x05 u32 value]  [0x06 u8 op]  [0x07 i64 timestamp]  0x0A u8(checksum)
    extension = 0x0B u32(24)  0x0C u32(19)  0x0D u32 epoch  0x0E i64 microseconds  0x0F u32 row index

Values are kept as the bytes of the wire, type byte first. Checksums are CRC-8/SMBUS: of a cell over name, value,
timestamp, op (in this order, although op comes before timestamp on the wire); of a row over the checksums of
its cells and one byte that is 1 if the delete marker is there. The extension is covered by none.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastcrc import crc8

from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid

__all__ = [
    "AUTO_INCREMENT",
    "DELETE_ALL",
    "DELETE_ONE",
    "HEADER",
    "INCREMENT",
    "INF_MAX",
    "INF_MIN",
    "Cell",
    "Row",
    "decode_row",
    "decode_value",
    "encode_cell",
    "encode_row",
    "encode_value",
    "sequence_info",
]

HEADER = b"\x75\x00\x00\x00"
DELETE_ALL, DELETE_ONE, INCREMENT = 1, 3, 4
INTEGER, DOUBLE, BOOLEAN, STRING, NULL, BLOB = 0, 1, 2, 3, 6, 7
INF_MIN, INF_MAX, AUTO_INCREMENT = b"\x09", b"\x0a", b"\x0b"

_ROW_KEY, _ROW_CELLS, _CELL, _NAME, _VALUE, _OP, _TS, _DELETED, _ROW_CRC, _CELL_CRC = range(1, 11)
_EXTENSION_TAG = 11
_TEXT_AT = 5  # in a STRING or BLOB value: type byte and u32 length come first

_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")
_F64 = struct.Struct("<d")
_EXTENSION = struct.Struct("<BIBIBIBqBI")
_FIXED_SIZES = {0: 9, 1: 9, 2: 2, 6: 1, 9: 1, 10: 1, 11: 1}
_crc = crc8.smbus


@dataclass(slots=True)
class Cell:
    """One cell as on the wire; ``value`` is type byte and data, ``ts`` is in milliseconds."""

    name: str
    value: bytes | None = None
    op: int | None = None
    ts: int | None = None


@dataclass(slots=True)
class Row:
    """One decoded row; ``sequence`` is (epoch, microseconds, row index) when the extension is there."""

    key: list[Cell]
    cells: list[Cell] = field(default_factory=list)
    marked_deleted: bool = False
    sequence: tuple[int, int, int] | None = None


def encode_value(value: bool | float | str | bytes) -> bytes:
    """Encode a Python value as type byte and data."""
    match value:
        case bool():
            return bytes((BOOLEAN, value))
        case int():
            return b"\x00" + _I64.pack(value)
        case float():
            return b"\x01" + _F64.pack(value)
        case str():
            data = value.encode()
            return b"\x03" + _U32.pack(len(data)) + data
        case bytes():
            return b"\x07" + _U32.pack(len(value)) + value


def decode_value(value: bytes) -> bool | int | float | str | bytes | None:
    """Decode type byte and data; None for NULL. INF_MIN, INF_MAX and AUTO_INCREMENT have no value here."""
    kind = value[0] if value else -1
    size = _FIXED_SIZES.get(kind)
    if size is not None and size != len(value):
        raise _broken("value has a wrong length")
    result: bool | int | float | str | bytes | None
    match kind:
        case 0:
            result = _I64.unpack_from(value, 1)[0]
        case 1:
            result = _finite(_F64.unpack_from(value, 1)[0])
        case 2:
            result = bool(value[1])
        case 3:
            try:
                result = _counted(value).decode()
            except UnicodeDecodeError as error:
                raise _broken("string is not UTF-8") from error
        case 7:
            result = _counted(value)
        case 6:
            result = None
        case _:
            raise _broken(f"unknown value type {kind}")
    return result


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise invalid("The input parameter is invalid: a DOUBLE must be finite.")
    return number


def _counted(value: bytes) -> bytes:
    """Return the data of a STRING or BLOB value."""
    if len(value) < _TEXT_AT or _U32.unpack_from(value, 1)[0] != len(value) - _TEXT_AT:
        raise _broken("value has a wrong length")
    return value[_TEXT_AT:]


def encode_cell(name: bytes, value: bytes | None, op: int | None, ts: int | None) -> tuple[bytes, int]:
    """Encode one cell; return its bytes and its checksum."""
    parts = [b"\x03\x04", _U32.pack(len(name)), name]
    covered = name
    if value is not None:
        parts += (b"\x05", _U32.pack(len(value)), value)
        covered += value
    if op is not None:
        parts.append(bytes((6, op)))
    if ts is not None:
        stamp = _I64.pack(ts)
        parts += (b"\x07", stamp)
        covered += stamp
    if op is not None:
        covered += bytes((op,))
    checksum = _crc(covered)
    parts.append(bytes((10, checksum)))
    return b"".join(parts), checksum


def sequence_info(epoch: int, ts_us: int, row_index: int) -> bytes:
    """Encode the extension of a stream record."""
    return _EXTENSION.pack(0x0B, 24, 0x0C, 19, 0x0D, epoch, 0x0E, ts_us, 0x0F, row_index)


def encode_row(
    key: Iterable[tuple[bytes, int]],
    cells: Iterable[tuple[bytes, int]] = (),
    *,
    extension: bytes = b"",
) -> bytes:
    """Join encoded cells to a row, without the buffer's header."""
    key, cells = list(key), list(cells)
    parts = [b"\x01", *(data for data, _ in key)]
    if cells:
        parts.append(b"\x02")
        parts += (data for data, _ in cells)
    checksums = bytes([checksum for _, checksum in key] + [checksum for _, checksum in cells] + [0])
    parts += (extension, bytes((9, _crc(checksums))))
    return b"".join(parts)


def decode_row(data: bytes) -> Row:
    """Decode a buffer that holds exactly one row; errors are the service's own (``OTSParameterInvalid``)."""
    try:
        row, end = _Decoder(data).row(4)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise _broken("data format is invalid") from error
    if not data.startswith(HEADER) or end != len(data):
        raise _broken("data format is invalid")
    return row


def _broken(what: str) -> ServiceError:
    return invalid(f"Cell data broken, {what}.")


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._checksums = bytearray()

    def row(self, at: int) -> tuple[Row, int]:
        data = self._data
        if data[at] != _ROW_KEY:
            raise _broken("no primary key")
        key, at = self._cells(at + 1)
        row = Row(key)
        if data[at] == _ROW_CELLS:
            row.cells, at = self._cells(at + 1)
        if data[at] == _DELETED:
            row.marked_deleted, at = True, at + 1
        if data[at] == _EXTENSION_TAG:
            row.sequence = self._sequence(at)
            at += 5 + _U32.unpack_from(data, at + 1)[0]
        self._checksums.append(row.marked_deleted)
        if data[at] != _ROW_CRC or data[at + 1] != _crc(bytes(self._checksums)):
            raise _broken("row checksum mismatch")
        return row, at + 2

    def _sequence(self, at: int) -> tuple[int, int, int]:
        tags = _EXTENSION.unpack_from(self._data, at)
        if tags[2::2] != (0x0C, 0x0D, 0x0E, 0x0F):
            raise _broken("no sequence info")
        return tags[5], tags[7], tags[9]

    def _cells(self, at: int) -> tuple[list[Cell], int]:
        cells = []
        while self._data[at] == _CELL:
            cell, at = self._cell(at + 1)
            cells.append(cell)
        return cells, at

    def _cell(self, at: int) -> tuple[Cell, int]:
        data = self._data
        if data[at] != _NAME:
            raise _broken("cell without name")
        name, at = self._block(at + 1)
        cell = Cell(name.decode())
        covered = name
        if data[at] == _VALUE:
            cell.value, at = self._block(at + 1)
            covered += cell.value
        if data[at] == _OP:
            cell.op, at = data[at + 1], at + 2
        if data[at] == _TS:
            covered += data[at + 1 : at + 9]
            cell.ts, at = _I64.unpack_from(data, at + 1)[0], at + 9
        if cell.op is not None:
            covered += bytes((cell.op,))
        checksum = data[at + 1]
        if data[at] != _CELL_CRC or checksum != _crc(covered):
            raise _broken("cell checksum mismatch")
        self._checksums.append(checksum)
        return cell, at + 2

    def _block(self, at: int) -> tuple[bytes, int]:
        length = _U32.unpack_from(self._data, at)[0]
        end = at + 4 + length
        if end > len(self._data):
            raise _broken("length points past the end")
        return self._data[at + 4 : end], end
