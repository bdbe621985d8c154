"""Where bytes and records are kept: the interface, and the one that keeps them in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_provider_sync.localcloud.oss.model import Bucket, Part, Upload, Version

__all__ = ["MemoryStorage", "Segment", "Storage", "read_all"]


@dataclass(slots=True, frozen=True, eq=False)
class Segment:
    """Bytes that never change: themselves, or the name a storage knows them by."""

    size: int
    blob: bytes | str


class Storage(Protocol):
    """Keeps what the model holds. Nothing is promised to survive before ``commit``."""

    def write(self, data: bytes) -> Segment:
        """Keep some bytes; the caller holds one reference to them."""

    def read(self, segment: Segment, start: int, stop: int) -> bytes | memoryview:
        """Return a range of a segment."""

    def retain(self, segments: Iterable[Segment]) -> None:
        """Count one more reference to each."""

    def release(self, segments: Iterable[Segment]) -> None:
        """Count one less; the bytes go with the last."""

    def save_bucket(self, bucket: Bucket) -> None:
        """Keep a bucket's settings."""

    def drop_bucket(self, bucket: str) -> None:
        """Forget a bucket."""

    def save_version(self, bucket: str, key: str, version: Version) -> None:
        """Keep a version, in the place of the one with its sequence number."""

    def drop_version(self, bucket: str, key: str, sequence: int) -> None:
        """Forget a version."""

    def save_upload(self, bucket: str, upload: Upload) -> None:
        """Keep an upload without its parts."""

    def save_part(self, bucket: str, upload_id: str, part: Part) -> None:
        """Keep a part, in the place of the one with its number."""

    def drop_upload(self, bucket: str, upload_id: str) -> None:
        """Forget an upload and its parts."""

    def load(self) -> list[Bucket]:
        """Return all that was kept; called once, first."""

    def commit(self) -> None:
        """Make everything since the last call last, as one step."""

    def clear(self) -> None:
        """Forget everything."""

    def close(self) -> None:
        """Let go of files."""


class MemoryStorage:
    """Keeps bytes in memory and nothing else: the model is the record."""

    def write(self, data: bytes) -> Segment:
        """Keep some bytes without a copy."""
        return Segment(len(data), data)

    def read(self, segment: Segment, start: int, stop: int) -> bytes | memoryview:
        """Return a range of a segment, without a copy."""
        blob = segment.blob
        assert isinstance(blob, bytes)  # noqa: S101 - a segment of another storage
        return blob if stop - start == segment.size else memoryview(blob)[start:stop]

    def retain(self, segments: Iterable[Segment]) -> None:
        """Do nothing: Python counts."""

    def release(self, segments: Iterable[Segment]) -> None:
        """Do nothing: Python counts."""

    def save_bucket(self, bucket: Bucket) -> None:
        """Do nothing: the model has it."""

    def drop_bucket(self, bucket: str) -> None:
        """Do nothing: the model did."""

    def save_version(self, bucket: str, key: str, version: Version) -> None:
        """Do nothing: the model has it."""

    def drop_version(self, bucket: str, key: str, sequence: int) -> None:
        """Do nothing: the model did."""

    def save_upload(self, bucket: str, upload: Upload) -> None:
        """Do nothing: the model has it."""

    def save_part(self, bucket: str, upload_id: str, part: Part) -> None:
        """Do nothing: the model has it."""

    def drop_upload(self, bucket: str, upload_id: str) -> None:
        """Do nothing: the model did."""

    def load(self) -> list[Bucket]:
        """Return nothing: nothing was kept."""
        return []

    def commit(self) -> None:
        """Do nothing: nothing is kept."""

    def clear(self) -> None:
        """Do nothing: nothing is kept."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


def read_all(storage: Storage, segments: tuple[Segment, ...], start: int, stop: int) -> bytes | memoryview:
    """Return the range [start, stop) of a content made of segments."""
    if len(segments) == 1:
        return storage.read(segments[0], start, stop)
    pieces = []
    offset = 0
    for segment in segments:
        first, last = max(start - offset, 0), min(stop - offset, segment.size)
        if first < last:
            pieces.append(storage.read(segment, first, last))
        offset += segment.size
        if offset >= stop:
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
