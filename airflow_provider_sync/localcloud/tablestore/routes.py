"""Operation name → what answers it. A handler takes (context, request message) and returns the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from airflow_provider_sync.localcloud.tablestore import row_routes, stream_routes, table_routes
from airflow_provider_sync.localcloud.tablestore.context import Context
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid
from airflow_provider_sync.localcloud.tablestore.messages import REQUESTS
from airflow_provider_sync.localcloud.tablestore.stream import decode_iterator

__all__ = ["parse", "run", "subject_of"]

_HANDLERS: dict[str, Callable[[Context, Any], bytes]] = {
    **table_routes.HANDLERS,
    **row_routes.HANDLERS,
    **stream_routes.HANDLERS,
}


def parse(operation: str, body: bytes) -> Any:
    """Return the request message of an operation."""
    if operation not in _HANDLERS:
        raise invalid(f"Unsupported operation: {operation}.")
    try:
        return REQUESTS[operation].FromString(body)
    except DecodeError as error:
        raise invalid("Fail to parse the protobuf body.") from error  # text invented


def subject_of(request: Any) -> str:
    """Return what a request is about, for faults: table names, or stream id and shard id with a slash."""
    known = request.DESCRIPTOR.fields_by_name
    if "shard_iterator" in known:
        try:
            stream, shard, _ = decode_iterator(request.shard_iterator)
        except ServiceError:
            return str(request.shard_iterator)  # it will be refused; until then it is what it is
        return f"{stream}/{shard}"
    if "stream_id" in known:
        return f"{request.stream_id}/{getattr(request, 'shard_id', '')}".rstrip("/")
    if "table_meta" in known:
        return str(request.table_meta.table_name)
    if "tables" in known:
        return ",".join(table.table_name for table in request.tables)
    return str(getattr(request, "table_name", ""))


def run(context: Context, operation: str, request: Any) -> bytes:
    """Carry out an operation and return the answer's body."""
    return _HANDLERS[operation](context, request)
