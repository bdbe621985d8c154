"""Streams over raw requests: bytes built and taken apart by the test itself."""

from __future__ import annotations

import base64
import hashlib
import http.client
import itertools
import random
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
import tablestore as ots

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.log import stream_record
from airflow_provider_sync.localcloud.tablestore.messages import message
from airflow_provider_sync.localcloud.tablestore.plainbuffer import decode_row
from airflow_provider_sync.localcloud.tablestore.stream import Position, decode_iterator, encode_iterator

REAL_ITERATOR = (
    "HGV2ZW50X3JhbmdlXzE1Njg3MDEyNTc0MzI2ODE1ZTkzNmUxMWUtMTU4Ni00OTFiLWFiN2YtYmUwY2YwMTgyNzlm"
    "XzE1Njg3MDEyNTc0MzI2ODEcAgAAAAAAAACgOS4AAQAAAAEAAAD/////////f44="
)
PUBLISHED_KEY = (
    "7500000001030403000000706b310507000000030200000075310aa0"
    "030403000000706b3205090000000001000000000000000ae8"
)
PUBLISHED_PUT = (
    f"{PUBLISHED_KEY}02030401000000610509000000000100000000000000070068e5cf8b0100000a5803040100000062050600000003"
    "0100000078070068e5cf8b0100000a5e0b180000000c130000000d000000000e40222018240a06000f000000000988"
)
PUBLISHED_UPDATE = (
    f"{PUBLISHED_KEY}02030401000000610509000000006300000000000000070168e5cf8b0100000a8f0304010000006206030700"
    "68e5cf8b0100000a660304010000006406010aa60b180000000c130000000d010000000e28262018240a06000f0300000009c8"
)
PUBLISHED_DELETE = f"{PUBLISHED_KEY}0b180000000c130000000d010000000e102a2018240a06000f0400000009a3"
PUBLISHED_ANSWER = (
    f"0a97010801129201{PUBLISHED_PUT}0a99010802129401{PUBLISHED_UPDATE}0a5808031254{PUBLISHED_DELETE}"
    "120469742d321a040a0208012000"
)
HOUR_US = 3_600_000_000


class Streams:
    """A test's view of one table with a stream."""

    def __init__(self, server: Any, pbf: Any, hours: int = 24, table: str = "src") -> None:
        self.server, self.pbf, self.table = server, pbf, table
        meta = pbf(1, table) + b"".join(
            pbf(2, pbf(1, name) + pbf(2, kind)) for name, kind in (("pk1", 2), ("pk2", 1))
        )
        spec = pbf(1, 1) + pbf(2, hours)
        parts = [
            pbf(1, meta),
            pbf(2, pbf(1, pbf(1, 0) + pbf(2, 0))),
            pbf(3, pbf(1, -1) + pbf(2, 1)),
            pbf(5, spec),
        ]
        server.call("CreateTable", *parts)
        self.stream_id = server.call("ListStream", pbf(1, table))[1][0]
        self.client = server.client()

    @property
    def id(self) -> str:
        return str(self.server.control(f"shards?table={self.table}", method="GET")["stream"])

    def put(self, key: str, number: int, **columns: Any) -> None:
        row = ots.Row([("pk1", key), ("pk2", number)], list(columns.items()))
        self.client.put_row(self.table, row, ots.Condition("IGNORE"))

    def shards(self) -> list[dict[str, str]]:
        found = self.server.control(f"shards?table={self.table}", method="GET")["shards"]
        return [{"id": s["shard"], "parent": s["parent"], "sibling": s["sibling"]} for s in found]

    def iterator(self, shard: str, timestamp: int | None = None) -> str:
        parts = [self.pbf(1, self.id), self.pbf(2, shard)]
        if timestamp is not None:
            parts.append(self.pbf(3, timestamp))
        answer = self.server.call("GetShardIterator", *parts)
        return str(answer[1][0].decode())

    def page(self, iterator: str, limit: int | None = None) -> tuple[list[Any], str | None, bool | None]:
        parts = [self.pbf(1, iterator)] + ([self.pbf(2, limit)] if limit else [])
        answer = self.server.call("GetStreamRecord", *parts)
        following = answer[2][0].decode() if 2 in answer else None
        more = bool(answer[4][0]) if 4 in answer else None
        return answer.get(1, []), following, more

    def drain(self, iterator: str, limit: int | None = None) -> tuple[list[Any], str | None]:
        """Read until the shard ends or the iterator stays the same."""
        records: list[Any] = []
        while True:
            page, following, _ = self.page(iterator, limit)
            records += page
            if following is None or following == iterator:
                return records, following
            iterator = following

    def rows(self, shard: str) -> list[Any]:
        return [self.row(record) for record in self.drain(self.iterator(shard))[0]]

    def row(self, record: bytes) -> Any:
        return decode_row(self.fields(record)[2][0])

    def fields(self, record: bytes) -> dict[int, list[Any]]:
        from_conftest = self.server.parse
        return dict(from_conftest(record))


