"""What travels: splits out of the plan, batches out of a reader, rejected records out of either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

__all__ = ["JsonObject", "RecordBatch", "Rejected", "Split"]

JsonObject = Mapping[str, Any]
"""A JSON object: what a position, a split's detail and a receipt are made of."""


@dataclass(frozen=True, slots=True)
class Split:
    """A part of the source that one thread reads alone; ``detail`` is the reader's own JSON."""

    id: str
    detail: JsonObject

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"id": self.id, "detail": dict(self.detail)}

    @classmethod
    def from_json(cls, data: JsonObject) -> Split:
        """Return the inverse of :meth:`to_json`."""
        return cls(data["id"], data["detail"])


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be converted or written (DataX: dirty record).

    ``where`` finds it again in the source (shard and sequence, key, line); ``column`` is empty when the whole
    record is meant; ``value`` is a shortened text of what was refused.
    """

    where: str
    reason: str
    column: str = ""
    value: str = ""

    def to_json(self) -> dict[str, str]:
        """Return plain JSON data."""
        return {"where": self.where, "column": self.column, "value": self.value, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Rows read together.

    ``position`` says where this split stands *after* these rows, in the reader's own JSON: the last one of a
    split is its end. ``read`` counts source records, which may differ from ``rows.num_rows``;
    ``counters`` counts what was left out and why (``delete_rows_dropped``); ``nbytes`` is the size in the source.
    """

    rows: pa.RecordBatch
    position: JsonObject
    read: int
    nbytes: int
    counters: Mapping[str, int] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
