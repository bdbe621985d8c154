from __future__ import annotations

import base64

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.formats.values import ValueStyle, column_text


@given(st.lists(st.none() | st.binary(max_size=10), max_size=20), st.integers(0, 5))
def test_base64_agrees_with_pythons(values: list[bytes | None], start: int) -> None:
    expected = [None if one is None else base64.b64encode(one).decode() for one in values]
    for kind in (pa.binary(), pa.large_binary()):
        column = column_text(pa.field("a", kind), ValueStyle())
        assert column.render(pa.array(values, kind).slice(start)).to_pylist() == expected[start:]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_doubles_read_back_as_the_same_number(values: list[float]) -> None:
    column = column_text(pa.field("a", pa.float64()), ValueStyle())
    assert [float(text) for text in column.render(pa.array(values, pa.float64())).to_pylist()] == values


@given(st.lists(st.decimals(-(10**10), 10**10, places=12)))
def test_decimals_keep_all_digits_without_an_exponent(values: list[object]) -> None:
    column = column_text(pa.field("a", pa.decimal128(38, 12)), ValueStyle())
    assert column.render(pa.array(values, pa.decimal128(38, 12))).to_pylist() == [
        f"{one:.12f}" for one in values
    ]
