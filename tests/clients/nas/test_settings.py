from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from alibabacloud_credentials.utils import auth_util

from airflow_provider_sync.clients.nas import NasClient, credential_client
from airflow_provider_sync.clients.nas.settings import NasSettings
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret


def connection(**fields: Any) -> ConnectionInfo:
    known = {"region": "cn-hangzhou", "access_key_id": "id", "access_key_secret": Secret("hidden-secret")}
    return ConnectionInfo("alibaba_cloud", **{**known, **fields})


@pytest.mark.parametrize(
    ("endpoint", "protocol", "host"),
    [
        ("", "https", ""),
        ("nas.cn-hangzhou.aliyuncs.com", "https", "nas.cn-hangzhou.aliyuncs.com"),
        ("https://nas.cn-hangzhou.aliyuncs.com/", "https", "nas.cn-hangzhou.aliyuncs.com"),
        ("http://127.0.0.1:8802", "http", "127.0.0.1:8802"),
    ],
)
def test_an_endpoint_is_a_host_and_perhaps_a_port(endpoint: str, protocol: str, host: str) -> None:
    found = NasSettings.of(connection(endpoint=endpoint))
    assert (found.protocol, found.endpoint) == (protocol, host)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"region": ""}, r"connection\.region"),
        ({"endpoint": "ftp://nas"}, r"connection\.endpoint"),
        ({"endpoint": "https://nas/path"}, r"connection\.endpoint"),
        ({"endpoint": "http://nas:99999"}, r"connection\.endpoint"),
        ({"extra": {"network": "moon"}}, r"connection\.extra\.network"),
        ({"extra": {"timeout": 0}}, r"connection\.extra\.timeout"),
        ({"extra": {"timeout": True}}, r"connection\.extra\.timeout"),
        ({"extra": {"https_proxy": 1}}, r"connection\.extra\.https_proxy"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        NasClient(connection(**fields))


@pytest.mark.parametrize(
    ("network", "host"),
    [("public", "nas.cn-beijing.aliyuncs.com"), ("vpc", "nas-vpc.cn-beijing.aliyuncs.com")],
)
def test_a_region_tells_the_address(network: str, host: str) -> None:
    client = NasClient(connection(region="cn-beijing", extra={"network": network}))
    assert client._session._sdk()._endpoint == host


@pytest.mark.parametrize(
    ("fields", "kind", "token"),
    [
        ({}, "access_key", None),
        ({"security_token": Secret("t")}, "sts", "t"),
        ({"security_token": Secret("t"), "extra": {"auth_type": "STS"}}, "sts", "t"),
        ({"extra": {"auth_type": "AK"}}, "access_key", None),
    ],
)
def test_a_fixed_key_is_given_as_it_is(fields: dict[str, Any], kind: str, token: str | None) -> None:
    found = credential_client(connection(**fields)).get_credential()
    assert (found.type, found.access_key_id, found.access_key_secret, found.security_token) == (
        kind,
        "id",
        "hidden-secret",
        token,
    )


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({"auth_type": "ram_role_arn", "role_arn": "acs:ram::1:role/r"}, "ram_role_arn"),
        (
            {
                "auth_type": "oidc_role_arn",
                "role_arn": "acs:ram::1:role/r",
                "oidc_provider_arn": "acs:ram::1:oidc-provider/p",
                "oidc_token_file_path": "/var/run/token",
            },
            "oidc_role_arn",
        ),
        ({"auth_type": "credentials_uri", "credentials_uri": "http://127.0.0.1:9/"}, "credentials_uri"),
        ({"auth_type": "default"}, "default"),
    ],
)
def test_a_fetched_identity_has_one_client_in_the_process(extra: dict[str, str], kind: str) -> None:
    first = credential_client(connection(extra=extra))
    assert first.cloud_credential.type_name == kind
    assert credential_client(connection(extra={**extra, "timeout": 5})) is first
    if kind == "ram_role_arn":
        assert credential_client(connection(extra=extra, access_key_id="other")) is not first


def test_fetched_credentials_are_fetched_and_sent() -> None:
    asked: list[str] = []

    class Uri(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(
                {
                    "Code": "Success",
                    "AccessKeyId": "tmp-id",
                    "AccessKeySecret": "tmp-secret",
                    "SecurityToken": "tmp-token",
                    "Expiration": "2099-01-01T00:00:00Z",
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Uri)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        uri = f"http://127.0.0.1:{server.server_port}/creds"
        client = credential_client(connection(extra={"auth_type": "credentials_uri", "credentials_uri": uri}))
        for _ in range(3):
            found = client.get_credential()
            assert (found.access_key_id, found.access_key_secret, found.security_token) == (
                "tmp-id",
                "tmp-secret",
                "tmp-token",
            )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == ["/creds"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"access_key_id": ""}, "access_key_id"),
        ({"access_key_secret": Secret("")}, "access_key_secret"),
        ({"extra": {"auth_type": "STS"}}, "security_token"),
        ({"extra": {"auth_type": "magic"}}, "auth_type"),
        ({"extra": {"auth_type": "ram_role_arn"}}, "role_arn"),
        ({"extra": {"auth_type": "oidc_role_arn", "role_arn": "r"}}, "oidc_provider_arn"),
        ({"extra": {"auth_type": "credentials_uri"}}, "credentials_uri"),
    ],
)
def test_missing_credentials_are_named_and_never_shown(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        credential_client(connection(**fields))
    assert "hidden-secret" not in str(caught.value)


def test_what_the_library_refuses_is_a_matter_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_util, "environment_ecs_metadata_disabled", "true")
    with pytest.raises(ConfigError, match=r"auth_type.*IMDS"):
        credential_client(connection(extra={"auth_type": "ecs_ram_role", "role_name": "r"}))