@pytest.fixture
def streams(tablestore_server: Any, pbf: Any, pbparse: Any) -> Streams:
    tablestore_server.parse = pbparse
    return Streams(tablestore_server, pbf)


def test_a_real_iterator_is_taken_apart_and_made_again() -> None:
    stream, shard, position = decode_iterator(REAL_ITERATOR)
    assert stream == "event_range_1568701257432681"
    assert shard == "e936e11e-1586-491b-ab7f-be0cf018279f_1568701257432681"
    assert position == Position(offset=2, era=1, blanks=3_029_408)
    assert encode_iterator(stream, shard, position) == REAL_ITERATOR


def test_a_damaged_iterator_is_refused(streams: Streams, pbf: Any) -> None:
    good = streams.iterator(streams.shards()[0]["id"])
    for bad in (
        "",
        "A",
        good[:-4],
        good[:40] + ("A" if good[40] != "A" else "B") + good[41:],
        "TRIM_HORIZON",
    ):
        assert streams.server.refused("GetStreamRecord", pbf(1, bad))[:2] == (400, "OTSParameterInvalid")


def test_a_new_stream_has_one_root_shard(streams: Streams, pbf: Any, pbparse: Any) -> None:
    stream = pbparse(streams.server.call("ListStream")[1][0])
    assert stream[2] == [b"src"]
    name, _, stamp = stream[1][0].decode().rpartition("_")
    assert (name, len(stamp), int(stamp)) == ("src", 16, stream[3][0])
    described = streams.server.call("DescribeStream", pbf(1, stream[1][0]))
    assert described[1] == stream[1]
    assert (described[2], described[3], described[5]) == ([24], [b"src"], [2])
    shards = [pbparse(shard) for shard in described[6]]
    assert len(shards) == 1
    assert set(shards[0]) == {1}
    assert 7 not in described


def test_streams_are_listed_by_exact_table_name_and_only_while_on(
    streams: Streams, tablestore_server: Any, pbf: Any, pbparse: Any
) -> None:
    Streams(tablestore_server, pbf, table="src2")
    assert len(tablestore_server.call("ListStream")[1]) == 2
    assert len(tablestore_server.call("ListStream", pbf(1, "src"))[1]) == 1
    assert tablestore_server.call("ListStream", pbf(1, "sr")) == {}
    first = streams.id
    tablestore_server.call("UpdateTable", pbf(1, "src"), pbf(4, pbf(1, 0)))
    assert tablestore_server.call("ListStream", pbf(1, "src")) == {}
    described = tablestore_server.call("DescribeTable", pbf(1, "src"))
    assert (described[4], pbparse(described[5][0])) == ([1], {1: [0]})
    answer = tablestore_server.call("UpdateTable", pbf(1, "src"), pbf(4, pbf(1, 1) + pbf(2, 168)))
    assert pbparse(answer[3][0])[3] == [168]
    assert streams.id != first
    assert tablestore_server.refused("DescribeStream", pbf(1, first))[0] == 404


