"""PlainBuffer, the row format of Tablestore: one-pass decoding and encoding, both checksums verified.

::

    buffer    = u32 0x75, row*                                     all integers little-endian
    row       = 01 cell*  [02 cell*]  [08]  [extension]  09 u8(row_crc)
    cell      = 03  04 u32(len) name  [05 u32(len) type data]  [06 u8(op)]  [07 i64(version)]  0a u8(cell_crc)
    extension = 0b u32(len)  0c u32(19) 0d u32(epoch) 0e i64(time, us) 0f u32(row_index)  unknown*
    unknown   = u8(tag above 0f) u32(len) bytes

The checksum of a cell is CRC-8/SMBUS over name, type and data, timestamp, op: in this order, although the op
precedes the timestamp on the wire (observed: the vendor's decoders accept nothing else). Lengths are not
covered, but a wrong one breaks the grammar: a value's outer length must equal what its type says. The row's
checksum covers the cell checksums and the delete marker, not the extension; the sequence info of a stream
record is therefore only checked for plausibility, and a flipped bit in its epoch, row index or the low part
of its time cannot be seen here (the checksum of the whole answer covers it on the way).

This decoder is the plain one: the oracle of faster ones and the one that says where a buffer is broken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Final, NoReturn

from fastcrc import crc8

from airflow_provider_sync.clients.tablestore.rows import (
    Cell,
    CellOp,
    Marker,
    PrimaryKey,
    Row,
    SequenceInfo,
    Value,
)
from airflow_provider_sync.errors import ConfigError, CorruptDataError

__all__ = [
    "HEADER",
    "MAX_SEQUENCE_US",
    "MIN_SEQUENCE_US",
    "decode",
    "decode_read_rows",
    "decode_stream_record",
    "encode",
    "encode_row",
    "encode_value",
]


HEADER: Final = b"\x75\x00\x00\x00"
# The service is younger than the first, and the second is the year 2100: a time outside is a broken record.
MIN_SEQUENCE_US: Final = 1_000_000_000_000_000
MAX_SEQUENCE_US: Final = 4_102_444_800_000_000

_ROW_KEY, _ROW_DATA, _CELL, _NAME, _VALUE, _OP, _TIMESTAMP, _DELETE, _ROW_CRC, _CELL_CRC = range(0x01, 0x0B)
_EXTENSION, _SEQUENCE, _EPOCH, _SEQUENCE_TIME, _ROW_INDEX = range(0x0B, 0x10)
_INTEGER, _DOUBLE, _BOOLEAN, _STRING, _NULL, _BLOB = 0x00, 0x01, 0x02, 0x03, 0x06, 0x07
_SEQUENCE_LENGTH = 19
_TYPE_LENGTH = 1
_PREFIXED_LENGTH = 5  # type byte and inner length
_NUMBER_LENGTH = 9  # type byte and eight bytes
_BOOLEAN_LENGTH = 2
_INT64 = 2**63

_u32 = struct.Struct("<I")
_i64 = struct.Struct("<q")
_f64 = struct.Struct("<d")
_sequence = struct.Struct("<BIBIBqBI")  # its tag, length, then epoch, time and row index, each behind its tag
_unknown_head = struct.Struct("<BI")
_read_u32, _read_i64, _read_f64 = _u32.unpack_from, _i64.unpack_from, _f64.unpack_from

_MARKERS = {marker.value: marker for marker in Marker}
_OPS = {int(op): op for op in CellOp}


def decode(buffer: bytes) -> list[Row]:
    """Decode a buffer of any number of rows, whatever they are for.

    An empty buffer holds no rows; that is how the service says "no such row". Raise
    :class:`CorruptDataError` on anything that breaks the grammar or a checksum. A buffer cut exactly between
    two rows is a shorter valid buffer: only the checksum around it can tell.
    """
    if not buffer:
        return []
    if buffer[:4] != HEADER:
        _fail(buffer, 0, f"expected the header {HEADER.hex()}")
    rows = []
    position, end = 4, len(buffer)
    while position < end:
        try:
            row, position = _read_row(buffer, position)
        except UnicodeDecodeError as error:
            raise CorruptDataError(
                f"broken row data: a row that starts at byte {position} holds text that is not UTF-8: {error}"
            ) from error
        except (struct.error, IndexError) as error:
            raise CorruptDataError(
                f"broken row data: a row that starts at byte {position} ends after the {end} bytes given"
            ) from error
        rows.append(row)
    return rows


def decode_read_rows(buffer: bytes) -> list[Row]:
    """Decode the rows of a read answer: keys complete, no markers, ops or sequence info."""
    rows = decode(buffer)
    for index, row in enumerate(rows):
        if not row.primary_key:
            raise CorruptDataError(f"broken row data: row {index} has no primary key")
        if row.delete or row.sequence is not None:
            raise CorruptDataError(f"broken row data: row {index} of a read answer is a change, not a row")
        for cell in row.cells:
            if cell.op is not None or cell.timestamp is None:
                raise CorruptDataError(
                    f"broken row data: column {cell.name!r} of row {index} is a change, not a stored cell"
                )
    return rows


def decode_stream_record(buffer: bytes) -> tuple[PrimaryKey, tuple[Cell, ...], SequenceInfo]:
    """Decode the record of one stream entry: exactly one row with key and sequence info.

    Each cell is a put (value and version), a delete of one version (version only) or of all versions
    (neither); anything else, increments included, is refused as the vendor's Java SDK does. The delete
    marker may be there or not: the entry's action says what happened. Raise :class:`CorruptDataError`.
    """
    rows = decode(buffer)
    if len(rows) != 1:
        raise CorruptDataError(f"broken stream record: expected one row, found {len(rows)}")
    row = rows[0]
    if not row.primary_key:
        raise CorruptDataError("broken stream record: no primary key")
    if row.sequence is None:
        raise CorruptDataError("broken stream record: no sequence info")
    for cell in row.cells:
        match cell.op:
            case None | CellOp.DELETE_ONE_VERSION if cell.timestamp is None:
                raise CorruptDataError(f"broken stream record: column {cell.name!r} has no version")
            case CellOp.DELETE_ALL_VERSIONS if cell.timestamp is not None:
                raise CorruptDataError(
                    f"broken stream record: column {cell.name!r} deletes all versions but names one"
                )
            case CellOp.INCREMENT:
                raise CorruptDataError(f"broken stream record: column {cell.name!r} is an increment")
            case _:
                pass
    return row.primary_key, row.cells, row.sequence


def _read_row(buffer: bytes, start: int) -> tuple[Row, int]:
    if buffer[start] != _ROW_KEY:
        _fail(buffer, start, "expected the start of a row (01)")
    checksums = bytearray()
    key, position = _read_cells(buffer, start + 1, checksums, in_key=True)
    cells: list[Cell] = []
    if buffer[position] == _ROW_DATA:
        cells, position = _read_cells(buffer, position + 1, checksums, in_key=False)
    delete = buffer[position] == _DELETE
    position += delete
    sequence = None
    if buffer[position] == _EXTENSION:
        sequence, position = _read_extension(buffer, position)
    if buffer[position] != _ROW_CRC:
        _fail(buffer, position, "expected the row checksum (09)")
    checksums.append(delete)
    expected = crc8.smbus(checksums)
    if buffer[position + 1] != expected:
        _fail(buffer, position + 1, f"the row checksum should be {expected:02x}")
    return Row(tuple([(cell.name, cell.value) for cell in key]), tuple(cells), delete, sequence), position + 2


def _read_cells(buffer: bytes, start: int, checksums: bytearray, *, in_key: bool) -> tuple[list[Cell], int]:
    cells = []
    position = start
    while buffer[position] == _CELL:
        at = position
        cell, position = _read_cell(buffer, position, checksums)
        if in_key and (cell.op is not None or cell.timestamp is not None or cell.value is None):
            _fail(buffer, at, f"key column {cell.name!r} must have a value and neither op nor version")
        if not in_key and type(cell.value) is Marker:
            _fail(buffer, at, f"column {cell.name!r} holds {cell.value!r}, which only keys may")
        cells.append(cell)
    return cells, position


def _read_cell(buffer: bytes, start: int, checksums: bytearray) -> tuple[Cell, int]:
    if buffer[start + 1] != _NAME:
        _fail(buffer, start + 1, "expected a column name (04)")
    name_start = start + 6
    position = name_start + _read_u32(buffer, start + 2)[0]
    covered = buffer[name_start:position]
    name = str(covered, "utf-8")
    value: Value = None
    has_value = buffer[position] == _VALUE
    if has_value:
        value_start = position + 5
        position = value_start + _read_u32(buffer, position + 1)[0]
        value = _read_value(buffer, value_start, position)
        covered += buffer[value_start:position]
    op = None
    if buffer[position] == _OP:
        op = _read_op(buffer, position + 1)
        position += 2
    timestamp = None
    if buffer[position] == _TIMESTAMP:
        timestamp = _read_i64(buffer, position + 1)[0]
        covered += buffer[position + 1 : position + 9]
        position += 9
    if op is not None:
        covered += bytes((op,))
    if buffer[position] != _CELL_CRC:
        _fail(buffer, position, "expected the cell checksum (0a)")
    expected = crc8.smbus(covered)
    if buffer[position + 1] != expected:
        _fail(buffer, position + 1, f"the cell checksum should be {expected:02x}")
    checksums.append(expected)
    if not name or (timestamp is not None and timestamp < 0):
        _fail(buffer, start, "a column needs a name, and its version must not be negative")
    if has_value != (op is None or op is CellOp.INCREMENT):
        _fail(buffer, start, f"column {name!r}: a put has a value, a delete has none")
    return Cell(name, value, timestamp, op), position + 2


def _read_op(buffer: bytes, position: int) -> CellOp:
    op = _OPS.get(buffer[position])
    if op is None:
        _fail(buffer, position, "unknown cell op")
    return op


def _read_value(buffer: bytes, start: int, end: int) -> Value:
    if not start < end <= len(buffer):
        _fail(buffer, start - 4, "a value without a type, or one that reaches beyond the end")
    kind, length = buffer[start], end - start
    if kind in (_STRING, _BLOB):
        data_start = start + _PREFIXED_LENGTH
        if length < _PREFIXED_LENGTH or _read_u32(buffer, start + 1)[0] != end - data_start:
            _fail(buffer, start, "the two lengths of a value disagree")
        data = buffer[data_start:end]
        return data if kind == _BLOB else str(data, "utf-8")
    value: Value
    if kind in (_INTEGER, _DOUBLE) and length == _NUMBER_LENGTH:
        value = (_read_i64 if kind == _INTEGER else _read_f64)(buffer, start + 1)[0]
    elif kind == _BOOLEAN and length == _BOOLEAN_LENGTH and buffer[start + 1] <= 1:
        value = bool(buffer[start + 1])
    elif kind == _NULL and length == _TYPE_LENGTH:
        value = None
    elif kind in _MARKERS and length == _TYPE_LENGTH:
        value = _MARKERS[kind]
    else:
        _fail(buffer, start, f"no value has type {kind:02x} and {length} bytes")
    return value


def _read_extension(buffer: bytes, start: int) -> tuple[SequenceInfo, int]:
    position = start + 5
    end = position + _read_u32(buffer, start + 1)[0]
    if end > len(buffer):
        _fail(buffer, start + 1, "the extension reaches beyond the end")
    tag, length, epoch_tag, epoch, time_tag, time_us, index_tag, row_index = _sequence.unpack_from(
        buffer, position
    )
    if (tag, length, epoch_tag, time_tag, index_tag) != (
        _SEQUENCE,
        _SEQUENCE_LENGTH,
        _EPOCH,
        _SEQUENCE_TIME,
        _ROW_INDEX,
    ):
        _fail(buffer, position, "expected sequence info (0c) of epoch, time and row index")
    if not MIN_SEQUENCE_US <= time_us < MAX_SEQUENCE_US:
        _fail(buffer, position, f"a sequence time of {time_us} us is not plausible")
    position += _sequence.size
    while position < end:
        tag, length = _unknown_head.unpack_from(buffer, position)
        if tag <= _ROW_INDEX:
            _fail(buffer, position, "a known tag repeated in the extension")
        position += _unknown_head.size + length
    if position != end:
        _fail(buffer, start + 1, "the extension's length and its content disagree")
    return SequenceInfo(epoch, time_us, row_index), end


def _fail(buffer: bytes, position: int, problem: str) -> NoReturn:
    found = buffer[position : position + 8].hex(" ") or "nothing"
    raise CorruptDataError(f"broken row data at byte {position} of {len(buffer)}: {problem}, found {found}")


def encode_row(
    primary_key: Sequence[tuple[str, Value]],
    cells: Iterable[Cell] = (),
    *,
    delete: bool = False,
    sequence: SequenceInfo | None = None,
) -> bytes:
    """Encode one row with its header. Raise :class:`ConfigError` naming the column that has no encoding."""
    return encode([Row(tuple(primary_key), tuple(cells), delete, sequence)])


def encode(rows: Iterable[Row]) -> bytes:
    """Encode rows behind one header; the inverse of :func:`decode`."""
    out = bytearray(HEADER)
    for row in rows:
        _write_row(out, row)
    return bytes(out)


def encode_value(value: Value, *, name: str = "value") -> bytes:
    """Encode a value without its outer length (type byte, then data), as column conditions carry it."""
    match value:
        case None:
            kind, data = _NULL, b""
        case Marker():
            kind, data = value.value, b""
        case bool():
            kind, data = _BOOLEAN, bytes((value,))
        case int() if -_INT64 <= value < _INT64:
            kind, data = _INTEGER, _i64.pack(value)
        case float() if isfinite(value):
            kind, data = _DOUBLE, _f64.pack(value)
        case str():
            text = _utf8(name, value)
            kind, data = _STRING, _u32.pack(len(text)) + text
        case bytes():
            kind, data = _BLOB, _u32.pack(len(value)) + value
        case _:
            raise ConfigError(
                f"row.{name}",
                value,
                allowed="a 64-bit integer, a finite float, a bool, a str, bytes or None",
            )
    return bytes((kind,)) + data


def _write_row(out: bytearray, row: Row) -> None:
    checksums = bytearray()
    out.append(_ROW_KEY)
    for name, value in row.primary_key:
        if value is None or isinstance(value, (bool, float)):
            raise ConfigError(f"row.{name}", value, allowed="an integer, a str or bytes in a primary key")
        _write_cell(out, Cell(name, value), checksums)
    if row.cells:
        out.append(_ROW_DATA)
        for cell in row.cells:
            if isinstance(cell.value, Marker):
                raise ConfigError(f"row.{cell.name}", cell.value, allowed="markers only in a primary key")
            _write_cell(out, cell, checksums)
    if row.delete:
        out.append(_DELETE)
    if row.sequence is not None:
        epoch, time_us, row_index = row.sequence
        out.append(_EXTENSION)
        out += _u32.pack(_sequence.size)
        out += _sequence.pack(
            _SEQUENCE, _SEQUENCE_LENGTH, _EPOCH, epoch, _SEQUENCE_TIME, time_us, _ROW_INDEX, row_index
        )
    checksums.append(row.delete)
    out += bytes((_ROW_CRC, crc8.smbus(checksums)))


def _write_cell(out: bytearray, cell: Cell, checksums: bytearray) -> None:
    name = _utf8(cell.name, cell.name)
    if not name:
        raise ConfigError("row", cell.name, reason="a column without a name")
    covered = name
    out += bytes((_CELL, _NAME)) + _u32.pack(len(name)) + name
    if cell.op is None or cell.op is CellOp.INCREMENT:
        value = encode_value(cell.value, name=cell.name)
        covered += value
        out.append(_VALUE)
        out += _u32.pack(len(value)) + value
    elif cell.value is not None:
        raise ConfigError(f"row.{cell.name}", cell.value, allowed="no value in a cell that deletes")
    if cell.op is not None:
        out += bytes((_OP, cell.op))
    if cell.timestamp is not None:
        timestamp = _i64.pack(cell.timestamp)
        covered += timestamp
        out.append(_TIMESTAMP)
        out += timestamp
    if cell.op is not None:
        covered += bytes((cell.op,))
    checksum = crc8.smbus(covered)
    checksums.append(checksum)
    out += bytes((_CELL_CRC, checksum))


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"row.{name!r}", reason=f"text that has no UTF-8 form ({error.reason})") from error
