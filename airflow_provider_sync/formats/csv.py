"""CSV by RFC 4180, with DataX's parameters and without its trimming."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.delimited import DelimitedEncoder, Fault
from airflow_provider_sync.formats.values import ColumnText, ValueStyle, text_bytes
from airflow_provider_sync.spec.options import option

__all__ = ["CsvEncoder", "CsvWriterConfig"]

_DOUBLED, _BACKSLASH = 1, 2
_PATH = "writer.parameter.csvWriterConfig"


@dataclass(frozen=True, slots=True)
class CsvWriterConfig:
    """DataX's ``csvWriterConfig``."""

    text_qualifier: str = option("textQualifier", "the quote character", default='"')
    use_text_qualifier: bool = option(
        "useTextQualifier",
        "false: never quote; rows with a field that needs it are rejected",
        default=True,
    )
    force_qualifier: bool = option("forceQualifier", "true: quote every value but NULL", default=False)
    escape_mode: Literal[1, 2] = option(
        "escapeMode",
        "1: a quote inside a field is doubled; 2: quotes and backslashes get a backslash",
        default=1,
    )
    comment: str = option(
        "comment", "the first field of a line is quoted if it starts with this character", default="#"
    )
    delimiter: str | None = option("delimiter", "must equal `fieldDelimiter` if given", default=None)
    record_delimiter: str | None = option(
        "recordDelimiter", "must equal `lineDelimiter` if given", default=None
    )


class CsvEncoder(DelimitedEncoder):
    """Quotes what must be quoted and nothing else.

    A value is quoted when it contains the quote, the delimiter, a carriage return, a line feed or a character
    of the line delimiter, when its text is that of NULL (so that NULL, ``null`` and the empty text are
    three things), when it starts a line with the comment character, and when it is empty in the only column.
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
        config: CsvWriterConfig | None = None,
    ) -> None:
        config = config or CsvWriterConfig()
        super().__init__(
            schema,
            delimiter=delimiter,
            line_delimiter=line_delimiter,
            null_text=null_text,
            values=values or ValueStyle(),
            encoding=encoding,
            header=header,
        )
        _check(config, delimiter, line_delimiter, null_text)
        self._config = config
        self._quote = config.text_qualifier
        special = {self._quote, delimiter, "\r", "\n", *line_delimiter}
        if config.escape_mode == _BACKSLASH:
            special.add("\\")
        self._special = frozenset(special)
        self._special_bytes = tuple(one.encode() for one in sorted(special))
        self._pattern = "[" + "".join(re.escape(one) for one in sorted(special)) + "]"
        self._comment = config.comment.encode()

    def _protect(self, index: int, text: pa.StringArray, column: ColumnText) -> pa.StringArray:
        if self._config.force_qualifier:
            return self._quoted(text)
        mask = self._needs_quotes(index, text, column)
        return text if mask is None else pc.if_else(mask, self._quoted(text), text)

    def _unwritable(self, index: int, text: pa.Array, column: ColumnText) -> Iterator[Fault]:
        if not self._config.use_text_qualifier:
            mask = self._needs_quotes(index, column.render(text), column)
            if mask is not None:
                yield (
                    self._names[index],
                    mask.fill_null(fill_value=False),
                    "the field needs quotes, which are off",
                )

    def _header_field(self, name: str) -> str:
        needs = (
            self._special & set(name)
            or name == self._null_text
            or name.startswith(self._config.comment or "\0")
        )
        if self._config.use_text_qualifier and (needs or self._config.force_qualifier):
            return f"{self._quote}{self._escaped_name(name)}{self._quote}"
        return name

    def _needs_quotes(self, index: int, text: pa.StringArray, column: ColumnText) -> pa.BooleanArray | None:
        """Return a mask of the values to quote (null where the value is), None if there are none."""
        alphabet = column.alphabet
        if alphabet is not None and not alphabet & self._special and not alphabet >= set(self._null_text):
            return None
        # Looking for a byte in a whole column costs next to nothing; most columns end here.
        used = text_bytes(text)
        masks = []
        if any(one in used for one in self._special_bytes):
            masks.append(pc.match_substring_regex(text, self._pattern))
        if not self._null_text or self._null_text.encode() in used:
            masks.append(pc.equal(text, self._null_text))
        if index == 0 and self._comment and self._comment in used:
            masks.append(pc.starts_with(text, self._config.comment))
        if len(self._names) == 1 and self._null_text:
            masks.append(pc.equal(text, ""))
        if not masks:
            return None
        mask = masks[0]
        for more in masks[1:]:
            mask = pc.or_(mask, more)
        return mask if pc.any(mask).as_py() else None

    def _quoted(self, text: pa.StringArray) -> pa.StringArray:
        quote = self._quote
        if self._config.escape_mode == _BACKSLASH:
            text = pc.replace_substring(text, "\\", "\\\\")
            text = pc.replace_substring(text, quote, f"\\{quote}")
        else:
            text = pc.replace_substring(text, quote, quote * 2)
        return pc.binary_join_element_wise(quote, text, quote, "")

    def _escaped_name(self, name: str) -> str:
        if self._config.escape_mode == _BACKSLASH:
            return name.replace("\\", "\\\\").replace(self._quote, f"\\{self._quote}")
        return name.replace(self._quote, self._quote * 2)


def _check(config: CsvWriterConfig, delimiter: str, line_delimiter: str, null_text: str) -> None:
    if len(delimiter) != 1:
        raise ConfigError(
            "writer.parameter.fieldDelimiter",
            delimiter,
            allowed="one character",
            cure="use fileFormat text for longer delimiters",
        )
    if len(config.text_qualifier) != 1 or config.text_qualifier == delimiter:
        raise ConfigError(
            f"{_PATH}.textQualifier", config.text_qualifier, allowed="one character, not the delimiter"
        )
    if {delimiter, config.text_qualifier} & {"\r", "\n", *line_delimiter}:
        raise ConfigError(
            "writer.parameter.lineDelimiter",
            line_delimiter,
            reason="shares a character with the field delimiter or the quote",
        )
    if len(config.comment) > 1:
        raise ConfigError(f"{_PATH}.comment", config.comment, allowed="one character, or empty for none")
    if config.delimiter not in (None, delimiter):
        raise ConfigError(f"{_PATH}.delimiter", config.delimiter, cure="set fieldDelimiter instead")
    if config.record_delimiter not in (None, line_delimiter):
        raise ConfigError(
            f"{_PATH}.recordDelimiter", config.record_delimiter, cure="set lineDelimiter instead"
        )
    if config.force_qualifier and not config.use_text_qualifier:
        raise ConfigError(f"{_PATH}.forceQualifier", value=True, reason="useTextQualifier is false")
    if {config.text_qualifier, delimiter, "\r", "\n"} & set(null_text):
        raise ConfigError(
            "writer.parameter.nullFormat",
            null_text,
            allowed="a text without quote, delimiter and line ends: NULL is written as it stands, unquoted",
        )
