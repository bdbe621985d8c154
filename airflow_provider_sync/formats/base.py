"""What every format is: an encoder that turns batches of one schema into bytes, one batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.engine.record import Rejected

__all__ = ["Encoded", "Encoder", "reject_rows"]

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes of the rows that could be written, how many those are, and the others."""

    data: bytes | memoryview
    rows: int
    rejected: tuple[Rejected, ...] = ()


class Encoder(ABC):
    """Encodes one object: ``header`` first, then ``encode`` per batch, then ``finish``.

    The bytes depend on schema, options and rows alone, and not on how the rows were cut into batches, except
    for Parquet's row groups. Bytes of several encoders of one schema may be joined into one object when
    ``joinable``: one ``header``, then each encoder's ``encode`` and ``finish``.
    """

    joinable = True

    @abstractmethod
    def header(self) -> bytes:
        """Return what stands before the first row (byte order mark, column names), perhaps nothing."""

    @abstractmethod
    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Encode rows; those the format cannot hold are returned as rejected and left out."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return what stands after the last row."""


def reject_rows(
    rows: pa.RecordBatch, first_row: int, faults: Sequence[tuple[str, pa.BooleanArray, str]]
) -> tuple[pa.RecordBatch, tuple[Rejected, ...]]:
    """Split off the rows that any fault names: (column name, mask of the bad rows, reason).

    ``first_row`` is the number (from 0) of the batch's first row in its split; a rejected row is named by it
    and by the value of its first column.
    """
    bad = faults[0][1]
    for _, mask, _ in faults[1:]:
        bad = pc.or_(bad, mask)
    rejected = []
    for index in pc.indices_nonzero(bad).to_pylist():
        column, _, reason = next(fault for fault in faults if fault[1][index].as_py())
        value = _short(rows.column(rows.schema.get_field_index(column))[index]) if column else ""
        rejected.append(
            Rejected(
                where=f"row {first_row + index} ({rows.schema.names[0]} = {_short(rows.column(0)[index])})",
                reason=reason,
                column=column,
                value=value,
            )
        )
    return rows.filter(pc.invert(bad)), tuple(rejected)


def _short(value: pa.Scalar) -> str:
    try:
        text = str(value.as_py())
    except (ValueError, OverflowError):  # a timestamp that Python has no object for
        text = str(value.cast(pa.string()))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
