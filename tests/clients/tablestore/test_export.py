"""Rows by columns must be the rows that the plain decoder's records make, value by value."""

import string
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sync.clients.tablestore.columns import parse_records
from airflow_provider_sync.clients.tablestore.export import Column, MultiVersionExport, SingleVersionExport
from airflow_provider_sync.clients.tablestore.plainbuffer import decode_stream_record, encode_row
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp, SequenceInfo

NAMES = st.sampled_from("abc")
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    (
        0.0,
        -0.0,
        1.0,
        -3.0,
        0.1,
        1e-5,
        9.99e-6,
        1e-4,
        1e9,
        999999999.0,
        999999999.5,
        1e10,
        1e15,
        1e16,
        1e22,
        5e-324,
    )
)
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1), DOUBLES, st.booleans(), st.text(max_size=20), st.binary(max_size=4)
)
VERSIONS = st.integers(0, 2**62)
CELLS = st.one_of(
    st.builds(lambda n, v, t: Cell(n, v, t), NAMES, VALUES, VERSIONS),  # noqa: PLW0108 - hides op from inference
    st.builds(lambda n, v: Cell(n, None, v, CellOp.DELETE_ONE_VERSION), NAMES, VERSIONS),
    st.builds(lambda n: Cell(n, None, None, CellOp.DELETE_ALL_VERSIONS), NAMES),
)
KEYS = st.tuples(st.tuples(st.just("pk"), st.text(string.ascii_letters, max_size=5)))
PAGES = st.lists(
    st.tuples(KEYS, st.lists(CELLS, max_size=5), st.sampled_from((1, 2, 3))), min_size=1, max_size=12
)
REFUSED = object()


def encode(page):
    return [
        encode_row(key, cells, sequence=SequenceInfo(0, 10**15 + index, 0))
        for index, (key, cells, _) in enumerate(page)
    ]


def as_text(value):
    """DataX's rule: doubles without an exponent, binary only if it is text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return REFUSED
    return None if value is None else str(value)


def last_values(record):
    key, cells, _ = record
    return dict(key) | {cell.name: cell.value for cell in cells if cell.op is None}


@settings(max_examples=150, deadline=None)
@given(PAGES)
def test_single_version_rows_are_those_of_the_records(page):
    records = encode(page)
    columns = ["a", "pk", "b"]
    expected, refused = [], 0
    for record, (_, _, action) in zip(map(decode_stream_record, records), page, strict=True):
        values = last_values(record)
        row = [as_text(values.get(name)) for name in columns]
        refused += row.count(REFUSED)
        if action != 3 and REFUSED not in row:
            expected.append(row)
    done = SingleVersionExport([Column(name) for name in columns]).export(
        parse_records(records), [action for _, _, action in page], "s"
    )
    done.rows.validate(full=True)
    assert [list(row.values()) for row in done.rows.to_pylist()] == expected
    assert len(done.rejected) == refused


@settings(max_examples=100, deadline=None)
@given(PAGES)
def test_multi_version_rows_are_the_cells_in_their_order(page):
    records = encode(page)
    expected = []
    for record, (key, _, action) in zip(map(decode_stream_record, records), page, strict=True):
        if action != 2:
            expected.append([key[0][1], None, None, None, "DR"])
        for cell in record[1]:
            op = {None: "U", CellOp.DELETE_ONE_VERSION: "DO", CellOp.DELETE_ALL_VERSIONS: "DA"}[cell.op]
            text = as_text(cell.value)
            if text is not REFUSED:
                expected.append([key[0][1], cell.name, cell.timestamp, text, op])
    done = MultiVersionExport([("pk", "string")]).export(
        parse_records(records), [action for _, _, action in page], "s"
    )
    assert [list(row.values()) for row in done.rows.to_pylist()] == expected


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("long", [7, "-8", 2.9, -2.9, "1e3"], [7, -8, 2, -2, 1000]),
        ("double", [7, "0.5", 2.5], [7.0, 0.5, 2.5]),
        ("bool", [0, 3, True, "TRUE", "false"], [False, True, True, True, False]),
        ("bytes", [b"\xff", "é"], [b"\xff", "é".encode()]),
    ],
)
def test_values_are_converted_by_the_type_asked_for(kind, values, expected):
    page = [((("pk", "k"),), [Cell("a", value, 1)], 1) for value in values]
    done = SingleVersionExport([Column("a", kind)]).export(parse_records(encode(page)), [1] * len(page), "s")
    assert done.rows.column(0).to_pylist() == expected
    assert not done.rejected


def test_a_value_that_does_not_convert_is_rejected_with_its_row():
    page = [((("pk", "k"),), [Cell("a", value, 1)], 1) for value in ("1", "one", True, "2")]
    done = SingleVersionExport([Column("a", "long")]).export(parse_records(encode(page)), [1] * 4, "s")
    assert done.rows.column(0).to_pylist() == [1, 1, 2]
    assert [(one.column, one.value) for one in done.rejected] == [("a", "STRING 'one'")]


def test_columns_keep_their_bytes_when_the_page_is_gone():
    page = [((("pk", "k"),), [Cell("a", "x" * index, 1)], 1) for index in range(100)]
    rows = SingleVersionExport([Column("a")]).export(parse_records(encode(page)), [1] * 100, "s").rows
    assert rows.nbytes < 100 * 100
    assert rows.column(0).to_pylist() == ["x" * index for index in range(100)]
    assert rows.schema == pa.schema([("a", pa.string())])
