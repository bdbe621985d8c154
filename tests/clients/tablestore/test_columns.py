"""The page decoder must say of every page what the plain decoder says of its records."""

import random
import string
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sync.clients.tablestore.columns import (
    BLOB,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    NO_VALUE,
    STRING,
    CellTable,
    parse_records,
)
from airflow_provider_sync.clients.tablestore.plainbuffer import decode_stream_record, encode_row
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp, SequenceInfo
from airflow_provider_sync.errors import CorruptDataError

NAMES = st.text(string.ascii_letters + "é_", min_size=1, max_size=12)
KEY_VALUES = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.binary(max_size=20))
VALUES = st.one_of(
    KEY_VALUES,
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(min_size=250, max_size=600),
)
VERSIONS = st.integers(0, 2**62)
CELLS = st.one_of(
    st.builds(lambda n, v, t: Cell(n, v, t), NAMES, VALUES, VERSIONS),  # noqa: PLW0108 - hides op from inference
    st.builds(lambda n, v: Cell(n, None, v, CellOp.DELETE_ONE_VERSION), NAMES, VERSIONS),
    st.builds(lambda n: Cell(n, None, None, CellOp.DELETE_ALL_VERSIONS), NAMES),
)
SEQUENCES = st.builds(
    SequenceInfo, st.integers(0, 2**32 - 1), st.integers(10**15, 4 * 10**15), st.integers(0, 2**32 - 1)
)
RECORDS = st.builds(
    lambda key, cells, delete, sequence: encode_row(key, cells, delete=delete, sequence=sequence),
    st.lists(st.tuples(NAMES, KEY_VALUES), min_size=1, max_size=4),
    st.lists(CELLS, max_size=14),
    st.booleans(),
    SEQUENCES,
)


def unpack(table: CellTable) -> list[tuple[object, ...]]:
    """Rebuild (key, cells, sequence) of every record from the arrays, value by value."""

    def value(index: int) -> object:
        start, length = int(table.start[index]), int(table.length[index])
        raw = table.buffer[start : start + length].tobytes()
        kind = int(table.kind[index])
        return {
            INTEGER: lambda: int.from_bytes(raw, "little", signed=True),
            DOUBLE: lambda: struct.unpack("<d", raw)[0],
            BOOLEAN: lambda: raw != b"\0",
            STRING: raw.decode,
            BLOB: lambda: raw,
            NO_VALUE: lambda: None,
        }[kind]()

    records: list[tuple[object, ...]] = []
    for record in range(table.count):
        cells = [i for i in range(len(table.record)) if table.record[i] == record]
        key = tuple((table.names[table.name[i]], value(i)) for i in cells if table.in_key[i])
        attributes = tuple(
            (
                table.names[table.name[i]],
                value(i),
                None if table.version[i] < 0 else int(table.version[i]),
                int(table.op[i]) or None,
            )
            for i in cells
            if not table.in_key[i]
        )
        sequence = (int(table.epoch[record]), int(table.time_us[record]), int(table.row_index[record]))
        records.append((key, attributes, sequence))
    return records


@settings(max_examples=150, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=8))
def test_a_page_holds_what_its_records_hold(page):
    plain = [decode_stream_record(record) for record in page]
    assert unpack(parse_records(page)) == [
        (key, tuple((c.name, c.value, c.timestamp, c.op) for c in cells), tuple(sequence))
        for key, cells, sequence in plain
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_flipped_byte_is_judged_like_the_plain_decoder_judges_it(page, chance):
    for _ in range(20):
        which = chance.randrange(len(page))
        damaged = bytearray(page[which])
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        pages = [*page[:which], bytes(damaged), *page[which + 1 :]]
        try:
            expected = decode_stream_record(bytes(damaged))
        except CorruptDataError:
            # Text that is not UTF-8 is found when it becomes a column, everything else here.
            try:
                parse_records(pages)
            except CorruptDataError:
                continue
            with pytest.raises(CorruptDataError, match="UTF-8"):
                decode_stream_record(bytes(damaged))
        else:
            assert unpack(parse_records(pages))[which][2] == tuple(expected[2])


@given(RECORDS, st.data())
@settings(max_examples=60, deadline=None)
def test_a_truncated_record_is_refused(record, data):
    cut = data.draw(st.integers(0, len(record) - 1))
    with pytest.raises(CorruptDataError):
        parse_records([record, record[:cut], record])


def test_random_bytes_end_quickly_in_an_error():
    chance = random.Random(7)
    for _ in range(300):
        junk = b"\x75\0\0\0\x01\x03\x04" + chance.randbytes(chance.randrange(200))
        with pytest.raises(CorruptDataError, match="record 0 of 1"):
            parse_records([junk])


def test_absurd_lengths_are_refused_without_being_followed():
    record = bytearray(encode_row([("pk", "a")], [Cell("c", "x", 1)], sequence=SequenceInfo(0, 10**15, 0)))
    at = record.index(b"\x04\x02\0\0\0pk") + 1
    for length in (0, 2**31, 2**32 - 1):
        record[at : at + 4] = length.to_bytes(4, "little")
        with pytest.raises(CorruptDataError):
            parse_records([bytes(record)])


def test_unknown_extension_entries_are_stepped_over():
    plain = bytes.fromhex(
        "7500000001030403000000706b310507000000030200000075310aa0030403000000706b32050900000000010000000000"
        "00000ae80b200000000c130000000d010000000e102a2018240a06000f040000001003000000aabbcc09a3"
    )
    table = parse_records([plain])
    assert unpack(table) == [((("pk1", "u1"), ("pk2", 1)), (), (1, 1700000000125456, 4))]


def test_many_different_names_in_one_step_are_told_apart():
    page = [
        encode_row([("pk", i)], [Cell(f"column{i}", i, 1)], sequence=SequenceInfo(0, 10**15 + i, 0))
        for i in range(50)
    ]
    assert [record[1][0][0] for record in unpack(parse_records(page))] == [f"column{i}" for i in range(50)]


def test_a_slice_keeps_the_records_asked_for():
    page = [
        encode_row([("pk", i)], [Cell("c", i, 1)] * (i % 3), sequence=SequenceInfo(0, 10**15 + i, 0))
        for i in range(10)
    ]
    assert unpack(parse_records(page).slice(3, 7)) == unpack(parse_records(page))[3:7]
