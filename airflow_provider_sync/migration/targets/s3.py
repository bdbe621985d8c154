"""A bucket in S3, or in anything that speaks its protocol, to write to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.clients.oss.model import Part as S3Part
from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.clients.s3.errors import PreconditionFailedError
from airflow_provider_sync.errors import ConfigError, TargetConflictError
from airflow_provider_sync.migration.attributes import to_s3
from airflow_provider_sync.migration.bucket import check_prefix, info_of, list_objects
from airflow_provider_sync.migration.contract import MIB, PartLimits, Target
from airflow_provider_sync.migration.errors import SizeMismatchError
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo, Part, Prepared, Stored

__all__ = ["S3Target"]

_LONGEST = 1024


class S3Target(Target):
    """``bucket`` below ``prefix``.

    Every request's body is protected by Content-MD5, which the service checks; there is no CRC-64 to compare.
    ``exclusive`` says that the service knows ``If-None-Match: *`` (Amazon's does, documented; others may
    ignore it), else ``only_new`` is a check before the write.
    """

    limits = PartLimits(smallest=5 * MIB)

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", *, exclusive: bool = False) -> None:
        if not bucket:
            raise ConfigError("target.bucket", bucket, reason="missing", cure="name the bucket to write")
        self.client = client
        self.bucket = bucket
        self.prefix = check_prefix("target.prefix", prefix)
        self.exclusive = exclusive

    @property
    def name(self) -> str:
        """The target as a URL."""
        return f"s3://{self.bucket}/{self.prefix}"

    def check(self) -> None:
        """Ask for one key."""
        self.client.list_page(self.bucket, self.prefix, limit=1)

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects, 1,000 a request."""
        return list_objects(self.client, self.bucket, self.prefix, after)

    def refusal(self, key: str) -> str:
        """Check S3's rule of names: 1 to 1,024 bytes of UTF-8 (documented)."""
        try:
            size = len((self.prefix + key).encode())
        except UnicodeEncodeError:
            return "the name is not unicode"
        if not size:
            return "the name is empty"
        return f"the name has {size} bytes, s3 allows {_LONGEST}" if size > _LONGEST else ""

    def head(self, key: str) -> ObjectInfo | None:
        """Ask for the headers."""
        reply = self.client.head(self.bucket, self.prefix + key)
        return None if reply is None else info_of(reply, key)

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
            written = self.client.put(
                self.bucket,
                self.prefix + key,
                body,
                headers=prepared.headers,
                forbid_overwrite=only_new and self.exclusive,
            )
        except PreconditionFailedError as error:
            raise TargetConflictError(str(error)) from error
        return Stored(written.etag, None)

    def begin(self, key: str, size: int, prepared: Prepared) -> str:
        """Start a multipart upload."""
        del size
        return self.client.initiate(self.bucket, self.prefix + key, headers=prepared.headers)

    def put_part(self, key: str, upload: str, number: int, offset: int, body: bytes | memoryview) -> Part:
        """Send a part with Content-MD5."""
        del offset
        part = self.client.upload_part(self.bucket, self.prefix + key, upload, number, body)
        return Part(part.number, part.etag, part.size, crc64(body))

    def complete(
        self, key: str, upload: str, parts: Sequence[Part], *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Complete, and compare the size."""
        self._require_absent(key, only_new=only_new)
        try:
            written = self.client.complete(
                self.bucket,
                self.prefix + key,
                upload,
                [S3Part(part.number, part.etag, part.size, 0) for part in parts],
                forbid_overwrite=only_new and self.exclusive,
            )
        except PreconditionFailedError as error:
            raise TargetConflictError(str(error)) from error
        found = self.head(key)
        if found is None or found.size != item.size:
            raise SizeMismatchError(
                f"{self.name}{key}: wrote {item.size} bytes, found {found and found.size}"
            )
        return Stored(written.etag, None)

    def abort(self, key: str, upload: str) -> None:
        """Abort the multipart upload."""
        self.client.abort(self.bucket, self.prefix + key, upload)

    def read(self, key: str, start: int, end: int) -> bytes:
        """Read a range."""
        return self.client.get(self.bucket, self.prefix + key, start=start, end=end).body

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def _require_absent(self, key: str, *, only_new: bool) -> None:
        if only_new and not self.exclusive and self.head(key) is not None:
            raise TargetConflictError(f"{self.name}{key} exists")
