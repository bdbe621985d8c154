"""Progress in Tablestore, in the table where DataX keeps the status of its stream reader.

The key columns are DataX's (``StreamId``, ``StatusType``, ``StatusValue``), so that one table serves both; our
rows have a stream id that no stream has, and DataX does not look at them::

    airflow-provider-sync | Checkpoint | <key> | Generation INTEGER, Writer STRING, State STRING, State_1 …
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import ColumnCondition, Condition
from airflow_provider_sync.clients.tablestore.errors import ConditionFailedError, OutcomeUnknownError
from airflow_provider_sync.clients.tablestore.messages import Comparator, RowExistence
from airflow_provider_sync.clients.tablestore.rows import PrimaryKey, Row, Value
from airflow_provider_sync.clients.tablestore.status import StatusTable
from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.engine.record import JsonObject
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError, CorruptDataError, SyncError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.state import conflict, decode_state, encode_state

__all__ = ["TablestoreStore"]

_STREAM_ID = "airflow-provider-sync"
_STATUS_TYPE = "Checkpoint"
_GENERATION, _WRITER, _STATE = "Generation", "Writer", "State"
_PIECE = 1024 * 1024
_AFTER_ALL = "\U0010ffff"


class TablestoreStore(CheckpointStore):
    """One row per key, put on condition of its generation.

    The table is created on first use, with DataX's 30 days to live for what is not saved again: far longer
    than any stream keeps its records, but a job that rests for longer forgets its progress. A state is JSON in
    columns of up to 1 MB and, by the service's limit on a write, 4 MB in all.

    Every save brings a random writer id: when the reply is lost, the save is tried again, and the id tells an
    own earlier success from another run's.
    """

    connection_kinds: ClassVar[tuple[str, ...]] = ("tablestore",)

    @dataclass(frozen=True, slots=True)
    class Options:
        """Parameters of the store."""

        table: str = option(
            "table",
            "Name of the table; a DataX status table will do.",
            default="TableStoreStreamReaderStatusTable",
        )

    def __init__(
        self, options: Options, connection: ConnectionInfo | None, environment: Environment | None = None
    ) -> None:
        if connection is None:
            raise ConfigError("checkpoint.connection", reason="missing", cure="name a Tablestore connection")
        environment = environment or Environment()
        self._retry = RetryPolicy(
            clock=environment.clock,
            sleep=environment.sleep,
            random=environment.random,
            cancelled=environment.cancelled,
        )
        self._table = options.table
        self._client = TablestoreClient(connection, retry=self._retry, pool_size=4, clock=environment.clock)
        self._status = StatusTable(
            self._client,
            options.table,
            field="checkpoint.parameter.table",
            clock=environment.clock,
            sleep=environment.sleep,
        )
        self._ensured = False
        self._lock = threading.Lock()

    def load(self, key: str) -> Checkpoint | None:
        """Return the stored state, None when there is none."""
        self._ensure()
        row = self._client.get_row(self._table, _key(key))
        if row is None:
            return None
        columns = {cell.name: cell.value for cell in row.cells}
        generation, _ = self._generation(row)
        text = ""
        index = 0
        while isinstance(piece := columns.get(_piece_name(index)), str):
            text += piece
            index += 1
        return Checkpoint(key, generation, decode_state(text, f"table {self._table!r}, key {key!r}"))

    def save(self, key: str, state: JsonObject, *, expect: int) -> Checkpoint:
        """Store ``state`` if the stored generation is ``expect``; a lost reply is resolved by trying again.

        Should another run have saved on top of a save whose reply was lost, that save counts as lost too: the
        other run has seen it, and this one must stop.
        """
        text = encode_state(state)
        # An identity, not a chance: it must differ between processes even where randomness is seeded.
        writer = uuid.uuid4().hex
        columns: dict[str, Value] = {_GENERATION: expect + 1, _WRITER: writer}
        for index, start in enumerate(range(0, len(text), _PIECE)):
            columns[_piece_name(index)] = text[start : start + _PIECE]
        condition = Condition(RowExistence.EXPECT_NOT_EXIST)
        if expect != 0:
            same = ColumnCondition(_GENERATION, Comparator.EQUAL, expect)
            condition = Condition(RowExistence.EXPECT_EXIST, same)

        def attempt() -> SyncError | None:
            try:
                self._client.put_row(self._table, _key(key), columns, condition)
            except OutcomeUnknownError:
                raise
            except SyncError as error:
                # Final, or tried again by the client already.
                return error
            return None

        self._ensure()
        failure = self._retry.call(attempt, what=f"checkpoint table {self._table}: save {key!r}")
        if isinstance(failure, ConditionFailedError):
            row = self._client.get_row(self._table, _key(key), (_GENERATION, _WRITER))
            found, by = (0, "") if row is None else self._generation(row)
            if (found, by) != (expect + 1, writer):
                raise conflict(key, expect=expect, found=found) from failure
        elif failure is not None:
            raise failure
        return Checkpoint(key, expect + 1, decode_state(text, key))

    def delete(self, key: str) -> None:
        """Forget ``key``; fine if it is not there."""
        self._ensure()
        self._client.delete_row(self._table, _key(key))

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield stored keys that start with ``prefix``, in order, page by page."""
        self._ensure()
        rows = self._client.get_range(
            self._table, _key(prefix), _key(f"{prefix}{_AFTER_ALL}"), columns=(_GENERATION,)
        )
        for row in rows:
            yield str(row.primary_key[2][1])

    def close(self) -> None:
        """Release connections; may be called twice."""
        self._client.close()

    def _ensure(self) -> None:
        with self._lock:
            if not self._ensured:
                self._status.ensure()
                self._ensured = True

    def _generation(self, row: Row) -> tuple[int, str]:
        columns = {cell.name: cell.value for cell in row.cells}
        generation, writer = columns.get(_GENERATION), columns.get(_WRITER)
        if type(generation) is not int or not isinstance(writer, str):
            raise CorruptDataError(
                f"table {self._table!r}, row {row.primary_key!r}: no {_GENERATION} and {_WRITER}; something else "
                "writes to this table: delete the row or name another table"
            )
        return generation, writer


def _key(key: str) -> PrimaryKey:
    return (("StreamId", _STREAM_ID), ("StatusType", _STATUS_TYPE), ("StatusValue", key))


def _piece_name(index: int) -> str:
    return _STATE if index == 0 else f"{_STATE}_{index}"
