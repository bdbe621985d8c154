"""Objects of a bucket in S3, or in anything that speaks its protocol."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from airflow_provider_sync.clients.oss.http import Reply
from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.clients.s3.errors import NoSuchKeyError, PreconditionFailedError
from airflow_provider_sync.errors import ConfigError, CorruptDataError
from airflow_provider_sync.migration.attributes import content_headers, metadata_of
from airflow_provider_sync.migration.bucket import boundaries, check_prefix, info_of, list_objects
from airflow_provider_sync.migration.contract import Source
from airflow_provider_sync.migration.errors import SourceChangedError, SourceGoneError
from airflow_provider_sync.migration.objects import Attributes, Content, ObjectInfo

__all__ = ["S3Source"]

_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_READ, _WRITE = frozenset({"READ", "FULL_CONTROL"}), frozenset({"WRITE", "FULL_CONTROL"})
_TRIES = 2


class S3Source(Source):
    """The objects of ``bucket`` below ``prefix``.

    ``tags`` are asked for where the object has some; ``acl`` costs a request per object. ``check_md5``
    compares what was read with an ETag that is an MD5 (no multipart upload, no KMS key).
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str = "",
        *,
        tags: bool = True,
        acl: bool = False,
        check_md5: bool = True,
    ) -> None:
        if not bucket:
            raise ConfigError("source.bucket", bucket, reason="missing", cure="name the bucket to read")
        self.client = client
        self.bucket = bucket
        self.prefix = check_prefix("source.prefix", prefix)
        self._tags = tags
        self._acl = acl
        self._check_md5 = check_md5

    @property
    def name(self) -> str:
        """The source as a URL."""
        return f"s3://{self.bucket}/{self.prefix}"

    def check(self) -> None:
        """Ask for one key."""
        self.client.list_page(self.bucket, self.prefix, limit=1)

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects, 1,000 a request."""
        return list_objects(self.client, self.bucket, self.prefix, after)

    def boundaries(self, depth: int, limit: int) -> Sequence[str]:
        """Cut at folders, or at first letters."""
        return boundaries(self.client, self.bucket, self.prefix, depth, limit)

    def head(self, item: ObjectInfo) -> ObjectInfo | None:
        """Ask for the headers."""
        reply = self.client.head(self.bucket, self.prefix + item.key)
        return None if reply is None else self._info(reply, item)

    def get(self, item: ObjectInfo, start: int | None = None, end: int | None = None) -> Content:
        """Read with If-Match."""
        for last in range(_TRIES):
            reply = self._get(item, start, end)
            etag = reply.headers.get("etag", "").strip('"')
            if item.etag and etag and etag != item.etag:
                raise SourceChangedError(f"{self.name}{item.key} has etag {etag}, planned {item.etag}")
            if start is not None or self._is_sound(reply, etag):
                break
            if last == _TRIES - 1:
                raise CorruptDataError(
                    f"{self.name}{item.key}: the md5 of what was read is not its etag {etag}; "
                    "set source.check_md5 to false if this service's etags are no md5"
                )
        return Content(reply.body, self._info(reply, item), self._attributes(reply, item))

    def attributes(self, item: ObjectInfo) -> Attributes:
        """Ask for the headers, tags and grants."""
        reply = self.client.head(self.bucket, self.prefix + item.key)
        if reply is None:
            raise SourceGoneError(f"{self.name}{item.key} was deleted after it was listed")
        return self._attributes(reply, item)

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def _get(self, item: ObjectInfo, start: int | None, end: int | None) -> Reply:
        try:
            return self.client.get(
                self.bucket, self.prefix + item.key, start=start, end=end, if_match=item.etag
            )
        except PreconditionFailedError as error:
            raise SourceChangedError(f"{self.name}{item.key} changed after it was listed") from error
        except NoSuchKeyError as error:
            raise SourceGoneError(f"{self.name}{item.key} was deleted after it was listed") from error

    def _is_sound(self, reply: Reply, etag: str) -> bool:
        if not (self._check_md5 and _MD5.fullmatch(etag)) or _is_encrypted(reply):
            return True
        return hashlib.md5(reply.body, usedforsecurity=False).hexdigest() == etag.lower()

    def _info(self, reply: Reply, item: ObjectInfo) -> ObjectInfo:
        return info_of(reply, item.key, storage_class=reply.headers.get("x-amz-storage-class", "STANDARD"))

    def _attributes(self, reply: Reply, item: ObjectInfo) -> Attributes:
        headers = reply.headers
        key = self.prefix + item.key
        tags = {}
        if self._tags and headers.get("x-amz-tagging-count", "0") != "0":
            tags = self.client.get_tagging(self.bucket, key)
        acl = ""
        if self._acl:
            grants = self.client.public_grants(self.bucket, key)
            acl = "public-read" if grants & _READ else "private"
            if grants & _WRITE:
                acl = "public-read-write"
        return Attributes(
            headers=content_headers(headers),
            metadata=metadata_of(headers, "x-amz-meta-"),
            tags=tags,
            acl=acl,
            storage_class=headers.get("x-amz-storage-class") or item.storage_class or "STANDARD",
        )


def _is_encrypted(reply: Reply) -> bool:
    """Tell whether the ETag is no MD5 although it looks like one (documented for KMS and customer keys)."""
    kind = reply.headers.get("x-amz-server-side-encryption", "")
    return kind.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in reply.headers