@pytest.mark.parametrize("hours", [0, 169])
def test_retention_is_one_to_168_hours(streams: Streams, pbf: Any, hours: int) -> None:
    streams.server.call("UpdateTable", pbf(1, "src"), pbf(4, pbf(1, 0)))
    refused = streams.server.refused("UpdateTable", pbf(1, "src"), pbf(4, pbf(1, 1) + pbf(2, hours)))
    assert refused[:2] == (400, "OTSParameterInvalid")


def test_records_carry_the_write_as_it_happened(streams: Streams) -> None:
    streams.put("u1", 1, a=1, b="x")
    change = {"PUT": [("a", 99)], "DELETE_ALL": ["d"], "INCREMENT": [("n", 5)]}
    row = ots.Row([("pk1", "u1"), ("pk2", 1)], change)
    streams.client.update_row("src", row, ots.Condition("IGNORE"))
    now = streams.row(streams.drain(streams.iterator(streams.shards()[0]["id"]))[0][0]).cells[0].ts
    row = ots.Row([("pk1", "u1"), ("pk2", 1)], {"DELETE": [("b", None, now)]})
    streams.client.update_row("src", row, ots.Condition("IGNORE"))
    streams.client.delete_row("src", [("pk1", "u1"), ("pk2", 1)], ots.Condition("IGNORE"))
    records, _ = streams.drain(streams.iterator(streams.shards()[0]["id"]))
    assert [streams.fields(record)[1][0] for record in records] == [1, 2, 2, 3]
    put, update, delete_one, delete = (streams.row(record) for record in records)
    assert [(c.name, c.value, c.op) for c in put.cells] == [
        ("a", b"\x00" + struct.pack("<q", 1), None),
        ("b", b"\x03\x01\x00\x00\x00x", None),
    ]
    assert {(c.name, c.op, c.value is None, c.ts is None) for c in update.cells} == {
        ("a", None, False, False),
        ("d", 1, True, True),
        ("n", None, False, False),
    }
    assert next(c.value for c in update.cells if c.name == "n") == b"\x00" + struct.pack("<q", 5)
    assert [(c.name, c.op, c.value, c.ts) for c in delete_one.cells] == [("b", 3, None, now)]
    assert (delete.cells, delete.marked_deleted) == ([], False)
    assert put.cells[0].ts == put.sequence[1] // 1000


def test_a_batch_is_one_commit_and_the_next_write_is_later(streams: Streams) -> None:
    items = [
        ots.PutRowItem(ots.Row([("pk1", "k"), ("pk2", n)], [("x", n)]), ots.Condition("IGNORE"))
        for n in range(3)
    ]
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem("src", items))
    streams.client.batch_write_row(request)
    streams.put("k", 9, x=1)
    sequences = [row.sequence for row in streams.rows(streams.shards()[0]["id"])]
    first = sequences[0][1]
    assert sequences[:3] == [(0, first, 0), (0, first, 1), (0, first, 2)]
    assert (sequences[3][1] > first, sequences[3][2]) == (True, 0)


def test_times_rise_while_the_clock_stands_still(streams: Streams) -> None:
    service = streams.server.service
    service.control.clock.frozen = service.control.clock.now()
    for number in range(20):
        streams.put("k", number, x=1)
    times = [row.sequence[1] for row in streams.rows(streams.shards()[0]["id"])]
    assert times == list(range(times[0], times[0] + 20))


def test_an_idle_tail_repeats_its_iterator_and_goes_on_later(streams: Streams) -> None:
    start = streams.iterator(streams.shards()[0]["id"])
    assert streams.page(start) == ([], start, False)
    streams.put("a", 1, x=1)
    records, following, more = streams.page(start)
    assert (len(records), more) == (1, False)
    assert following is not None
    assert streams.page(following) == ([], following, False)
    streams.put("a", 2, x=2)
    assert [streams.row(r).key[1].value[1] for r in streams.page(following)[0]] == [2]


