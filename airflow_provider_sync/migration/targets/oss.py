"""A bucket in OSS to write to."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_sync.clients.objects.model import Part, Stored
from airflow_provider_sync.clients.oss.transfer import OssTransferClient
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import CorruptDataError
from airflow_provider_sync.migration.attributes import to_oss
from airflow_provider_sync.migration.bucket_ends import BucketTarget, pinned
from airflow_provider_sync.migration.contract import Source
from airflow_provider_sync.migration.errors import SizeMismatchError
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo, Prepared
from airflow_provider_sync.migration.sources.oss import OssSource, oss_info

__all__ = ["OssTarget"]

_LONGEST = 1023
_COPY_PART = 1024 * 1024 * 1024


class OssTarget(BucketTarget[OssTransferClient]):
    """``bucket`` below ``prefix``.

    ``versioned`` buckets ignore the wish not to overwrite (documented), so that there it is a check before
    the write. ``server_copy`` lets the service copy what comes from an :class:`OssSource` of the same
    endpoint.
    """

    scheme = "oss"

    def __init__(
        self, client: OssTransferClient, bucket: str, prefix: str = "", *, server_copy: bool = True
    ) -> None:
        super().__init__(client, bucket, prefix)
        self._server_copy = server_copy
        self._versioning: str | None = None

    @property
    def exclusive(self) -> bool:  # type: ignore[override]
        """Whether the service enforces ``only_new``: asked once."""
        if self._versioning is None:
            self._versioning = self.client.bucket_info(self.bucket).versioning
        return self._versioning not in {"Enabled", "Suspended"}

    def check(self) -> None:
        """Ask for the bucket's properties and one key."""
        self._versioning = self.client.bucket_info(self.bucket).versioning
        super().check()

    def info(self, answer: Answer, key: str) -> ObjectInfo:
        """Read the headers."""
        return oss_info(answer, key)

    def refusal(self, key: str) -> str:
        """Check OSS's rules of names: 1 to 1,023 bytes of UTF-8, no leading ``/`` or backslash (documented)."""
        name = self.prefix + key
        if not name:
            return "the name is empty"
        if name.startswith(("/", "\\")):
            return f"oss names do not start with {name[0]!r}"
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            return "the name is not unicode"
        return f"the name has {size} bytes, oss allows {_LONGEST}" if size > _LONGEST else ""

    def prepare(self, attributes: Attributes) -> Prepared:
        """Map the names."""
        return to_oss(attributes)

    def put(
        self, key: str, body: bytes | memoryview, prepared: Prepared, *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Write, and compare the service's CRC-64 with the body's."""
        del item
        return self.client.put(
            self.bucket, self.prefix + key, body, headers=prepared.headers, forbid_overwrite=only_new
        )

    def uploads(self, key: str) -> Sequence[str]:
        """List the key's multipart uploads."""
        name = self.prefix + key
        return [one.upload_id for one in self.client.list_uploads(self.bucket, name) if one.key == name]

    def put_part(self, key: str, upload: str, number: int, offset: int, body: bytes | memoryview) -> Part:
        """Send a part, and compare its CRC-64."""
        del offset
        return self.client.upload_part(self.bucket, self.prefix + key, upload, number, body)

    def complete(
        self, key: str, upload: str, parts: Sequence[Part], *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Complete, and compare the service's CRC-64 with that of all parts."""
        del item
        return self.client.complete(self.bucket, self.prefix + key, upload, parts, forbid_overwrite=only_new)

    def copies_from(self, source: Source) -> bool:
        """Whether source and target are one service and region."""
        return (
            self._server_copy and isinstance(source, OssSource) and source.client.place == self.client.place
        )

    def copy(self, source: Source, item: ObjectInfo, *, only_new: bool) -> Stored:
        """Copy inside the service: whole up to 1 GiB, in parts of 1 GiB beyond (the documented advice)."""
        if not isinstance(source, OssSource):
            raise TypeError(f"{source.name} is not in OSS")
        name = self.prefix + item.key
        forbid = {"x-oss-forbid-overwrite": "true"} if only_new else {}
        where = (source.bucket, source.prefix + item.key)
        with pinned(source, item):
            if item.size <= _COPY_PART:
                self.client.copy(self.bucket, name, *where, if_match=item.etag, headers=forbid)
            else:
                self._copy_large(source, item, only_new=only_new)
        found = self.head(item.key)
        if found is None or found.size != item.size:
            raise SizeMismatchError(
                f"{self.name}{item.key}: copied {item.size} bytes, found {found and found.size}"
            )
        planned = source.head(item)
        if planned is not None and None not in (planned.crc64, found.crc64) and planned.crc64 != found.crc64:
            raise CorruptDataError(
                f"{self.name}{item.key}: crc-64 {found.crc64}, the source has {planned.crc64}"
            )
        return Stored(found.etag, found.crc64)

    def _copy_large(self, source: OssSource, item: ObjectInfo, *, only_new: bool) -> None:
        name = self.prefix + item.key
        prepared = to_oss(source.attributes(item))
        upload = self.client.initiate(self.bucket, name, headers=prepared.headers)
        try:
            parts = []
            for number, start in enumerate(range(0, item.size, _COPY_PART), 1):
                end = min(start + _COPY_PART, item.size)
                etag = self.client.copy_part(
                    self.bucket,
                    name,
                    upload,
                    number=number,
                    source=(source.bucket, source.prefix + item.key, item.etag),
                    byte_range=(start, end),
                )
                parts.append((number, etag))
            self.client.complete_copied(self.bucket, name, upload, parts, forbid_overwrite=only_new)
        except BaseException:
            self.client.abort(self.bucket, name, upload)
            raise
