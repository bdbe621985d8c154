from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits

SPEC = JobSpec(
    name="orders to oss",
    reader=Endpoint("otsstream", {"column": [{"name": "a"}]}, "src"),
    writer=Endpoint("oss", {"object": "x"}, "dst"),
    limits=Limits(concurrent=4, bytes_per_second=1000, error_records=None, error_ratio=0.5),
    checkpoint=Endpoint("file", {"path": "p"}),
    transform=({"name": "upper"},),
)
JSON = {
    "name": "orders to oss",
    "reader": {"plugin": "otsstream", "parameter": {"column": [{"name": "a"}]}, "connection": "src"},
    "writer": {"plugin": "oss", "parameter": {"object": "x"}, "connection": "dst"},
    "limits": {
        "concurrent": 4,
        "bytes_per_second": 1000,
        "records_per_second": None,
        "error_records": None,
        "error_ratio": 0.5,
        "batch_records": 65536,
        "batch_bytes": 16777216,
    },
    "checkpoint": {"plugin": "file", "parameter": {"path": "p"}, "connection": ""},
    "transform": [{"name": "upper"}],
}
SMALLEST: dict[str, Any] = {"name": "n", "reader": {"plugin": "r"}, "writer": {"plugin": "w"}}


def test_a_spec_becomes_json_and_back() -> None:
    assert SPEC.to_json() == JSON
    assert JobSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_the_smallest_spec_has_safe_defaults() -> None:
    spec = JobSpec.from_json(SMALLEST)
    assert spec.checkpoint is None
    assert spec.limits == Limits(concurrent=1, bytes_per_second=None, error_records=0, error_ratio=None)
    assert JobSpec.from_json(spec.to_json()) == spec


def test_json_shares_nothing_with_the_spec() -> None:
    data = SPEC.to_json()
    data["reader"]["parameter"]["column"].append("changed")
    assert SPEC.to_json() == JSON


@pytest.mark.parametrize("side", ["reader", "writer", "checkpoint"])
def test_an_endpoint_with_keys_refuses_to_become_json(side: str) -> None:
    ends = {"reader": Endpoint("r"), "writer": Endpoint("w"), "checkpoint": Endpoint("c")}
    ends[side] = Endpoint("x", inline=ConnectionInfo("oss"))
    with pytest.raises(ConfigError, match=rf"^{side}\.connection: the keys written into this job"):
        JobSpec("n", **ends).to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reader": None}, r"^job\.reader: got None; allowed: an object"),
        ({"reader": {}}, r"^job\.reader\.plugin: got None; allowed: the name"),
        ({"reader": {"plugin": ""}}, r"^job\.reader\.plugin: got ''"),
        (
            {"reader": {"plugin": "r", "parameter": []}},
            r"^job\.reader\.parameter: got \[\]; allowed: an object",
        ),
        ({"writer": {"plugin": "w", "connection": 5}}, r"^job\.writer\.connection: got 5"),
        (
            {"writer": {"plugin": "w", "inline": {}}},
            r"^job\.writer\.inline: unknown field; allowed: connection, ",
        ),
        ({"limits": {"concurrent": 0}}, r"^limits\.concurrent: got 0; allowed: 1 to 1024"),
        ({"limits": {"concurrent": 1025}}, r"^limits\.concurrent: "),
        ({"limits": {"concurrent": "4"}}, r"^job\.limits\.concurrent: got '4'; allowed: a number"),
        ({"limits": {"concurrent": None}}, r"^job\.limits\.concurrent: "),
        ({"limits": {"concurrent": True}}, r"^job\.limits\.concurrent: "),
        ({"limits": {"bytes_per_second": 0}}, r"^limits\.bytes_per_second: "),
        ({"limits": {"error_records": -1}}, r"^limits\.error_records: "),
        ({"limits": {"error_ratio": 1.01}}, r"^limits\.error_ratio: "),
        ({"limits": {"batch_bytes": 0}}, r"^limits\.batch_bytes: "),
        ({"limits": {"speed": 0}}, r"^job\.limits\.speed: unknown field"),
        ({"transform": {}}, r"^job\.transform: "),
        ({"checkpoint": {"plugin": 1}}, r"^job\.checkpoint\.plugin: "),
        ({"name": ""}, r"^name: "),
        ({"name": "a@b"}, r"^name: "),
        ({"name": "x" * 201}, r"^name: "),
        ({"speed": 1}, r"^job\.speed: unknown field; allowed: checkpoint, limits, name"),
    ],
)
def test_other_json_is_refused_by_path(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        JobSpec.from_json({**SMALLEST, **change})


@pytest.mark.parametrize("field", ["name", "reader", "writer"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(ConfigError, match=rf"^job\.{field}: missing"):
        JobSpec.from_json({key: value for key, value in SMALLEST.items() if key != field})
