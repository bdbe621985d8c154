"""The files that dataflows move: real ones between folders and the local OSS, or imagined ones.

A path is absolute within its side: ``/data/a.csv`` is the object ``data/a.csv`` of a bucket, or the file of that name
under the file system's folder.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_provider_sync.localcloud.oss.checksum import crc64
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Bucket, Cloud
from airflow_provider_sync.localcloud.oss.objects import check_room, content, new_version, readable
from airflow_provider_sync.localcloud.oss.rules import check_key

__all__ = ["FileInfo", "ImaginedWorld", "LocalWorld", "MoveError", "Place", "World"]

# Documented: exports leave the file's time in this metadata; its form is unknown, nanoseconds here.
_MODIFIED = "alihbr-sync-mtime"
_TAG = "cpfs-dataflow"
_NANO = 1_000_000_000
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)  # a name too long is nobody's


class MoveError(Exception):
    """A file cannot be moved; the text goes into ErrorMsg. All such texts are invented."""


@dataclass(slots=True, frozen=True)
class FileInfo:
    """A file: bytes, nanoseconds since the epoch, CRC-64 if known."""

    size: int
    modified_ns: int
    crc: int | None = None


class Place(Protocol):
    """One side of a dataflow."""

    def look(self, path: str) -> FileInfo | None:
        """Return what is there under a path; None if nothing is."""

    def names(self, directory: str) -> list[str]:
        """Return the paths of all files below a directory (which ends with a slash), sorted."""


class World(Protocol):
    """Both sides of every dataflow."""

    def cpfs(self, file_system: str) -> Place:
        """Return a file system."""

    def oss(self, bucket: str) -> Place:
        """Return a bucket."""

    def imagined(self, size: int) -> FileInfo | None:
        """Return a source file that need not be there; None where files are real."""

    def trouble(self, bucket: str) -> str:
        """Return why dataflows cannot use a bucket; empty if they can."""

    def has_directory(self, file_system: str, path: str) -> bool:
        """Tell whether a directory is in a file system."""

    def copy(self, source: Place, path: str, target: Place, target_path: str, info: FileInfo) -> FileInfo:
        """Copy one file over whatever is there, return the copy; MoveError says why not."""

    def reset(self) -> None:
        """Forget what was imagined; real files stay."""


class _Imagined:
    def __init__(self) -> None:
        self.files: dict[str, FileInfo] = {}

    def look(self, path: str) -> FileInfo | None:
        return self.files.get(path)

    def names(self, directory: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(directory))


class ImaginedWorld:
    """Every source file exists and every bucket will do; only copies are remembered."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], _Imagined] = {}

    def cpfs(self, file_system: str) -> _Imagined:
        """Return a file system of copies."""
        return self._places.setdefault(("cpfs", file_system), _Imagined())

    def oss(self, bucket: str) -> _Imagined:
        """Return a bucket of copies."""
        return self._places.setdefault(("oss", bucket), _Imagined())

    def imagined(self, size: int) -> FileInfo | None:
        """Return a file of that size with the time and checksum of the documentation's example."""
        return FileInfo(size, 1_725_897_600 * _NANO, 850_309_505_450_944)

    def trouble(self, bucket: str) -> str:  # noqa: ARG002 - every bucket is imagined
        """Find none."""
        return ""

    def has_directory(self, file_system: str, path: str) -> bool:  # noqa: ARG002 - and every directory
        """Say yes."""
        return True

    def copy(
        self,
        source: Place,  # noqa: ARG002 - nothing is read
        path: str,  # noqa: ARG002
        target: Place,
        target_path: str,
        info: FileInfo,
    ) -> FileInfo:
        """Remember the copy."""
        assert isinstance(target, _Imagined)  # noqa: S101 - a place of another world
        target.files[target_path] = info
        return info

    def reset(self) -> None:
        """Forget every copy."""
        self._places.clear()


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def look(self, path: str) -> FileInfo | None:
        try:
            status = self.path(path).stat()
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        return FileInfo(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None

    def names(self, directory: str) -> list[str]:
        found = self.path(directory).rglob("*")
        return sorted(f"/{path.relative_to(self.root)}" for path in found if path.is_file())

    def read(self, path: str) -> bytes:
        # Documented: a symbolic link is exported as an empty object.
        found = self.path(path)
        return b"" if found.is_symlink() else found.read_bytes()

    def write(self, path: str, data: bytes, modified_ns: int) -> None:
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name[:200]}.part")
        partial.write_bytes(data)
        os.utime(partial, ns=(modified_ns, modified_ns))
        partial.replace(target)


