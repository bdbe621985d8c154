"""The journal on disk: events appended one after another, each with its length and checksum.

An entry is u32 length, u32 CRC-32, then that many bytes: u32 length of a JSON text ``[kind, arguments, sizes]``,
the text, and the blobs of those sizes. A tail that is torn by a crash is cut off at the next start.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Journal"]

_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


class Journal:
    """One file of events. It survives the death of the process; it does not wait for the disk."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab")

    def load(self) -> Iterator[tuple[str, dict[str, Any], list[bytes]]]:
        """Yield all whole events in order, then cut off what is not whole."""
        good = 0
        with self._path.open("rb") as source:
            while len(head := source.read(_HEAD.size)) == _HEAD.size:
                length, checksum = _HEAD.unpack(head)
                body = source.read(length)
                if len(body) < length or zlib.crc32(body) != checksum:
                    break
                good += _HEAD.size + length
                yield _parse(body)
        self._file.truncate(good)

    def append(self, kind: str, arguments: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Add one event; it is handed to the operating system before this returns."""
        text = json.dumps([kind, arguments, [len(blob) for blob in blobs]]).encode()
        body = b"".join((_LENGTH.pack(len(text)), text, *blobs))
        self._file.write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
        self._file.flush()

    def clear(self) -> None:
        """Forget all events."""
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parse(body: bytes) -> tuple[str, dict[str, Any], list[bytes]]:
    at = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    kind, arguments, sizes = json.loads(body[_LENGTH.size : at])
    blobs = []
    for size in sizes:
        blobs.append(body[at : at + size])
        at += size
    return kind, arguments, blobs
