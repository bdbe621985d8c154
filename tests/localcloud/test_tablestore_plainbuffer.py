"""The codec against published vectors, and against itself for everything else."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError

T0 = 1_700_000_000_000
U0 = 1_700_000_000_123_456
KEY_U1 = "030403000000706b310507000000030200000075310aa0030403000000706b3205090000000001000000000000000ae8"

VECTORS = {
    "pk-int": "7500000001030402000000696405090000000001000000000000000a0a0982",
    "pk-string": "7500000001030402000000706b050c0000000307000000706b56616c75650a8509f7",
    "put-all-types": (
        "7500000001030403000000706b3105060000000301000000610a19030403000000706b32050900000000070000000000"
        "00000a820203040100000069050900000000ffffffffffffffff070068e5cf8b0100000a2003040100000064050900000001"
        "000000000000f83f070068e5cf8b0100000ac50304010000006205020000000201070068e5cf8b0100000a3603040100000"
        "07305070000000302000000c3a9070068e5cf8b0100000a9d030401000000780507000000070200000000ff070068e5cf8b"
        "0100000aad0912"
    ),
    "range-min": "7500000001030403000000706b310501000000090ac8030403000000706b320501000000090af709a3",
    "range-max": "7500000001030403000000706b3105010000000a0ac1030403000000706b3205010000000a0afe0924",
    "auto-increment": (
        "75000000010304040000006e616d65050900000003040000006e616d650af4030402000000696405010000000b0a6f02"
        "03040500000073636f726505090000000133333333337350400ac303040400000070617373050200000002010ae20958"
    ),
    "update-req": (
        "7500000001030403000000706b3105060000000301000000610a19020304010000006305090000000002000000000000"
        "000afb030401000000640603070068e5cf8b0100000a110304010000006506010ab30304010000006e05090000000005000"
        "0000000000006040a000968"
    ),
    "doc-example": (
        "7500000001030403000000706b31050a000000030500000069616d706b0a98030403000000706b320509000000006400"
        "0000000000000a0502030407000000636f6c756d6e310508000000030300000062616407e9030000000000000a3003040700"
        "0000636f6c756d6e32050900000000800000000000000007ea030000000000000a69030407000000636f6c756d6e33050900"
        "0000019a9999999919414007eb030000000000000acf030407000000636f6c756d6e3406010aa70922"
    ),
    "del-one": (
        "7500000001030404000000617265610507000000030200000061310a6b030402000000696405090000000002000000000"
        "000000a3f0203040500000073636f7265060307d2040000000000000a7209f1"
    ),
    "s-put": (
        f"7500000001{KEY_U1}"
        "02030401000000610509000000000100000000000000070068e5cf8b0100000a5803040100000062050600000003010000"
        "0078070068e5cf8b0100000a5e0b180000000c130000000d000000000e40222018240a06000f000000000988"
    ),
    "s-update": (
        f"7500000001{KEY_U1}"
        "02030401000000610509000000006300000000000000070168e5cf8b0100000a8f030401000000620603070068e5cf8b01"
        "00000a660304010000006406010aa60b180000000c130000000d010000000e28262018240a06000f0300000009c8"
    ),
    "s-delete": (f"7500000001{KEY_U1}0b180000000c130000000d010000000e102a2018240a06000f0400000009a3"),
}
DELETE_REQUEST = "7500000001030403000000706b3105060000000301000000610a190809ed"
UNKNOWN_EXTENSION = (
    f"7500000001{KEY_U1}0b200000000c130000000d010000000e102a2018240a06000f040000001003000000aabbcc09a3"
)


def _encode(row: pb.Row) -> bytes:
    def cell(c: pb.Cell) -> tuple[bytes, int]:
        return pb.encode_cell(c.name.encode(), c.value, c.op, c.ts)

    extension = pb.sequence_info(*row.sequence) if row.sequence else b""
    return pb.HEADER + pb.encode_row(map(cell, row.key), map(cell, row.cells), extension=extension)


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_row_is_decoded_and_encoded_to_the_same_bytes(name: str) -> None:
    data = bytes.fromhex(VECTORS[name])
    assert _encode(pb.decode_row(data)) == data


def test_a_stream_record_means_what_the_vector_says() -> None:
    row = pb.decode_row(bytes.fromhex(VECTORS["s-update"]))
    assert [(c.name, pb.decode_value(c.value or b"")) for c in row.key] == [("pk1", "u1"), ("pk2", 1)]
    assert [(c.name, c.op, c.ts) for c in row.cells] == [
        ("a", None, T0 + 1),
        ("b", pb.DELETE_ONE, T0),
        ("d", pb.DELETE_ALL, None),
    ]
    assert row.sequence == (1, U0 + 1000, 3)


def test_every_value_type_is_decoded() -> None:
    row = pb.decode_row(bytes.fromhex(VECTORS["put-all-types"]))
    assert {c.name: pb.decode_value(c.value or b"") for c in row.cells} == {
        "i": -1,
        "d": 1.5,
        "b": True,
        "s": "é",
        "x": b"\x00\xff",
    }


def test_a_delete_marker_and_unknown_extension_entries_are_accepted() -> None:
    assert pb.decode_row(bytes.fromhex(DELETE_REQUEST)).marked_deleted
    assert pb.decode_row(bytes.fromhex(UNKNOWN_EXTENSION)).sequence == (1, U0 + 2000, 4)


VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(max_size=40),
    st.binary(max_size=40),
)
TIMES = st.integers(0, 2**62)
NAMES = st.text("abcdefgh_é", min_size=1, max_size=8)
CELLS = st.one_of(
    st.builds(pb.Cell, NAMES, VALUES.map(pb.encode_value), st.none(), st.none() | TIMES),
    st.builds(pb.Cell, NAMES, st.none(), st.just(pb.DELETE_ONE), TIMES),
    st.builds(pb.Cell, NAMES, st.none(), st.just(pb.DELETE_ALL), st.none()),
)
KEYS = st.builds(pb.Cell, NAMES, VALUES.map(pb.encode_value))
SEQUENCES = st.none() | st.tuples(st.integers(0, 2**32 - 1), TIMES, st.integers(0, 2**32 - 1))
ROWS = st.builds(
    pb.Row,
    st.lists(KEYS, min_size=1, max_size=4),
    st.lists(CELLS, max_size=5),
    st.just(False),  # noqa: FBT003 - no marker: rows of answers never have it
    SEQUENCES,
)


@given(VALUES)
def test_a_value_survives_the_wire(value: Any) -> None:
    back = pb.decode_value(pb.encode_value(value))
    assert type(back) is type(value)
    assert struct.pack("d", back) == struct.pack("d", value) if isinstance(value, float) else back == value


@given(ROWS)
def test_a_row_survives_the_wire(row: pb.Row) -> None:
    assert pb.decode_row(_encode(row)) == row


@given(ROWS, st.data())
def test_a_truncated_row_is_refused(row: pb.Row, data: st.DataObject) -> None:
    encoded = _encode(row)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(ServiceError):
        pb.decode_row(encoded[:cut])


@given(ROWS, st.data())
def test_a_damaged_byte_is_refused_unless_it_lies_in_the_uncovered_extension(
    row: pb.Row, data: st.DataObject
) -> None:
    encoded = bytearray(_encode(row))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        damaged = pb.decode_row(bytes(encoded))
    except ServiceError:
        return
    assert (damaged.key, damaged.cells) == (row.key, row.cells)
    assert row.sequence is not None


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00\x01", b"\x03\x05\x00\x00\x00ab", b"\x03\x01\x00\x00\x00\xff", b"\x07\x00", b"\x55", b"\x02"],
)
def test_a_broken_value_is_refused(value: bytes) -> None:
    with pytest.raises(ServiceError):
        pb.decode_value(value)