class _BucketPlace:
    def __init__(self, cloud: Cloud, name: str) -> None:
        self._cloud = cloud
        self._name = name

    @property
    def _bucket(self) -> Bucket:
        return self._cloud.bucket(self._name)

    def look(self, path: str) -> FileInfo | None:
        version = self._bucket.current(path[1:])
        if version is None or version.marker:
            return None
        kept = version.meta.get(_MODIFIED, "")
        modified = int(kept) if kept.isdigit() else int(version.modified * _NANO)
        return FileInfo(version.size, modified, version.crc)

    def names(self, directory: str) -> list[str]:
        prefix = directory[1:]
        keys = (key for key, _ in self._bucket.live())
        return sorted(f"/{key}" for key in keys if key.startswith(prefix) and not key.endswith("/"))

    def read(self, path: str) -> bytes:
        version = self._bucket.current(path[1:])
        if version is None or version.marker:
            raise MoveError(f"the source object {path} does not exist")
        readable(self._cloud, version)
        return bytes(content(self._cloud, version, 0, version.size))

    def write(self, path: str, data: bytes, modified_ns: int) -> None:
        bucket, key = self._bucket, path[1:]
        check_key(key, self._cloud.limits)
        check_room(self._cloud, bucket, len(data))
        version = new_version(self._cloud, bucket)
        version.segments = (self._cloud.storage.write(data),) if data else ()
        version.size, version.crc = len(data), crc64(data)
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        version.etag = digest.hex().upper()
        version.headers = {
            "Content-Type": "application/octet-stream",
            "Content-MD5": base64.b64encode(digest).decode(),
        }
        version.meta = {_MODIFIED: str(modified_ns)}
        self._cloud.add_version(bucket, key, version)
        self._cloud.storage.commit()


class LocalWorld:
    """File systems are folders under ``folder``; buckets are those of a local OSS in the same process.

    The OSS must be served by the same event loop, or rest while this service answers: nothing is locked. A file
    is in memory as a whole while it is copied.
    """

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self._folder = folder
        self._cloud = cloud

    def cpfs(self, file_system: str) -> _Folder:
        """Return the folder of a file system."""
        return _Folder(self._folder / file_system)

    def oss(self, bucket: str) -> _BucketPlace:
        """Return a bucket of the local OSS."""
        return _BucketPlace(self._cloud, bucket)

    def imagined(self, size: int) -> FileInfo | None:  # noqa: ARG002 - nothing is imagined
        """Return nothing: a missing file is missing."""
        return None

    def trouble(self, bucket: str) -> str:
        """Say so if the bucket is missing, or lacks the tag ``cpfs-dataflow=true`` (documented as required)."""
        found = self._cloud.buckets.get(bucket)
        if found is None:
            return f"the bucket {bucket} does not exist"
        if found.tags.get(_TAG) != "true":
            return f"the bucket {bucket} has no tag {_TAG}=true"
        return ""

    def has_directory(self, file_system: str, path: str) -> bool:
        """Look into the folder."""
        return self.cpfs(file_system).path(path).is_dir()

    def copy(self, source: Place, path: str, target: Place, target_path: str, info: FileInfo) -> FileInfo:
        """Copy the bytes; the copy keeps the source's time."""
        assert isinstance(source, _Folder | _BucketPlace)  # noqa: S101 - a place of another world
        assert isinstance(target, _Folder | _BucketPlace)  # noqa: S101
        try:
            data = source.read(path)
            target.write(target_path, data, info.modified_ns)
        except OSError as error:
            raise MoveError(f"{target_path}: {error.strerror or error}") from error
        except OssError as error:
            raise MoveError(f"{error.code}: {error.message}") from error
        return FileInfo(len(data), info.modified_ns, crc64(data))

    def reset(self) -> None:
        """Leave the files alone: they belong to whoever put them there."""
