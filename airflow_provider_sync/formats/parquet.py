"""Parquet, a row group at a time."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_sync.formats.base import Encoded, Encoder

__all__ = ["ParquetEncoder"]

_GROUP_ROWS = 1_000_000
_GROUP_BYTES = 64 * 1024 * 1024


class _Sink(io.RawIOBase):
    """Collects what Arrow writes; knows its position but forgets its bytes once they are taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]  # any buffer: Arrow reuses its own
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


class ParquetEncoder(Encoder):
    """Gathers rows to row groups of at most a million rows or about 64 MiB, so that memory is bounded.

    ``compression`` is Parquet's own (``none``, ``snappy``, ``gzip``, ``zstd``). All Arrow types go.
    """

    joinable = False

    def __init__(self, schema: pa.Schema, compression: str = "snappy") -> None:
        self._sink = _Sink()
        self._schema = schema
        self._writer = pq.ParquetWriter(self._sink, schema, compression=compression)
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def header(self) -> bytes:
        """Return the file's magic number."""
        return self._sink.take()

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Take rows; their bytes come with the row group they fill."""
        self._batches.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write_group()
        return Encoded(self._sink.take(), rows.num_rows)

    def finish(self) -> bytes:
        """Return the last row group and the footer."""
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._sink.take()

    def _write_group(self) -> None:
        table = pa.Table.from_batches(self._batches, self._schema)
        self._writer.write_table(table, row_group_size=max(1, self._rows))
        self._batches.clear()
        self._rows = self._bytes = 0
