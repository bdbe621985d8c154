"""CreateTable, UpdateTable, DescribeTable, ListTable, DeleteTable, ComputeSplitPointsBySize."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.context import Context, capacity
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid
from airflow_provider_sync.localcloud.tablestore.messages import message
from airflow_provider_sync.localcloud.tablestore.table import Table

__all__ = ["HANDLERS"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_KEY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_#]{0,254}")
_MAX_KEY_COLUMNS = 4
_MAX_DEFINED_COLUMNS = 32
_MAX_TABLES = 64
_MAX_STREAM_HOURS = 168
_MIN_TTL = 86_400
_KEY_TYPES = (1, 2, 3)
_SPLIT_UNIT = 100 * 1024 * 1024
_STATUS_ACTIVE = 1


def _create_table(context: Context, request: Any) -> bytes:
    name = request.table_meta.table_name
    _check_schema(request.table_meta)
    if not request.table_options.HasField("time_to_live") or not request.table_options.HasField(
        "max_versions"
    ):
        raise invalid("time_to_live and max_versions are required while creating table.")
    _check_options(request.table_options)
    if request.HasField("stream_spec"):
        _check_stream_spec(request.stream_spec)
    if name in context.instance.tables:
        raise ServiceError("OTSObjectAlreadyExist")
    if len(context.instance.tables) >= _MAX_TABLES:
        raise ServiceError("OTSQuotaExhausted", "Number of tables exceeded the quota.")
    context.store.do(
        "create_table",
        instance=context.instance_name,
        request=request.SerializeToString().hex(),
        now_us=context.now_us,
    )
    if request.HasField("stream_spec") and request.stream_spec.enable_stream:
        _start_stream(context, name, request.stream_spec)
    return b""


def _check_schema(meta: Any) -> None:
    if not _NAME.fullmatch(meta.table_name):
        raise invalid(f"Invalid table name: '{meta.table_name}'.")
    names = [column.name for column in meta.primary_key]
    if not 1 <= len(names) <= _MAX_KEY_COLUMNS:
        raise invalid("The number of primary key columns must be in range: [1, 4].")
    for column in meta.primary_key:
        if not _KEY_NAME.fullmatch(column.name):
            raise invalid(f"Invalid column name: '{column.name}'.")
        if column.type not in _KEY_TYPES:
            raise invalid(f"Invalid primary key type of column '{column.name}'.")
    if meta.primary_key[0].HasField("option"):
        raise invalid("The first primary key can not be AUTO_INCREMENT.")
    names += [column.name for column in meta.defined_column]
    if len(set(names)) != len(names):
        raise invalid("Duplicated primary key name.")
    if len(meta.defined_column) > _MAX_DEFINED_COLUMNS:
        raise invalid(f"The number of defined columns exceeds the limit {_MAX_DEFINED_COLUMNS}.")


def _update_table(context: Context, request: Any) -> bytes:
    table = context.instance.table(request.table_name)
    if request.HasField("table_options"):
        _check_options(request.table_options)
    if request.HasField("stream_spec"):
        spec = request.stream_spec
        _check_stream_spec(spec)
        if spec.enable_stream and table.stream is not None:
            raise invalid("The stream is already enabled.")  # text invented
        if not spec.enable_stream and table.stream is None:
            raise invalid("The stream is already disabled.")  # text invented
    context.store.do(
        "update_table", instance=context.instance_name, request=request.SerializeToString().hex()
    )
    if request.HasField("stream_spec"):
        if request.stream_spec.enable_stream:
            _start_stream(context, table.name, request.stream_spec)
        else:
            context.store.do("stop_stream", instance=context.instance_name, table=table.name)
    answer = message(
        "UpdateTableResponse",
        reserved_throughput_details=_throughput(table),
        table_options=_options(table),
        stream_details=_stream_details(table),
    )
    return bytes(answer.SerializeToString())


def _describe_table(context: Context, request: Any) -> bytes:
    table = context.instance.table(request.table_name)
    sse = table.meta.sse_spec
    answer = message(
        "DescribeTableResponse",
        table_meta=table.meta.table_meta,
        reserved_throughput_details=_throughput(table),
        table_options=_options(table),
        table_status=_STATUS_ACTIVE,
        stream_details=_stream_details(table),
        index_metas=table.meta.index_metas,
        creation_time=table.created_us,
        sse_details=message("SSEDetails", enable=sse.enable, key_type=sse.key_type if sse.enable else None),
    )
    return bytes(answer.SerializeToString())


def _list_table(context: Context, _request: Any) -> bytes:
    answer = message("ListTableResponse", table_names=sorted(context.instance.tables))
    return bytes(answer.SerializeToString())


def _delete_table(context: Context, request: Any) -> bytes:
    context.instance.table(request.table_name)
    context.store.do("delete_table", instance=context.instance_name, table=request.table_name)
    return b""


def _compute_split_points(context: Context, request: Any) -> bytes:
    """Cut the rows in key order into pieces of the asked size, by the rows' encoded sizes."""
    table = context.instance.table(request.table_name)
    unit = request.split_size_unit_in_byte or _SPLIT_UNIT
    if request.split_size < 1 or unit < 1:
        raise invalid("split_size must be positive.")
    points: list[bytes] = []
    size = 0
    for key in table.ordered_keys():
        row = table.rows[key]
        if size >= request.split_size * unit and len(points) < (request.split_point_limit or 1 << 31):
            points.append(pb.HEADER + pb.encode_row(row.key_cells))
            size = 0
        size += sum(len(cell) for cell, _ in row.key_cells)
        size += sum(len(v.encoded) for versions in row.columns.values() for v in versions)
    answer = message(
        "ComputeSplitPointsBySizeResponse",
        consumed=capacity(read_bytes=0),
        schema=table.meta.table_meta.primary_key,
        split_points=points,
        locations=[message("SplitLocation", location="", repeat=len(points) + 1)],
    )
    return bytes(answer.SerializeToString())


