from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.jsonl import JsonlEncoder


def lines(batch: pa.RecordBatch) -> list[str]:
    encoded = JsonlEncoder(batch.schema).encode(batch)
    assert encoded.rejected == ()
    return bytes(encoded.data).decode().split("\n")[:-1]


def test_values_keep_their_json_types() -> None:
    batch = pa.record_batch(
        {
            "数": pa.array([1, None]),
            'q"': pa.array(["a\tb", None]),
            "f": pa.array([0.1, 1e300]),
            "b": pa.array([True, None]),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)),
            "x": pa.array([b"\x00", None]),
            "t": pa.array([0, None], pa.timestamp("s", "UTC")),
            "n": pa.array([{"k": ["é"]}, None]),
        }
    )
    assert lines(batch) == [
        '{"数":1,"q\\"":"a\\tb","f":0.1,"b":true,"d":1.50,"x":"AA==","t":"1970-01-01 00:00:00","n":{"k":["é"]}}',
        '{"数":null,"q\\"":null,"f":1e+300,"b":null,"d":null,"x":null,"t":null,"n":null}',
    ]


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=10), min_size=1, max_size=20))
def test_any_text_reads_back(values: list[str | None]) -> None:
    batch = pa.record_batch([pa.array(values, pa.string())], names=["a"])
    assert [json.loads(line)["a"] for line in lines(batch)] == values


def test_numbers_without_json_are_rejected() -> None:
    batch = pa.record_batch({"id": [1, 2, 3], "f": [float("nan"), 1.5, float("inf")]})
    encoded = JsonlEncoder(batch.schema).encode(batch)
    assert bytes(encoded.data) == b'{"id":2,"f":1.5}\n'
    assert [one.where for one in encoded.rejected] == ["row 0 (id = 1)", "row 2 (id = 3)"]


def test_all_rows_rejected_leaves_nothing() -> None:
    batch = pa.record_batch({"f": [float("nan")]})
    assert bytes(JsonlEncoder(batch.schema).encode(batch).data) == b""


@pytest.mark.parametrize("names", [["a", "a"], []])
def test_schemas_without_sense_are_refused(names: list[str]) -> None:
    fields: list[Any] = [(name, pa.int64()) for name in names]
    with pytest.raises(ConfigError, match="schema"):
        JsonlEncoder(pa.schema(fields))
