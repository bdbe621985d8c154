"""Where a job's state is kept: a folder, or a prefix in OSS, behind the same few calls."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_sync.clients.oss.crc import combine, crc64
from airflow_provider_sync.clients.oss.transfer import OssTransferClient
from airflow_provider_sync.errors import AccessDeniedError, ConfigError, TransientError
from airflow_provider_sync.migration.bucket import check_prefix

__all__ = ["FileStore", "LocalFiles", "OssFiles"]


_BATCH = 1000


class FileStore(ABC):
    """Small files by name (``/`` separates); safe for threads. What a call has done survives a kill."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The place as a URL or path, without secrets."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return a file, None if there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Replace a file whole: readers see the old or the new one."""

    @abstractmethod
    def append(self, name: str, data: bytes) -> None:
        """Add to a file that only this process writes; after a kill a local file may end in half of it."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names of all files that start with ``prefix``, in order."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file; fine if there is none."""

    @abstractmethod
    def delete_all(self, prefix: str) -> None:
        """Remove all files whose names start with ``prefix``, a folder with its slash."""

    def close(self) -> None:
        """Release what is open; may be called twice."""


class LocalFiles(FileStore):
    """Files below ``folder``, whose parent must exist: an unmounted disk is not an empty job."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        if not self._folder.is_absolute():
            raise ConfigError("state", str(folder), allowed="an absolute path, or oss://bucket/prefix/")
        if not self._folder.parent.is_dir():
            raise ConfigError("state", str(folder), reason="its parent folder does not exist", cure="make it")
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def read(self, name: str) -> bytes | None:
        """Return a file."""
        with _translated(self._folder):
            try:
                return (self._folder / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write beside, sync, rename."""
        path = self._folder / name
        with _translated(self._folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)

    def append(self, name: str, data: bytes) -> None:
        """Append with one system call; the kernel keeps it if this process dies."""
        with _translated(self._folder), self._lock:
            handle = self._open.get(name)
            if handle is None:
                path = self._folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                self._open[name] = handle
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]

    def list(self, prefix: str) -> Iterator[str]:
        """Walk the folder, or what in it starts with the last part of ``prefix``."""
        above, _, start = prefix.rpartition("/")
        folder = self._folder / above
        with _translated(self._folder):
            found = []
            for entry in folder.iterdir() if folder.is_dir() else ():
                if entry.name.startswith(start):
                    found += [path for path in (entry, *entry.rglob("*")) if path.is_file()]
        yield from sorted(
            str(path.relative_to(self._folder)) for path in found if not path.name.endswith(".tmp")
        )

    def delete(self, name: str) -> None:
        """Remove the file."""
        with _translated(self._folder), self._lock:
            self._forget(name)
            (self._folder / name).unlink(missing_ok=True)

    def delete_all(self, prefix: str) -> None:
        """Remove the folder."""
        with _translated(self._folder), self._lock:
            for name in [name for name in self._open if name.startswith(prefix)]:
                self._forget(name)
            if (self._folder / prefix).is_dir():
                shutil.rmtree(self._folder / prefix)

    def close(self) -> None:
        """Close appended files."""
        with self._lock:
            for handle in self._open.values():
                os.close(handle)
            self._open.clear()

    def _forget(self, name: str) -> None:
        handle = self._open.pop(name, None)
        if handle is not None:
            os.close(handle)


class OssFiles(FileStore):
    """Objects of ``bucket`` below ``prefix``; appended files are appendable objects, written exactly once."""

    def __init__(self, client: OssTransferClient, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = check_prefix("state.prefix", prefix)
        self._lock = threading.Lock()
        self._tails: dict[str, tuple[int, int]] = {}

    @property
    def name(self) -> str:
        """The prefix as a URL."""
        return f"oss://{self._bucket}/{self._prefix}"

    def read(self, name: str) -> bytes | None:
        """Get the object."""
        return self._client.get(self._bucket, self._prefix + name)

    def write(self, name: str, data: bytes) -> None:
        """Put the object."""
        self._client.put(self._bucket, self._prefix + name, data)

    def append(self, name: str, data: bytes) -> None:
        """Append at the position that this process knows."""
        key = self._prefix + name
        with self._lock:
            tail = self._tails.get(name)
            if tail is None:
                found = self._client.head(self._bucket, key)
                tail = (0, 0) if found is None else (found.size, found.crc64 or 0)
            position, base = tail
            checksum = crc64(data)
            self._client.append(
                self._bucket, key, data, size=len(data), checksum=checksum, position=position, base=base
            )
            self._tails[name] = (position + len(data), combine(base, checksum, len(data)))

    def list(self, prefix: str) -> Iterator[str]:
        """List the objects."""
        cut = len(self._prefix)
        token = ""
        while True:
            page = self._client.list_page(self._bucket, self._prefix + prefix, token=token)
            yield from (one.key[cut:] for one in page.objects)
            if not page.token:
                return
            token = page.token

    def delete(self, name: str) -> None:
        """Delete the object."""
        with self._lock:
            self._tails.pop(name, None)
        self._client.delete(self._bucket, self._prefix + name)

    def delete_all(self, prefix: str) -> None:
        """Delete the objects, 1,000 a request."""
        with self._lock:
            self._tails = {name: tail for name, tail in self._tails.items() if not name.startswith(prefix)}
        chunk: list[str] = []
        for name in self.list(prefix):
            chunk.append(self._prefix + name)
            if len(chunk) == _BATCH:
                self._client.delete_many(self._bucket, chunk)
                chunk = []
        if chunk:
            self._client.delete_many(self._bucket, chunk)

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise AccessDeniedError(
            f"state folder {folder}: {error}; let the worker's user write there"
        ) from error
    except OSError as error:
        raise TransientError(f"state folder {folder}: {error}") from error
