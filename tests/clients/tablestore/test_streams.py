"""The stream calls against the local Tablestore, whose own log is the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn, Shard, StreamPage
from airflow_provider_sync.clients.tablestore.errors import TrimmedError
from airflow_provider_sync.clients.tablestore.messages import KeyType, StreamAction
from airflow_provider_sync.clients.tablestore.plainbuffer import decode_stream_record
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp, PrimaryKey
from airflow_provider_sync.errors import CorruptDataError, NotFoundError, PermanentError

Control = Callable[..., Any]


@pytest.fixture
def stream(client: TablestoreClient) -> str:
    client.create_table("t", (KeyColumn("pk", KeyType.STRING),), stream_hours=24)
    return client.list_streams("t")[0].stream_id


def _key(number: int) -> PrimaryKey:
    return (("pk", f"k{number:03d}"),)


def _put(client: TablestoreClient, *numbers: int) -> None:
    for number in numbers:
        client.put_row("t", _key(number), {"n": number})


def _pages(client: TablestoreClient, iterator: str, limit: int | None = None) -> Iterator[StreamPage]:
    while True:
        page = client.get_stream_records(iterator, limit)
        yield page
        if page.next_iterator is None or page.next_iterator == iterator:
            return
        iterator = page.next_iterator


def _numbers(client: TablestoreClient, stream: str, shard: str, limit: int | None = None) -> list[object]:
    pages = _pages(client, client.get_shard_iterator(stream, shard), limit)
    return [decode_stream_record(record)[1][0].value for page in pages for record in page.records]


def _only_shard(client: TablestoreClient, stream: str) -> str:
    (shard,) = client.describe_stream(stream).shards
    return shard.shard_id


def test_a_stream_is_listed_and_described(client: TablestoreClient, stream: str) -> None:
    described = client.describe_stream(stream)

    assert described.stream_id == stream
    assert described.table_name == "t"
    assert described.expiration_hours == 24
    assert abs(described.creation_us / 1e6 - time.time()) < 60
    assert described.creation_us == client.list_streams("t")[0].creation_us
    (shard,) = described.shards
    assert (shard.parent_id, shard.parent_sibling_id) == (None, None)


def test_the_stream_of_a_table_with_a_longer_name_is_not_ours(client: TablestoreClient, stream: str) -> None:
    client.create_table("t2", (KeyColumn("pk", KeyType.STRING),), stream_hours=24)

    assert [info.stream_id for info in client.list_streams("t")] == [stream]


def test_an_unknown_stream_is_an_error(client: TablestoreClient, stream: str) -> None:
    with pytest.raises(PermanentError, match="nosuch_1700000000000000"):
        client.describe_stream("nosuch_1700000000000000")


def test_records_come_in_order_with_their_actions(client: TablestoreClient, stream: str) -> None:
    version = int(time.time() * 1000)
    client.put_row("t", _key(1), [Cell("a", 1, version), Cell("b", "x", version)])
    client.update_row(
        "t",
        _key(1),
        [
            Cell("a", 99, version + 1),
            Cell("b", None, version, CellOp.DELETE_ONE_VERSION),
            Cell("d", None, None, CellOp.DELETE_ALL_VERSIONS),
        ],
    )
    client.delete_row("t", _key(1))

    page = client.get_stream_records(client.get_shard_iterator(stream, _only_shard(client, stream)))

    assert page.actions == [StreamAction.PUT_ROW, StreamAction.UPDATE_ROW, StreamAction.DELETE_ROW]
    decoded = [decode_stream_record(record) for record in page.records]
    assert [key for key, _, _ in decoded] == [_key(1)] * 3
    assert decoded[0][1] == (Cell("a", 1, version), Cell("b", "x", version))
    assert sorted(decoded[1][1]) == [
        Cell("a", 99, version + 1),
        Cell("b", None, version, CellOp.DELETE_ONE_VERSION),
        Cell("d", None, None, CellOp.DELETE_ALL_VERSIONS),
    ]
    assert decoded[2][1] == ()
    times = [sequence.timestamp for _, _, sequence in decoded]
    assert times == sorted(times)
    assert abs(times[0] / 1e6 - time.time()) < 60
    assert page.nbytes == sum(len(record) for record in page.records)


def test_pages_of_any_size_give_the_same_records(client: TablestoreClient, stream: str) -> None:
    _put(client, *range(7))
    shard = _only_shard(client, stream)

    for limit in (None, 1, 2, 3, 7, 100):
        assert _numbers(client, stream, shard, limit) == list(range(7))


def test_the_tail_of_an_idle_shard_stays_where_it_is_and_goes_on_later(
    client: TablestoreClient, stream: str
) -> None:
    _put(client, 0)
    *_, last = _pages(client, client.get_shard_iterator(stream, _only_shard(client, stream)))
    assert last.next_iterator is not None
    assert last.records == []
    assert last.may_more is False

    _put(client, 1)

    page = client.get_stream_records(last.next_iterator)
    assert [decode_stream_record(record)[1][0].value for record in page.records] == [1]


def test_a_full_page_says_that_there_may_be_more_or_nothing(
    client: TablestoreClient, control: Control, stream: str
) -> None:
    _put(client, 0, 1)
    iterator = client.get_shard_iterator(stream, _only_shard(client, stream))

    assert client.get_stream_records(iterator, 1).may_more is True
    control("POST", "options", may_more_record=False)
    assert client.get_stream_records(iterator, 1).may_more is None


def test_split_and_merge_end_a_shard_and_name_the_parents(
    client: TablestoreClient, control: Control, stream: str
) -> None:
    _put(client, 0)
    root = _only_shard(client, stream)

    control("POST", "shards/split", table="t")
    children = [shard for shard in client.describe_stream(stream).shards if shard.shard_id != root]
    assert [(child.parent_id, child.parent_sibling_id) for child in children] == [(root, None)] * 2
    *_, last = _pages(client, client.get_shard_iterator(stream, root))
    assert last.next_iterator is None

    ids = [child.shard_id for child in children]
    control("POST", "shards/merge", table="t", shards=ids)
    known = {root, *ids}
    (merged,) = [shard for shard in client.describe_stream(stream).shards if shard.shard_id not in known]
    assert {merged.parent_id, merged.parent_sibling_id} == set(ids)
    _put(client, 1)
    assert _numbers(client, stream, merged.shard_id) == [1]


def test_a_search_by_time_follows_its_tokens(client: TablestoreClient, control: Control, stream: str) -> None:
    start = int(time.time())
    for number in range(3):
        control("POST", "clock", now=start + 100 * number)
        _put(client, number)
    shard = _only_shard(client, stream)
    control("POST", "options", seek_pages=3)

    iterator = client.get_shard_iterator(stream, shard, (start + 100) * 1_000_000)

    page = client.get_stream_records(iterator)
    assert [decode_stream_record(record)[1][0].value for record in page.records] == [1, 2]
    asked = [line for line in control("GET", "requests") if line["operation"] == "GetShardIterator"]
    assert len(asked) == 4


def test_a_description_of_many_shards_is_read_page_by_page(
    client: TablestoreClient, control: Control, stream: str
) -> None:
    for _ in range(4):
        control("POST", "shards/split", table="t")
    whole = client.describe_stream(stream).shards
    assert len(whole) == 9
    control("POST", "options", describe_shards=2)

    assert client.describe_stream(stream).shards == whole
    assert all(isinstance(shard, Shard) for shard in whole)


@pytest.mark.parametrize("as_tunnel_error", [False, True])
def test_a_trimmed_place_is_told_apart_from_other_errors(
    client: TablestoreClient, control: Control, stream: str, as_tunnel_error: bool
) -> None:
    _put(client, 0)
    iterator = client.get_shard_iterator(stream, _only_shard(client, stream))
    _put(client, 1)
    control("POST", "options", trimmed_as_tunnel_error=as_tunnel_error)
    control("POST", "shards/trim", table="t", all=True)

    with pytest.raises(TrimmedError, match="OTSTrimmedDataAccess"):
        client.get_stream_records(iterator)


@pytest.mark.parametrize("action", ["throttle", "drop_before", "lost_reply", "cut", "wrong_crc", "error"])
@pytest.mark.parametrize("operation", ["ListStream", "DescribeStream", "GetShardIterator", "GetStreamRecord"])
def test_stream_calls_survive_every_fault(
    client: TablestoreClient, control: Control, stream: str, operation: str, action: str
) -> None:
    _put(client, 0)
    control("POST", "faults", action=action, operation=operation, count=2, status=503, code="OTSTimeout")

    assert client.list_streams("t")[0].stream_id == stream
    assert _numbers(client, stream, _only_shard(client, stream)) == [0]
    assert control("GET", "faults")[0]["fired"] == 2


@pytest.mark.parametrize("at", range(1, 400, 7))
def test_a_damaged_answer_under_a_right_checksum_is_refused_or_harmless(
    client: TablestoreClient, control: Control, stream: str, at: int
) -> None:
    _put(client, 0)
    iterator = client.get_shard_iterator(stream, _only_shard(client, stream))
    control("POST", "faults", action="wrong_crc", operation="GetStreamRecord", bytes=at)

    try:
        page = client.get_stream_records(iterator)
        cells = [decode_stream_record(record)[1] for record in page.records]
    except CorruptDataError:
        return
    assert [cell.value for record in cells for cell in record] in ([0], [])


def test_a_deleted_tables_stream_is_gone(client: TablestoreClient, stream: str) -> None:
    iterator = client.get_shard_iterator(stream, _only_shard(client, stream))
    client.delete_table("t")

    with pytest.raises(NotFoundError):
        client.get_stream_records(iterator)
