"""Sources, targets and state folders from what a job says: JSON and connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_sync.clients.oss.transfer import OssTransferClient
from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.files import FileStore, LocalFiles, OssFiles
from airflow_provider_sync.migration.sources.http_list import HttpListSource
from airflow_provider_sync.migration.sources.local import LocalSource
from airflow_provider_sync.migration.sources.oss import OssSource
from airflow_provider_sync.migration.sources.s3 import S3Source
from airflow_provider_sync.migration.targets.local import LocalTarget
from airflow_provider_sync.migration.targets.oss import OssTarget
from airflow_provider_sync.migration.targets.s3 import S3Target
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option, parse_options

__all__ = ["SOURCES", "TARGETS", "open_files", "open_source", "open_target"]


@dataclass(frozen=True, slots=True)
class S3SourceOptions:
    """Parameters of an S3 source."""

    bucket: str = option("bucket", "Bucket to read.")
    prefix: str = option("prefix", "Folder in it, ends with `/`; keys keep what follows it.", default="")
    tags: bool = option("tags", "Carry tags over (a request per tagged object).", default=True)
    acl: bool = option("acl", "Carry public ACLs over (a request per object).", default=False)
    check_md5: bool = option("check_md5", "Compare what was read with ETags that are an MD5.", default=True)


@dataclass(frozen=True, slots=True)
class OssSourceOptions:
    """Parameters of an OSS source."""

    bucket: str = option("bucket", "Bucket to read.")
    prefix: str = option("prefix", "Folder in it, ends with `/`; keys keep what follows it.", default="")
    tags: bool = option("tags", "Carry tags over (a request per tagged object).", default=True)
    acl: bool = option("acl", "Carry ACLs over (a request per object).", default=False)


@dataclass(frozen=True, slots=True)
class LocalSourceOptions:
    """Parameters of a folder to read."""

    path: str = option("path", "Absolute path of the folder.")
    follow_links: bool = option("follow_links", "Read what links point to.", default=False)


@dataclass(frozen=True, slots=True)
class HttpListOptions:
    """Parameters of a list of URLs."""

    path: str = option("path", "Path of the list on the machine that plans.")
    prefix_column: int = option("prefix_column", "Column of the URL's start (1 or 2).", default=1)
    key_column: int = option("key_column", "Column of the key (2 or 1).", default=2)


@dataclass(frozen=True, slots=True)
class OssTargetOptions:
    """Parameters of an OSS target."""

    bucket: str = option("bucket", "Bucket to write.")
    prefix: str = option("prefix", "Folder in it, ends with `/`, does not start with it.", default="")
    server_copy: bool = option("server_copy", "Let OSS copy what comes from the same endpoint.", default=True)


@dataclass(frozen=True, slots=True)
class S3TargetOptions:
    """Parameters of an S3 target."""

    bucket: str = option("bucket", "Bucket to write.")
    prefix: str = option("prefix", "Folder in it, ends with `/`, does not start with it.", default="")
    exclusive: bool = option(
        "exclusive", "The service enforces `If-None-Match: *` (Amazon's does).", default=False
    )


@dataclass(frozen=True, slots=True)
class LocalTargetOptions:
    """Parameters of a folder to write."""

    path: str = option("path", "Absolute path of the folder, which must exist.")


SOURCES: Mapping[str, type[Any]] = {
    "s3": S3SourceOptions,
    "oss": OssSourceOptions,
    "local": LocalSourceOptions,
    "http": HttpListOptions,
}
TARGETS: Mapping[str, type[Any]] = {
    "oss": OssTargetOptions,
    "s3": S3TargetOptions,
    "local": LocalTargetOptions,
}


def open_source(
    data: Mapping[str, Any],
    connection: ConnectionInfo | None = None,
    *,
    retry: RetryPolicy | None = None,
    pool_size: int = 32,
) -> Source:
    """Build a source from ``{"type": "s3" | "oss" | "local" | "http", …}`` (the options above)."""
    kind, given = _split(data, "source", SOURCES)
    options: Any = parse_options(SOURCES[kind], given, "source")
    if kind == "local":
        return LocalSource(options.path, follow_links=options.follow_links)
    if kind == "http":
        return HttpListSource(
            options.path,
            prefix_column=options.prefix_column,
            key_column=options.key_column,
            pool_size=pool_size,
            retry=retry,
        )
    if kind == "s3":
        s3 = S3Client(_need(connection, "source"), retry=retry, pool_size=pool_size)
        return S3Source(
            s3,
            options.bucket,
            options.prefix,
            tags=options.tags,
            acl=options.acl,
            check_md5=options.check_md5,
        )
    oss = OssTransferClient(_need(connection, "source"), retry=retry, pool_size=pool_size)
    return OssSource(oss, options.bucket, options.prefix, tags=options.tags, acl=options.acl)


def open_target(
    data: Mapping[str, Any],
    connection: ConnectionInfo | None = None,
    *,
    retry: RetryPolicy | None = None,
    pool_size: int = 32,
) -> Target:
    """Build a target from ``{"type": "oss" | "s3" | "local", …}``, as :func:`open_source` does."""
    kind, given = _split(data, "target", TARGETS)
    options: Any = parse_options(TARGETS[kind], given, "target")
    if kind == "local":
        return LocalTarget(options.path)
    if kind == "s3":
        s3 = S3Client(_need(connection, "target"), retry=retry, pool_size=pool_size)
        return S3Target(s3, options.bucket, options.prefix, exclusive=options.exclusive)
    oss = OssTransferClient(_need(connection, "target"), retry=retry, pool_size=pool_size)
    return OssTarget(oss, options.bucket, options.prefix, server_copy=options.server_copy)


def open_files(
    place: str, connection: ConnectionInfo | None = None, *, retry: RetryPolicy | None = None
) -> FileStore:
    """Open a state folder: an absolute path, or ``oss://bucket/prefix/`` with a connection."""
    if not place.startswith("oss://"):
        return LocalFiles(place)
    parts = urlsplit(place)
    client = OssTransferClient(_need(connection, "state"), retry=retry)
    return OssFiles(client, parts.netloc, parts.path.lstrip("/"))


def _split(data: Mapping[str, Any], path: str, known: Mapping[str, type[Any]]) -> tuple[str, dict[str, Any]]:
    kind = data.get("type")
    if kind not in known:
        raise ConfigError(f"{path}.type", kind, allowed=", ".join(sorted(known)))
    return str(kind), {name: value for name, value in data.items() if name != "type"}


def _need(connection: ConnectionInfo | None, path: str) -> ConnectionInfo:
    if connection is None:
        raise ConfigError(f"{path}.connection", reason="missing", cure="name the connection to use")
    return connection
