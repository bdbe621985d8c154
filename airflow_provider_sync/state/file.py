"""Progress in a folder: one JSON file per key, whole at any moment.

For one machine, or a shared file system whose ``flock`` excludes all clients (NFS 4 and local disks do).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.engine.record import JsonObject
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    CorruptDataError,
    SyncError,
    TransientError,
)
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.state import conflict, decode_state, encode_state

__all__ = ["FileStore"]

_LONGEST_NAME = 200
_SUFFIX = ".json"
_HASHED = "#"


class FileStore(CheckpointStore):
    """A folder of ``<key>.json`` files: ``{"key", "generation", "state"}``.

    Reads need no lock, because a file is replaced by renaming a complete, synced one. Writers exclude each
    other by ``flock`` on ``.lock``, which the kernel releases however a process dies; what a killed writer
    leaves is one ``.tmp`` file per key, overwritten by the next save.
    """

    @dataclass(frozen=True, slots=True)
    class Options:
        """Parameters of the store."""

        path: str = option("path", "Folder of the files; its parent must exist.")

    def __init__(
        self,
        options: Options,
        connection: ConnectionInfo | None = None,
        environment: Environment | None = None,
    ) -> None:
        del connection, environment
        if not options.path:
            raise ConfigError("checkpoint.parameter.path", options.path, allowed="a folder")
        self._folder = Path(options.path)

    def load(self, key: str) -> Checkpoint | None:
        """Return the stored state, None when there is none.

        A folder whose parent is missing raises: an unmounted disk is not an empty one.
        """
        with _translated(self._folder):
            return self._read(self._folder / _file_name(key), key)

    def save(self, key: str, state: JsonObject, *, expect: int) -> Checkpoint:
        """Store ``state`` if the stored generation is ``expect``; returning means it is on disk."""
        text = encode_state(state)
        generation = expect + 1
        path = self._folder / _file_name(key)
        with _translated(self._folder), self._locked():
            stored = self._read(path, key)
            found = 0 if stored is None else stored.generation
            if found != expect:
                raise conflict(key, expect=expect, found=found)
            head = json.dumps({"key": key, "generation": generation})
            self._replace(path, f'{head[:-1]}, "state": {text}}}\n'.encode("ascii"))
        return Checkpoint(key, generation, decode_state(text, key))

    def delete(self, key: str) -> None:
        """Forget ``key``; fine if it is not there."""
        with _translated(self._folder), self._locked():
            path = self._folder / _file_name(key)
            path.unlink(missing_ok=True)
            _temporary(path).unlink(missing_ok=True)
            self._sync_folder()

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield stored keys that start with ``prefix``, in order; later changes do not show."""
        with _translated(self._folder):
            found = []
            for path in self._folder.iterdir() if self._exists() else ():
                key = self._key_of(path)
                if key is not None and key.startswith(prefix):
                    found.append(key)
        yield from sorted(found)

    def _exists(self) -> bool:
        if self._folder.is_dir():
            return True
        if not self._folder.parent.is_dir():
            raise ConfigError(
                "checkpoint.parameter.path",
                str(self._folder),
                reason="its parent folder does not exist",
                cure="create it, or mount the disk that holds it",
            )
        return False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._exists():
            self._folder.mkdir(exist_ok=True)
        # Opened anew each time: flock excludes open file descriptions, so threads exclude each other too.
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _key_of(self, path: Path) -> str | None:
        if not path.name.endswith(_SUFFIX):
            return None
        if _HASHED not in path.name:
            return unquote(path.name.removesuffix(_SUFFIX), errors="strict")
        stored = self._read(path, None)
        return None if stored is None else stored.key

    def _read(self, path: Path, key: str | None) -> Checkpoint | None:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            self._exists()
            return None
        data = decode_state(text, str(path))
        return Checkpoint(
            _field(data, "key", str, path, key),
            _field(data, "generation", int, path, None),
            _field(data, "state", dict, path, None),
        )

    def _replace(self, path: Path, content: bytes) -> None:
        # One name per key is enough under the lock, and leaves at most one file behind.
        temporary = _temporary(path)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _file_name(key: str) -> str:
    # Percent-encoding keeps ordinary names readable and any name inside the folder; what would be longer than
    # a file name may be (255 bytes) is named by its hash, and the file itself holds the key. The hash is marked
    # by a character that percent-encoding never leaves.
    name = quote(key, safe="@=+, ")
    if not name or len(name) > _LONGEST_NAME:
        name = f"{name[:40]}{_HASHED}{hashlib.sha256(key.encode()).hexdigest()}"
    return f"{name}{_SUFFIX}"


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp")


def _field(data: dict[str, Any], name: str, kind: type, path: Path, wanted: str | None) -> Any:
    value = data.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise CorruptDataError(f"{path}: field {name!r} is {value!r}, not {kind.__name__}")
    if wanted is not None and value != wanted:
        raise CorruptDataError(f"{path}: holds {name} {value!r}, not {wanted!r}; was the file renamed?")
    return value


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except SyncError:
        raise
    except OSError as error:
        text = f"checkpoint folder {folder}: {error.strerror or error}"
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise AccessDeniedError(f"{text}; give this user the right to write there") from error
        if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}:
            raise ConfigError("checkpoint.parameter.path", str(folder), reason=text) from error
        raise TransientError(text) from error
