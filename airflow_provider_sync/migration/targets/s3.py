"""A bucket in S3, or in anything that speaks its protocol, to write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_sync.clients.objects.errors import PreconditionFailedError
from airflow_provider_sync.clients.objects.model import Part, Stored
from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import TargetConflictError
from airflow_provider_sync.migration.attributes import to_s3
from airflow_provider_sync.migration.bucket import info_of
from airflow_provider_sync.migration.bucket_ends import BucketTarget
from airflow_provider_sync.migration.contract import MIB, PartLimits
from airflow_provider_sync.migration.errors import SizeMismatchError
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo, Prepared

__all__ = ["S3Target"]

_LONGEST = 1024


class S3Target(BucketTarget[S3Client]):
    """``bucket`` below ``prefix``.

    Every request's body is protected by Content-MD5, which the service checks; there is no CRC-64 to compare.
    ``exclusive`` says that the service knows ``If-None-Match: *`` (Amazon's does, documented; others may
    ignore it), else ``only_new`` is a check before the write.
    """

    scheme = "s3"
    limits = PartLimits(smallest=5 * MIB)

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", *, exclusive: bool = False) -> None:
        super().__init__(client, bucket, prefix)
        self.exclusive = exclusive

    def info(self, answer: Answer, key: str) -> ObjectInfo:
        """Read the headers."""
        return info_of(answer, key)

    def refusal(self, key: str) -> str:
        """Check S3's rule of names: 1 to 1,024 bytes of UTF-8 (documented)."""
        try:
            size = len((self.prefix + key).encode())
        except UnicodeEncodeError:
            return "the name is not unicode"
        if not size:
            return "the name is empty"
        return f"the name has {size} bytes, s3 allows {_LONGEST}" if size > _LONGEST else ""

    def prepare(self, attributes: Attributes) -> Prepared:
        """Map the names."""
        return to_s3(attributes)

    def put(
        self, key: str, body: bytes | memoryview, prepared: Prepared, *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Write with Content-MD5."""
        del item
        self._require_absent(key, only_new=only_new)
        try:
            return self.client.put(
                self.bucket,
                self.prefix + key,
                body,
                headers=prepared.headers,
                forbid_overwrite=only_new and self.exclusive,
            )
        except PreconditionFailedError as error:
            raise TargetConflictError(str(error)) from error

    def put_part(self, key: str, upload: str, number: int, offset: int, body: bytes | memoryview) -> Part:
        """Send a part with Content-MD5."""
        del offset
        part = self.client.upload_part(self.bucket, self.prefix + key, upload, number, body)
        return replace(part, crc64=crc64(body))

    def complete(
        self, key: str, upload: str, parts: Sequence[Part], *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Complete, and compare the size."""
        self._require_absent(key, only_new=only_new)
        try:
            written = self.client.complete(
                self.bucket, self.prefix + key, upload, parts, forbid_overwrite=only_new and self.exclusive
            )
        except PreconditionFailedError as error:
            raise TargetConflictError(str(error)) from error
        found = self.head(key)
        if found is None or found.size != item.size:
            raise SizeMismatchError(
                f"{self.name}{key}: wrote {item.size} bytes, found {found and found.size}"
            )
        return written

    def _require_absent(self, key: str, *, only_new: bool) -> None:
        if only_new and not self.exclusive and self.head(key) is not None:
            raise TargetConflictError(f"{self.name}{key} exists")