def test_a_full_page_may_have_more_even_if_it_holds_the_last_record(streams: Streams) -> None:
    for number in range(2):
        streams.put("a", number, x=number)
    iterator: str | None = streams.iterator(streams.shards()[0]["id"])
    seen = []
    for _ in range(3):
        assert iterator is not None
        records, iterator, more = streams.page(iterator, 1)
        seen.append((len(records), more))
    assert seen == [(1, True), (1, True), (0, False)]
    streams.server.control("options", {"may_more_record": False})
    assert iterator is not None
    assert streams.page(iterator)[2] is None


def test_pages_obey_the_caps_and_join_to_the_same_log(streams: Streams) -> None:
    for number in range(40):
        streams.put("a", number, x="v" * number * 10)
    start = streams.iterator(streams.shards()[0]["id"])
    whole = streams.page(start)[0]
    assert len(whole) == 40
    rng = random.Random(5)
    for _ in range(5):
        rows, size = rng.randint(1, 50), rng.randint(1, 9000)
        streams.server.control("options", {"page_rows": rows, "page_bytes": size})
        iterator: str | None = start
        records: list[bytes] = []
        while iterator is not None:
            page, following, _ = streams.page(iterator)
            assert len(page) <= rows
            assert sum(map(len, page)) <= size or len(page) == 1
            records += page
            iterator = following if following != iterator else None
        assert records == whole


def test_seeking_finds_the_first_record_at_or_after_a_time(streams: Streams) -> None:
    for number in range(10):
        streams.put("a", number, x=number)
    shard = streams.shards()[0]["id"]
    whole, tail = streams.drain(streams.iterator(shard))
    times = [streams.row(record).sequence[1] for record in whole]
    for index, time_us in enumerate(times):
        assert streams.drain(streams.iterator(shard, time_us))[0] == whole[index:]
        assert streams.drain(streams.iterator(shard, time_us + 1))[0] == whole[index + 1 :]
    assert streams.iterator(shard, times[-1] + 1) == tail
    assert streams.drain(streams.iterator(shard, 0))[0] == whole
    streams.server.control("options", {"seek_early": 3})
    assert streams.drain(streams.iterator(shard, times[5]))[0] == whole[2:]


def test_a_search_by_time_can_take_rounds_with_a_token(streams: Streams, pbf: Any) -> None:
    streams.put("a", 1, x=1)
    shard = streams.shards()[0]["id"]
    wanted = streams.iterator(shard, 1)
    streams.server.control("options", {"seek_pages": 2})
    parts = [pbf(1, streams.id), pbf(2, shard), pbf(3, 1)]
    tokens = []
    answer = streams.server.call("GetShardIterator", *parts)
    while 2 in answer:
        assert answer[1] == [b""]
        tokens.append(answer[2][0])
        answer = streams.server.call("GetShardIterator", *parts, pbf(4, tokens[-1]))
    assert (len(set(tokens)), answer[1]) == (2, [wanted.encode()])


def test_a_split_shard_ends_and_its_children_take_over_per_key(streams: Streams) -> None:
    keys = [f"key-{number}" for number in range(30)]
    for key in keys:
        streams.put(key, 0, x=1)
    root = streams.shards()[0]["id"]
    tail = streams.drain(streams.iterator(root))[1]
    done = streams.server.control("shards/split", {"table": "src"})
    assert done["parent"] == root
    for key in keys:
        streams.put(key, 0, x=2)
    assert tail is not None
    assert streams.page(tail)[:2] == ([], None)
    records, following = streams.drain(streams.iterator(root))
    assert (len(records), following) == (30, None)
    children = streams.shards()[1:]
    assert [child["parent"] for child in children] == [root, root]
    per_child = [[row.key[0].value[5:].decode() for row in streams.rows(c["id"])] for c in children]
    assert sorted(per_child[0] + per_child[1]) == sorted(keys)
    assert all(per_child)
    merged = streams.server.control(
        "shards/merge", {"table": "src", "shards": [child["id"] for child in children]}
    )
    for key in keys:
        streams.put(key, 0, x=3)
    last = streams.shards()[-1]
    assert last == {"id": merged["child"], "parent": children[0]["id"], "sibling": children[1]["id"]}
    assert len(streams.rows(last["id"])) == 30
    times = [row.sequence[1] for c in children for row in streams.rows(c["id"])]
    assert min(row.sequence[1] for row in streams.rows(last["id"])) > max(times)
    assert max(row.sequence[1] for row in streams.rows(root)) < min(times)