def _start_stream(context: Context, table: str, spec: Any) -> None:
    context.store.do(
        "start_stream",
        instance=context.instance_name,
        table=table,
        now_us=context.now_us,
        hours=spec.expiration_time,
        columns=list(spec.columns_to_get),
        shard=context.store.new_id(),
    )


def _check_options(options: Any) -> None:
    if options.HasField("time_to_live") and options.time_to_live != -1 and options.time_to_live < _MIN_TTL:
        raise invalid(f"Invalid time to live: {options.time_to_live}.")
    if options.HasField("max_versions") and options.max_versions < 1:
        raise invalid(f"Invalid max versions: {options.max_versions}.")
    if options.HasField("deviation_cell_version_in_sec") and options.deviation_cell_version_in_sec < 1:
        raise invalid(f"Invalid deviation: {options.deviation_cell_version_in_sec}.")


def _check_stream_spec(spec: Any) -> None:
    if spec.enable_stream and not 1 <= spec.expiration_time <= _MAX_STREAM_HOURS:
        raise invalid(f"Invalid expiration time of stream: {spec.expiration_time}.")
    if not spec.enable_stream and spec.HasField("expiration_time"):
        raise invalid("Expiration time can not be set when the stream is disabled.")


def _throughput(table: Table) -> Any:
    unit = table.meta.reserved_throughput.capacity_unit
    return message(
        "ReservedThroughputDetails",
        capacity_unit=message("CapacityUnit", read=unit.read, write=unit.write),
        last_increase_time=table.created_us // 1_000_000,
    )


def _options(table: Table) -> Any:
    options = table.options
    return message(
        "TableOptions",
        time_to_live=options.ttl,
        max_versions=options.max_versions,
        deviation_cell_version_in_sec=options.deviation,
        allow_update=options.allow_update,
        update_full_row=options.update_full_row,
    )


def _stream_details(table: Table) -> Any:
    stream = table.stream
    if stream is None:
        return message("StreamDetails", enable_stream=False)
    return message(
        "StreamDetails",
        enable_stream=True,
        stream_id=stream.id,
        expiration_time=stream.hours,
        last_enable_time=stream.created_us,
        column_to_get=stream.origin_columns,
    )


HANDLERS: dict[str, Callable[[Context, Any], bytes]] = {
    "CreateTable": _create_table,
    "UpdateTable": _update_table,
    "DescribeTable": _describe_table,
    "ListTable": _list_table,
    "DeleteTable": _delete_table,
    "ComputeSplitPointsBySize": _compute_split_points,
}
