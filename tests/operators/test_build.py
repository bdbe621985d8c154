from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._build import frame_transform

ROWS = pa.RecordBatch.from_pylist(
    [
        {
            "n": 9007199254740993,
            "s": "a",
            "b": b"\x00",
            "f": 0.5,
            "t": datetime(2026, 11, 20, 10, tzinfo=UTC),
        },
        {"n": None, "s": None, "b": None, "f": None, "t": None},
    ],
    schema=pa.schema(
        [
            ("n", pa.int64()),
            ("s", pa.string()),
            ("b", pa.binary()),
            ("f", pa.float64()),
            ("t", pa.timestamp("us", tz="UTC")),
        ]
    ),
)


def test_what_is_not_touched_comes_out_as_it_went_in() -> None:
    out = frame_transform(lambda frame: frame)(ROWS)
    assert out.to_pylist() == ROWS.to_pylist()


def test_every_batch_has_the_columns_that_an_empty_one_declares() -> None:
    def only_where_known(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(twice=frame["n"] * 2)[["s", "twice"]]

    convert = frame_transform(only_where_known)
    declared = convert(ROWS.slice(0, 0)).schema
    assert convert(ROWS).schema == convert(ROWS.slice(1, 1)).schema == declared
    assert convert(ROWS).to_pylist() == [
        {"s": "a", "twice": 18014398509481986},
        {"s": None, "twice": None},
    ]


def test_a_function_whose_columns_depend_on_the_rows_is_refused() -> None:
    def moody(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[["s"]] if len(frame) else frame[["n"]]

    with pytest.raises(ConfigError, match="does not fit the columns of its empty result"):
        frame_transform(moody)(ROWS)
