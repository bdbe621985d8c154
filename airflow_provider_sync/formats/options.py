"""The parameters of files, shared by every writer that makes some, and the encoder they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.base import Encoder
from airflow_provider_sync.formats.compression import CompressedEncoder, Compressor, Gzip, Zstd
from airflow_provider_sync.formats.csv import CsvEncoder, CsvWriterConfig
from airflow_provider_sync.formats.dates import DEFAULT_PATTERN, DateStyle
from airflow_provider_sync.formats.jsonl import JsonlEncoder
from airflow_provider_sync.formats.parquet import ParquetEncoder
from airflow_provider_sync.formats.text import TextEncoder
from airflow_provider_sync.formats.values import ByteEncoding, ValueStyle
from airflow_provider_sync.spec.options import option

__all__ = ["FormatOptions"]

_REFUSED_FORMATS = {
    "sql": "DataX's sql files write NULL as a text and the header as a row",
    "orc": "Arrow's ORC writer cannot be fed in parts of bounded size",
}
_COMPRESSORS: dict[str, tuple[str, Callable[[], Compressor]]] = {
    "gzip": (".gz", Gzip),
    "zstd": (".zst", Zstd),
}
_EXTENSIONS = {"csv": ".csv", "text": ".txt", "jsonl": ".jsonl", "parquet": ".parquet"}


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """How rows become the bytes of a file; DataX's keys."""

    file_format: Literal["csv", "text", "parquet", "jsonl", "sql", "orc"] = option(
        "fileFormat", "`csv`, `text`, `parquet` or `jsonl`; `sql` and `orc` are refused", default="text"
    )
    field_delimiter: str = option(
        "fieldDelimiter", "between fields: one character for csv, any text for text", default=","
    )
    line_delimiter: str = option("lineDelimiter", "at the end of every line, used whole", default="\n")
    null_format: str = option(
        "nullFormat",
        "the text of NULL; in csv a value of the same text is quoted, NULL never",
        default="null",
    )
    date_format: str = option(
        "dateFormat",
        "pattern of Java's SimpleDateFormat for dates and timestamps; empty: the default",
        default=DEFAULT_PATTERN,
    )
    timezone: str = option(
        "timezone", "zone in which timestamps are written: `Asia/Shanghai`, `+08:00`", default="UTC"
    )
    encoding: str = option(
        "encoding", "encoding of csv and text; a byte order mark is written once", default="UTF-8"
    )
    byte_encoding: ByteEncoding = option(
        "byteEncoding",
        "bytes as `base64`, or as `text` if they are UTF-8 (others are rejected)",
        default="base64",
    )
    header: tuple[str, ...] = option(
        "header", "names for the first line of every csv or text object, one per column", default=()
    )
    escape: str | None = option(
        "escape",
        "text only: character before delimiters inside fields; without it such rows are rejected",
        default=None,
    )
    compress: Literal["none", "gzip", "zstd", "snappy", ""] = option(
        "compress",
        "`none`, `gzip`, `zstd`; parquet compresses inside and also takes `snappy`; empty: snappy for parquet, "
        "none for others",
        default="",
    )
    csv_writer_config: CsvWriterConfig = option(
        "csvWriterConfig",
        "how csv is quoted: textQualifier, useTextQualifier, forceQualifier, escapeMode, comment",
        default_factory=CsvWriterConfig,
    )

    def __post_init__(self) -> None:
        path = "writer.parameter"
        if self.file_format in _REFUSED_FORMATS:
            raise ConfigError(
                f"{path}.fileFormat",
                self.file_format,
                reason=_REFUSED_FORMATS[self.file_format],
                allowed="csv, text, parquet, jsonl",
            )
        if self.compress == "snappy" and self.file_format != "parquet":
            raise ConfigError(
                f"{path}.compress", self.compress, allowed="none, gzip, zstd; snappy for parquet"
            )
        if self.file_format in ("parquet", "jsonl"):
            if self.header:
                raise ConfigError(
                    f"{path}.header", list(self.header), reason=f"{self.file_format} has its own names"
                )
            if self.encoding.replace("-", "").replace("_", "").lower() != "utf8":
                raise ConfigError(f"{path}.encoding", self.encoding, reason=f"{self.file_format} is UTF-8")
        if self.escape is not None and self.file_format != "text":
            raise ConfigError(f"{path}.escape", self.escape, reason="only text is escaped; csv quotes")

    @property
    def extension(self) -> str:
        """The end of file names that this format and compression ask for, with its dot."""
        packed = _COMPRESSORS.get(self.compress) if self.file_format != "parquet" else None
        return _EXTENSIONS[self.file_format] + (packed[0] if packed else "")

    def encoder(self, schema: pa.Schema) -> Encoder:
        """Build the encoder of one object; :class:`ConfigError` if schema and parameters do not agree."""
        plain = self._plain(schema)
        if self.file_format == "parquet" or self.compress not in _COMPRESSORS:
            return plain
        return CompressedEncoder(plain, _COMPRESSORS[self.compress][1]())

    def prologue(self, schema: pa.Schema) -> bytes:
        """Return what stands before the first row of an object that is joined from several encoders' bytes.

        It is complete in itself: under compression a stream of its own, or nothing if there is no header.
        """
        head = self._plain(schema).header()
        if not head or self.compress not in _COMPRESSORS:
            return head
        compressor = _COMPRESSORS[self.compress][1]()
        return compressor.compress(head) + compressor.flush()

    def _plain(self, schema: pa.Schema) -> Encoder:
        values = ValueStyle(DateStyle(self.date_format or DEFAULT_PATTERN, self.timezone), self.byte_encoding)
        if self.file_format == "parquet":
            return ParquetEncoder(schema, self.compress or "snappy")
        if self.file_format == "jsonl":
            return JsonlEncoder(schema, values)
        if self.file_format == "csv":
            return CsvEncoder(
                schema,
                delimiter=self.field_delimiter,
                line_delimiter=self.line_delimiter,
                null_text=self.null_format,
                values=values,
                encoding=self.encoding,
                header=self.header,
                config=self.csv_writer_config,
            )
        return TextEncoder(
            schema,
            delimiter=self.field_delimiter,
            line_delimiter=self.line_delimiter,
            null_text=self.null_format,
            values=values,
            encoding=self.encoding,
            header=self.header,
            escape=self.escape,
        )
