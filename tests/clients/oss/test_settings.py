from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.clients.oss.settings import OssSettings
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret


def settings(endpoint: str = "oss-cn-hangzhou.aliyuncs.com", **fields: Any) -> OssSettings:
    given = {"access_key_id": "id", "access_key_secret": Secret("s"), **fields}
    return OssSettings.of(ConnectionInfo("oss", endpoint, **given))


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("https://oss-eu-central-1-internal.aliyuncs.com", "eu-central-1"),
        ("http://cn-beijing.oss.aliyuncs.com", "cn-beijing"),
    ],
)
def test_the_region_is_read_from_a_public_endpoint(endpoint: str, region: str) -> None:
    assert settings(endpoint).region == region
    assert settings(endpoint, region="oss-us-west-1").region == "us-west-1"


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:8801", "https://oss-accelerate.aliyuncs.com", "http://minio"]
)
def test_a_region_that_nobody_tells_is_asked_for(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"connection\.region: missing"):
        settings(endpoint)
    assert settings(endpoint, extra={"signature_version": "v1"}).signature_v1


def test_path_style_is_for_addresses_and_localhost() -> None:
    assert settings("http://127.0.0.1:1", region="r").path_style
    assert settings("http://localhost:1", region="r").path_style
    assert not settings().path_style
    assert settings(extra={"path_style": True}).path_style


def test_https_is_the_default_and_the_port_is_kept() -> None:
    assert settings().endpoint == "https://oss-cn-hangzhou.aliyuncs.com"
    assert settings("http://127.0.0.1:8801", region="r").endpoint == "http://127.0.0.1:8801"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"endpoint": ""}, "connection.endpoint"),
        ({"endpoint": "ftp://host"}, "connection.endpoint"),
        ({"endpoint": "https://host/bucket"}, "connection.endpoint"),
        ({"endpoint": "https://host:99999"}, "connection.endpoint"),
        ({"access_key_id": ""}, "connection.access_key_id"),
        ({"access_key_secret": Secret("")}, "connection.access_key_secret"),
        ({"extra": {"signature_version": "v3"}}, "connection.extra.signature_version"),
        ({"extra": {"path_style": "yes"}}, "connection.extra.path_style"),
        ({"extra": {"timeout": 0}}, "connection.extra.timeout"),
    ],
)
def test_bad_connections_name_their_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**fields)
    assert caught.value.field == field


def test_secrets_do_not_print() -> None:
    assert "hidden" not in repr(settings(access_key_secret=Secret("hidden")).credentials())
