"""CSV judged by Python's csv module, pandas and pyarrow."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.csv import CsvEncoder, CsvWriterConfig
from airflow_provider_sync.formats.dates import DateStyle
from airflow_provider_sync.formats.values import ValueStyle

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["null", "", '"', ",", "\r", "\n", "#x", " a ", "\\", "数据", "'"]
)


def table(**columns: Any) -> pa.RecordBatch:
    return pa.record_batch(columns)


def encode(rows: pa.RecordBatch, **options: Any) -> bytes:
    encoder = CsvEncoder(rows.schema, **options)
    head = encoder.header()
    encoded = encoder.encode(rows)
    assert encoded.rejected == ()
    return head + bytes(encoded.data) + encoder.finish()


def read(data: bytes, encoding: str = "utf-8", **options: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), **options))


def test_every_type_has_its_documented_text() -> None:
    rows = pa.record_batch(
        {
            "int": pa.array([1, -9223372036854775808]),
            "uint": pa.array([0, 18446744073709551615], pa.uint64()),
            "double": pa.array([0.1, 1e20]),
            "whole": pa.array([1.0, float("nan")]),
            "inf": pa.array([float("inf"), float("-inf")], pa.float32()),
            "bool": pa.array([True, False]),
            "decimal": pa.array([Decimal("1.50"), Decimal("0.00")], pa.decimal128(20, 2)),
            "tiny": pa.array([Decimal("0.0000000001"), Decimal(0)], pa.decimal128(20, 10)),
            "bytes": pa.array([b"\x00\xff", b""]),
            "time": pa.array([0, 1_795_211_863_415], pa.timestamp("ms", "UTC")),
            "date": pa.array([0, 20_000], pa.date32()),
            "dictionary": pa.array(["x", "y"]).dictionary_encode(),
            "nothing": pa.nulls(2),
        }
    )
    assert encode(rows).decode().splitlines() == [
        "1,0,0.1,1,Infinity,true,1.50,0.0000000001,AP8=,1970-01-01 00:00:00,1970-01-01 00:00:00,x,null",
        (
            "-9223372036854775808,18446744073709551615,1e+20,NaN,-Infinity,false,0.00,0.0000000000,,"
            "2026-11-20 21:57:43,2024-10-04 00:00:00,y,null"
        ),
    ]


def test_null_the_word_null_and_the_empty_text_are_three_things() -> None:
    assert encode(table(a=[None, "null", ""], b=[1, 2, 3])) == b'null,1\n"null",2\n,3\n'
    assert encode(table(a=[None, "null", ""], b=[1, 2, 3]), null_text="") == b',1\nnull,2\n"",3\n'


def test_blanks_are_kept() -> None:
    assert encode(table(a=[" x "], b=["\t"])) == b" x ,\t\n"


def test_only_what_needs_it_is_quoted() -> None:
    rows = table(a=["a,b", 'say "hi"', "two\nlines", "cr\r", "#note", "plain"], b=["#"] * 6)
    assert encode(rows) == b'"a,b",#\n"say ""hi""",#\n"two\nlines",#\n"cr\r",#\n"#note",#\nplain,#\n'


def test_a_number_that_looks_like_null_or_holds_the_delimiter_is_quoted() -> None:
    assert encode(table(a=[-1, 10], b=[1.5, 2.0]), null_text="-1", delimiter=".") == b'"-1"."1.5"\n10.2\n'


def test_the_lone_empty_text_is_not_an_empty_line() -> None:
    assert encode(table(a=["", "x", None])) == b'""\nx\nnull\n'


def test_a_header_is_quoted_like_values_and_comes_after_one_byte_order_mark() -> None:
    rows = table(a=[1], b=["é"])
    assert encode(rows, header=["x,y", "null"]) == '"x,y","null"\n1,é\n'.encode()
    data = encode(rows, header=["x", "y"], encoding="UTF-16")
    assert data.decode("utf-16") == "x,y\n1,é\n"
    assert data.count(b"\xff\xfe") == 1
    assert encode(rows, encoding="utf-8-sig") == b"\xef\xbb\xbf1,\xc3\xa9\n"


def test_a_header_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"writer\.parameter\.header: 1 names for 2 columns"):
        CsvEncoder(pa.schema([("a", pa.int64()), ("b", pa.int64())]), header=["a"])


def test_line_delimiter_is_used_whole() -> None:
    assert encode(table(a=["x", "y"]), line_delimiter="\r\n") == b"x\r\ny\r\n"


def test_rows_that_the_encoding_has_no_bytes_for_are_rejected() -> None:
    rows = table(id=[1, 2, 3], a=["中文", "😀", "ok"])
    encoder = CsvEncoder(rows.schema, encoding="GBK")
    encoded = encoder.encode(rows)
    assert bytes(encoded.data).decode("gbk") == "1,中文\n3,ok\n"
    assert (encoded.rows, [one.where for one in encoded.rejected]) == (2, ["row 1 (id = 2)"])
    assert "gbk" in encoded.rejected[0].reason
    again = encoder.encode(rows)
    assert [one.where for one in again.rejected] == ["row 4 (id = 2)"]


