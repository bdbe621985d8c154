from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sync.clients.s3.settings import S3Settings
from airflow_provider_sync.errors import ConfigError, TransientError
from airflow_provider_sync.hooks.aws import resolve_s3


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def add(conn_type: str = "aws", login: str | None = "AKIA", **extra: Any) -> None:
        keys = {"login": login, "password": "the-secret"} if login else {}
        value = json.dumps({"conn_type": conn_type, **keys, "extra": extra})
        monkeypatch.setenv("AIRFLOW_CONN_MY_AWS", value)

    return add


def test_endpoint_region_and_keys_come_from_amazons_connection(connection: Any) -> None:
    connection(endpoint_url="http://127.0.0.1:9000", region_name="eu-west-1", aws_session_token="a-token")
    info = resolve_s3("my_aws")
    assert (info.kind, info.endpoint, info.region) == ("aws", "http://127.0.0.1:9000", "eu-west-1")
    renew = info.credentials()
    now = renew()
    assert (now.access_key_id, now.access_key_secret.reveal(), now.security_token.reveal()) == (
        "AKIA",
        "the-secret",
        "a-token",
    )
    assert renew() is now
    assert "the-secret" not in repr(now)


def test_the_endpoint_of_the_service_alone_counts(connection: Any) -> None:
    connection(service_config={"s3": {"endpoint_url": "https://s3.example.com"}})
    assert resolve_s3("my_aws").endpoint == "https://s3.example.com"


@pytest.mark.parametrize(("style", "path_style"), [("path", True), ("virtual", False)])
def test_the_addressing_style_is_amazons(connection: Any, style: str, path_style: bool) -> None:
    connection(config_kwargs={"s3": {"addressing_style": style}}, region_name="eu-west-1")
    assert S3Settings.of(resolve_s3("my_aws")).path_style is path_style


def test_amazons_own_address_follows_from_the_region(connection: Any) -> None:
    connection(region_name="ap-northeast-1")
    assert S3Settings.of(resolve_s3("my_aws")).host_of("photos") == "photos.s3.ap-northeast-1.amazonaws.com"


def test_a_connection_that_is_not_there_is_not_replaced_by_the_machines_own_keys(connection: Any) -> None:
    with pytest.raises(ConfigError, match="no connection with this id"):
        resolve_s3("nobody")


def test_a_connection_of_another_type_is_refused(connection: Any) -> None:
    connection("mysql")
    with pytest.raises(ConfigError, match=r"my_aws\.conn_type: got 'mysql'; allowed: aws"):
        resolve_s3("my_aws")


def test_no_keys_anywhere_is_said(connection: Any) -> None:
    connection(login=None)
    renew = resolve_s3("my_aws").credentials()
    with pytest.raises((ConfigError, TransientError), match="my_aws"):
        renew()