def test_a_key_stays_in_one_lineage_through_random_splits_and_merges(streams: Streams) -> None:
    rng = random.Random(11)
    for step in range(60):
        streams.put(f"k{rng.randrange(8)}", 0, step=step)
        shards = streams.server.control("shards?table=src", method="GET")["shards"]
        live = [s["shard"] for s in shards if not s["closed"]]
        if rng.random() < 0.15 and len(live) < 6:
            streams.server.control("shards/split", {"table": "src", "shard": rng.choice(live)})
        elif rng.random() < 0.15 and len(live) > 1:
            streams.server.control("shards/merge", {"table": "src", "shards": rng.sample(live, 2)})
    log = streams.server.control("log?table=src", method="GET")["shards"]
    order = {shard["shard"]: number for number, shard in enumerate(log)}
    ancestors: dict[str, set[str]] = {}
    for shard in log:
        parents = [p for p in (shard["parent"], shard["sibling"]) if p]
        assert all(order[parent] < order[shard["shard"]] for parent in parents)
        ancestors[shard["shard"]] = set(parents).union(*(ancestors[parent] for parent in parents))
    steps: dict[str, list[tuple[int, str]]] = {}
    for shard in log:
        for record in shard["log"]:
            steps.setdefault(record["pk"][0][1], []).append((record["cells"][0]["value"], shard["shard"]))
    assert sum(map(len, steps.values())) == 60
    for seen in steps.values():
        assert seen == sorted(seen)
        for (_, before), (_, after) in itertools.pairwise(seen):
            assert before == after or before in ancestors[after]


def test_describe_stream_pages_through_all_shards(streams: Streams, pbf: Any, pbparse: Any) -> None:
    for _ in range(4):
        streams.server.control("shards/split", {"table": "src"})
    ids = [shard["id"] for shard in streams.shards()]
    assert len(ids) == 9
    for limit, backward in ((1, False), (2, False), (4, True), (9, False), (10, True)):
        streams.server.control("options", {"describe_reversed": backward})
        seen: list[str] = []
        start: list[bytes] = []
        while True:
            answer = streams.server.call("DescribeStream", pbf(1, streams.id), pbf(3, limit), *start)
            seen += [pbparse(shard)[1][0].decode() for shard in answer[6]]
            assert len(answer[6]) <= limit
            if 7 not in answer:
                break
            start = [pbf(2, answer[7][0])]
        assert seen == (ids[::-1] if backward else ids)


@pytest.mark.parametrize(
    ("as_tunnel", "expected"),
    [
        (
            False,
            (404, "OTSTrimmedDataAccess", "Requested stream data is already trimmed or does not exist."),
        ),
        (
            True,
            (
                400,
                "OTSTunnelServerUnavailable",
                "OTSTrimmedDataAccess Requested stream data is already trimmed or does not exist.",
            ),
        ),
    ],
)
def test_a_trimmed_iterator_is_refused_also_at_an_idle_tail(
    streams: Streams, pbf: Any, as_tunnel: bool, expected: tuple[int, str, str]
) -> None:
    streams.server.control("options", {"trimmed_as_tunnel_error": as_tunnel})
    shard = streams.shards()[0]["id"]
    start = streams.iterator(shard)
    for number in range(5):
        streams.put("a", number, x=number)
    whole, tail = streams.drain(start)
    middle = streams.row(whole[3]).sequence[1]
    streams.server.control("shards/trim", {"table": "src", "before_us": middle})
    assert streams.server.refused("GetStreamRecord", pbf(1, start)) == expected
    assert streams.drain(streams.iterator(shard))[0] == whole[3:]
    assert tail is not None
    assert streams.page(tail) == ([], tail, False)
    streams.server.control("shards/trim", {"table": "src", "all": True})
    assert streams.server.refused("GetStreamRecord", pbf(1, tail)) == expected
    streams.put("a", 9, x=9)
    assert streams.server.refused("GetStreamRecord", pbf(1, tail)) == expected
    assert len(streams.drain(streams.iterator(shard))[0]) == 1
    assert len(streams.drain(streams.iterator(shard, 1))[0]) == 1