def test_years_without_four_digits_are_rejected_by_row_and_column() -> None:
    rows = table(id=[1, 2], t=pa.array([253_402_300_800_000, 0], pa.timestamp("ms")))
    encoded = CsvEncoder(rows.schema).encode(rows)
    assert bytes(encoded.data) == b"2,1970-01-01 00:00:00\n"
    assert [(one.where, one.column) for one in encoded.rejected] == [("row 0 (id = 1)", "t")]


def test_bytes_as_text_reject_what_is_not_utf8() -> None:
    rows = table(a=pa.array([b"ok", b"\xff", None]))
    encoded = CsvEncoder(rows.schema, values=ValueStyle(byte_encoding="text")).encode(rows)
    assert bytes(encoded.data) == b"ok\nnull\n"
    assert encoded.rejected[0].reason == "the bytes are not UTF-8"


def test_qualifier_options_do_what_they_say() -> None:
    rows = table(a=['x"y', "a\\b", "z", None])
    assert encode(rows, config=CsvWriterConfig(text_qualifier="'")) == b'x"y\na\\b\nz\nnull\n'
    assert encode(rows, config=CsvWriterConfig(force_qualifier=True)) == b'"x""y"\n"a\\b"\n"z"\nnull\n'
    escaped = encode(rows, config=CsvWriterConfig(escape_mode=2))
    assert escaped == b'"x\\"y"\n"a\\\\b"\nz\nnull\n'
    assert read(escaped, doublequote=False, escapechar="\\") == [['x"y'], ["a\\b"], ["z"], ["null"]]
    unquoted = CsvEncoder(rows.schema, config=CsvWriterConfig(use_text_qualifier=False)).encode(rows)
    assert bytes(unquoted.data) == b"a\\b\nz\nnull\n"
    assert [one.value for one in unquoted.rejected] == ['x"y']


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delimiter": "||"}, "fieldDelimiter"),
        ({"delimiter": '"'}, "csvWriterConfig.textQualifier"),
        ({"delimiter": "\n"}, "lineDelimiter"),
        ({"line_delimiter": ""}, "lineDelimiter"),
        ({"null_text": "a,b"}, "nullFormat"),
        ({"encoding": "base64"}, "encoding"),
        ({"encoding": "nonsense"}, "encoding"),
        ({"config": CsvWriterConfig(delimiter=";")}, "csvWriterConfig.delimiter"),
        ({"config": CsvWriterConfig(comment="//")}, "csvWriterConfig.comment"),
    ],
)
def test_what_cannot_work_is_refused_by_name(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CsvEncoder(pa.schema([("a", pa.string())]), **options)
    assert caught.value.field == f"writer.parameter.{field}"


def test_nested_columns_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"schema\.a: this type has no text, got 'list<item: int64>'"):
        CsvEncoder(pa.schema([("a", pa.list_(pa.int64()))]))


@given(
    st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT, st.integers(-5, 5)), min_size=1, max_size=20), TEXT
)
def test_any_text_reads_back_with_pythons_reader(
    rows: list[tuple[str | None, str | None, int]], null: str
) -> None:
    null = "".join(one for one in null if one not in '",\r\n')
    batch = pa.record_batch([pa.array(column) for column in zip(*rows, strict=True)], names=["a", "b", "c"])
    batch = batch.cast(pa.schema([("a", pa.string()), ("b", pa.string()), ("c", pa.int64())]))
    data = encode(batch, null_text=null)
    expected = [[null if one is None else str(one) for one in row] for row in rows]
    assert read(data) == expected
    # Cut anywhere, the bytes are the same.
    encoder = CsvEncoder(batch.schema, null_text=null)
    assert b"".join(bytes(encoder.encode(batch.slice(i, 1)).data) for i in range(len(rows))) == data


def test_pandas_and_pyarrow_read_it_and_tell_null_from_text() -> None:
    rows = table(a=["x,1", None, "null", ""], b=[1, 2, None, 4])
    data = encode(rows, header=["a", "b"])
    frame = pd.read_csv(io.BytesIO(data), keep_default_na=False, na_values={"b": ["null"]})
    assert frame["a"].tolist() == ["x,1", "null", "null", ""]
    assert frame["b"].tolist()[:2] == [1, 2]
    options = pacsv.ConvertOptions(
        null_values=["null"], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    assert pacsv.read_csv(io.BytesIO(data), convert_options=options).to_pylist() == rows.to_pylist()


def test_dates_that_hold_the_delimiter_are_quoted() -> None:
    rows = table(t=pa.array([0], pa.timestamp("s", "UTC")), n=[1])
    for pattern, text in (("yyyy,MM", b'"1970,01",1\n'), ("E, d", b'"Thu, 1",1\n'), ("yyyy", b"1970,1\n")):
        assert encode(rows, values=ValueStyle(DateStyle(pattern))) == text


def test_big_batches_are_encoded_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(
        id=list(range(100)),
        t=pa.array([253_402_300_800 if i == 77 else i for i in range(100)], pa.timestamp("s")),
    )
    whole = CsvEncoder(rows.schema).encode(rows)
    monkeypatch.setattr("airflow_provider_sync.formats.delimited._SLICE_BYTES", 200)
    assert CsvEncoder(rows.schema).encode(rows) == whole
    assert [one.where for one in whole.rejected] == ["row 77 (id = 77)"]
