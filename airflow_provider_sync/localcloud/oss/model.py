"""What there is: buckets, versions of objects, uploads in progress.

A version's content is a tuple of segments that never change, so that a copy shares them, a completed upload
takes over those of its parts, and a reader keeps what it started with.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_provider_sync.localcloud.control import Clock
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.index import KeyIndex
from airflow_provider_sync.localcloud.oss.storage import Segment, Storage

__all__ = ["Bucket", "Cloud", "Limits", "Part", "Upload", "Version"]

NULL_VERSION = "null"


@dataclass(slots=True, frozen=True)
class Limits:
    """The documented limits; smaller ones make them testable. Sizes in bytes.

    ``put_max`` also bounds a part, an appendable object and a copy between buckets.
    """

    put_max: int = 5 * 1024**3
    part_min: int = 100 * 1024
    part_numbers: int = 10_000
    delete_keys: int = 1_000
    key_bytes: int = 1_023
    meta_bytes: int = 8 * 1024
    tags: int = 10
    bucket_tags: int = 20


@dataclass(slots=True, eq=False)
class Version:
    """One version of an object, or a delete marker.

    ``crc`` is None for content whose checksum is not known; ``headers`` are the standard ones kept with the
    object, ``meta`` the user's without their prefix, ``sse`` the encryption headers to echo.
    """

    version_id: str
    sequence: int
    modified: float
    kind: str = "Normal"
    marker: bool = False
    segments: tuple[Segment, ...] = ()
    size: int = 0
    etag: str = ""
    crc: int | None = 0
    storage_class: str = "Standard"
    headers: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    sse: dict[str, str] = field(default_factory=dict)
    acl: str = "default"
    target: str = ""
    restored_until: float | None = None


@dataclass(slots=True, eq=False)
class Part:
    """One part of an upload."""

    number: int
    etag: str
    size: int
    crc: int
    modified: float
    segments: tuple[Segment, ...]


@dataclass(slots=True, eq=False)
class Upload:
    """A multipart upload in progress; ``template`` has what the object will get besides its content."""

    upload_id: str
    key: str
    initiated: float
    template: Version
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Bucket:
    """A bucket. ``objects`` holds the versions of each key, the current one last; never an empty list."""

    name: str
    created: float
    acl: str = "private"
    storage_class: str = "Standard"
    redundancy: str = "LRS"
    versioning: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    objects: dict[str, list[Version]] = field(default_factory=dict, repr=False)
    index: KeyIndex = field(default_factory=KeyIndex, repr=False)
    uploads: dict[str, Upload] = field(default_factory=dict, repr=False)
    used: int = 0
    quota: int | None = None

    def current(self, key: str) -> Version | None:
        """Return the current version, which may be a delete marker; None for a key never written."""
        versions = self.objects.get(key)
        return versions[-1] if versions else None

    def live(self) -> Iterator[tuple[str, Version]]:
        """Yield key and current version of every object that a plain listing shows."""
        for key, versions in self.objects.items():
            if not versions[-1].marker:
                yield key, versions[-1]


class Cloud:
    """All buckets, and the only place that changes what a bucket holds (so that storage and sums follow)."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        rng: random.Random,
        limits: Limits,
        location: str = "oss-cn-hangzhou",
    ) -> None:
        self.storage = storage
        self.location = location
        self.clock = clock
        self.limits = limits
        self.buckets: dict[str, Bucket] = {}
        self._rng = rng
        self._sequence = 0

    def bucket(self, name: str) -> Bucket:
        """Return the bucket; NoSuchBucket."""
        bucket = self.buckets.get(name)
        if bucket is None:
            raise OssError.no_such_bucket(name)
        return bucket

    def new_id(self) -> str:
        """Return a fresh id for an upload or a version: 32 hex digits, upper case."""
        return f"{self._rng.getrandbits(128):032X}"

    def next_sequence(self) -> int:
        """Return a number that grows with every version."""
        self._sequence += 1
        return self._sequence

    def save_bucket(self, bucket: Bucket) -> None:
        """Keep a bucket that is new or whose settings changed."""
        self.buckets[bucket.name] = bucket
        self.storage.save_bucket(bucket)

    def drop_bucket(self, bucket: Bucket) -> None:
        """Forget a bucket that holds nothing."""
        del self.buckets[bucket.name]
        self.storage.drop_bucket(bucket.name)

    def add_version(self, bucket: Bucket, key: str, version: Version) -> None:
        """Make ``version`` the current one; what it replaces goes (all, or the null version) by the bucket's state."""
        versions = bucket.objects.get(key)
        if versions is None:
            versions = bucket.objects[key] = []
            bucket.index.add(key)
        self.storage.save_version(bucket.name, key, version)
        for old in [old for old in versions if old.version_id == version.version_id]:
            versions.remove(old)
            self._released(bucket, key, old)
        versions.append(version)
        bucket.used += version.size

    def remove_version(self, bucket: Bucket, key: str, version: Version) -> None:
        """Remove one version for good."""
        versions = bucket.objects[key]
        versions.remove(version)
        self._released(bucket, key, version)
        if not versions:
            del bucket.objects[key]
            bucket.index.remove(key)

    def changed_version(self, bucket: Bucket, key: str, version: Version) -> None:
        """Keep a version whose tags, ACL or restore state changed in place."""
        self.storage.save_version(bucket.name, key, version)

    def replace_content(self, bucket: Bucket, key: str, old: Version, new: Version) -> None:
        """Put ``new`` in the place of ``old``, under the same version id."""
        versions = bucket.objects[key]
        self.storage.save_version(bucket.name, key, new)
        versions[versions.index(old)] = new
        bucket.used += new.size
        self._released(bucket, key, old)

    def save_upload(self, bucket: Bucket, upload: Upload) -> None:
        """Keep an upload that is new."""
        bucket.uploads[upload.upload_id] = upload
        self.storage.save_upload(bucket.name, upload)

    def save_part(self, bucket: Bucket, upload: Upload, part: Part) -> None:
        """Keep a part, in the place of an earlier one of its number."""
        old = upload.parts.get(part.number)
        upload.parts[part.number] = part
        self.storage.save_part(bucket.name, upload.upload_id, part)
        if old is not None:
            self.storage.release(old.segments)

    def drop_upload(self, bucket: Bucket, upload: Upload) -> None:
        """Forget an upload and its parts; segments that an object took over stay."""
        del bucket.uploads[upload.upload_id]
        for part in upload.parts.values():
            self.storage.release(part.segments)
        self.storage.drop_upload(bucket.name, upload.upload_id)

    def clear(self) -> None:
        """Forget every bucket and what it holds."""
        self.buckets.clear()
        self.storage.clear()

    def load(self) -> None:
        """Read everything the storage has kept."""
        for bucket in self.storage.load():
            self.buckets[bucket.name] = bucket
            for key in sorted(bucket.objects):
                bucket.index.add(key)
                bucket.objects[key].sort(key=lambda version: version.sequence)
                self._sequence = max(self._sequence, bucket.objects[key][-1].sequence)
                bucket.used += sum(version.size for version in bucket.objects[key])

    def _released(self, bucket: Bucket, key: str, version: Version) -> None:
        bucket.used -= version.size
        self.storage.drop_version(bucket.name, key, version.sequence)
        self.storage.release(version.segments)
