"""The status table against rows that DataX wrote, read and written through the vendor's SDK."""

from __future__ import annotations

import contextlib
import json
import random
import string
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import tablestore

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn
from airflow_provider_sync.clients.tablestore.messages import KeyType
from airflow_provider_sync.clients.tablestore.status import SHARD_END, ShardCheckpoint, StatusTable
from airflow_provider_sync.errors import ConfigError, CorruptDataError, SyncError, TransientError

Control = Callable[..., Any]

STREAM = "src_1795211862847510"
PARENT = "6c07dd5e-7690-454e-8b55-566351a087df_1795211862847510"
LEFT = "1999f322-5f8f-43b6-9616-781bd97a2189_1795211863072724"
RIGHT = "4be89dbf-9014-4ec7-8374-e6d563bd2dd8_1795211863072725"
VERSION = "1795211928183-5277687d-2d16-4bec-b1fa-4f0546cfe363"
START, END = 1795211861848, 1795211863415
END_TEXT = "   1795211863415"
CHECKPOINT = "CheckpointForDataxReader"
JOB = "DataxJobDesc"
SHARD_TIME = "ShardTimeCheckpointForDataxReader"
SHARDS = {
    PARENT: ShardCheckpoint(SHARD_END, 5),
    LEFT: ShardCheckpoint("aXRlcmF0b3ItbGVmdA=="),
    RIGHT: ShardCheckpoint("aXRlcmF0b3ItcmlnaHQ=", 1),
}


@pytest.fixture
def status(client: TablestoreClient) -> StatusTable:
    table = StatusTable(client, "status")
    table.ensure()
    return table


def _put(vendor: tablestore.OTSClient, kind: str, value: str, columns: dict[str, Any]) -> None:
    key = [("StreamId", STREAM), ("StatusType", kind), ("StatusValue", value)]
    vendor.put_row("status", tablestore.Row(key, list(columns.items())))


def _delete(vendor: tablestore.OTSClient, kind: str, value: str) -> None:
    key = [("StreamId", STREAM), ("StatusType", kind), ("StatusValue", value)]
    vendor.delete_row("status", tablestore.Row(key), tablestore.Condition("IGNORE"))


def _rows(vendor: tablestore.OTSClient) -> dict[tuple[str, str], dict[str, Any]]:
    low, high = (
        [(name, edge) for name in ("StreamId", "StatusType", "StatusValue")]
        for edge in (tablestore.INF_MIN, tablestore.INF_MAX)
    )
    _, _, rows, _ = vendor.get_range("status", "FORWARD", low, high)
    return {
        (row.primary_key[1][1], row.primary_key[2][1]): {
            name: value for name, value, _ in row.attribute_columns
        }
        for row in rows
        if row.primary_key[0][1] == STREAM
    }


def _put_datax_job(vendor: tablestore.OTSClient) -> None:
    """Write the rows of a real DataX job over a split parent and its two children."""
    for shard, columns in (
        (PARENT, {"Checkpoint": "SHARD_END", "SendRecordCount": 5}),
        (RIGHT, {"Checkpoint": "aXRlcmF0b3ItcmlnaHQ=", "SendRecordCount": 1}),
        (LEFT, {"Checkpoint": "aXRlcmF0b3ItbGVmdA=="}),
    ):
        _put(vendor, CHECKPOINT, f"{END_TEXT}\t{shard}", {"Version": VERSION, "SkipCount": 0} | columns)
    ids = json.dumps([PARENT, LEFT, RIGHT]).encode()
    _put(
        vendor,
        JOB,
        END_TEXT,
        {
            "ShardIds_0": bytearray(zlib.compress(ids)),
            "Version": VERSION,
            "TableName": "src",
            "JobStreamId": STREAM,
            "StartTime": START,
            "EndTime": END,
        },
    )


def _write(status: StatusTable, shards: dict[str, ShardCheckpoint], version: str = VERSION) -> None:
    status.write_boundary(STREAM, "src", start_ms=START, end_ms=END, shards=shards, version=version)


def test_the_table_is_created_as_datax_creates_it(
    client: TablestoreClient, vendor: tablestore.OTSClient
) -> None:
    StatusTable(client, "status").ensure()
    StatusTable(client, "status").ensure()

    described = vendor.describe_table("status")
    assert described.table_meta.schema_of_primary_key == [
        ("StreamId", "STRING"),
        ("StatusType", "STRING"),
        ("StatusValue", "STRING"),
    ]
    assert described.table_options.time_to_live == 2_592_000
    assert described.table_options.max_version == 1
    unit = described.reserved_throughput_details.capacity_unit
    assert (unit.read, unit.write) == (0, 0)


def test_a_table_with_another_key_is_refused_and_both_keys_are_named(client: TablestoreClient) -> None:
    client.create_table("status", [KeyColumn("id", KeyType.INTEGER)])

    with pytest.raises(ConfigError) as caught:
        StatusTable(client, "status", field="reader.parameter.statusTable").ensure()
    assert caught.value.field == "reader.parameter.statusTable"
    assert "(id INTEGER)" in str(caught.value)
    assert "(StreamId STRING, StatusType STRING, StatusValue STRING)" in str(caught.value)