def test_retention_trims_by_the_clock_and_retires_finished_parents(streams: Streams, pbf: Any) -> None:
    streams.put("a", 1, x=1)
    root = streams.shards()[0]["id"]
    start = streams.iterator(root)
    streams.server.control("shards/split", {"table": "src"})
    child = next(s["id"] for s in streams.shards()[1:])
    idle = streams.iterator(child)
    assert streams.page(idle)[1] == idle
    assert len(streams.drain(start)[0]) == 1
    service = streams.server.service
    service.control.clock.offset = 25 * 3600.0
    stream = service._store.find_table("src")[1].stream

    def shards() -> int:
        listed = [s for s in stream.shards.values() if not s.retired]
        return len(listed)

    headers = _later_headers(streams, "GetStreamRecord", pbf(1, idle))
    status, _, body = streams.server.send("GetStreamRecord", pbf(1, idle), headers)
    assert (status, b"OTSTrimmedDataAccess" in body) == (404, True)
    headers = _later_headers(streams, "DescribeStream", pbf(1, stream.id))
    status, _, body = streams.server.send("DescribeStream", pbf(1, stream.id), headers)
    assert status == 200
    assert shards() == 2
    assert root.encode() in body  # as the children's parent, although it is listed no more


def _later_headers(streams: Streams, operation: str, body: bytes) -> dict[str, str]:
    later = datetime.fromtimestamp(streams.server.service.control.clock.now(), UTC)
    return dict(streams.server.headers(operation, body, later.strftime("%Y-%m-%dT%H:%M:%SZ")))


def test_a_raised_epoch_lets_times_step_back(streams: Streams) -> None:
    streams.put("a", 1, x=1)
    streams.server.control("epoch", {"table": "src", "by": 2, "shift_us": -HOUR_US})
    streams.put("a", 2, x=2)
    streams.put("a", 3, x=3)
    shard = streams.shards()[0]["id"]
    sequences = [row.sequence for row in streams.rows(shard)]
    assert [epoch for epoch, _, _ in sequences] == [0, 2, 2]
    assert HOUR_US - 60_000_000 < sequences[0][1] - sequences[1][1] <= HOUR_US
    assert sequences[2][1] > sequences[1][1]
    seek = streams.iterator(shard, sequences[1][1])
    assert len(streams.drain(seek)[0]) == 3  # the first in log order at or after that time


def test_an_inserted_empty_page_has_an_iterator_of_its_own(streams: Streams) -> None:
    for number in range(4):
        streams.put("a", number, x=number)
    streams.server.control("empty_page", {"table": "src", "at": 2, "count": 2})
    iterator = streams.iterator(streams.shards()[0]["id"])
    counts, seen = [], [iterator]
    while True:
        records, following, _ = streams.page(iterator)
        counts.append(len(records))
        if following is None or following == iterator:
            break
        iterator = following
        seen.append(iterator)
    assert counts == [2, 0, 0, 2, 0]
    assert len(set(seen)) == 5


def test_retired_parents_are_listed_no_more(streams: Streams, pbf: Any) -> None:
    streams.put("a", 1, x=1)
    root = streams.shards()[0]["id"]
    streams.server.control("shards/split", {"table": "src"})
    assert streams.server.control("shards/retire", {"table": "src"}) == {"retired": []}
    streams.server.control("shards/trim", {"table": "src", "shard": root, "all": True})
    assert streams.server.control("shards/retire", {"table": "src"}) == {"retired": [root]}
    answer = streams.server.call("DescribeStream", pbf(1, streams.id))
    assert len(answer[6]) == 2
    refused = streams.server.refused("GetShardIterator", pbf(1, streams.id), pbf(2, root))
    assert refused[1] == "OTSTrimmedDataAccess"


