from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.options import describe_options, option, parse_options


@dataclass(frozen=True, slots=True)
class Column:
    name: str = option("name", "Name of the column.")
    is_tag: bool = option("is_timeseries_tag", "Whether it is a tag.", default=False)


@dataclass(frozen=True, slots=True)
class Options:
    table: str = option("dataTable", "Name of the table.")
    mode: Literal["single", "multi"] = option("mode", "How rows look.", default="single")
    size: int = option("maxFileSize", "Size in MB.", default=100)
    ratio: float | None = option("ratio", "A share.", default=None)
    flag: bool = option("flag", "A flag.", default=False)
    columns: tuple[Column, ...] = option("column", "The columns.", default=())
    extra: Mapping[str, Any] = option("extra", "Anything.", default_factory=dict)
    start: int | str = option("start", "A number or a text.", default=0)
    retries: int = option("maxRetries", "Without effect.", default=30, ignored=True)


def test_absent_parameters_take_their_defaults() -> None:
    assert parse_options(Options, {"dataTable": "t"}, "p") == Options("t")


def test_values_are_converted_as_job_files_write_them() -> None:
    given = {
        "dataTable": "t",
        "mode": " multi ",
        "maxFileSize": "5",
        "ratio": "0.5",
        "flag": "True",
        "column": [{"name": "a"}, {"name": "b", "is_timeseries_tag": "true"}],
        "extra": {"x": [1]},
        "start": "soon",
        "maxRetries": 1,
    }
    expected = Options(
        "t", "multi", 5, 0.5, flag=True, columns=(Column("a"), Column("b", is_tag=True)), extra={"x": [1]},
        start="soon", retries=1,
    )  # fmt: skip
    assert parse_options(Options, given, "p") == expected
    assert parse_options(Options, {"dataTable": "t", "ratio": None, "maxFileSize": 5.0}, "p") == Options(
        "t", size=5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatable": "t"}, r"^p\.datatable: unknown parameter; allowed: column, dataTable"),
        ({"dataTable": 5}, r"^p\.dataTable: got 5; allowed: text"),
        ({"dataTable": None}, r"^p\.dataTable: got None"),
        ({"mode": "Single"}, r"^p\.mode: got 'Single'; allowed: 'single', 'multi'"),
        ({"maxFileSize": "five"}, r"^p\.maxFileSize: got 'five'; allowed: integer"),
        ({"maxFileSize": 1.5}, r"^p\.maxFileSize: got 1\.5"),
        ({"maxFileSize": True}, r"^p\.maxFileSize: got True"),
        ({"maxFileSize": None}, r"^p\.maxFileSize: got None"),
        ({"ratio": "half"}, r"^p\.ratio: got 'half'; allowed: number"),
        ({"flag": "yes"}, r"^p\.flag: got 'yes'; allowed: true or false"),
        ({"flag": 1}, None),
        ({"column": "a"}, r"^p\.column: got 'a'; allowed: a list"),
        ({"column": ["a"]}, r"^p\.column\[0\]: got 'a'; allowed: an object"),
        ({"column": [{"name": "a"}, {}]}, r"^p\.column\[1\]\.name: missing; add it: Name of the column\."),
        ({"column": [{"name": "a", "type": "x"}]}, r"^p\.column\[0\]\.type: unknown parameter"),
        ({"extra": []}, r"^p\.extra: got \[\]; allowed: an object"),
    ],
)
def test_other_values_are_refused_by_path(change: dict[str, Any], message: str | None) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_options(Options, {"dataTable": "t", **change}, "p")


def test_a_required_parameter_is_asked_for_with_its_meaning() -> None:
    with pytest.raises(ConfigError, match=r"^p\.dataTable: missing; add it: Name of the table\."):
        parse_options(Options, {}, "p")


def test_options_describe_themselves() -> None:
    rows = {row["key"]: (row["type"], row["default"], row["doc"]) for row in describe_options(Options)}
    assert rows["dataTable"] == ("text", "required", "Name of the table.")
    assert rows["mode"] == ("`single` | `multi`", "`single`", "How rows look.")
    assert rows["maxFileSize"][:2] == ("integer", "`100`")
    assert rows["ratio"][:2] == ("number or null", "none")
    assert rows["flag"][:2] == ("true or false", "false")
    assert rows["column"][:2] == ("list of object", "empty list")