def test_a_lost_answer_to_the_creation_does_not_matter(client: TablestoreClient, control: Control) -> None:
    control("POST", "faults", action="lost_reply", operation="CreateTable")

    StatusTable(client, "status").ensure()

    assert client.list_tables() == ["status"]


def test_a_table_that_is_not_ready_is_waited_for(client: TablestoreClient, control: Control) -> None:
    control(
        "POST", "faults", action="error", operation="GetRange", count=12, code="OTSTableNotReady", status=404
    )
    waits: list[float] = []

    StatusTable(client, "status", sleep=waits.append).ensure()

    assert waits == [0.5, 0.5]  # the client's own five tries, twice


def test_a_table_that_never_gets_ready_is_given_up_on(client: TablestoreClient, control: Control) -> None:
    control(
        "POST", "faults", action="error", operation="GetRange", count=-1, code="OTSTableNotReady", status=404
    )
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 60 * seconds

    with pytest.raises(TransientError, match="OTSTableNotReady"):
        StatusTable(client, "status", clock=lambda: now[0], sleep=sleep).ensure()
    assert now[0] == 120.0


def test_a_job_of_datax_is_read(status: StatusTable, vendor: tablestore.OTSClient) -> None:
    _put_datax_job(vendor)

    assert status.read_boundary(STREAM, END) == SHARDS


