"""The parameters of the OSS writer: DataX's keys, each of which works or is refused with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.options import FormatOptions
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.writers.oss.names import check_bucket, check_object

__all__ = ["OssOptions"]

_MIB = 1024 * 1024
_MAX_PARTS, _SPARE_PARTS = 10_000, 100  # an object may grow by a batch or a row group after it is full
_DEFAULT_FILE_SIZE = 100_000
_METADATA_NAME = re.compile(r"[a-z0-9-]+")
_METADATA_BYTES = 8 * 1024


@dataclass(frozen=True, kw_only=True)
class OssOptions(FormatOptions):
    """Where and how objects are written; the format's own parameters are in the base class."""

    bucket: str = option("bucket", "the bucket; empty: `extra.bucket` of the connection", default="")
    object: str = option("object", "prefix of all names, or the name itself with `writeSingleObject`")
    write_mode: Literal["truncate", "append", "nonConflict"] = option(
        "writeMode",
        "`truncate` replaces what this job wrote for the same window; `append` adds (exactly once, to one growing "
        "object, with `writeSingleObject`; as new objects otherwise); `nonConflict` fails if a name is taken",
    )
    write_single_object: bool = option(
        "writeSingleObject", "true: one object of exactly the name `object`", default=False
    )
    suffix: str = option(
        "suffix",
        "end of every name; empty: by format, such as `.csv.gz`, or none with `writeSingleObject`",
        default="",
    )
    max_file_size: int = option(
        "maxFileSize", "MB of an object after which the next one is begun", default=_DEFAULT_FILE_SIZE
    )
    block_size_in_mb: int = option("blockSizeInMB", "MB of one part of a multipart upload", default=10)
    encrypt: bool = option("encrypt", "true: server-side encryption with AES256", default=False)
    generate_empty_file: bool = option(
        "generateEmptyFile", "false: a window without rows makes a manifest and no object", default=True
    )
    storage_class: Literal["", "Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"] = option(
        "storageClass", "storage class of the objects; empty: the bucket's", default=""
    )
    metadata: Mapping[str, Any] = option("metadata", "user metadata of the objects", default_factory=dict)
    partition: tuple[str, ...] | None = option(
        "partition",
        "refused: names from column values are not made yet; DataX takes them from the first row alone",
        default=None,
    )
    sync_mode: str | None = option(
        "syncMode", "refused: copying files as they are is the object migration's work", default=None
    )
    column: Any = option(
        "column", "refused: columns, their names and types come from the reader", default=None
    )
    parquet_schema: Any = option("parquetSchema", "refused: the schema comes from the reader", default=None)
    path: Any = option("path", "refused: use object", default=None)
    file_name: Any = option("fileName", "refused: use object", default=None)
    table: Any = option("table", "refused: fileFormat sql is not written", default=None)
    quote_char: Any = option(
        "quoteChar", "refused: fileFormat sql is not written; csv has csvWriterConfig", default=None
    )
    commit_size: Any = option("commitSize", "refused: fileFormat sql is not written", default=None)
    oss: Any = option("oss", "refused: unwrap it: its keys belong into parameter", default=None)
    hadoop_config: Any = option("hadoopConfig", "refused: no Hadoop is involved", default=None)
    cname: Any = option("cname", "refused: set connection.endpoint", default=None)
    proxy_host: Any = option("proxyHost", "refused: proxies are not supported", default=None)
    proxy_port: Any = option("proxyPort", "refused: proxies are not supported", default=None)
    proxy_username: Any = option("proxyUsername", "refused: proxies are not supported", default=None)
    proxy_password: Any = option("proxyPassword", "refused: proxies are not supported", default=None)
    proxy_domain: Any = option("proxyDomain", "refused: proxies are not supported", default=None)
    proxy_workstation: Any = option("proxyWorkstation", "refused: proxies are not supported", default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        path = "writer.parameter"
        for field in fields(self):
            doc = field.metadata["doc"]
            if doc.startswith("refused: ") and getattr(self, field.name) not in (None, "", (), [], {}):
                raise ConfigError(
                    f"{path}.{field.metadata['key']}", reason=doc.removeprefix("refused: "), cure="remove it"
                )
        if self.bucket:
            check_bucket(self.bucket)
        check_object(self.object, single=self.write_single_object)
        self._check_sizes(path)
        self._check_metadata(path)
        if self.write_mode == "append" and self.write_single_object and self.file_format == "parquet":
            raise ConfigError(
                f"{path}.writeMode",
                "append",
                reason="parquet cannot grow",
                cure="set writeSingleObject to false",
            )

    @property
    def name_suffix(self) -> str:
        """The end of object names, with its dot."""
        if self.suffix:
            return self.suffix if self.suffix.startswith(".") else f".{self.suffix}"
        return "" if self.write_single_object else self.extension

    @property
    def part_size(self) -> int:
        """Bytes of a part."""
        return self.block_size_in_mb * _MIB

    @property
    def max_bytes(self) -> int | None:
        """Bytes after which an object is full, None for a single object; its parts never run out."""
        fitting = self.block_size_in_mb * (_MAX_PARTS - _SPARE_PARTS)
        return None if self.write_single_object else min(self.max_file_size, fitting) * _MIB

    @property
    def headers(self) -> dict[str, str]:
        """Headers of everything that is stored."""
        return {"x-oss-server-side-encryption": "AES256"} if self.encrypt else {}

    @property
    def object_headers(self) -> dict[str, str]:
        """Headers of data objects besides :attr:`headers`."""
        headers = {f"x-oss-meta-{name}": str(value) for name, value in self.metadata.items()}
        if self.storage_class:
            headers["x-oss-storage-class"] = self.storage_class
        return headers

    def _check_sizes(self, path: str) -> None:
        if not 1 <= self.block_size_in_mb <= 5 * 1024:
            raise ConfigError(f"{path}.blockSizeInMB", self.block_size_in_mb, allowed="1 to 5120")
        if self.max_file_size < 1:
            raise ConfigError(f"{path}.maxFileSize", self.max_file_size, allowed="at least 1")
        if self.write_single_object and self.max_file_size != _DEFAULT_FILE_SIZE:
            raise ConfigError(
                f"{path}.maxFileSize", self.max_file_size, reason="writeSingleObject asks for one object"
            )

    def _check_metadata(self, path: str) -> None:
        size = 0
        for name, value in self.metadata.items():
            text = str(value)
            if not _METADATA_NAME.fullmatch(name) or name.startswith("sync-"):
                raise ConfigError(
                    f"{path}.metadata",
                    name,
                    allowed="names of a-z, 0-9 and '-' that do not start with 'sync-'",
                )
            if not (text.isascii() and text.isprintable()):
                raise ConfigError(f"{path}.metadata.{name}", text, allowed="printable ASCII")
            size += len(name) + len(text)
        if size > _METADATA_BYTES - 1024:
            raise ConfigError(f"{path}.metadata", reason="too long", allowed="7 KB in all")
