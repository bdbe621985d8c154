from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.inline import mask_secrets, take_connection

KEYS = {"endpoint": " https://e ", "accessId": "id", "accessKey": "s3cr3t", "instanceName": "demo"}


def test_a_datasource_is_the_connection_id() -> None:
    assert take_connection("oss", {"datasource": "dst", "bucket": "b"}, "p") == (
        {"bucket": "b"},
        "dst",
        None,
        [],
    )


def test_a_datasource_wins_over_inline_keys_and_says_so() -> None:
    rest, connection, inline, notes = take_connection(
        "otsstream", {**KEYS, "datasource": "src", "mode": "x"}, "p"
    )
    assert (rest, connection, inline) == ({"mode": "x"}, "src", None)
    assert len(notes) == 4
    assert all("ignored" in note for note in notes)
    assert "s3cr3t" not in str(notes)


def test_inline_keys_become_a_connection_whose_secret_does_not_print() -> None:
    rest, connection, inline, notes = take_connection("otsstream", {**KEYS, "dataTable": "t"}, "p")
    assert (rest, connection) == ({"dataTable": "t"}, "")
    assert inline == ConnectionInfo(
        "tablestore",
        endpoint="https://e",
        access_key_id="id",
        access_key_secret=Secret("s3cr3t"),
        extra={"instance": "demo"},
    )
    assert "s3cr3t" not in f"{inline} {notes}"


@pytest.mark.parametrize("plugin", ["oss", "otsstream", "linse"])
@pytest.mark.parametrize("parameter", [{}, {"datasource": ""}, {"datasource": None}])
def test_no_connection_is_none(plugin: str, parameter: dict[str, Any]) -> None:
    assert take_connection(plugin, parameter, "p") == ({}, "", None, [])


def test_other_plugins_keep_their_parameters() -> None:
    parameter = {"endpoint": "e", "accessKey": "k"}
    assert take_connection("elasticsearch", parameter, "p") == (parameter, "", None, [])


@pytest.mark.parametrize("missing", ["endpoint", "accessId", "accessKey", "instanceName"])
def test_incomplete_keys_are_refused_without_showing_the_others(missing: str) -> None:
    parameter = {key: value for key, value in KEYS.items() if key != missing}
    with pytest.raises(ConfigError, match=rf"^p\.{missing}: missing; give all of endpoint") as caught:
        take_connection("otsstream", parameter, "p")
    assert "s3cr3t" not in str(caught.value)


def test_a_key_of_another_type_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match=r"^p\.accessKey: int instead of a text") as caught:
        take_connection("oss", {**KEYS, "accessKey": 123454321}, "p")
    assert "123454321" not in str(caught.value)


def test_secrets_are_masked_by_name_at_any_depth() -> None:
    data = {
        "accessKey": "a",
        "accessKeySecret": "b",
        "access_key_secret": "c",
        "*accessKey": "d",
        "securityToken": "e",
        "password": "f",
        "list": [{"Password": "g"}],
        "accessId": "shown",
        "access_key_id": "shown",
        "accessKeyId": "shown",
        "empty": {"accessKey": ""},
        "column": ["token", "secret"],
    }
    assert mask_secrets(data) == {
        "accessKey": "***",
        "accessKeySecret": "***",
        "access_key_secret": "***",
        "*accessKey": "***",
        "securityToken": "***",
        "password": "***",
        "list": [{"Password": "***"}],
        "accessId": "shown",
        "access_key_id": "shown",
        "accessKeyId": "shown",
        "empty": {"accessKey": ""},
        "column": ["token", "secret"],
    }
