"""ListStream, DescribeStream, GetShardIterator, GetStreamRecord."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_sync.localcloud.tablestore.context import Context, capacity
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid, not_found, trimmed
from airflow_provider_sync.localcloud.tablestore.log import Page
from airflow_provider_sync.localcloud.tablestore.messages import message
from airflow_provider_sync.localcloud.tablestore.stream import (
    Position,
    Shard,
    Stream,
    decode_iterator,
    encode_iterator,
)
from airflow_provider_sync.localcloud.tablestore.table import Table

__all__ = ["HANDLERS"]

_ACTIVE = 2
_MAX_STREAM_ID = 255


def _list_stream(context: Context, request: Any) -> bytes:
    name = request.table_name if request.HasField("table_name") else None
    streams = [
        message("Stream", stream_id=stream.id, table_name=stream.table_name, creation_time=stream.created_us)
        for stream in context.instance.streams()
        if name in (None, stream.table_name)
    ]
    return bytes(message("ListStreamResponse", streams=streams).SerializeToString())


def _describe_stream(context: Context, request: Any) -> bytes:
    """List the shards in order of creation, from ``inclusive_start_shard_id`` on, a page at a time."""
    table, stream = _stream(context, request.stream_id)
    for shard in stream.shards.values():
        _expire(context, stream, shard)
    listed = [shard for shard in stream.shards.values() if not shard.retired]
    if context.options.describe_reversed:
        listed.reverse()
    start = 0
    if request.inclusive_start_shard_id:
        ids = [shard.id for shard in listed]
        if request.inclusive_start_shard_id not in ids:
            raise invalid(f"Invalid start shard id: {request.inclusive_start_shard_id}.")  # text invented
        start = ids.index(request.inclusive_start_shard_id)
    if request.HasField("shard_limit") and request.shard_limit < 1:
        raise invalid("The shard limit must be greater than 0.")
    size = min(request.shard_limit or context.options.describe_shards, context.options.describe_shards)
    page = listed[start : start + size]
    answer = message(
        "DescribeStreamResponse",
        stream_id=stream.id,
        expiration_time=stream.hours,
        table_name=stream.table_name,
        creation_time=stream.created_us,
        stream_status=_ACTIVE,
        shards=[_shard_message(shard) for shard in page],
        next_shard_id=listed[start + size].id if start + size < len(listed) else None,
        is_timeseries_data_table=table.is_timeseries or None,
    )
    return bytes(answer.SerializeToString())


def _shard_message(shard: Shard) -> Any:
    return message(
        "StreamShard",
        shard_id=shard.id,
        parent_id=shard.parent_id or None,
        parent_sibling_id=shard.sibling_id or None,
    )


def _get_shard_iterator(context: Context, request: Any) -> bytes:
    _, stream = _stream(context, request.stream_id)
    shard = _shard(context, stream, request.shard_id)
    offset = 0
    if request.HasField("timestamp"):
        done = int(request.token) if request.token.isdecimal() else 0
        if done < context.options.seek_pages:
            answer = message("GetShardIteratorResponse", shard_iterator="", next_token=str(done + 1))
            return bytes(answer.SerializeToString())
        offset = max(0, shard.log.first_at_or_after(request.timestamp) - context.options.seek_early)
    iterator = encode_iterator(stream.id, shard.id, shard.position(offset))
    return bytes(message("GetShardIteratorResponse", shard_iterator=iterator).SerializeToString())


def _get_stream_record(context: Context, request: Any) -> bytes:
    """Answer a page: ready records, then the fields of the answer that are not records."""
    stream_id, shard_id, position = decode_iterator(request.shard_iterator)
    _, stream = _stream(context, stream_id)
    shard = _shard(context, stream, shard_id)
    if request.HasField("limit") and request.limit < 1:
        raise invalid("The limit must be greater than 0.")
    if shard.is_trimmed(position):
        raise trimmed(as_tunnel_error=context.options.trimmed_as_tunnel_error)
    if position.offset > len(shard.log):
        raise invalid("Invalid shard iterator.")
    if position.blanks < shard.blanks.get(position.offset, 0):
        return _blank_page(context, stream, shard, position)
    limit = min(request.limit or context.options.page_rows, context.options.page_rows)
    stop = min((at for at in shard.blanks if at > position.offset), default=len(shard.log))
    size = context.options.page_bytes
    page = shard.log.page(position.offset, min(limit, stop - position.offset), size)
    after = Position(position.offset + page.count, shard.era)
    if page.count == 0:
        after = after._replace(blanks=position.blanks)
    blanks_follow = after.blanks < shard.blanks.get(after.offset, 0)
    # A page that the byte cap ended is full too, and one that an inserted empty page ended is followed by it.
    full = page.count == limit or after.offset < len(shard.log) or blanks_follow
    ended = shard.closed and after.offset == len(shard.log) and not blanks_follow
    return _page(context, page, None if ended else encode_iterator(stream.id, shard.id, after), full=full)


def _blank_page(context: Context, stream: Stream, shard: Shard, position: Position) -> bytes:
    after = Position(position.offset, shard.era, position.blanks + 1)
    ended = (
        shard.closed and after.offset == len(shard.log) and after.blanks >= shard.blanks.get(after.offset, 0)
    )
    iterator = None if ended else encode_iterator(stream.id, shard.id, after)
    return _page(context, Page([], 0, 0), iterator, full=True)


def _page(context: Context, page: Page, iterator: str | None, *, full: bool) -> bytes:
    tail = message(
        "GetStreamRecordTail",
        next_shard_iterator=iterator,
        consumed=capacity(read_bytes=page.size),
        may_more_record=full if context.options.may_more_record else None,
    )
    return b"".join((*page.chunks, tail.SerializeToString()))


def _stream(context: Context, stream_id: str) -> tuple[Table, Stream]:
    if len(stream_id.encode()) > _MAX_STREAM_ID:
        raise invalid(f"Invalid stream id: {stream_id}.")
    for table in context.instance.tables.values():
        if table.stream is not None and table.stream.id == stream_id:
            return table, table.stream
    raise not_found("Requested stream does not exist.")  # code and text invented


def _shard(context: Context, stream: Stream, shard_id: str) -> Shard:
    shard = stream.shards.get(shard_id)
    if shard is None:
        raise ServiceError("OTSObjectNotExist", "Requested shard does not exist.")  # code and text invented
    _expire(context, stream, shard)
    if shard.retired:
        raise trimmed(as_tunnel_error=context.options.trimmed_as_tunnel_error)
    return shard


def _expire(context: Context, stream: Stream, shard: Shard) -> None:
    """Trim what is older than the retention; a closed shard that is wholly trimmed by it is listed no more."""
    offset = shard.expired(stream.horizon_us(context.now_us))
    if offset is None:
        return
    where = {"instance": context.instance_name, "table": stream.table_name, "shard": shard.id}
    context.store.do("trim", offset=offset, now_us=context.now_us, **where)
    if shard.closed and offset >= len(shard.log):
        context.store.do("retire", **where)


HANDLERS: dict[str, Callable[[Context, Any], bytes]] = {
    "ListStream": _list_stream,
    "DescribeStream": _describe_stream,
    "GetShardIterator": _get_shard_iterator,
    "GetStreamRecord": _get_stream_record,
}
