"""The codec against bytes that other implementations wrote, against the vendor's encoder, and against damage."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.clients.tablestore.plainbuffer import (
    decode,
    decode_read_rows,
    decode_stream_record,
    encode,
    encode_row,
    encode_value,
)
from airflow_provider_sync.clients.tablestore.rows import (
    AUTO_INCREMENT,
    INF_MAX,
    INF_MIN,
    Cell,
    CellOp,
    Marker,
    Row,
    SequenceInfo,
    Value,
)
from airflow_provider_sync.errors import ConfigError, CorruptDataError

with warnings.catch_warnings():
    # The SDK warns at import that its native module is for another Python.
    warnings.simplefilter("ignore")
    import tablestore
    from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder

T0 = 1_700_000_000_000
U0 = 1_700_000_000_123_456

_ROWS = {
    "pk-int": "7500000001030402000000696405090000000001000000000000000a0a0982",
    "pk-string": "7500000001030402000000706b050c0000000307000000706b56616c75650a8509f7",
    "put-all-types": (
        "7500000001030403000000706b3105060000000301000000610a19030403000000706b32050900000000070000000000"
        "00000a820203040100000069050900000000ffffffffffffffff070068e5cf8b0100000a200304010000006405090000"
        "0001000000000000f83f070068e5cf8b0100000ac50304010000006205020000000201070068e5cf8b0100000a360304"
        "010000007305070000000302000000c3a9070068e5cf8b0100000a9d030401000000780507000000070200000000ff07"
        "0068e5cf8b0100000aad0912"
    ),
    "range-min": "7500000001030403000000706b310501000000090ac8030403000000706b320501000000090af709a3",
    "range-max": "7500000001030403000000706b3105010000000a0ac1030403000000706b3205010000000a0afe0924",
    "auto-increment": (
        "75000000010304040000006e616d65050900000003040000006e616d650af4030402000000696405010000000b0a6f02"
        "03040500000073636f726505090000000133333333337350400ac303040400000070617373050200000002010ae20958"
    ),
    "update-req": (
        "7500000001030403000000706b3105060000000301000000610a19020304010000006305090000000002000000000000"
        "000afb030401000000640603070068e5cf8b0100000a110304010000006506010ab30304010000006e05090000000005"
        "0000000000000006040a000968"
    ),
    "delete-req": "7500000001030403000000706b3105060000000301000000610a190809ed",
    "two-rows": (
        "75000000010304010000006b05060000000301000000610a510203040100000076050900000000010000000000000007"
        "0068e5cf8b0100000a2009e1010304010000006b05060000000301000000620a58020304010000007605090000000002"
        "00000000000000070068e5cf8b0100000a2609a5"
    ),
    "doc-example": (
        "7500000001030403000000706b31050a000000030500000069616d706b0a98030403000000706b320509000000006400"
        "0000000000000a0502030407000000636f6c756d6e310508000000030300000062616407e9030000000000000a300304"
        "07000000636f6c756d6e32050900000000800000000000000007ea030000000000000a69030407000000636f6c756d6e"
        "330509000000019a9999999919414007eb030000000000000acf030407000000636f6c756d6e3406010aa70922"
    ),
    "del-one": (
        "7500000001030404000000617265610507000000030200000061310a6b03040200000069640509000000000200000000"
        "0000000a3f0203040500000073636f7265060307d2040000000000000a7209f1"
    ),
    "s-put": (
        "7500000001030403000000706b310507000000030200000075310aa0030403000000706b320509000000000100000000"
        "0000000ae802030401000000610509000000000100000000000000070068e5cf8b0100000a5803040100000062050600"
        "0000030100000078070068e5cf8b0100000a5e0b180000000c130000000d000000000e40222018240a06000f00000000"
        "0988"
    ),
    "s-update": (
        "7500000001030403000000706b310507000000030200000075310aa0030403000000706b320509000000000100000000"
        "0000000ae802030401000000610509000000006300000000000000070168e5cf8b0100000a8f03040100000062060307"
        "0068e5cf8b0100000a660304010000006406010aa60b180000000c130000000d010000000e28262018240a06000f0300"
        "000009c8"
    ),
    "s-delete": (
        "7500000001030403000000706b310507000000030200000075310aa0030403000000706b320509000000000100000000"
        "0000000ae80b180000000c130000000d010000000e102a2018240a06000f0400000009a3"
    ),
    "s-delete-mark": (
        "7500000001030403000000706b310507000000030200000075310aa0030403000000706b320509000000000100000000"
        "0000000ae8080b180000000c130000000d010000000e102a2018240a06000f0400000009a4"
    ),
    "s-unknown-ext": (
        "7500000001030403000000706b310507000000030200000075310aa0030403000000706b320509000000000100000000"
        "0000000ae80b200000000c130000000d010000000e102a2018240a06000f040000001003000000aabbcc09a3"
    ),
}

ROWS = {name: bytes.fromhex(text) for name, text in _ROWS.items()}

_U1 = (("pk1", "u1"), ("pk2", 1))
MEANINGS: dict[str, list[Row]] = {
    "pk-int": [Row((("id", 1),))],
    "pk-string": [Row((("pk", "pkValue"),))],
    "put-all-types": [
        Row(
            (("pk1", "a"), ("pk2", 7)),
            (
                Cell("i", -1, T0),
                Cell("d", 1.5, T0),
                Cell("b", True, T0),  # noqa: FBT003 - a value
                Cell("s", "é", T0),
                Cell("x", b"\x00\xff", T0),
            ),
        )
    ],
    "range-min": [Row((("pk1", INF_MIN), ("pk2", INF_MIN)))],
    "range-max": [Row((("pk1", INF_MAX), ("pk2", INF_MAX)))],
    "auto-increment": [
        Row(
            (("name", "name"), ("id", AUTO_INCREMENT)),
            (Cell("score", 65.8), Cell("pass", True)),  # noqa: FBT003 - a value
        )
    ],
    "update-req": [
        Row(
            (("pk1", "a"),),
            (
                Cell("c", 2),
                Cell("d", None, T0, CellOp.DELETE_ONE_VERSION),
                Cell("e", None, None, CellOp.DELETE_ALL_VERSIONS),
                Cell("n", 5, None, CellOp.INCREMENT),
            ),
        )
    ],
    "delete-req": [Row((("pk1", "a"),), delete=True)],
    "two-rows": [Row((("k", "a"),), (Cell("v", 1, T0),)), Row((("k", "b"),), (Cell("v", 2, T0),))],
    "doc-example": [
        Row(
            (("pk1", "iampk"), ("pk2", 100)),
            (
                Cell("column1", "bad", 1001),
                Cell("column2", 128, 1002),
                Cell("column3", 34.2, 1003),
                Cell("column4", None, None, CellOp.DELETE_ALL_VERSIONS),
            ),
        )
    ],
    "del-one": [Row((("area", "a1"), ("id", 2)), (Cell("score", None, 1234, CellOp.DELETE_ONE_VERSION),))],
    "s-put": [Row(_U1, (Cell("a", 1, T0), Cell("b", "x", T0)), sequence=SequenceInfo(0, U0, 0))],
    "s-update": [
        Row(
            _U1,
            (
                Cell("a", 99, T0 + 1),
                Cell("b", None, T0, CellOp.DELETE_ONE_VERSION),
                Cell("d", None, None, CellOp.DELETE_ALL_VERSIONS),
            ),
            sequence=SequenceInfo(1, U0 + 1000, 3),
        )
    ],
    "s-delete": [Row(_U1, sequence=SequenceInfo(1, U0 + 2000, 4))],
    "s-delete-mark": [Row(_U1, delete=True, sequence=SequenceInfo(1, U0 + 2000, 4))],
    "s-unknown-ext": [Row(_U1, sequence=SequenceInfo(1, U0 + 2000, 4))],
}
STREAM_RECORDS = ("s-put", "s-update", "s-delete", "s-delete-mark", "s-unknown-ext")
_EXTENSION_LENGTH = 29


@pytest.mark.parametrize("name", ROWS)
def test_known_bytes_decode_to_their_meaning(name: str) -> None:
    assert decode(ROWS[name]) == MEANINGS[name]


@pytest.mark.parametrize("name", [name for name in ROWS if name != "s-unknown-ext"])
def test_meanings_encode_to_the_known_bytes(name: str) -> None:
    assert encode(MEANINGS[name]) == ROWS[name]


@pytest.mark.parametrize("name", STREAM_RECORDS)
def test_stream_records_give_key_cells_and_sequence(name: str) -> None:
    row = MEANINGS[name][0]

    assert decode_stream_record(ROWS[name]) == (row.primary_key, row.cells, row.sequence)


def test_no_bytes_are_no_rows() -> None:
    assert decode(b"") == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("pk-int", "no sequence info"),
        ("two-rows", "expected one row, found 2"),
    ],
)
def test_a_row_that_is_no_stream_record_is_refused_as_one(name: str, problem: str) -> None:
    with pytest.raises(CorruptDataError, match=problem):
        decode_stream_record(ROWS[name])


@pytest.mark.parametrize(
    "cell",
    [
        Cell("a", 1),
        Cell("a", None, None, CellOp.DELETE_ONE_VERSION),
        Cell("a", None, 5, CellOp.DELETE_ALL_VERSIONS),
        Cell("a", 1, 5, CellOp.INCREMENT),
    ],
)
def test_a_cell_that_no_stream_record_can_hold_is_refused(cell: Cell) -> None:
    record = encode_row(_U1, [cell], sequence=SequenceInfo(0, U0, 0))

    with pytest.raises(CorruptDataError, match="column 'a'"):
        decode_stream_record(record)


@pytest.mark.parametrize("name", ["delete-req", "update-req", "s-put", "pk-without-key"])
def test_a_change_is_refused_as_a_row_that_was_read(name: str) -> None:
    buffer = ROWS.get(name) or encode_row(())

    with pytest.raises(CorruptDataError):
        decode_read_rows(buffer)


def test_rows_that_were_read_are_returned() -> None:
    assert decode_read_rows(ROWS["two-rows"]) == MEANINGS["two-rows"]


def test_a_null_in_a_key_and_a_marker_in_a_column_are_refused() -> None:
    null_key = bytes.fromhex("7500000001030401000000 6b 0501000000 06 0a".replace(" ", ""))

    with pytest.raises(CorruptDataError):
        decode(null_key + bytes.fromhex("000900"))
    with pytest.raises(ConfigError, match=r"row\.k"):
        encode_row([("k", None)])
    with pytest.raises(ConfigError, match=r"row\.a"):
        encode_row([("k", 1)], [Cell("a", INF_MIN)])


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, math.nan, math.inf, object(), "\ud800"])
def test_a_value_without_an_encoding_is_refused_by_column_name(value: Value) -> None:
    with pytest.raises(ConfigError, match=r"row\.amount|row\.'amount'"):
        encode_row([("k", 1)], [Cell("amount", value)])


def test_a_value_alone_has_its_type_and_no_outer_length() -> None:
    assert encode_value("é") == bytes.fromhex("0302000000c3a9")
    assert encode_value(1) == bytes.fromhex("000100000000000000")


def test_every_cut_of_a_stream_record_is_refused() -> None:
    for name in STREAM_RECORDS:
        record = ROWS[name]
        for length in range(len(record)):
            with pytest.raises(CorruptDataError):
                decode_stream_record(record[:length])


@pytest.mark.parametrize("name", STREAM_RECORDS)
def test_every_change_of_one_byte_is_refused_or_leaves_key_and_cells(name: str) -> None:
    record = ROWS[name]
    key, cells, _ = decode_stream_record(record)
    start = record.index(bytes.fromhex("0c130000000d")) - 5
    for position in range(len(record)):
        for change in range(1, 256):
            damaged = bytearray(record)
            damaged[position] ^= change
            if start + 5 <= position < len(record) - 2:
                # Inside the extension, which no checksum covers: never a wrong key or cell.
                try:
                    found = decode_stream_record(bytes(damaged))
                except CorruptDataError:
                    continue
                assert found[:2] == (key, cells)
            else:
                with pytest.raises(CorruptDataError):
                    decode_stream_record(bytes(damaged))


@pytest.mark.parametrize("time_us", [0, 999_999_999_999_999, 4_102_444_800_000_000, -1, 2**62])
def test_a_sequence_time_outside_this_century_is_refused(time_us: int) -> None:
    record = encode_row(_U1, sequence=SequenceInfo(0, time_us, 0))

    with pytest.raises(CorruptDataError, match="not plausible"):
        decode_stream_record(record)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
def test_absurd_lengths_are_refused(length: int) -> None:
    record = ROWS["s-put"]
    raw = struct.pack("<I", length)
    for position in (7, 15, record.index(bytes.fromhex("0b18000000")) + 1):
        damaged = record[:position] + raw + record[position + 4 :]
        with pytest.raises(CorruptDataError):
            decode_stream_record(damaged)


def test_an_op_that_does_not_exist_is_refused_even_under_right_checksums() -> None:
    op_2 = (
        "75000000010304010000006b05090000000001000000000000000a8702030401000000610509000000000100000000000000"
    )

    with pytest.raises(CorruptDataError, match="unknown cell op"):
        decode(bytes.fromhex(op_2 + "06020a540945"))


def test_text_that_is_not_utf8_is_refused() -> None:
    good = encode_row([("k", "ab")])
    # The same length and a right checksum, but bytes that are no text.
    bad = encode_row([("k", b"\xff\xfe")]).replace(b"\x07\x02\x00\x00\x00", b"\x03\x02\x00\x00\x00")
    assert len(good) == len(bad)

    with pytest.raises(CorruptDataError, match="UTF-8"):
        decode(bad)


def test_the_message_says_where_and_what() -> None:
    damaged = bytearray(ROWS["s-put"])
    damaged[24] ^= 1

    with pytest.raises(
        CorruptDataError, match=r"broken row data at byte \d+ of 146: the cell checksum should be"
    ):
        decode(bytes(damaged))


names = st.text(min_size=1, max_size=12)
texts = st.text(max_size=40)
integers = st.integers(-(2**63), 2**63 - 1)
key_values = st.one_of(integers, texts, st.binary(max_size=40), st.sampled_from(list(Marker)))
values = st.one_of(
    integers,
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    texts,
    st.binary(max_size=40),
    st.none(),
)
versions = st.one_of(st.none(), st.integers(0, 2**63 - 1))
cells = st.one_of(
    st.builds(Cell, names, values, versions, st.sampled_from([None, CellOp.INCREMENT])),
    st.builds(
        Cell,
        names,
        st.none(),
        versions,
        st.sampled_from([CellOp.DELETE_ONE_VERSION, CellOp.DELETE_ALL_VERSIONS]),
    ),
)
sequences = st.builds(
    SequenceInfo, st.integers(0, 2**32 - 1), st.integers(10**15, 4 * 10**15), st.integers(0, 2**32 - 1)
)
rows = st.builds(
    Row,
    st.lists(st.tuples(names, key_values), min_size=1, max_size=4).map(tuple),
    st.lists(cells, max_size=6).map(tuple),
    st.booleans(),
    st.one_of(st.none(), sequences),
)


@given(st.lists(rows, min_size=1, max_size=3))
def test_what_is_encoded_decodes_to_the_same(written: list[Row]) -> None:
    read = decode(encode(written))

    assert read == written
    assert [[type(cell.value) for cell in row.cells] for row in read] == [
        [type(cell.value) for cell in row.cells] for row in written
    ]


@given(rows, st.data())
def test_a_damaged_row_is_refused_or_keeps_its_key_and_cells(row: Row, data: st.DataObject) -> None:
    buffer = encode([row])
    position = data.draw(st.integers(0, len(buffer) - 1))
    damaged = bytearray(buffer)
    damaged[position] ^= data.draw(st.integers(1, 255))
    in_extension = (
        row.sequence is not None and len(buffer) - 2 - _EXTENSION_LENGTH <= position < len(buffer) - 2
    )
    try:
        found = decode(bytes(damaged))
    except CorruptDataError:
        return
    assert in_extension
    assert [(row.primary_key, row.cells) for row in found] == [(row.primary_key, row.cells)]


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(noise: bytes) -> None:
    for buffer in (noise, b"\x75\x00\x00\x00" + noise, b"\x75\x00\x00\x00\x01\x03\x04" + noise):
        try:
            assert isinstance(decode(buffer), list)
        except CorruptDataError:
            continue


vendor_names = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=10)
vendor_key_values = st.one_of(integers, texts)
vendor_values = st.one_of(
    integers, st.floats(allow_nan=False, allow_infinity=False), st.booleans(), texts, st.binary(max_size=40)
)


def _for_vendor(value: Value) -> Value | bytearray:
    # The SDK writes bytes as text, and bytearray as a blob.
    return bytearray(value) if isinstance(value, bytes) else value


@given(
    st.lists(st.tuples(vendor_names, vendor_key_values), min_size=1, max_size=4),
    st.lists(st.tuples(vendor_names, vendor_values, st.integers(1, 2**50)), max_size=5),
)
def test_put_requests_are_byte_for_byte_the_vendor_encoders(
    key: Sequence[tuple[str, Value]], columns: Sequence[tuple[str, Value, int]]
) -> None:
    theirs = PlainBufferBuilder.serialize_for_put_row(
        list(key), [(name, _for_vendor(value), version) for name, value, version in columns]
    )

    assert encode_row(key, [Cell(*column) for column in columns]) == bytes(theirs)


def test_update_and_delete_requests_are_byte_for_byte_the_vendor_encoders() -> None:
    key = [("pk1", "a"), ("pk2", 7)]
    update = PlainBufferBuilder.serialize_for_update_row(
        key,
        {
            "PUT": [("c", 2), ("t", "é", T0)],
            "DELETE": [("d", None, T0)],
            "DELETE_ALL": ["e"],
            "INCREMENT": [("n", 5)],
        },
    )
    cells = [
        Cell("c", 2),
        Cell("t", "é", T0),
        Cell("d", None, T0, CellOp.DELETE_ONE_VERSION),
        Cell("e", None, None, CellOp.DELETE_ALL_VERSIONS),
        Cell("n", 5, None, CellOp.INCREMENT),
    ]

    assert encode_row(key, cells) == bytes(update)
    assert encode_row(key, delete=True) == bytes(PlainBufferBuilder.serialize_for_delete_row(key))
    range_key = [("pk1", tablestore.INF_MIN), ("pk2", tablestore.INF_MAX)]
    assert encode_row([("pk1", INF_MIN), ("pk2", INF_MAX)]) == bytes(
        PlainBufferBuilder.serialize_primary_key(range_key)
    )
