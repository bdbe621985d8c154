"""DataX's status table, row for row: where each shard stood at a window's edge.

The layout is that of DataX's Tablestore stream reader, read in its source and observed in its runs, so that a
job can move between DataX and this package at any window's edge. Key: ``StreamId``, ``StatusType``,
``StatusValue``; times are milliseconds, printed as ``%16d`` so that text order is time order.

===================================== ============== ====================================================
StatusType                            StatusValue    columns
===================================== ============== ====================================================
``CheckpointForDataxReader``          time TAB shard Version, Checkpoint, SkipCount (always 0),
                                                     SendRecordCount (only if above 0)
``CheckpointForDataxReader``          time           ShardCount (an older format, still read)
``DataxJobDesc``                      time           ShardIds_0 …, Version, TableName, JobStreamId,
                                                     StartTime, EndTime
``ShardTimeCheckpointForDataxReader`` shard TAB time Checkpoint
===================================== ============== ====================================================

``ShardIds_n`` together are the zlib stream of a JSON array, cut at 65,536 bytes. A checkpoint is an iterator,
:data:`SHARD_END` or :data:`TRIM_HORIZON`.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn, RowChange, cells_of
from airflow_provider_sync.clients.tablestore.errors import OutcomeUnknownError
from airflow_provider_sync.clients.tablestore.messages import Direction, KeyType, OperationType
from airflow_provider_sync.clients.tablestore.rows import PrimaryKey, Row, Value
from airflow_provider_sync.errors import (
    ConfigError,
    CorruptDataError,
    NotFoundError,
    TargetConflictError,
    TransientError,
)

__all__ = ["SHARD_END", "TRIM_HORIZON", "ShardCheckpoint", "StatusTable"]

SHARD_END = "SHARD_END"
TRIM_HORIZON = "TRIM_HORIZON"

_CHECKPOINT, _JOB, _SHARD_TIME = (
    "CheckpointForDataxReader",
    "DataxJobDesc",
    "ShardTimeCheckpointForDataxReader",
)
_SCHEMA = tuple(KeyColumn(name, KeyType.STRING) for name in ("StreamId", "StatusType", "StatusValue"))
_TIME_TO_LIVE = 30 * 24 * 3600
_CHUNK = 65_536
_BATCH = 200
_READY_TIMEOUT = 120.0
_READY_PAUSE = 0.5


_T = TypeVar("_T", str, int)


@dataclass(frozen=True, slots=True)
class ShardCheckpoint:
    """Where to go on in a shard: an iterator, ``SHARD_END`` or ``TRIM_HORIZON``.

    ``sent`` counts the stream records that the run which wrote it took from this shard.
    """

    checkpoint: str
    sent: int = 0


class StatusTable:
    """The checkpoints of any number of streams in one table. ``field`` names the table in configuration errors."""

    def __init__(
        self,
        client: TablestoreClient,
        table: str,
        *,
        field: str = "statusTable",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.table = table
        self._client = client
        self._field = field
        self._clock = clock
        self._sleep = sleep

    def ensure(self) -> None:
        """Create the table if there is none, and wait until it takes requests (two minutes at most).

        Raise :class:`ConfigError` if a table of that name has another primary key. Two runs may do this at once.
        """
        try:
            description = self._client.describe_table(self.table)
        except NotFoundError:
            # Another run may be first, or our own request may lose its answer: what is there is looked at next.
            with suppress(TargetConflictError, OutcomeUnknownError):
                self._client.create_table(self.table, _SCHEMA, time_to_live=_TIME_TO_LIVE, max_versions=1)
            description = self._client.describe_table(self.table)
        if description.primary_key != _SCHEMA:
            raise ConfigError(
                self._field,
                self.table,
                reason=f"its primary key is {_schema_text(description.primary_key)}",
                allowed=f"a table with the primary key {_schema_text(_SCHEMA)}",
                cure="name another table; it is created if there is none",
            )
        self._wait_until_ready()

    def read_boundary(self, stream_id: str, time_ms: int) -> dict[str, ShardCheckpoint] | None:
        """Return the shards' checkpoints at a time, or None if there is no whole set of them.

        Whole means what it means to DataX: a job description for this time and stream, and for each of its
        shards, and no others, a checkpoint of the same version; or, without a description, as many
        checkpoints as the older format's count says.
        """
        rows = {row.primary_key[2][1]: row for row in self._checkpoint_rows(stream_id, time_ms)}
        prefix = len(_time_text(time_ms)) + 1
        found = {str(value)[prefix:]: row for value, row in rows.items()}
        job = self._client.get_row(self.table, _key(stream_id, _JOB, _time_text(time_ms)))
        if job is not None:
            version = _column(job, "Version", str)
            whole = (
                _column(job, "JobStreamId", str) == stream_id
                and set(_shard_ids(job)) == set(found)
                and all(_columns(row).get("Version") == version for row in found.values())
            )
        else:
            counted = self._client.get_row(self.table, _key(stream_id, _CHECKPOINT, _time_text(time_ms)))
            whole = counted is not None and _column(counted, "ShardCount", int) == len(found)
        if not whole:
            return None
        return {shard: _shard_checkpoint(row) for shard, row in found.items()}

    def write_boundary(
        self,
        stream_id: str,
        table_name: str,
        *,
        start_ms: int,
        end_ms: int,
        shards: Mapping[str, ShardCheckpoint],
        version: str,
    ) -> None:
        """Store the shards' checkpoints at ``end_ms``, replacing what is stored for that time.

        The job description, without which nothing counts, goes first and comes last: a run that dies in
        between leaves checkpoints without a description, which neither this class nor DataX takes for a whole
        set. (DataX writes the description first; it then tells a torn set only by count and version.)
        """
        end = _time_text(end_ms)
        # The older format's count would vouch for a torn set once the description is gone.
        for status_type in (_CHECKPOINT, _JOB):
            self._client.delete_row(self.table, _key(stream_id, status_type, end))
        old = [
            RowChange(OperationType.DELETE, row.primary_key)
            for row in self._checkpoint_rows(stream_id, end_ms)
            if str(row.primary_key[2][1]).partition("\t")[2] not in shards
        ]
        new = [
            RowChange(
                OperationType.PUT,
                _key(stream_id, _CHECKPOINT, f"{end}\t{shard}"),
                cells_of(_checkpoint_columns(checkpoint, version)),
            )
            for shard, checkpoint in shards.items()
        ]
        self._write(old + new)
        packed = zlib.compress(json.dumps(list(shards), separators=(",", ":")).encode())
        columns: dict[str, Value] = {
            f"ShardIds_{index}": packed[start : start + _CHUNK]
            for index, start in enumerate(range(0, len(packed), _CHUNK))
        }
        columns |= {
            "Version": version,
            "TableName": table_name,
            "JobStreamId": stream_id,
            "StartTime": start_ms,
            "EndTime": end_ms,
        }
        self._client.put_row(self.table, _key(stream_id, _JOB, end), columns)

    def nearest_shard_time(
        self, stream_id: str, shard_id: str, *, before_ms: int, after_ms: int
    ) -> tuple[int, str] | None:
        """Return the latest ``(time, iterator)`` stored for a shard in ``(after_ms, before_ms)``, or None.

        All records at or after that time lie at or behind the iterator.
        """
        rows = self._client.get_range(
            self.table,
            _key(stream_id, _SHARD_TIME, f"{shard_id}\t{_time_text(before_ms - 1)}"),
            _key(stream_id, _SHARD_TIME, f"{shard_id}\t{_time_text(after_ms)}"),
            direction=Direction.BACKWARD,
            limit=1,
        )
        for row in rows:
            text = str(row.primary_key[2][1]).rpartition("\t")[2]
            if not text.strip().isdecimal():
                raise CorruptDataError(f"status table {self.table!r}: no time in the row {row.primary_key!r}")
            return int(text), _column(row, "Checkpoint", str)
        return None

    def write_shard_time(self, stream_id: str, shard_id: str, time_ms: int, iterator: str) -> None:
        """Store an iterator that a later seek in this shard may start from."""
        key = _key(stream_id, _SHARD_TIME, f"{shard_id}\t{_time_text(time_ms)}")
        self._client.put_row(self.table, key, {"Checkpoint": iterator})

    def _checkpoint_rows(self, stream_id: str, time_ms: int) -> Iterator[Row]:
        prefix = f"{_time_text(time_ms)}\t"
        return self._client.get_range(
            self.table, _key(stream_id, _CHECKPOINT, prefix), _key(stream_id, _CHECKPOINT, f"{prefix}\x7f")
        )

    def _write(self, changes: Sequence[RowChange]) -> None:
        for start in range(0, len(changes), _BATCH):
            for outcome in self._client.batch_write_row(self.table, changes[start : start + _BATCH]):
                if outcome is not None:
                    raise outcome

    def _wait_until_ready(self) -> None:
        give_up = self._clock() + _READY_TIMEOUT
        while True:
            try:
                next(self._checkpoint_rows("", 0), None)
            except TransientError:
                if self._clock() >= give_up:
                    raise
                self._sleep(_READY_PAUSE)
            else:
                return


def _key(stream_id: str, status_type: str, value: str) -> PrimaryKey:
    return (("StreamId", stream_id), ("StatusType", status_type), ("StatusValue", value))


def _time_text(time_ms: int) -> str:
    return f"{time_ms:16d}"


def _checkpoint_columns(checkpoint: ShardCheckpoint, version: str) -> dict[str, Value]:
    columns: dict[str, Value] = {"Version": version, "Checkpoint": checkpoint.checkpoint, "SkipCount": 0}
    if checkpoint.sent > 0:
        columns["SendRecordCount"] = checkpoint.sent
    return columns


def _shard_checkpoint(row: Row) -> ShardCheckpoint:
    sent = _column(row, "SendRecordCount", int) if "SendRecordCount" in _columns(row) else 0
    return ShardCheckpoint(_column(row, "Checkpoint", str), sent)


def _columns(row: Row) -> dict[str, Value]:
    return {cell.name: cell.value for cell in row.cells}


def _column(row: Row, name: str, kind: type[_T]) -> _T:
    value = _columns(row).get(name)
    if type(value) is not kind:
        raise CorruptDataError(
            f"status table row {row.primary_key!r}: column {name} holds {value!r}, expected {kind.__name__}; "
            "something else writes to this table: delete the row or name another table"
        )
    return value


def _shard_ids(job: Row) -> list[str]:
    columns = _columns(job)
    packed = b""
    index = 0
    while isinstance(chunk := columns.get(f"ShardIds_{index}"), bytes):
        packed += chunk
        index += 1
    try:
        shards = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as error:
        raise CorruptDataError(
            f"status table row {job.primary_key!r}: ShardIds_0 to ShardIds_{index - 1} are no zlib stream of a "
            f"JSON array ({error}); delete the row"
        ) from error
    if not isinstance(shards, list) or not all(isinstance(shard, str) for shard in shards):
        raise CorruptDataError(f"status table row {job.primary_key!r}: the shard ids are no list of texts")
    return shards


def _schema_text(columns: Sequence[KeyColumn]) -> str:
    return "(" + ", ".join(f"{column.name} {column.type.name}" for column in columns) + ")"
