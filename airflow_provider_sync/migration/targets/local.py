"""A folder, on a disk or mounted, to write to."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.clients.oss.errors import NoSuchUploadError
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    PermanentError,
    TargetConflictError,
    TransientError,
)
from airflow_provider_sync.migration.contract import PartLimits, Target
from airflow_provider_sync.migration.errors import SizeMismatchError
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo, Part, Prepared, Stored
from airflow_provider_sync.migration.sources.local import LocalSource, file_info

__all__ = ["LocalTarget"]

_LONGEST_NAME = 255
_MODE = 0o666  # less the process's umask, as for any file
_PARTIAL = ".sync-partial"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalTarget(Target):
    """``folder``, which must exist. A file is written beside its name and renamed when it is whole and synced.

    Files keep the source's modification time. Attributes have no place in a file system and are reported as
    lost, except the content type. ``only_new`` is enforced by linking, which fails if the name is taken.
    """

    limits = PartLimits(smallest=1)

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        if not self._folder.is_absolute():
            raise ConfigError("target.path", str(folder), allowed="an absolute path")
        self._listing = LocalSource(folder)

    @property
    def name(self) -> str:
        """The folder as a URL."""
        return f"file://{self._folder}/"

    def check(self) -> None:
        """Look for the folder."""
        if not self._folder.is_dir():
            raise NotFoundError(f"target.path: folder {self._folder} does not exist on this machine; make it")

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Walk the folder; files that are being written are left out."""
        return (item for item in self._listing.list(after) if _PARTIAL not in item.key)

    def refusal(self, key: str) -> str:
        """Check what a path can be: no empty or dotted parts, no zero byte, parts up to 255 bytes."""
        try:
            parts = [part.encode() for part in key.split("/")]
        except UnicodeEncodeError:
            return "the name is not unicode"
        if any(part in {b"", b".", b".."} for part in parts):
            return "empty, '.' and '..' parts of a name cannot be folders or files"
        if b"\0" in key.encode() or _PARTIAL in key:
            return "the name has a zero byte, or is that of an unfinished file"
        if any(len(part) > _LONGEST_NAME for part in parts):
            return f"a part of the name has more than {_LONGEST_NAME} bytes"
        return ""

    def head(self, key: str) -> ObjectInfo | None:
        """Look at the file."""
        return self._listing.head(ObjectInfo(key, 0, "", 0))

    def prepare(self, attributes: Attributes) -> Prepared:
        """Say what is lost: everything but the type."""
        lost = [f"header {name}" for name in attributes.headers if name != "content-type"]
        lost += [f"metadata {name!r}" for name in attributes.metadata]
        lost += [f"tag {name!r}" for name in attributes.tags]
        lost += ["acl"] if attributes.acl not in {"", "private"} else []
        return Prepared({}, tuple(f"{one}: files have none" for one in lost))

    def put(
        self, key: str, body: bytes | memoryview, prepared: Prepared, *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Write beside, sync, rename."""
        del prepared
        partial = self._partial(key, _new_upload())
        with self._translated(key):
            handle = _create(partial)
            try:
                _write(handle, body, 0)
                return self._publish(key, partial, handle, modified=item.modified, only_new=only_new)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial)  # noqa: PTH108 - see _partial
                raise
            finally:
                os.close(handle)

    def begin(self, key: str, size: int, prepared: Prepared) -> str:
        """Make the file beside."""
        del size, prepared
        upload = _new_upload()
        with self._translated(key):
            os.close(_create(self._partial(key, upload)))
        return upload

    def put_part(self, key: str, upload: str, number: int, offset: int, body: bytes | memoryview) -> Part:
        """Write at the part's place."""
        with self._translated(key):
            handle = self._reopen(key, upload)
            try:
                _write(handle, body, offset)
            finally:
                os.close(handle)
        return Part(number, "", len(body), crc64(body))

    def complete(
        self, key: str, upload: str, parts: Sequence[Part], *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Sync, take over the time, rename or link."""
        del parts
        with self._translated(key):
            handle = self._reopen(key, upload)
            try:
                size = os.fstat(handle).st_size
                if size != item.size:
                    raise SizeMismatchError(f"{self.name}{key}: {size} bytes, should be {item.size}")
                partial = self._partial(key, upload)
                return self._publish(key, partial, handle, modified=item.modified, only_new=only_new)
            finally:
                os.close(handle)

    def _reopen(self, key: str, upload: str) -> int:
        try:
            return os.open(self._partial(key, upload), os.O_RDWR)
        except FileNotFoundError as error:
            raise NoSuchUploadError(f"{self.name}{key}: the unfinished file is gone") from error

    def _publish(self, key: str, partial: str, handle: int, *, modified: float, only_new: bool) -> Stored:
        os.fsync(handle)
        if modified:
            os.utime(handle, (modified, modified))
        version = file_info(key, os.fstat(handle)).etag
        path = f"{self._folder}/{key}"
        if only_new:
            try:
                os.link(partial, path)
            except FileExistsError as error:
                raise TargetConflictError(f"{self.name}{key} exists") from error
            os.unlink(partial)  # noqa: PTH108 - see _partial
        else:
            os.replace(partial, path)  # noqa: PTH105 - see _partial
        return Stored(version, None)

    def abort(self, key: str, upload: str) -> None:
        """Remove the file beside."""
        with self._translated(key):
            Path(self._partial(key, upload)).unlink(missing_ok=True)

    def read(self, key: str, start: int, end: int) -> bytes:
        """Read a range."""
        with self._translated(key), (self._folder / key).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _partial(self, key: str, upload: str) -> str:
        # beside by folder, but not by name: names may already have the full length; a string, because making
        # paths of many small files costs more than writing them
        folder, slash, name = f"{self._folder}/{key}".rpartition("/")
        return f"{folder}{slash}{crc64(name.encode()):016x}{upload}"

    @contextlib.contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        where = f"{self.name}{key}"
        try:
            yield
        except PermissionError as error:
            raise AccessDeniedError(
                f"{where}: {error.strerror}; let the worker's user write there"
            ) from error
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise TargetConflictError(
                f"{where}: a file and a folder of one name cannot both be ({error.strerror})"
            ) from error
        except OSError as error:
            if error.errno in _FULL:
                raise PermanentError(f"{where}: {error.strerror}; make room and retry") from error
            raise TransientError(f"{where}: {error}") from error


def _new_upload() -> str:
    return f"{_PARTIAL}.{secrets.token_hex(8)}"


def _create(partial: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    try:
        return os.open(partial, flags, _MODE)
    except FileNotFoundError:
        Path(partial).parent.mkdir(parents=True, exist_ok=True)
        return os.open(partial, flags, _MODE)


def _write(handle: int, body: bytes | memoryview, offset: int) -> None:
    view = memoryview(body)
    while view:
        count = os.pwrite(handle, view, offset)
        view, offset = view[count:], offset + count