def test_pre_images_are_kept_for_the_columns_asked_for(streams: Streams, pbf: Any) -> None:
    streams.server.call("UpdateTable", pbf(1, "src"), pbf(4, pbf(1, 0)))
    spec = pbf(1, 1) + pbf(2, 24) + pbf(3, "a") + pbf(3, "none")
    streams.server.call("UpdateTable", pbf(1, "src"), pbf(4, spec))
    streams.put("k", 1, a=1, b=2)
    streams.put("k", 1, a=3, b=4)
    records, _ = streams.drain(streams.iterator(streams.shards()[0]["id"]))
    assert 3 not in streams.fields(records[0])
    origin = decode_row(streams.fields(records[1])[3][0])
    assert [(c.name, c.value) for c in origin.cells] == [("a", b"\x00" + struct.pack("<q", 1))]


def test_an_iterator_with_a_too_long_stream_id_is_refused(tablestore_server: Any, pbf: Any) -> None:
    name = "t" * 239
    streams = Streams(tablestore_server, pbf, table=name)
    refused = tablestore_server.refused(
        "GetShardIterator", pbf(1, streams.id), pbf(2, streams.shards()[0]["id"])
    )
    assert refused[:2] == (400, "OTSParameterInvalid")
    assert refused[2].startswith("Invalid stream id")
    longest = Streams(tablestore_server, pbf, table="t" * 238)
    assert longest.page(longest.iterator(longest.shards()[0]["id"]))[0] == []


def test_the_log_route_tells_every_record_independently(streams: Streams) -> None:
    streams.put("é", 1, a=1, s="x", d=1.5, flag=True, raw=bytearray(b"\x00\xff"))
    streams.client.delete_row("src", [("pk1", "é"), ("pk2", 1)], ots.Condition("IGNORE"))
    shard = streams.server.control("log?table=src", method="GET")["shards"][0]
    put, delete = shard["log"]
    assert (put["action"], put["pk"]) == ("PUT", [["pk1", "é"], ["pk2", 1]])
    assert {cell["name"]: cell["value"] for cell in put["cells"]} == {
        "a": 1,
        "s": "x",
        "d": 1.5,
        "flag": True,
        "raw": {"base64": "AP8="},
    }
    assert (delete["action"], delete["cells"]) == ("DELETE", [])
    part = streams.server.control("log", {"table": "src", "shard": shard["shard"], "from": 1, "limit": 5})
    assert part["shards"][0]["log"] == [delete]


def test_an_answer_has_exactly_the_published_bytes() -> None:
    """The three records, the fields after them and their order, as the vendor's Java decoder took them."""
    rows = [bytes.fromhex(text) for text in (PUBLISHED_PUT, PUBLISHED_UPDATE, PUBLISHED_DELETE)]
    records = b"".join(stream_record(action, row) for action, row in enumerate(rows, 1))
    unit = message("CapacityUnit", read=1)
    tail = message(
        "GetStreamRecordTail",
        next_shard_iterator="it-2",
        consumed=message("ConsumedCapacity", capacity_unit=unit),
        may_more_record=False,
    )
    assert records + tail.SerializeToString() == bytes.fromhex(PUBLISHED_ANSWER)


def test_a_timeseries_tables_names_are_accepted_and_told(tablestore_server: Any, pbf: Any) -> None:
    meta = pbf(1, "ts") + pbf(2, pbf(1, "_#h") + pbf(2, 1)) + pbf(2, pbf(1, "_m_name") + pbf(2, 2))
    tablestore_server.call(
        "CreateTable",
        pbf(1, meta),
        pbf(2, pbf(1, pbf(1, 0) + pbf(2, 0))),
        pbf(3, pbf(1, -1) + pbf(2, 1)),
        pbf(5, pbf(1, 1) + pbf(2, 24)),
    )
    key, cells = [("_#h", 7), ("_m_name", "cpu")], [("load:d", 1.5)]
    row = pb.HEADER + pb.encode_row(
        [pb.encode_cell(n.encode(), pb.encode_value(v), None, None) for n, v in key],
        [pb.encode_cell(n.encode(), pb.encode_value(v), None, None) for n, v in cells],
    )
    tablestore_server.call("PutRow", pbf(1, "ts"), pbf(2, row), pbf(3, pbf(1, 0)))
    log = tablestore_server.control("log?table=ts", method="GET")
    assert log["shards"][0]["log"][0]["cells"][0]["name"] == "load:d"
    described = tablestore_server.call("DescribeStream", pbf(1, log["stream"]), pbf(4, 1))
    assert described[8] == [1]


