"""GetRow, PutRow, UpdateRow, DeleteRow, GetRange, BatchGetRow, BatchWriteRow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.context import Context, capacity
from airflow_provider_sync.localcloud.tablestore.errors import (
    ServiceError,
    condition_failed,
    invalid,
)
from airflow_provider_sync.localcloud.tablestore.filters import compile_filter
from airflow_provider_sync.localcloud.tablestore.messages import message
from airflow_provider_sync.localcloud.tablestore.reading import Selection, selection_of
from airflow_provider_sync.localcloud.tablestore.table import DELETE, PUT, UPDATE, Commit, Key, Table

__all__ = ["HANDLERS"]

_MAX_WRITE_BYTES = 4 * 1024 * 1024
_MAX_BATCH_WRITE_ROWS = 200
_MAX_BATCH_GET_ROWS = 100
_PAGE_ROWS = 5000
_PAGE_BYTES = 4 * 1024 * 1024
_EXPECT_EXIST, _EXPECT_NOT_EXIST = 1, 2
_RETURN_PK, _RETURN_AFTER_MODIFY = 1, 2
_BACKWARD = 1


def _put_row(context: Context, request: Any) -> bytes:
    return _single_write(context, "PutRowResponse", PUT, request, request.row)


def _update_row(context: Context, request: Any) -> bytes:
    return _single_write(context, "UpdateRowResponse", UPDATE, request, request.row_change)


def _delete_row(context: Context, request: Any) -> bytes:
    return _single_write(context, "DeleteRowResponse", DELETE, request, request.primary_key)


def _single_write(context: Context, answer: str, action: int, request: Any, data: bytes) -> bytes:
    table = context.instance.table(request.table_name)
    commit = Commit(context.now_us)
    row = _write(table, action, request, data, commit)
    context.store.write(context.instance_name, table, commit, [(action, data)])
    return bytes(message(answer, consumed=capacity(write_bytes=len(data)), row=row).SerializeToString())


def _write(table: Table, action: int, request: Any, data: bytes, commit: Commit) -> bytes | None:
    """Check one row change and carry it out; return the row that the request wants back."""
    if len(data) > _MAX_WRITE_BYTES:
        raise ServiceError("OTSOutOfRowSizeLimit", f"The row is larger than {_MAX_WRITE_BYTES} bytes.", 400)
    row = pb.decode_row(data)
    key = table.check(action, row, commit.now_us)
    _check_condition(table, key, request.condition)
    key = table.write(action, row, commit)
    return _returned(table, key, row, request.return_content)


def _check_condition(table: Table, key: Key, condition: Any) -> None:
    stored = table.rows.get(key)
    expectation = condition.row_existence
    if expectation == _EXPECT_EXIST and stored is None:
        raise condition_failed()
    if expectation == _EXPECT_NOT_EXIST and stored is not None:
        raise condition_failed()
    if condition.HasField("column_condition") and condition.column_condition:
        test = compile_filter(condition.column_condition)
        columns = stored.columns if stored is not None else {}
        if not test.passes({name: [v.value for v in versions] for name, versions in columns.items()}):
            raise condition_failed()


def _returned(table: Table, key: Key, row: pb.Row, wanted: Any) -> bytes | None:
    key_cells = [pb.encode_cell(c.name.encode(), c.value, None, None) for c in row.key]
    if wanted.return_type == _RETURN_PK:
        return pb.HEADER + pb.encode_row(key_cells)
    if wanted.return_type == _RETURN_AFTER_MODIFY:
        stored = table.rows.get(key)
        columns = stored.columns if stored is not None else {}
        newest = [columns[name][0] for name in wanted.return_column_names if name in columns]
        return pb.HEADER + pb.encode_row(key_cells, [(v.encoded, v.checksum) for v in newest])
    return None


def _get_row(context: Context, request: Any) -> bytes:
    table = context.instance.table(request.table_name)
    row = _read(table, request.primary_key, selection_of(request, table, context.now_ms))
    answer = message("GetRowResponse", consumed=capacity(read_bytes=len(row)), row=row)
    return bytes(answer.SerializeToString())


def _read(table: Table, primary_key: bytes, selection: Selection) -> bytes:
    """Return one row as a buffer, or no bytes at all if there is nothing to return."""
    stored = table.rows.get(table.key(pb.decode_row(primary_key).key))
    data = selection.read(table, stored) if stored is not None else None
    return b"" if data is None else pb.HEADER + data


def _get_range(context: Context, request: Any) -> bytes:
    table = context.instance.table(request.table_name)
    selection = selection_of(request, table, context.now_ms)
    if request.HasField("limit") and request.limit < 1:
        raise invalid("The limit must be greater than 0.")
    start = table.bound(pb.decode_row(request.inclusive_start_primary_key).key)
    end = table.bound(pb.decode_row(request.exclusive_end_primary_key).key)
    backward = request.direction == _BACKWARD
    if (start < end) if backward else (start > end):
        raise invalid(
            "Begin key must more than end key in BACKWARD"
            if backward
            else "Begin key must less than end key in FORWARD"
        )
    limit = min(request.limit or _PAGE_ROWS, _PAGE_ROWS)
    parts: list[bytes] = []
    size = 0
    next_key = None
    for scanned, key in enumerate(table.scan(start, end, backward=backward)):
        if len(parts) == limit or scanned == _PAGE_ROWS or size >= _PAGE_BYTES:
            next_key = pb.HEADER + pb.encode_row(table.rows[key].key_cells)
            break
        data = selection.read(table, table.rows[key])
        if data is not None:
            parts.append(data)
            size += len(data)
    answer = message(
        "GetRangeResponse",
        consumed=capacity(read_bytes=size),
        rows=pb.HEADER + b"".join(parts) if parts else b"",
        next_start_primary_key=next_key,
    )
    return bytes(answer.SerializeToString())


def _batch_get_row(context: Context, request: Any) -> bytes:
    asked = sum(len(entry.primary_key) for entry in request.tables)
    _check_batch(request, asked, _MAX_BATCH_GET_ROWS)
    tables = []
    for entry in request.tables:
        rows = []
        for primary_key in entry.primary_key:
            try:
                table = context.instance.table(entry.table_name)
                data = _read(table, primary_key, selection_of(entry, table, context.now_ms))
                consumed = capacity(read_bytes=len(data))
                rows.append(message("RowInBatchGetRowResponse", is_ok=True, consumed=consumed, row=data))
            except ServiceError as error:
                rows.append(message("RowInBatchGetRowResponse", is_ok=False, error=_error(error)))
        tables.append(message("TableInBatchGetRowResponse", table_name=entry.table_name, rows=rows))
    return bytes(message("BatchGetRowResponse", tables=tables).SerializeToString())


def _batch_write_row(context: Context, request: Any) -> bytes:
    """Carry out row after row; rows that go to one shard are one commit. A failed row does not stop the rest."""
    asked = sum(len(entry.rows) for entry in request.tables)
    _check_batch(request, asked, _MAX_BATCH_WRITE_ROWS)
    if sum(len(row.row_change) for entry in request.tables for row in entry.rows) > _MAX_WRITE_BYTES:
        raise invalid(f"The total data size of BatchWriteRow request exceeds the limit {_MAX_WRITE_BYTES}.")
    tables = []
    for entry in request.tables:
        rows, done = [], []
        commit = Commit(context.now_us)
        for change in entry.rows:
            try:
                table = context.instance.table(entry.table_name)
                if change.type not in (PUT, UPDATE, DELETE):
                    raise invalid(f"Invalid operation type: {change.type}.")
                data = _write(table, change.type, change, change.row_change, commit)
            except ServiceError as error:
                rows.append(message("RowInBatchWriteRowResponse", is_ok=False, error=_error(error)))
                continue
            done.append((change.type, change.row_change))
            consumed = capacity(write_bytes=len(change.row_change))
            rows.append(message("RowInBatchWriteRowResponse", is_ok=True, consumed=consumed, row=data))
        if done:
            context.store.write(context.instance_name, context.instance.table(entry.table_name), commit, done)
        tables.append(message("TableInBatchWriteRowResponse", table_name=entry.table_name, rows=rows))
    return bytes(message("BatchWriteRowResponse", tables=tables).SerializeToString())


def _check_batch(request: Any, rows: int, limit: int) -> None:
    if rows == 0:
        raise invalid("No row specified in the request of batch operation.")
    if rows > limit:
        raise invalid(f"Rows count exceeds the upper limit: {limit}.")
    names = [entry.table_name for entry in request.tables]
    if len(set(names)) != len(names):
        raise invalid(f"Duplicated table name: '{next(n for n in names if names.count(n) > 1)}'.")


def _error(error: ServiceError) -> Any:
    return message("Error", code=error.code, message=error.message)


HANDLERS: dict[str, Callable[[Context, Any], bytes]] = {
    "GetRow": _get_row,
    "PutRow": _put_row,
    "UpdateRow": _update_row,
    "DeleteRow": _delete_row,
    "GetRange": _get_range,
    "BatchGetRow": _batch_get_row,
    "BatchWriteRow": _batch_write_row,
}
