"""gzip and zstd around any encoder, as one stream per object."""

from __future__ import annotations

import io
import zlib
from typing import Protocol

import pyarrow as pa

from airflow_provider_sync.formats.base import Encoded, Encoder

__all__ = ["CompressedEncoder", "Compressor", "Gzip", "Zstd"]

_GZIP_CONTAINER = 31  # zlib's code for "gzip header and trailer"; its header has no time and no name
_LEVEL = 6


class Compressor(Protocol):
    """A stream that is fed and drained."""

    def compress(self, data: bytes | memoryview) -> bytes:
        """Take more; return what is ready, perhaps nothing."""

    def flush(self) -> bytes:
        """End the stream and return its rest."""


class Gzip:
    """One gzip member; the same input gives the same bytes, whenever it is written."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_CONTAINER)

    def compress(self, data: bytes | memoryview) -> bytes:
        """Take more; return what is ready, perhaps nothing."""
        return self._stream.compress(data)

    def flush(self) -> bytes:
        """End the member and return its rest."""
        return self._stream.flush()


class _Sink(io.BytesIO):
    def close(self) -> None:
        """Stay open: Arrow closes the sink with the stream, before its last bytes are fetched."""


class Zstd:
    """One zstd frame; the same calls with the same input give the same bytes."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._stream = pa.CompressedOutputStream(self._sink, "zstd")

    def compress(self, data: bytes | memoryview) -> bytes:
        """Take more; return what is ready, perhaps nothing."""
        self._stream.write(data)
        return self._drain()

    def flush(self) -> bytes:
        """End the frame and return its rest."""
        self._stream.close()
        return self._drain()

    def _drain(self) -> bytes:
        data = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return data


class CompressedEncoder(Encoder):
    """An encoder whose bytes go through a compressor."""

    def __init__(self, inner: Encoder, compressor: Compressor) -> None:
        self._inner = inner
        self._compressor = compressor
        self.joinable = inner.joinable

    def header(self) -> bytes:
        """Return what is ready of the compressed header."""
        return self._compressor.compress(self._inner.header())

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Encode and compress rows; the bytes may lag behind the rows."""
        plain = self._inner.encode(rows)
        return Encoded(self._compressor.compress(plain.data), plain.rows, plain.rejected)

    def finish(self) -> bytes:
        """Return the compressed rest and the end of the stream."""
        return self._compressor.compress(self._inner.finish()) + self._compressor.flush()
