"""Nowhere: rows are counted and dropped (DataX: ``streamwriter``). For measuring readers and for dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_sync.engine.contract import (
    Committed,
    CommittedObject,
    Environment,
    Output,
    SplitWriter,
    Writer,
)
from airflow_provider_sync.engine.record import JsonObject, Rejected
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option

__all__ = ["NullWriter"]


@dataclass(frozen=True, kw_only=True)
class NullOptions:
    """DataX's keys, which have nothing to do here."""

    print: bool = option("print", "ignored: rows are not printed", default=False, ignored=True)
    encoding: str = option("encoding", "ignored", default="UTF-8", ignored=True)
    field_delimiter: str = option("fieldDelimiter", "ignored", default="\t", ignored=True)


class NullWriter(Writer):
    """Counts rows per split; the commit names each split with its rows and writes nothing."""

    Options = NullOptions

    def __init__(
        self, options: NullOptions, connection: ConnectionInfo | None, environment: Environment
    ) -> None:
        del options, connection
        self._environment = environment

    def begin(self, output: Output) -> None:
        """Accept everything."""

    def open(self, split_id: str) -> SplitWriter:
        """Start counting."""
        return _Counter(split_id, self._environment)

    def commit(self, receipts: Sequence[JsonObject], rejected: Sequence[Rejected] = ()) -> Committed:
        """Return the counts."""
        del rejected
        return Committed(tuple(CommittedObject(one["split"], 0, one["rows"]) for one in receipts))

    def abort(self, receipts: Sequence[JsonObject]) -> None:
        """Do nothing: nothing was written."""


class _Counter(SplitWriter):
    def __init__(self, split: str, environment: Environment) -> None:
        self._split = split
        self._environment = environment
        self._rows = 0

    def write(self, rows: pa.RecordBatch) -> Sequence[Rejected]:
        self._environment.check_cancelled()
        self._rows += rows.num_rows
        return ()

    def prepare(self) -> JsonObject:
        return {"split": self._split, "rows": self._rows}

    def abort(self) -> None:
        self._rows = 0
