"""Objects of a bucket in OSS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.clients.oss.errors import NoSuchKeyError, PreconditionFailedError
from airflow_provider_sync.clients.oss.http import Reply
from airflow_provider_sync.clients.oss.transfer import OssTransferClient
from airflow_provider_sync.errors import ConfigError, CorruptDataError
from airflow_provider_sync.migration.attributes import content_headers, metadata_of
from airflow_provider_sync.migration.bucket import boundaries, check_prefix, info_of, list_objects
from airflow_provider_sync.migration.contract import Source
from airflow_provider_sync.migration.errors import SourceChangedError, SourceGoneError
from airflow_provider_sync.migration.objects import Attributes, Content, ObjectInfo

__all__ = ["OssSource", "oss_info"]

_TRIES = 2


class OssSource(Source):
    """The objects of ``bucket`` below ``prefix``; ``acl`` costs a request per object."""

    def __init__(
        self,
        client: OssTransferClient,
        bucket: str,
        prefix: str = "",
        *,
        tags: bool = True,
        acl: bool = False,
    ) -> None:
        if not bucket:
            raise ConfigError("source.bucket", bucket, reason="missing", cure="name the bucket to read")
        self.client = client
        self.bucket = bucket
        self.prefix = check_prefix("source.prefix", prefix)
        self._tags = tags
        self._acl = acl

    @property
    def name(self) -> str:
        """The source as a URL."""
        return f"oss://{self.bucket}/{self.prefix}"

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
        reply = self.client.head_reply(self.bucket, self.prefix + item.key)
        return None if reply is None else oss_info(reply, item.key)

    def get(self, item: ObjectInfo, start: int | None = None, end: int | None = None) -> Content:
        """Read with If-Match; a whole object is compared with the service's CRC-64."""
        for last in range(_TRIES):
            reply = self._get(item, start, end)
            info = oss_info(reply, item.key)
            if start is not None or info.crc64 is None or crc64(reply.body) == info.crc64:
                break
            if last == _TRIES - 1:
                raise CorruptDataError(
                    f"{self.name}{item.key}: the crc-64 of what was read is not {info.crc64}"
                )
        return Content(reply.body, info, self._attributes(reply, item))

    def attributes(self, item: ObjectInfo) -> Attributes:
        """Ask for the headers, tags and ACL."""
        reply = self.client.head_reply(self.bucket, self.prefix + item.key)
        if reply is None:
            raise SourceGoneError(f"{self.name}{item.key} was deleted after it was listed")
        return self._attributes(reply, item)

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def _get(self, item: ObjectInfo, start: int | None, end: int | None) -> Reply:
        try:
            return self.client.fetch(
                self.bucket, self.prefix + item.key, start=start, end=end, if_match=item.etag
            )
        except PreconditionFailedError as error:
            raise SourceChangedError(f"{self.name}{item.key} changed after it was listed") from error
        except NoSuchKeyError as error:
            raise SourceGoneError(f"{self.name}{item.key} was deleted after it was listed") from error

    def _attributes(self, reply: Reply, item: ObjectInfo) -> Attributes:
        headers = reply.headers
        key = self.prefix + item.key
        tagged = self._tags and headers.get("x-oss-tagging-count", "0") != "0"
        acl = self.client.get_acl(self.bucket, key) if self._acl else ""
        return Attributes(
            headers=content_headers(headers),
            metadata=metadata_of(headers, "x-oss-meta-"),
            tags=self.client.get_tagging(self.bucket, key) if tagged else {},
            acl="" if acl == "default" else acl,
            storage_class=headers.get("x-oss-storage-class", ""),
        )


def oss_info(reply: Reply, key: str) -> ObjectInfo:
    """Read an answer's headers, the CRC-64 included (that of the whole object, also with a range)."""
    checksum = reply.headers.get("x-oss-hash-crc64ecma")
    return info_of(
        reply,
        key,
        storage_class=reply.headers.get("x-oss-storage-class", ""),
        crc64=int(checksum) if checksum is not None else None,
    )