def test_after_modify_returns_the_incremented_column(streams: Streams, pbf: Any) -> None:
    streams.put("k", 1, n=5, other=1)
    key = [("pk1", "k"), ("pk2", 1)]
    cell = pb.encode_cell(b"n", pb.encode_value(-7), pb.INCREMENT, None)
    change = pb.HEADER + pb.encode_row(
        [pb.encode_cell(n.encode(), pb.encode_value(v), None, None) for n, v in key], [cell]
    )
    answer = streams.server.call(
        "UpdateRow", pbf(1, "src"), pbf(2, change), pbf(3, pbf(1, 0)), pbf(4, pbf(1, 2) + pbf(2, "n"))
    )
    back = decode_row(answer[2][0])
    assert [(c.name, pb.decode_value(c.value or b"")) for c in back.cells] == [("n", -2)]


def test_split_points_cut_the_rows_by_size(streams: Streams, pbf: Any) -> None:
    for number in range(20):
        streams.put("k", number, v="x" * 1000)
    answer = streams.server.call("ComputeSplitPointsBySize", pbf(1, "src"), pbf(2, 1), pbf(3, 5000))
    points = [[pb.decode_value(c.value or b"") for c in decode_row(p).key] for p in answer[3]]
    assert points == [["k", 5], ["k", 10], ["k", 15]]
    assert len(answer[2]) == 2


def test_a_fault_can_be_aimed_at_one_shard(streams: Streams, pbf: Any) -> None:
    streams.server.control("shards/split", {"table": "src"})
    first, second = (shard["id"] for shard in streams.shards()[1:])
    streams.server.control(
        "faults", {"action": "throttle", "operation": "GetStreamRecord", "key": first, "count": -1}
    )
    assert streams.server.refused("GetStreamRecord", pbf(1, streams.iterator(first)))[:2] == (
        503,
        "OTSServerBusy",
    )
    assert streams.page(streams.iterator(second))[0] == []


def test_a_damaged_page_has_a_right_digest_when_asked(streams: Streams, pbf: Any) -> None:
    streams.put("a", 1, x="value")
    iterator = streams.iterator(streams.shards()[0]["id"])
    good = streams.server.send("GetStreamRecord", pbf(1, iterator))[2]
    streams.server.control("faults", {"action": "wrong_crc", "operation": "GetStreamRecord", "bytes": 40})
    _, headers, bad = streams.server.send("GetStreamRecord", pbf(1, iterator))
    assert [at for at in range(len(good)) if good[at] != bad[at]] == [40]
    digest = base64.b64encode(hashlib.md5(bad).digest()).decode()  # noqa: S324 - the protocol's
    assert headers["x-ots-contentmd5"] == digest


def test_a_cut_page_ends_before_its_length(streams: Streams, pbf: Any) -> None:
    streams.put("a", 1, x="value")
    iterator = streams.iterator(streams.shards()[0]["id"])
    streams.server.control("faults", {"action": "cut", "operation": "GetStreamRecord", "bytes": 10})
    with pytest.raises(http.client.IncompleteRead):
        streams.server.send("GetStreamRecord", pbf(1, iterator))
    streams.server.close()


def test_a_duplicate_write_happens_twice(streams: Streams) -> None:
    streams.server.control("faults", {"action": "duplicate", "operation": "PutRow"})
    streams.put("a", 1, x=1)
    assert len(streams.rows(streams.shards()[0]["id"])) == 2
