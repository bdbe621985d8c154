"""One batch of ten mixed columns to CSV: ours beside pandas and pyarrow."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from measure import Measured, Stopwatch

from airflow_provider_sync.formats.csv import CsvEncoder

__all__ = ["SUBJECTS"]

_BATCH = 65_536
_MOMENT_US = 1_790_000_000_000_000


def _batch(count: int) -> pa.RecordBatch:
    chance = np.random.default_rng(1)
    number = np.arange(count)
    words = pa.array(["paid", "open", "sent", "a longer status", "returned, partly"])

    def text(prefix: str) -> pa.Array:
        return pa.array([f"{prefix}{one}" for one in chance.integers(0, 10**12, count).tolist()])

    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array(number),
            "customer": text("customer-"),
            "amount": pa.array(chance.integers(0, 10**7, count) / 100),
            "quantity": pa.array(chance.integers(0, 100, count)),
            "paid": pa.array(chance.integers(0, 2, count).astype(bool)),
            "status": words.take(pa.array(chance.integers(0, 5, count))),
            "note": text("a note of about thirty letters, "),
            "updated_at": pa.array(_MOMENT_US + number * 1000, pa.timestamp("us")),
            "discount": pa.array(chance.random(count)),
            "reference": text(""),
        }
    )


def _repeat(rows: int, batch: pa.RecordBatch, work: Callable[[], object]) -> Measured:
    work()
    done = 0
    with Stopwatch() as watch:
        while done < rows:
            work()
            done += batch.num_rows
    return watch.measured(done, batch.nbytes * done // batch.num_rows)


def _ours(rows: int, size: int) -> Measured:
    batch = _batch(size)
    encoder = CsvEncoder(batch.schema)
    return _repeat(rows, batch, lambda: encoder.encode(batch))


def _pandas(rows: int) -> Measured:
    batch = _batch(_BATCH)
    frame: pd.DataFrame = batch.to_pandas()
    return _repeat(rows, batch, lambda: frame.to_csv(io.StringIO(), index=False, header=False))


def _pyarrow(rows: int) -> Measured:
    batch = _batch(_BATCH)
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    return _repeat(rows, batch, lambda: pa.csv.write_csv(batch, pa.BufferOutputStream(), options))


SUBJECTS: dict[str, Callable[[int], Measured]] = {
    "csv_encoder": lambda rows: _ours(rows, _BATCH),
    "csv_encoder_batch_1000": lambda rows: _ours(rows, 1000),
    "csv_pandas": _pandas,
    "csv_pyarrow": _pyarrow,
}