def test_nothing_is_stored_for_other_times_and_streams(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    _put_datax_job(vendor)

    assert status.read_boundary(STREAM, END + 1) is None
    assert status.read_boundary(STREAM, END // 10) is None
    assert status.read_boundary("src_1", END) is None


def test_a_boundary_is_written_as_datax_writes_it(status: StatusTable, vendor: tablestore.OTSClient) -> None:
    _write(status, SHARDS)

    rows = _rows(vendor)
    job = rows.pop((JOB, END_TEXT))
    assert json.loads(zlib.decompress(job.pop("ShardIds_0"))) == [PARENT, LEFT, RIGHT]
    assert job == {
        "Version": VERSION,
        "TableName": "src",
        "JobStreamId": STREAM,
        "StartTime": START,
        "EndTime": END,
    }
    assert rows == {
        (CHECKPOINT, f"{END_TEXT}\t{PARENT}"): {
            "Version": VERSION,
            "Checkpoint": "SHARD_END",
            "SkipCount": 0,
            "SendRecordCount": 5,
        },
        (CHECKPOINT, f"{END_TEXT}\t{LEFT}"): {
            "Version": VERSION,
            "Checkpoint": "aXRlcmF0b3ItbGVmdA==",
            "SkipCount": 0,
        },
        (CHECKPOINT, f"{END_TEXT}\t{RIGHT}"): {
            "Version": VERSION,
            "Checkpoint": "aXRlcmF0b3ItcmlnaHQ=",
            "SkipCount": 0,
            "SendRecordCount": 1,
        },
    }


def test_a_boundary_that_is_written_is_read(status: StatusTable) -> None:
    _write(status, SHARDS)

    assert status.read_boundary(STREAM, END) == SHARDS


def test_a_boundary_without_shards_is_not_no_boundary(status: StatusTable) -> None:
    _write(status, {})

    assert status.read_boundary(STREAM, END) == {}


def test_writing_again_replaces_what_was_there(status: StatusTable, vendor: tablestore.OTSClient) -> None:
    _put_datax_job(vendor)
    _put(vendor, CHECKPOINT, END_TEXT, {"ShardCount": 3})

    _write(status, {LEFT: ShardCheckpoint("other")}, version="2-b")

    assert status.read_boundary(STREAM, END) == {LEFT: ShardCheckpoint("other")}
    assert sorted(_rows(vendor)) == [(CHECKPOINT, f"{END_TEXT}\t{LEFT}"), (JOB, END_TEXT)]


def test_many_shards_are_stored_in_several_batches_and_pieces(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    chance = random.Random(1)
    # Long and random, so that they stay more than 65,536 bytes even compressed.
    ids = ["".join(chance.choices(string.ascii_letters, k=900)) for _ in range(110)]
    ids += [f"short-{number}" for number in range(110)]
    shards = {shard: ShardCheckpoint(f"i{number}") for number, shard in enumerate(ids)}

    _write(status, shards)

    assert status.read_boundary(STREAM, END) == shards
    job = _rows(vendor)[JOB, END_TEXT]
    assert len(job["ShardIds_0"]) == 65_536
    assert json.loads(zlib.decompress(job["ShardIds_0"] + job["ShardIds_1"])) == ids


def test_shard_ids_are_cut_at_65536_bytes_and_joined_again(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    _put_datax_job(vendor)
    _delete(vendor, JOB, END_TEXT)
    # Stored uncompressed inside the zlib stream, so that three short ids make more than one piece.
    packed = zlib.compress(json.dumps([PARENT, LEFT, RIGHT]).encode() + b" " * 100_000, 0)
    pieces = [packed[start : start + 65_536] for start in range(0, len(packed), 65_536)]
    assert len(pieces) == 2
    _put(
        vendor,
        JOB,
        END_TEXT,
        {f"ShardIds_{index}": bytearray(piece) for index, piece in enumerate(pieces)}
        | {"Version": VERSION, "JobStreamId": STREAM},
    )

    assert status.read_boundary(STREAM, END) == SHARDS


def test_a_set_with_a_missing_checkpoint_is_not_whole(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    _put_datax_job(vendor)
    _delete(vendor, CHECKPOINT, f"{END_TEXT}\t{LEFT}")

    assert status.read_boundary(STREAM, END) is None


def test_a_set_with_another_version_in_it_is_not_whole(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    _put_datax_job(vendor)
    _put(vendor, CHECKPOINT, f"{END_TEXT}\t{LEFT}", {"Version": "other", "Checkpoint": "x", "SkipCount": 0})

    assert status.read_boundary(STREAM, END) is None


def test_a_set_with_a_shard_too_many_is_not_whole(status: StatusTable, vendor: tablestore.OTSClient) -> None:
    _put_datax_job(vendor)
    _put(vendor, CHECKPOINT, f"{END_TEXT}\textra", {"Version": VERSION, "Checkpoint": "x", "SkipCount": 0})

    assert status.read_boundary(STREAM, END) is None


def test_a_set_without_its_description_is_not_whole(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    _put_datax_job(vendor)
    _delete(vendor, JOB, END_TEXT)

    assert status.read_boundary(STREAM, END) is None


def test_the_older_format_counts_shards(status: StatusTable, vendor: tablestore.OTSClient) -> None:
    for shard, checkpoint in ((PARENT, "SHARD_END"), (LEFT, "i-left")):
        _put(vendor, CHECKPOINT, f"{END_TEXT}\t{shard}", {"Checkpoint": checkpoint})
    _put(vendor, CHECKPOINT, END_TEXT, {"ShardCount": 2})

    assert status.read_boundary(STREAM, END) == {
        PARENT: ShardCheckpoint(SHARD_END),
        LEFT: ShardCheckpoint("i-left"),
    }
    _put(vendor, CHECKPOINT, END_TEXT, {"ShardCount": 3})
    assert status.read_boundary(STREAM, END) is None


@pytest.mark.parametrize("after", range(8))
def test_a_run_that_dies_while_writing_leaves_the_old_set_the_new_one_or_none(
    status: StatusTable,
    client: TablestoreClient,
    control: Control,
    vendor: tablestore.OTSClient,
    after: int,
) -> None:
    _put_datax_job(vendor)
    _put(vendor, CHECKPOINT, END_TEXT, {"ShardCount": 1})
    control(
        "POST",
        "faults",
        action="error",
        operation="PutRow|DeleteRow|BatchWriteRow|GetRange",
        after=after,
        count=1,
        code="OTSParameterInvalid",
        status=400,
    )

    with contextlib.suppress(SyncError):
        _write(status, {LEFT: ShardCheckpoint("new")}, version="2-b")
    control("DELETE", "faults")

    assert status.read_boundary(STREAM, END) in (None, SHARDS, {LEFT: ShardCheckpoint("new")})


@pytest.mark.parametrize(
    "columns",
    [
        {"ShardIds_0": bytearray(b"junk"), "Version": VERSION, "JobStreamId": STREAM},
        {"ShardIds_0": bytearray(zlib.compress(b"{}")), "Version": VERSION, "JobStreamId": STREAM},
        {"Version": VERSION, "JobStreamId": STREAM},
        {"ShardIds_0": bytearray(zlib.compress(b"[]")), "JobStreamId": STREAM},
    ],
)
def test_a_broken_description_is_an_error_that_names_the_row(
    status: StatusTable, vendor: tablestore.OTSClient, columns: dict[str, Any]
) -> None:
    _put(vendor, JOB, END_TEXT, columns)

    with pytest.raises(CorruptDataError, match=JOB):
        status.read_boundary(STREAM, END)


def test_a_shard_time_is_written_as_datax_writes_it(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    status.write_shard_time(STREAM, PARENT, 1795211862848, "iterator")

    assert _rows(vendor) == {(SHARD_TIME, f"{PARENT}\t   1795211862848"): {"Checkpoint": "iterator"}}


def test_the_nearest_shard_time_is_the_latest_one_inside(
    status: StatusTable, vendor: tablestore.OTSClient
) -> None:
    for time_ms in (100, 1000, 2000):
        _put(vendor, SHARD_TIME, f"{PARENT}\t{time_ms:16d}", {"Checkpoint": f"at-{time_ms}"})
    _put(vendor, SHARD_TIME, f"{LEFT}\t{1500:16d}", {"Checkpoint": "other shard"})

    def nearest(before_ms: int, after_ms: int = 0) -> tuple[int, str] | None:
        return status.nearest_shard_time(STREAM, PARENT, before_ms=before_ms, after_ms=after_ms)

    assert nearest(3000) == (2000, "at-2000")
    assert nearest(2000) == (1000, "at-1000")
    assert nearest(2000, after_ms=1000) is None
    assert nearest(2000, after_ms=999) == (1000, "at-1000")
    assert nearest(100) is None
