"""Files of a folder, on a disk or mounted."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_sync.errors import AccessDeniedError, ConfigError, NotFoundError, TransientError
from airflow_provider_sync.migration.contract import Source
from airflow_provider_sync.migration.errors import SourceChangedError, SourceGoneError
from airflow_provider_sync.migration.objects import Attributes, Content, ObjectInfo

__all__ = ["LocalSource", "file_info"]


class LocalSource(Source):
    """All regular files below ``folder``; keys are their paths with ``/``.

    Names that are not UTF-8, links (unless ``follow_links``), sockets and devices are reported as rejected.
    A file's version is its size and modification time, compared before and after reading it. The content type
    is guessed from the name, as a browser would.
    """

    def __init__(self, folder: str | Path, *, follow_links: bool = False) -> None:
        self._folder = Path(folder)
        if not self._folder.is_absolute():
            raise ConfigError("source.path", str(folder), allowed="an absolute path")
        self._follow = follow_links
        self._rejected: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        """The folder as a URL."""
        return f"file://{self._folder}/"

    def check(self) -> None:
        """Look for the folder."""
        if not self._folder.is_dir():
            raise NotFoundError(f"source.path: folder {self._folder} does not exist on this machine")

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Walk the folder in order of the keys' bytes: a folder sorts as its name with ``/``."""
        self._rejected = []
        yield from self._walk("", after)

    def rejected(self) -> Iterator[tuple[str, str]]:
        """Yield the names that cannot be keys, and what is no file."""
        yield from self._rejected

    def head(self, item: ObjectInfo) -> ObjectInfo | None:
        """Look at the file."""
        with _translated(self.name + item.key):
            try:
                return file_info(item.key, self._path(item).stat())
            except (FileNotFoundError, NotADirectoryError):
                return None

    def get(self, item: ObjectInfo, start: int | None = None, end: int | None = None) -> Content:
        """Read, and compare the file's version before and after."""
        first, last = start or 0, item.size if end is None else end
        with _translated(self.name + item.key):
            try:
                with self._path(item).open("rb", buffering=0) as file:
                    self._compare(item, os.fstat(file.fileno()))
                    file.seek(first)
                    body = _read(file.fileno(), last - first)
                    info = self._compare(item, os.fstat(file.fileno()))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise SourceGoneError(f"{self.name}{item.key} was deleted after it was listed") from error
        if len(body) != last - first:
            raise SourceChangedError(f"{self.name}{item.key} is shorter than when it was listed")
        return Content(body, info, self.attributes(item))

    def attributes(self, item: ObjectInfo) -> Attributes:
        """Guess the content type."""
        kind, encoding = mimetypes.guess_type(item.key)
        headers = {"content-type": kind} if kind and not encoding else {}
        return Attributes(headers=headers)

    def _path(self, item: ObjectInfo) -> Path:
        return self._folder / item.key

    def _compare(self, item: ObjectInfo, found: os.stat_result) -> ObjectInfo:
        info = file_info(item.key, found)
        if info.etag != item.etag:
            raise SourceChangedError(f"{self.name}{item.key} changed after it was listed")
        return info

    def _walk(self, below: str, after: str | None) -> Iterator[ObjectInfo]:
        with _translated(self.name + below):
            entries = [(entry.name, entry) for entry in os.scandir(self._folder / below)]
        named = []
        for name, entry in entries:
            try:
                name.encode()
            except UnicodeEncodeError:
                self._rejected.append((below + os.fsencode(name).decode("latin-1"), "the name is not utf-8"))
                continue
            is_folder = entry.is_dir(follow_symlinks=self._follow)
            named.append((f"{below}{name}/" if is_folder else below + name, entry))
        for key, entry in sorted(named, key=lambda pair: pair[0]):
            if key.endswith("/"):
                # the last key below it could be after the mark even if its own name is not
                if after is None or key > after or after.startswith(key):
                    yield from self._walk(key, after)
            elif after is None or key > after:
                yield from self._file(key, entry)

    def _file(self, key: str, entry: os.DirEntry[str]) -> Iterator[ObjectInfo]:
        with _translated(self.name + key):
            try:
                found = entry.stat(follow_symlinks=self._follow)
            except FileNotFoundError:
                # deleted while listing; a link that leads nowhere is still there
                if entry.is_symlink():
                    self._rejected.append((key, "the link leads nowhere"))
                return
        if stat.S_ISREG(found.st_mode):
            yield file_info(key, found)
        else:
            kind = "a link" if stat.S_ISLNK(found.st_mode) else "no regular file"
            self._rejected.append((key, f"it is {kind}"))


def file_info(key: str, found: os.stat_result) -> ObjectInfo:
    """Describe a file; the version is made of size, time (ns) and inode."""
    version = f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"
    return ObjectInfo(key, found.st_size, version, found.st_mtime)


def _read(handle: int, size: int) -> bytes:
    """Read up to ``size`` bytes; less only at the end of the file."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    done = 0
    while done < size:
        count = os.readv(handle, [view[done:]])
        if not count:
            break
        done += count
    return bytes(view[:done]) if done < size else bytes(buffer)


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise AccessDeniedError(f"{where}: {error.strerror}; let the worker's user read it") from error
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise TransientError(f"{where}: {error}") from error
