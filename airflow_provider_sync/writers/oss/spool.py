"""Rows of a split in an unnamed local file: for objects that are made of several splits, or grow by one call.

The file has no name, so that a killed process leaves nothing behind. It belongs to this process: whoever
opened the splits has to commit them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import pyarrow as pa

from airflow_provider_sync.clients.oss.crc import combine, crc64
from airflow_provider_sync.engine.contract import Environment, SplitWriter
from airflow_provider_sync.engine.record import JsonObject, Rejected
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.base import Encoder

__all__ = ["Joined", "Spool", "SpoolingSplit", "spools_of"]

_CHUNK = 1024 * 1024


@dataclass(slots=True)
class Spool:
    """The encoded rows of one split, without a header."""

    split: str
    file: BinaryIO = field(default_factory=tempfile.TemporaryFile)
    size: int = 0
    crc: int = 0
    rows: int = 0

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self.file.write(data)
        self.size += len(data)
        self.crc = crc64(data, self.crc)

    def receipt(self) -> dict[str, object]:
        """Return what :func:`spools_of` finds this spool by."""
        return {"split": self.split, "spooled": True, "size": self.size, "crc64": self.crc, "rows": self.rows}


class SpoolingSplit(SplitWriter):
    """Encodes rows into a spool."""

    def __init__(self, spool: Spool, encoder: Encoder, environment: Environment) -> None:
        self._spool = spool
        self._encoder = encoder
        self._environment = environment

    def write(self, rows: pa.RecordBatch) -> Sequence[Rejected]:
        """Encode rows to the local file."""
        self._environment.check_cancelled()
        if rows.num_rows == 0:
            return ()
        encoded = self._encoder.encode(rows)
        self._spool.write(encoded.data)
        self._spool.rows += encoded.rows
        return [replace(one, where=f"split {self._spool.split} {one.where}") for one in encoded.rejected]

    def prepare(self) -> JsonObject:
        """End the encoder's stream; a split without rows adds no byte."""
        if self._spool.rows:
            self._spool.write(self._encoder.finish())
        return self._spool.receipt()

    def abort(self) -> None:
        """Give the disk space back."""
        self._spool.file.close()


class Joined(io.BufferedIOBase):
    """A head and the spools after it, read as one file from its start, any number of times."""

    def __init__(self, head: bytes, spools: Iterable[Spool]) -> None:
        self._files: list[BinaryIO] = [io.BytesIO(head)]
        self.size, self.crc = len(head), crc64(head)
        for spool in spools:
            self._files.append(spool.file)
            self.size += spool.size
            self.crc = combine(self.crc, spool.crc, spool.size)
        self._index = 0
        self.seek(0)

    def md5(self) -> str:
        """Return the digest as ``Content-MD5`` wants it; reads everything and goes back to the start."""
        digest = hashlib.md5(usedforsecurity=False)
        while piece := self.read(_CHUNK):
            digest.update(piece)
        self.seek(0)
        return base64.b64encode(digest.digest()).decode("ascii")

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that this can go back to its start."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go back to the start, the only place to go to."""
        if offset or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only the start can be sought")
        for file in self._files:
            file.seek(0)
        self._index = 0
        return 0

    def tell(self) -> int:
        """Return 0 at the start; elsewhere the position is not kept."""
        return 0

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes."""
        while self._index < len(self._files):
            data = self._files[self._index].read(-1 if size is None else size)
            if data:
                return data
            self._index += 1
        return b""


def spools_of(receipts: Sequence[JsonObject], spools: dict[str, Spool]) -> list[Spool]:
    """Return the spools that receipts stand for, in their order."""
    found = []
    for receipt in receipts:
        spool = spools.get(receipt["split"])
        if spool is None or (spool.size, spool.crc) != (receipt["size"], receipt["crc64"]):
            raise ConfigError(
                "writer.parameter.writeSingleObject",
                value=True,
                reason=f"split {receipt['split']} was written by another process: one object of several splits, and "
                "append, need all splits and the commit in one process",
                cure="do not map the splits to tasks, or set writeSingleObject to false",
            )
        found.append(spool)
    return found
