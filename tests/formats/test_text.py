from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.text import TextEncoder


def rows(**columns: Any) -> pa.RecordBatch:
    return pa.record_batch(columns)


def test_fields_are_joined_by_a_delimiter_of_any_length() -> None:
    batch = rows(a=["x", None], b=[1, 2])
    encoder = TextEncoder(batch.schema, delimiter="||", null_text="\\N", header=["a", "b"])
    assert encoder.header() == b"a||b\n"
    assert bytes(encoder.encode(batch).data) == b"x||1\n\\N||2\n"


def test_rows_that_cannot_be_read_back_are_rejected() -> None:
    batch = rows(id=[1, 2, 3, 4], a=["a,b", "c\nd", '"e"', None])
    encoded = TextEncoder(batch.schema).encode(batch)
    assert bytes(encoded.data) == b'3,"e"\n4,null\n'
    assert [(one.where, one.column, one.reason) for one in encoded.rejected] == [
        ("row 0 (id = 1)", "a", "contains the field delimiter ',', and escape is not set"),
        ("row 1 (id = 2)", "a", "contains the line delimiter '\\n', and escape is not set"),
    ]


def test_a_field_that_ends_with_half_a_delimiter_is_rejected() -> None:
    batch = rows(a=["x|", "|x"], b=["y", "z"])
    encoded = TextEncoder(batch.schema, delimiter="||").encode(batch)
    assert bytes(encoded.data) == b"|x||z\n"
    assert [one.value for one in encoded.rejected] == ["x|"]


@given(
    st.lists(
        st.tuples(st.text("ab,\\\n\r", max_size=5), st.text("ab,\\\n\r", max_size=5)), min_size=1, max_size=8
    )
)
def test_escaped_text_reads_back(values: list[tuple[str, str]]) -> None:
    first, second = zip(*values, strict=True)
    batch = rows(a=pa.array(first), b=pa.array(second))
    encoded = TextEncoder(batch.schema, escape="\\", null_text="\\N").encode(batch)
    assert encoded.rejected == ()
    assert [tuple(_unescape(line)) for line in bytes(encoded.data).decode().split("\n")[:-1]] == values


def _unescape(line: str) -> list[str]:
    fields, characters = [""], iter(line)
    for one in characters:
        if one == "\\":
            after = next(characters)
            fields[-1] += {"n": "\n", "r": "\r"}.get(after, after)
        elif one == ",":
            fields.append("")
        else:
            fields[-1] += one
    return fields


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delimiter": ""}, "fieldDelimiter"),
        ({"delimiter": "\n"}, "lineDelimiter"),
        ({"escape": "ab"}, "escape"),
        ({"escape": ","}, "escape"),
        ({"escape": "\\", "delimiter": "||"}, "escape"),
        ({"escape": "\\", "line_delimiter": ";"}, "lineDelimiter"),
    ],
)
def test_what_cannot_work_is_refused_by_name(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TextEncoder(pa.schema([("a", pa.string())]), **options)
    assert caught.value.field == f"writer.parameter.{field}"
