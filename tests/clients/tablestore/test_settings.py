"""A connection is refused by field before the first request."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.clients.tablestore.settings import read_settings
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials, Secret


def _connection(**changes: Any) -> ConnectionInfo:
    fields: dict[str, Any] = {
        "kind": "tablestore",
        "endpoint": "http://127.0.0.1:8800",
        "access_key_id": "ak",
        "access_key_secret": Secret("sk"),
        "extra": {"instance": "demo"},
    }
    return ConnectionInfo(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoint": ""}, "connection.endpoint"),
        ({"endpoint": "127.0.0.1:8800"}, "connection.endpoint"),
        ({"endpoint": "ftp://host"}, "connection.endpoint"),
        ({"endpoint": "http://host/path"}, "connection.endpoint"),
        ({"endpoint": "http://host:99999"}, "connection.endpoint"),
        ({"access_key_id": "ak\n"}, "connection.access_key_id"),
        ({"access_key_id": "ключ"}, "connection.access_key_id"),
        ({"access_key_secret": Secret("s k")}, "connection.access_key_secret"),
        ({"security_token": Secret("token\n")}, "connection.security_token"),
        ({"region": "cn hangzhou"}, "connection.region"),
        ({"extra": {"instance": "de mo"}}, "connection.extra.instance"),
        ({"endpoint": "http://user:secret@host"}, "connection.endpoint"),
        ({"extra": {}}, "connection.extra.instance"),
        ({"extra": {"instance": 7}}, "connection.extra.instance"),
        ({"access_key_id": ""}, "connection.access_key_id"),
        ({"access_key_secret": Secret("")}, "connection.access_key_secret"),
        ({"extra": {"instance": "demo", "timeout": 0}}, "connection.extra.timeout"),
        ({"extra": {"instance": "demo", "timeout": "5"}}, "connection.extra.timeout"),
        ({"extra": {"instance": "demo", "timeout": True}}, "connection.extra.timeout"),
        ({"extra": {"instance": "demo", "verify_answers": "no"}}, "connection.extra.verify_answers"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(_connection(**changes))
    assert caught.value.field == field


def test_a_bad_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(_connection(access_key_secret=Secret("hush hush")))
    assert "hush" not in str(caught.value)


def test_a_key_is_not_needed_where_credentials_come_from_elsewhere() -> None:
    elsewhere = _connection(access_key_id="", renew=lambda: Credentials("id", Secret("secret")))
    assert read_settings(elsewhere).instance == "demo"


@pytest.mark.parametrize(
    "host",
    [
        "inst.cn-hangzhou.ots.aliyuncs.com",
        "inst.cn-hangzhou.ots-internal.aliyuncs.com",
        "inst.cn-hangzhou.vpc.tablestore.aliyuncs.com",
        "inst.cn-hangzhou.tablestore.aliyuncs.com",
    ],
)
def test_a_public_host_tells_instance_and_region(host: str) -> None:
    settings = read_settings(_connection(endpoint=f"https://{host}/", extra={}))

    assert (settings.endpoint, settings.instance, settings.region) == (
        f"https://{host}",
        "inst",
        "cn-hangzhou",
    )


def test_given_instance_and_region_win_over_the_hosts() -> None:
    settings = read_settings(
        _connection(endpoint="https://inst.cn-hangzhou.ots.aliyuncs.com", region="cn-beijing")
    )

    assert (settings.instance, settings.region) == ("demo", "cn-beijing")


def test_an_own_address_has_no_region_unless_given() -> None:
    assert read_settings(_connection()).region == ""
    assert read_settings(_connection(region="local")).region == "local"
