"""The messages against bytes of another implementation, and beside the vendor's SDK in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_sync.clients.tablestore import messages

# GetStreamRecordResponse with the records s-put, s-update and s-delete, next iterator "it-2".
STREAM_ANSWER = bytes.fromhex(
    "0a970108011292017500000001030403000000706b310507000000030200000075310aa0030403000000706b32050900"
    "00000001000000000000000ae802030401000000610509000000000100000000000000070068e5cf8b0100000a580304"
    "01000000620506000000030100000078070068e5cf8b0100000a5e0b180000000c130000000d000000000e4022201824"
    "0a06000f0000000009880a990108021294017500000001030403000000706b310507000000030200000075310aa00304"
    "03000000706b3205090000000001000000000000000ae802030401000000610509000000006300000000000000070168"
    "e5cf8b0100000a8f030401000000620603070068e5cf8b0100000a660304010000006406010aa60b180000000c130000"
    "000d010000000e28262018240a06000f0300000009c80a58080312547500000001030403000000706b31050700000003"
    "0200000075310aa0030403000000706b3205090000000001000000000000000ae80b180000000c130000000d01000000"
    "0e102a2018240a06000f0400000009a3120469742d321a040a0208012000"
)


def test_a_stream_answer_of_another_implementation_is_read() -> None:
    answer = messages.GetStreamRecordResponse()
    answer.ParseFromString(STREAM_ANSWER)

    assert [entry.action_type for entry in answer.stream_records] == [1, 2, 3]
    assert [len(entry.record) for entry in answer.stream_records] == [146, 148, 84]
    assert answer.next_shard_iterator == "it-2"
    assert answer.HasField("may_more_record")
    assert answer.may_more_record is False


def test_an_error_body_of_another_implementation_is_read() -> None:
    error = messages.Error()
    error.ParseFromString(
        b"\x0a\x14OTSTrimmedDataAccess\x12;Requested stream data is already trimmed or does not exist."
    )

    assert error.code == "OTSTrimmedDataAccess"
    assert error.message == "Requested stream data is already trimmed or does not exist."


def test_a_list_of_streams_of_another_implementation_is_read() -> None:
    answer = messages.ListStreamResponse()
    answer.ParseFromString(
        bytes.fromhex("0a240a147372635f313730303030303030303030303030301203737263188080f9c0c1c48203")
    )

    assert [(s.stream_id, s.table_name, s.creation_time) for s in answer.streams] == [
        ("src_1700000000000000", "src", 1_700_000_000_000_000)
    ]


def test_an_action_that_does_not_exist_yet_arrives_as_its_number() -> None:
    answer = messages.GetStreamRecordResponse()
    answer.ParseFromString(bytes.fromhex("0a050863120175"))

    assert answer.stream_records[0].action_type == 99


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_the_vendors_sdk_loads_beside_ours_in_either_order(first: str) -> None:
    ours = "from airflow_provider_sync.clients.tablestore import messages"
    theirs = "import tablestore, tablestore.protocol"
    order = (ours, theirs) if first == "ours" else (theirs, ours)
    use = (
        "import tablestore.protobuf.table_store_pb2 as pb; "
        "a = messages.ListStreamRequest(table_name='t').SerializeToString(); "
        "assert pb.ListTableRequest().SerializeToString() == b'' and a == b'\\x0a\\x01t'"
    )
    program = "; ".join((*order, use))

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
