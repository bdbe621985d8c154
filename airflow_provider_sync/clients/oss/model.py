"""What OSS tells about buckets, objects and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BucketInfo", "Listed", "ObjectInfo", "Upload"]


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """``versioning`` is ``Enabled``, ``Suspended`` or empty (never switched on)."""

    name: str
    location: str
    storage_class: str
    versioning: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What HEAD says. ``crc64`` is None where the service has none (old objects, copies).

    ``kind`` is Normal, Multipart, Appendable or Symlink; ``metadata`` has names without ``x-oss-meta-``.
    """

    key: str
    size: int
    etag: str
    crc64: int | None
    kind: str
    last_modified: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing; ``last_modified`` in seconds since the Unix epoch."""

    key: str
    size: int
    etag: str
    last_modified: int
    storage_class: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An unfinished multipart upload; ``initiated`` in seconds since the Unix epoch."""

    key: str
    upload_id: str
    initiated: int
