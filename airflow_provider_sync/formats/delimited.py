"""What csv and text share: columns to fields, fields to lines, lines to bytes, rows that fail set aside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.engine.record import Rejected
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.base import Encoded, Encoder, reject_rows
from airflow_provider_sync.formats.encoding import TextEncoding
from airflow_provider_sync.formats.values import ColumnText, ValueStyle, column_text

__all__ = ["DelimitedEncoder", "Fault"]

Fault = tuple[str, pa.BooleanArray, str]
"""Column name (empty: the whole row), mask of the bad rows without nulls, reason."""

_SLICE_BYTES = 64 * 1024 * 1024  # of Arrow data at once; the text of it stays far below Arrow's 2 GiB


class DelimitedEncoder(Encoder):
    """Joins fields to lines; subclasses say how a field protects itself."""

    def __init__(
        self,
        schema: pa.Schema,
        *,
        delimiter: str,
        line_delimiter: str,
        null_text: str,
        values: ValueStyle,
        encoding: str,
        header: Sequence[str],
    ) -> None:
        if len(schema) == 0:
            raise ConfigError("schema", reason="there are no columns to write")
        if header and len(header) != len(schema):
            raise ConfigError(
                "writer.parameter.header",
                list(header),
                reason=f"{len(header)} names for {len(schema)} columns",
                allowed=f"one name for each of {', '.join(schema.names)}",
            )
        if not line_delimiter:
            raise ConfigError(
                "writer.parameter.lineDelimiter", line_delimiter, allowed="at least one character"
            )
        self._names = schema.names
        self._columns = [column_text(column, values) for column in schema]
        self._delimiter = delimiter
        self._line_delimiter = line_delimiter
        self._null_text = null_text
        self._header = tuple(header)
        self._encoding = TextEncoding(encoding)
        self._rows = 0

    def header(self) -> bytes:
        """Return the byte order mark and the line of column names, where asked for."""
        if not self._header:
            return self._encoding.mark
        line = self._delimiter.join(self._header_field(name) for name in self._header)
        return self._encoding.mark + self._encoding.encode(line + self._line_delimiter)

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Encode rows; rejected are those with a field or character that the target's text cannot hold."""
        data: list[bytes] = []
        rejected: list[Rejected] = []
        taken = 0
        for part in _slices(rows):
            bytes_, refused = self._encode(part)
            data.append(bytes_)
            rejected += refused
            taken += part.num_rows - len(refused)
            self._rows += part.num_rows
        return Encoded(data[0] if len(data) == 1 else b"".join(data), taken, tuple(rejected))

    def finish(self) -> bytes:
        """Return the encoding's last bytes, none for most."""
        return self._encoding.finish()

    @abstractmethod
    def _protect(self, index: int, text: pa.StringArray, column: ColumnText) -> pa.StringArray:
        """Quote or escape the values of one column; nulls stay null."""

    @abstractmethod
    def _unwritable(self, index: int, text: pa.StringArray, column: ColumnText) -> Iterator[Fault]:
        """Yield what this format cannot hold."""

    @abstractmethod
    def _header_field(self, name: str) -> str:
        """Quote or escape a column name."""

    def _encode(self, rows: pa.RecordBatch) -> tuple[bytes, tuple[Rejected, ...]]:
        if rows.num_rows == 0:
            return b"", ()
        faults = list(self._faults(rows))
        if faults:
            rows, rejected = reject_rows(rows, self._rows, faults)
            return self._encode(rows)[0], rejected
        lines = self._lines(rows)
        try:
            return self._encoding.encode_lines(lines), ()
        except UnicodeEncodeError as error:
            mask = self._encoding.unencodable(lines)
            reason = f"a character has no place in the encoding {error.encoding}"
            rows, rejected = reject_rows(rows, self._rows, [("", mask, reason)])
            return self._encoding.encode_lines(self._lines(rows)), rejected

    def _faults(self, rows: pa.RecordBatch) -> Iterator[Fault]:
        for index, column in enumerate(self._columns):
            array = rows.column(index)
            mask = column.refused(array)
            if mask is not None:
                yield self._names[index], mask, column.reason
            else:
                yield from self._unwritable(index, array, column)

    def _lines(self, rows: pa.RecordBatch) -> pa.StringArray:
        fields = []
        for index, column in enumerate(self._columns):
            text = self._protect(index, column.render(rows.column(index)), column)
            fields.append(text.fill_null(self._null_text) if text.null_count else text)
        lines = fields[0] if len(fields) == 1 else pc.binary_join_element_wise(*fields, self._delimiter)
        return pc.binary_join_element_wise(lines, "", self._line_delimiter)


def _slices(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if rows.nbytes <= _SLICE_BYTES or rows.num_rows <= 1:
        yield rows
        return
    step = max(1, rows.num_rows * _SLICE_BYTES // rows.nbytes)
    for start in range(0, rows.num_rows, step):
        yield rows.slice(start, step)
