"""JSON Lines: one object per line, names as in the schema, UTF-8."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.engine.record import Rejected
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.base import Encoded, Encoder, reject_rows
from airflow_provider_sync.formats.values import ColumnText, ValueStyle, column_text, text_bytes

__all__ = ["JsonlEncoder"]

_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_CONTROL = {chr(code): _SHORT.get(chr(code), f"\\u{code:04x}") for code in range(0x20)}
_ESCAPES = {"\\": "\\\\", '"': '\\"', **_CONTROL}
_PLAIN = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)


class JsonlEncoder(Encoder):
    """Writes numbers and booleans as such, NULL as ``null``, nested values as JSON, all others as text.

    Decimals keep all digits. NaN and infinity have no JSON: those rows are rejected. Nested values go
    through Python row by row, everything else a column at a time.
    """

    def __init__(self, schema: pa.Schema, values: ValueStyle | None = None) -> None:
        style = values or ValueStyle()
        if len(schema) == 0:
            raise ConfigError("schema", reason="there are no columns to write")
        if len(set(schema.names)) != len(schema):
            raise ConfigError("schema", schema.names, reason="two columns have one name")
        self._names = schema.names
        self._columns = [_column(field, style) for field in schema]
        self._keys = [
            ("{" if index == 0 else ",") + json.dumps(name, ensure_ascii=False) + ":"
            for index, name in enumerate(self._names)
        ]
        self._rows = 0

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Encode rows, a line each."""
        if rows.num_rows == 0:
            return Encoded(b"", 0)
        first_row, self._rows = self._rows, self._rows + rows.num_rows
        rejected: tuple[Rejected, ...] = ()
        faults = list(self._faults(rows))
        if faults:
            rows, rejected = reject_rows(rows, first_row, faults)
        pieces: list[pa.Array | str] = []
        for index, (key, column) in enumerate(zip(self._keys, self._columns, strict=True)):
            text = column.render(rows.column(index))
            pieces += [key, text.fill_null("null") if text.null_count else text]
        lines = (
            pc.binary_join_element_wise(*pieces, "}\n", "") if rows.num_rows else pa.array([], pa.string())
        )
        return Encoded(text_bytes(lines), rows.num_rows, rejected)

    def finish(self) -> bytes:
        """Return nothing."""
        return b""

    def _faults(self, rows: pa.RecordBatch) -> Iterator[tuple[str, pa.BooleanArray, str]]:
        for index, column in enumerate(self._columns):
            mask = column.refused(rows.column(index))
            if mask is not None:
                yield self._names[index], mask, column.reason


def _column(field: pa.Field, style: ValueStyle) -> ColumnText:
    kind = field.type
    if pa.types.is_nested(kind):
        return ColumnText(None, _nested)
    if pa.types.is_floating(kind):
        plain = column_text(field, style)
        return ColumnText(plain.alphabet, plain.render, _not_finite, "NaN and infinity have no JSON")
    column = column_text(field, style)
    if any(belongs(kind) for belongs in _PLAIN) or pa.types.is_null(kind):
        return column
    return ColumnText(None, _quoting(column.render), column.refused, column.reason)


def _quoting(render: Callable[[pa.Array], pa.StringArray]) -> Callable[[pa.Array], pa.StringArray]:
    def quoted(array: pa.Array) -> pa.StringArray:
        text = render(array)
        used = text_bytes(text)
        for plain, escaped in _ESCAPES.items():
            if plain.encode() in used:
                text = pc.replace_substring(text, plain, escaped)
        return pc.binary_join_element_wise('"', text, '"', "")

    return quoted


def _not_finite(column: pa.Array) -> pa.BooleanArray | None:
    if column.type == pa.float16():
        column = column.cast(pa.float32())
    mask = pc.invert(pc.is_finite(column)).fill_null(fill_value=False)
    return mask if pc.any(mask).as_py() else None


def _nested(column: pa.Array) -> pa.StringArray:
    return pa.array(
        [
            None
            if value is None
            else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
            for value in column.to_pylist()
        ],
        pa.string(),
    )
