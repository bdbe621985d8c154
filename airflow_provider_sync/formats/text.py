"""Delimited text without quotes, as Hive and DataX's ``text`` read and write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.delimited import DelimitedEncoder, Fault
from airflow_provider_sync.formats.values import ColumnText, ValueStyle, text_bytes

__all__ = ["TextEncoder"]


class TextEncoder(DelimitedEncoder):
    """Joins fields with a delimiter of any length.

    Without ``escape`` a row with a field that contains the field delimiter or the line delimiter cannot be
    read back and is rejected (DataX writes it). With ``escape`` (one character) the delimiter and the escape
    character get it in front, line feed and carriage return become it and ``n`` or ``r``, as Hive's ``ESCAPED
    BY`` writes them. NULL is ``null_text`` as it stands: a value of the same text is not told from it unless
    ``null_text`` begins with the escape character.
    """

    def __init__(
        self,
        schema: pa.Schema,
        *,
        delimiter: str = ",",
        line_delimiter: str = "\n",
        null_text: str = "null",
        values: ValueStyle | None = None,
        encoding: str = "UTF-8",
        header: Sequence[str] = (),
        escape: str | None = None,
    ) -> None:
        super().__init__(
            schema,
            delimiter=delimiter,
            line_delimiter=line_delimiter,
            null_text=null_text,
            values=values or ValueStyle(),
            encoding=encoding,
            header=header,
        )
        if not delimiter:
            raise ConfigError("writer.parameter.fieldDelimiter", delimiter, allowed="at least one character")
        if delimiter in line_delimiter or line_delimiter in delimiter:
            raise ConfigError(
                "writer.parameter.lineDelimiter", line_delimiter, reason=f"cannot be told from {delimiter!r}"
            )
        if escape is not None and (
            len(escape) != 1 or len(delimiter) != 1 or escape == delimiter or escape in "\r\n"
        ):
            raise ConfigError(
                "writer.parameter.escape",
                escape,
                allowed="one character that is no line end, beside a fieldDelimiter of one other character",
            )
        if escape is not None and line_delimiter not in {"\n", "\r\n", "\r"}:
            raise ConfigError(
                "writer.parameter.lineDelimiter", line_delimiter, reason="with escape it must be a line end"
            )
        self._escape = escape
        self._replaced = (
            {}
            if escape is None
            else {escape: escape * 2, delimiter: escape + delimiter, "\n": f"{escape}n", "\r": f"{escape}r"}
        )

    def _protect(self, index: int, text: pa.StringArray, column: ColumnText) -> pa.StringArray:
        del index
        if column.alphabet is not None and not column.alphabet & set(self._replaced):
            return text
        used = text_bytes(text)
        for plain, escaped in self._replaced.items():
            if plain.encode() in used:
                text = pc.replace_substring(text, plain, escaped)
        return text

    def _unwritable(self, index: int, text: pa.Array, column: ColumnText) -> Iterator[Fault]:
        if self._escape is not None:
            return
        ends = {*self._delimiter, *self._line_delimiter}
        if column.alphabet is not None and not column.alphabet & ends:
            return
        fields = column.render(text)
        used = text_bytes(fields)
        for name, mark in (("field", self._delimiter), ("line", self._line_delimiter)):
            # A field must not contain the mark, nor end with a part of it that would be read as its beginning.
            if mark.encode()[:1] in used:
                found = pc.find_substring(pc.binary_join_element_wise(fields, mark, ""), mark)
                mask = pc.less(found, pc.binary_length(fields)).fill_null(fill_value=False)
                if pc.any(mask).as_py():
                    yield (
                        self._names[index],
                        mask,
                        f"contains the {name} delimiter {mark!r}, and escape is not set",
                    )

    def _header_field(self, name: str) -> str:
        for plain, escaped in self._replaced.items():
            name = name.replace(plain, escaped)
        return name
