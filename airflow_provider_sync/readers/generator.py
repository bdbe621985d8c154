"""``generator``: rows out of nothing, for trying a target and for measuring what the engine itself costs.

DataX calls it ``streamreader``. The same options give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.engine.contract import Environment, Plan, PlanRequest, Reader
from airflow_provider_sync.engine.record import RecordBatch, Split
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option

__all__ = ["GeneratorOptions", "GeneratorReader"]


@dataclass(frozen=True, slots=True)
class GeneratorOptions:
    """Parameters."""

    slice_record_count: int = option("sliceRecordCount", "Rows per split", default=1000)
    splits: int = option("splits", "Splits", default=1)
    columns: int = option("columns", "Columns beside `id`: text, integer and number in turn", default=9)
    batch: int = option("batchRecords", "Rows per batch", default=8192)

    def __post_init__(self) -> None:
        for key, value, least in (
            ("sliceRecordCount", self.slice_record_count, 0),
            ("splits", self.splits, 1),
            ("columns", self.columns, 0),
            ("batchRecords", self.batch, 1),
        ):
            if value < least:
                raise ConfigError(f"reader.parameter.{key}", value, allowed=f"{least} or more")


class GeneratorReader(Reader):
    """Counts: ``id`` runs on over all splits, ``text_n`` and ``number_n`` derive from it."""

    Options = GeneratorOptions

    def __init__(
        self, options: GeneratorOptions, connection: ConnectionInfo | None, environment: Environment
    ) -> None:
        del connection
        self._options = options
        self._environment = environment

    def plan(self, request: PlanRequest) -> Plan:
        """Return the configured number of splits."""
        del request
        count = self._options.slice_record_count
        splits = [
            Split(f"{index:05d}", {"first": index * count, "count": count})
            for index in range(self._options.splits)
        ]
        return Plan(self._rows(0, 0).schema, tuple(splits))

    def read(self, split: Split) -> Iterator[RecordBatch]:
        """Yield the split's rows."""
        first, count = split.detail["first"], split.detail["count"]
        done = 0
        while done < count or done == 0:
            self._environment.check_cancelled()
            size = min(self._options.batch, count - done)
            rows = self._rows(first + done, size)
            done += size
            yield RecordBatch(rows, {"done": done}, size, rows.nbytes)
            if not count:
                return

    def _rows(self, first: int, count: int) -> pa.RecordBatch:
        ids = np.arange(first, first + count, dtype=np.int64)
        columns: dict[str, pa.Array] = {"id": pa.array(ids)}
        for number in range(self._options.columns):
            match number % 3:
                case 0:
                    columns[f"text_{number}"] = pc.binary_join_element_wise(
                        "value", pc.cast(pa.array(ids), pa.string()), "-"
                    )
                case 1:
                    columns[f"integer_{number}"] = pa.array(ids * (number + 1))
                case _:
                    columns[f"number_{number}"] = pa.array(ids / 4)
        return pa.RecordBatch.from_pydict(columns)
