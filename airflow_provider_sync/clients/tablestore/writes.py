"""Row changes as request messages, and batches of them with an outcome for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_sync.clients.tablestore import messages, plainbuffer
from airflow_provider_sync.clients.tablestore.answers import parse
from airflow_provider_sync.clients.tablestore.descriptions import Condition, RowChange
from airflow_provider_sync.clients.tablestore.errors import OutcomeUnknownError, is_outcome_unknown, translate
from airflow_provider_sync.clients.tablestore.messages import FilterType, OperationType
from airflow_provider_sync.clients.tablestore.transport import Transport
from airflow_provider_sync.errors import CorruptDataError, SyncError, TransientError

__all__ = ["encode_change", "set_condition", "write_batch"]

_OK = 200


def encode_change(change: RowChange) -> bytes:
    """Return a change's key and cells as its request carries them; a delete has the delete marker.

    The documentation says that the service demands the marker; it is known to take a delete without, too.
    """
    return plainbuffer.encode_row(
        change.primary_key, change.cells, delete=change.type is OperationType.DELETE
    )


def set_condition(target: Any, condition: Condition) -> None:
    """Fill a request's condition message."""
    target.row_existence = condition.row
    column = condition.column
    if column is None:
        return
    column_filter = messages.SingleColumnValueFilter(
        comparator=column.comparator,
        column_name=column.name,
        column_value=plainbuffer.encode_value(column.value, name=column.name),
        filter_if_missing=not column.pass_if_missing,
        latest_version_only=True,
    )
    target.column_condition = messages.Filter(
        type=FilterType.SINGLE_COLUMN_VALUE, filter=column_filter.SerializeToString()
    ).SerializeToString()


def write_batch(transport: Transport, table: str, changes: Sequence[RowChange]) -> list[SyncError | None]:
    """Send the changes, and again those refused for a passing reason, until all have a final outcome.

    What is still refused when the retry policy gives up keeps its last error; the caller sees every row.
    """
    batch = _Batch(transport, table, changes)
    if changes:
        try:
            transport.retry.call(batch.send, what=batch.what)
        except TransientError as error:
            batch.give_up(error)
    return batch.outcomes


class _Batch:
    def __init__(self, transport: Transport, table: str, changes: Sequence[RowChange]) -> None:
        self.what = f"BatchWriteRow of table {table!r}"
        self.outcomes: list[SyncError | None] = [None] * len(changes)
        self._transport = transport
        self._table = table
        self._changes = changes
        self._pending = list(range(len(changes)))

    def send(self) -> None:
        """Send what is pending; raise the first passing error if some of it has to be sent again."""
        changes = [self._changes[index] for index in self._pending]
        try:
            data = self._transport.attempt(
                "BatchWriteRow", _batch_body(self._table, changes), subject=f"table {self._table!r}"
            )
        except OutcomeUnknownError as error:
            if all(change.is_repeatable for change in changes):
                raise
            self.give_up(error)
            return
        answer = parse(messages.BatchWriteRowResponse, data, self.what)
        rows = [row for part in answer.tables for row in part.rows]
        if len(rows) != len(changes):
            raise CorruptDataError(f"{self.what} sent {len(changes)} rows, {len(rows)} were answered")
        again: dict[int, TransientError] = {}
        for index, change, row in zip(self._pending, changes, rows, strict=True):
            outcome = None if row.is_ok else self._row_error(change, row.error)
            self.outcomes[index] = outcome
            if isinstance(outcome, TransientError) and not isinstance(outcome, OutcomeUnknownError):
                again[index] = outcome
        self._pending = list(again)
        for passing in again.values():
            raise passing

    def give_up(self, error: SyncError) -> None:
        """Let the pending rows end with their own last error, or with this one."""
        for index in self._pending:
            self.outcomes[index] = self.outcomes[index] or error
        self._pending = []

    def _row_error(self, change: RowChange, error: Any) -> SyncError:
        what = f"{self.what}, row {change.primary_key!r}"
        found = translate(_OK, error.code, error.message, operation=what)
        if is_outcome_unknown(_OK, error.code) and not change.is_repeatable:
            return OutcomeUnknownError(f"{found}; it may have taken effect: look before repeating it")
        return found


def _batch_body(table: str, changes: Sequence[RowChange]) -> bytes:
    request = messages.BatchWriteRowRequest()
    part = request.tables.add(table_name=table)
    for change in changes:
        row = part.rows.add(type=change.type, row_change=encode_change(change))
        set_condition(row.condition, change.condition)
    body: bytes = request.SerializeToString()
    return body
