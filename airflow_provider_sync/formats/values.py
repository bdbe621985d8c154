"""Values to text, a column at a time: the rules that csv, text and jsonl share."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.dates import DateStyle

__all__ = ["ColumnText", "ValueStyle", "column_text", "text_bytes"]

ByteEncoding = Literal["base64", "text"]
_INTEGER = frozenset("-0123456789")
_FLOAT = frozenset("-+.0123456789eINafinty")
_BOOL = frozenset("truefals")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_TIME = frozenset("0123456789:.")


@dataclass(frozen=True, slots=True)
class ValueStyle:
    """How values become text.

    Integers plain; floating point the shortest text that reads back as the same number (``1``, ``0.1``,
    ``1e+20``, where Java writes ``1.0`` and ``1.0E20``), ``NaN`` and ``Infinity`` as in Java; decimals with
    all digits of their scale; ``true`` / ``false``; points in time by ``dates``; bytes by ``byte_encoding``:
    ``base64``, or ``text`` for bytes that are UTF-8 (others are rejected).
    """

    dates: DateStyle = field(default_factory=DateStyle)
    byte_encoding: ByteEncoding = "base64"


@dataclass(frozen=True, slots=True)
class ColumnText:
    """How one column is written.

    ``alphabet`` holds every character its text can have, None if any. ``render`` keeps nulls; ``refused``
    returns a mask of the values it cannot take, None if it takes all; ``reason`` says why.
    """

    alphabet: frozenset[str] | None
    render: Callable[[pa.Array], pa.StringArray]
    refused: Callable[[pa.Array], pa.BooleanArray | None] = lambda _: None
    reason: str = ""


def column_text(column: pa.Field, style: ValueStyle) -> ColumnText:
    """Choose how a column of this type is written; :class:`ConfigError` if its type has no text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        inner = column_text(pa.field(column.name, kind.value_type), style)
        return ColumnText(
            inner.alphabet,
            lambda array: inner.render(array.cast(kind.value_type)),
            lambda array: inner.refused(array.cast(kind.value_type)),
            inner.reason,
        )
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        dates = style.dates
        return ColumnText(dates.alphabet, dates.render, dates.refused, "the year is not 0000 to 9999")
    if _is_binary(kind):
        if style.byte_encoding == "base64":
            return ColumnText(_BASE64, _base64)
        return ColumnText(None, _cast, _not_utf8, "the bytes are not UTF-8")
    for belongs, chosen in _BY_TYPE:
        if belongs(kind):
            return chosen
    raise ConfigError(
        f"schema.{column.name}",
        str(kind),
        reason="this type has no text",
        cure="convert the column, or write jsonl or parquet",
    )


def text_bytes(text: pa.StringArray) -> bytes:
    """Return the characters of all values, one after the other, as UTF-8."""
    _, offsets, data = text.buffers()
    if data is None or len(text) == 0:
        return b""
    bounds = np.frombuffer(offsets, np.int32)
    start, end = int(bounds[text.offset]), int(bounds[text.offset + len(text)])
    return bytes(data[start:end])


def _cast(column: pa.Array) -> pa.StringArray:
    return column if column.type == pa.string() else column.cast(pa.string())


def _float(column: pa.Array) -> pa.StringArray:
    if column.type == pa.float16():
        column = column.cast(pa.float32())
    text = column.cast(pa.string())
    finite = pc.is_finite(column)
    if pc.all(finite).as_py() is False:
        for arrow, java in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
            text = pc.if_else(pc.equal(text, arrow), java, text)
    return text


def _decimal(column: pa.Array) -> pa.StringArray:
    text = column.cast(pa.string())
    if b"E" not in text_bytes(text):
        return text
    # Arrow writes very small decimals with an exponent; those few are written out one by one.
    written = pc.match_substring(text, "E").fill_null(fill_value=False)
    plain = [format(value.as_py(), "f") for value in column.filter(written)]
    return pc.replace_with_mask(text, written, pa.array(plain, pa.string()))


def _nothing(column: pa.Array) -> pa.StringArray:
    return pa.nulls(len(column), pa.string())


def _base64(column: pa.Array) -> pa.StringArray:
    """Encode all values by one call: each is padded to whole groups of three bytes, then marked with ``=``."""
    column = column.cast(pa.binary())
    count = len(column)
    _, bounds, data = column.buffers()
    offsets = np.frombuffer(bounds, np.int32)[column.offset : column.offset + count + 1].astype(np.int64)
    lengths = np.diff(offsets)  # what stands under a null is encoded too, and masked at the end
    targets = np.concatenate([[0], np.cumsum((lengths + 2) // 3)])
    source = np.frombuffer(data or b"", np.uint8)[offsets[0] : offsets[-1]]
    padded = np.zeros(int(targets[-1]) * 3, np.uint8)
    padded[np.arange(len(source)) + np.repeat(targets[:-1] * 3 - (offsets[:-1] - offsets[0]), lengths)] = (
        source
    )
    text = np.frombuffer(binascii.b2a_base64(padded.tobytes(), newline=False), np.uint8).copy()
    ends = targets[1:] * 4
    text[ends[lengths % 3 != 0] - 1] = ord("=")
    text[ends[lengths % 3 == 1] - 2] = ord("=")
    result = pa.StringArray.from_buffers(
        count, pa.py_buffer((targets * 4).astype(np.int32)), pa.py_buffer(text)
    )
    return (
        result
        if column.null_count == 0
        else pc.if_else(column.is_valid(), result, pa.scalar(None, pa.string()))
    )


def _not_utf8(column: pa.Array) -> pa.BooleanArray | None:
    try:
        column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([value is not None and not _is_utf8(value) for value in column.to_pylist()])
    return None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


_BY_TYPE: tuple[tuple[Callable[[pa.DataType], bool], ColumnText], ...] = (
    (_is_text, ColumnText(None, _cast)),
    (pa.types.is_integer, ColumnText(_INTEGER, _cast)),
    (pa.types.is_floating, ColumnText(_FLOAT, _float)),
    (pa.types.is_boolean, ColumnText(_BOOL, _cast)),
    (pa.types.is_decimal, ColumnText(_FLOAT, _decimal)),
    (pa.types.is_time, ColumnText(_TIME, _cast)),
    (pa.types.is_null, ColumnText(frozenset(), _nothing)),
)
