"""A Tablestore instance: tables, rows and change streams as typed calls.

Reads, puts without condition and deletes without condition are tried again when no usable answer came; a
repeated put or delete leaves the same values (and, in the stream, perhaps a second equal record). Increments,
conditional writes and table operations are not: they raise
:class:`~airflow_provider_sync.clients.tablestore.errors.OutcomeUnknownError` then. Refusals ("server is
busy") are tried again for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from airflow_provider_sync.clients.tablestore import messages, plainbuffer
from airflow_provider_sync.clients.tablestore.answers import parse
from airflow_provider_sync.clients.tablestore.descriptions import (
    ANY_ROW,
    Columns,
    Condition,
    KeyColumn,
    RowChange,
    Shard,
    StreamDescription,
    StreamInfo,
    StreamPage,
    TableDescription,
    cells_of,
)
from airflow_provider_sync.clients.tablestore.messages import Direction, KeyType, OperationType
from airflow_provider_sync.clients.tablestore.rows import PrimaryKey, Row
from airflow_provider_sync.clients.tablestore.settings import read_settings
from airflow_provider_sync.clients.tablestore.signer import Signer
from airflow_provider_sync.clients.tablestore.transport import Transport
from airflow_provider_sync.clients.tablestore.writes import encode_change, set_condition, write_batch
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import CorruptDataError, SyncError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["TablestoreClient"]


class TablestoreClient:
    """One instance, over a pool of connections that threads may share.

    ``clock`` gives seconds since the epoch and dates the signatures. A bad connection raises
    :class:`~airflow_provider_sync.errors.ConfigError` here.
    """

    def __init__(
        self,
        connection: ConnectionInfo,
        *,
        retry: RetryPolicy,
        pool_size: int = 16,
        clock: Callable[[], float] = time.time,
    ) -> None:
        settings = read_settings(connection)
        signer = Signer(settings.instance, connection.credentials(), region=settings.region)
        self.instance = settings.instance
        self._transport = Transport(settings, signer, retry=retry, pool_size=pool_size, clock=clock)

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Tables

    def describe_table(self, table: str) -> TableDescription:
        """Return the table's schema, options and stream; :class:`NotFoundError` if there is none."""
        answer = self._read(
            "DescribeTable", messages.DescribeTableRequest(table_name=table), f"table {table!r}"
        )
        stream = answer.stream_details
        return TableDescription(
            name=answer.table_meta.table_name,
            primary_key=tuple(
                KeyColumn(column.name, _key_type(column.type)) for column in answer.table_meta.primary_key
            ),
            time_to_live=answer.table_options.time_to_live,
            max_versions=answer.table_options.max_versions,
            stream_enabled=stream.enable_stream,
            stream_id=stream.stream_id if stream.HasField("stream_id") else None,
            expiration_hours=stream.expiration_time if stream.HasField("expiration_time") else None,
            last_enable_us=stream.last_enable_time if stream.HasField("last_enable_time") else None,
        )

    def create_table(
        self,
        table: str,
        primary_key: Sequence[KeyColumn],
        *,
        time_to_live: int = -1,
        max_versions: int = 1,
        stream_hours: int | None = None,
    ) -> None:
        """Create a table without reserved capacity; a stream with it if ``stream_hours`` (1 to 168) is given.

        The table takes rows a little later; until then the service answers that it is not ready.
        """
        request = messages.CreateTableRequest()
        request.table_meta.table_name = table
        for column in primary_key:
            request.table_meta.primary_key.add(name=column.name, type=column.type)
        capacity = request.reserved_throughput.capacity_unit
        capacity.read = capacity.write = 0
        request.table_options.time_to_live = time_to_live
        request.table_options.max_versions = max_versions
        if stream_hours is not None:
            request.stream_spec.enable_stream = True
            request.stream_spec.expiration_time = stream_hours
        self._call("CreateTable", request, f"table {table!r}", repeatable=False)

    def delete_table(self, table: str) -> None:
        """Delete a table with all its rows; :class:`NotFoundError` if there is none."""
        self._call(
            "DeleteTable", messages.DeleteTableRequest(table_name=table), f"table {table!r}", repeatable=False
        )

    def list_tables(self) -> list[str]:
        """Return the names of the instance's tables."""
        answer = self._read("ListTable", messages.ListTableRequest(), f"instance {self.instance!r}")
        return list(answer.table_names)

    # Rows

    def put_row(
        self, table: str, primary_key: PrimaryKey, columns: Columns, condition: Condition = ANY_ROW
    ) -> None:
        """Replace a whole row. Without a condition it is tried again after a lost answer."""
        self._write(
            "PutRow", "row", table, RowChange(OperationType.PUT, primary_key, cells_of(columns), condition)
        )

    def update_row(
        self, table: str, primary_key: PrimaryKey, columns: Columns, condition: Condition = ANY_ROW
    ) -> None:
        """Change columns of a row. Not tried again after a lost answer if it counts or has a condition."""
        self._write(
            "UpdateRow",
            "row_change",
            table,
            RowChange(OperationType.UPDATE, primary_key, cells_of(columns), condition),
        )

    def delete_row(self, table: str, primary_key: PrimaryKey, condition: Condition = ANY_ROW) -> None:
        """Delete a row; that there is none is no error unless the condition says so."""
        self._write(
            "DeleteRow",
            "primary_key",
            table,
            RowChange(OperationType.DELETE, primary_key, condition=condition),
        )

    def get_row(
        self, table: str, primary_key: PrimaryKey, columns: Sequence[str] = (), *, max_versions: int = 1
    ) -> Row | None:
        """Return a row, or None if there is none (or none with one of ``columns``; empty means all)."""
        request = messages.GetRowRequest(
            table_name=table,
            primary_key=plainbuffer.encode_row(primary_key),
            columns_to_get=columns,
            max_versions=max_versions,
        )
        rows = plainbuffer.decode_read_rows(self._read("GetRow", request, f"table {table!r}").row)
        if len(rows) > 1:
            raise CorruptDataError(f"GetRow of table {table!r} answered {len(rows)} rows")
        return rows[0] if rows else None

    def get_range(
        self,
        table: str,
        start: PrimaryKey,
        end: PrimaryKey,
        *,
        direction: Direction = Direction.FORWARD,
        columns: Sequence[str] = (),
        limit: int | None = None,
        max_versions: int = 1,
    ) -> Iterator[Row]:
        """Yield the rows from ``start`` (inclusive) to ``end`` (exclusive), page by page as they are used.

        ``BACKWARD`` walks down, from the larger ``start`` to the smaller ``end``. At most ``limit`` rows come.
        """
        request = messages.GetRangeRequest(
            table_name=table,
            direction=direction,
            columns_to_get=columns,
            max_versions=max_versions,
            inclusive_start_primary_key=plainbuffer.encode_row(start),
            exclusive_end_primary_key=plainbuffer.encode_row(end),
        )
        left = limit
        while left is None or left > 0:
            if left is not None:
                request.limit = left
            answer = self._read("GetRange", request, f"table {table!r}")
            rows = plainbuffer.decode_read_rows(answer.rows)
            yield from rows
            following = answer.next_start_primary_key
            if not following:
                return
            if following == request.inclusive_start_primary_key:
                raise CorruptDataError(f"GetRange of table {table!r} does not advance")
            request.inclusive_start_primary_key = following
            left = None if left is None else left - len(rows)

    def batch_write_row(self, table: str, changes: Sequence[RowChange]) -> list[SyncError | None]:
        """Write up to 200 rows, each by itself; return what became of each, in order, None for written.

        Rows that were refused for a passing reason are sent again by the retry policy; the rest are final.
        A request whose answer is lost is sent again only if all its rows are repeatable.
        """
        return write_batch(self._transport, table, changes)

    # Streams

    def list_streams(self, table: str) -> list[StreamInfo]:
        """Return the streams of exactly this table; none if its stream is off."""
        answer = self._read("ListStream", messages.ListStreamRequest(table_name=table), f"table {table!r}")
        return [
            StreamInfo(stream.stream_id, stream.table_name, stream.creation_time)
            for stream in answer.streams
            if stream.table_name == table
        ]

    def describe_stream(self, stream_id: str, *, timeseries: bool = False) -> StreamDescription:
        """Return a stream with the shards of all pages; :class:`NotFoundError` if there is none.

        ``timeseries`` says that the caller knows how to read the stream of a time-series table.
        """
        request = messages.DescribeStreamRequest(stream_id=stream_id)
        if timeseries:
            request.support_timeseries_data_table = True
        shards: dict[str, Shard] = {}
        asked: set[str] = set()
        while True:
            answer = self._read("DescribeStream", request, f"stream {stream_id!r}")
            for shard in answer.shards:
                shards[shard.shard_id] = Shard(
                    shard.shard_id, shard.parent_id or None, shard.parent_sibling_id or None
                )
            following = answer.next_shard_id
            if not following:
                break
            if following in asked:
                raise CorruptDataError(f"DescribeStream of stream {stream_id!r} does not advance")
            asked.add(following)
            request.inclusive_start_shard_id = following
        return StreamDescription(
            stream_id=answer.stream_id,
            table_name=answer.table_name,
            expiration_hours=answer.expiration_time,
            creation_us=answer.creation_time,
            status=answer.stream_status,
            shards=tuple(shards.values()),
            is_timeseries=answer.is_timeseries_data_table,
        )

    def get_shard_iterator(self, stream_id: str, shard_id: str, timestamp_us: int | None = None) -> str:
        """Return an iterator: at the oldest record kept, or somewhere near a time in microseconds.

        How the service rounds the time is not known: ask for an earlier one and filter by the records' own.
        """
        request = messages.GetShardIteratorRequest(
            stream_id=stream_id, shard_id=shard_id, timestamp=timestamp_us
        )
        asked: set[str] = set()
        while True:
            answer = self._read("GetShardIterator", request, f"stream {stream_id!r}, shard {shard_id!r}")
            token = answer.next_token
            if not token:
                break
            if token in asked:
                raise CorruptDataError(f"GetShardIterator of shard {shard_id!r} does not advance")
            asked.add(token)
            request.token = token
        if not answer.shard_iterator:
            raise CorruptDataError(f"GetShardIterator of shard {shard_id!r} answered no iterator")
        iterator: str = answer.shard_iterator
        return iterator

    def get_stream_records(
        self, iterator: str, limit: int | None = None, table_name: str | None = None
    ) -> StreamPage:
        """Return one page of a shard's log, as the service cuts it or at most ``limit`` records.

        ``table_name`` is needed where tables share a stream. Raise :class:`TrimmedError` where retention has
        overtaken the iterator.
        """
        request = messages.GetStreamRecordRequest(shard_iterator=iterator, limit=limit, table_name=table_name)
        answer = self._read("GetStreamRecord", request, f"shard at {iterator[:24]}…")
        entries = answer.stream_records
        records = [entry.record for entry in entries]
        return StreamPage(
            actions=[entry.action_type for entry in entries],
            records=records,
            next_iterator=answer.next_shard_iterator or None,
            may_more=answer.may_more_record if answer.HasField("may_more_record") else None,
            nbytes=sum(map(len, records)),
        )

    def _write(self, operation: str, field: str, table: str, change: RowChange) -> None:
        request = getattr(messages, f"{operation}Request")(table_name=table)
        setattr(request, field, encode_change(change))
        set_condition(request.condition, change.condition)
        self._call(operation, request, f"table {table!r}", repeatable=change.is_repeatable)

    def _read(self, operation: str, request: Any, subject: str) -> Any:
        return self._call(operation, request, subject, repeatable=True)

    def _call(self, operation: str, request: Any, subject: str, *, repeatable: bool) -> Any:
        body = request.SerializeToString()
        data = self._transport.call(operation, body, subject=subject, repeatable=repeatable)
        return parse(getattr(messages, f"{operation}Response"), data, f"{operation} of {subject}")


def _key_type(number: int) -> KeyType:
    try:
        return KeyType(number)
    except ValueError as error:
        raise CorruptDataError(
            f"DescribeTable answered a primary key column of unknown type {number}"
        ) from error
