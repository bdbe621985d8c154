from __future__ import annotations

import json
import sys
import time
import urllib.request
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_sync.clients import credentials
from airflow_provider_sync.clients.oss import OssClient
from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import AccessDeniedError, ConfigError, TransientError
from airflow_provider_sync.hooks.connection import connection_info, resolve_connection
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret


def info(kinds: tuple[str, ...] = (), **fields: Any) -> ConnectionInfo:
    extra = fields.pop("extra", None)
    return connection_info(
        Connection(conn_id="here", **fields, extra=None if extra is None else json.dumps(extra)), kinds
    )


def test_a_tablestore_connection_as_the_form_stores_it() -> None:
    assert info(
        conn_type="tablestore",
        host="https://demo.cn-hangzhou.ots.aliyuncs.com",
        login="LTAI",
        password="shh",
        extra={"instance": "demo", "auth_type": "AK", "security_token": "", "timeout": 30, "region": None},
    ) == ConnectionInfo(
        kind="tablestore",
        endpoint="https://demo.cn-hangzhou.ots.aliyuncs.com",
        access_key_id="LTAI",
        access_key_secret=Secret("shh"),
        extra={"instance": "demo", "timeout": 30},
    )


def test_an_oss_connection_of_alibabas_provider_works_as_it_is() -> None:
    assert info(
        conn_type="oss",
        schema="my-bucket",
        extra={
            "auth_type": "AK",
            "access_key_id": "LTAI",
            "access_key_secret": "shh",
            "region": "cn-hangzhou",
        },
    ) == ConnectionInfo(
        kind="oss",
        endpoint="https://oss-cn-hangzhou.aliyuncs.com",
        access_key_id="LTAI",
        access_key_secret=Secret("shh"),
        region="cn-hangzhou",
        extra={"bucket": "my-bucket"},
    )


@pytest.mark.parametrize("kind", ["oss", "tablestore"])
def test_a_general_alibaba_connection_serves_the_kind_that_is_asked_for(kind: str) -> None:
    found = info(
        (kind,),
        conn_type="alibaba_cloud",
        extra={
            "extra__alibaba_cloud__access_key_id": "LTAI",
            "access_key_secret": "shh",
            "region": "oss-cn-beijing",
            "instance": "demo",
        },
    )
    assert found.kind == kind
    assert found.access_key_id == "LTAI"
    assert (
        found.endpoint
        == {
            "oss": "https://oss-cn-beijing.aliyuncs.com",
            "tablestore": "https://demo.cn-beijing.ots.aliyuncs.com",
        }[kind]
    )


def test_sts_credentials_carry_their_token() -> None:
    found = info(
        conn_type="oss",
        host="h",
        login="STS.a",
        password="b",
        extra={"auth_type": "STS", "sts_token": "zxcv9876"},
    )
    assert found.security_token == Secret("zxcv9876")
    assert "zxcv9876" not in repr(found)


def test_sts_credentials_without_a_token_are_refused() -> None:
    with pytest.raises(ConfigError, match="security_token: missing"):
        info(conn_type="oss", login="STS.a", password="b", extra={"auth_type": "STS"})


def test_texts_of_a_uri_get_their_types() -> None:
    found = connection_info(
        Connection(conn_id="c", uri="oss://key:s%2Fcret@127.0.0.1:8801/bucket?path_style=true&timeout=7.5")
    )
    assert found.endpoint == "https://127.0.0.1:8801"
    assert found.access_key_secret == Secret("s/cret")
    assert found.extra == {"bucket": "bucket", "path_style": True, "timeout": 7.5}


def test_an_unticked_box_leaves_the_address_style_to_the_client() -> None:
    assert "path_style" not in info(conn_type="oss", host="h", extra={"path_style": False}).extra


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conn_type": "mysql"}, "conn_type: got 'mysql'; allowed: oss"),
        ({"conn_type": "oss", "extra": {"auth_type": "magic"}}, "auth_type: got 'magic'; allowed: AK, STS"),
        ({"conn_type": "oss", "extra": {"timeout": "soon"}}, "timeout: got 'soon'"),
        ({"conn_type": "oss", "extra": {"path_style": "maybe"}}, "path_style: got 'maybe'"),
        ({"conn_type": "oss", "extra": ["list"]}, "extra: not a JSON object"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        info(("oss",), **fields)
    assert message in str(caught.value)
    assert str(caught.value).startswith("connection here")


def test_extra_that_is_no_json_is_named() -> None:
    with pytest.raises(ConfigError, match="extra: not JSON"):
        connection_info(Connection(conn_id="c", conn_type="oss", extra="{'a': 1}"))


def test_an_id_is_looked_up_in_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_ORDERS", '{"conn_type": "oss", "host": "h", "login": "a", "password": "b"}'
    )
    assert resolve_connection("orders", ("oss",)).endpoint == "https://h"


class Library:
    """Stands for Alibaba's credentials library: ``now`` is what it answers, ``asked`` how it was set up."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.now = ("STS.x", "hush-hush", "token")

    def client(self, config: Any = None) -> Any:
        self.asked.append(vars(config) if config else {})
        return SimpleNamespace(get_credential=self._get)

    def _get(self) -> Any:
        key_id, secret, token = self.now
        return SimpleNamespace(
            get_access_key_id=lambda: key_id,
            get_access_key_secret=lambda: secret,
            get_security_token=lambda: token,
        )


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    client, models = ModuleType("client"), ModuleType("models")
    client.Client = found.client  # type: ignore[attr-defined]
    models.Config = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials", ModuleType("alibabacloud_credentials"))
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials.client", client)
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials.models", models)
    monkeypatch.setattr(credentials, "_clients", {})  # it has none of another test
    return found


def test_roles_are_asked_for_credentials(library: Library) -> None:
    found = info(
        conn_type="oss",
        host="h",
        login="LTAI",
        password="shh",
        extra={"auth_type": "ram_role_arn", "role_arn": "acs:ram::1:role/x"},
    )
    assert library.asked == [
        {
            "type": "ram_role_arn",
            "role_arn": "acs:ram::1:role/x",
            "access_key_id": "LTAI",
            "access_key_secret": "shh",
        }
    ]
    assert (found.access_key_id, found.security_token) == ("STS.x", Secret("token"))
    assert "hush-hush" not in repr(found.credentials()())


ROLE = {"auth_type": "ecs_ram_role", "role_name": "etl", "region": "cn-hangzhou", "path_style": True}


def test_a_token_that_runs_out_in_the_middle_of_a_task_is_renewed_for_oss(library: Library) -> None:
    service = OssService({"key": "secret"}, buckets=["lake"], region="cn-hangzhou")
    with Server(service) as server:

        def issue(name: str, expires: float) -> None:
            library.now = (f"STS.{name}", f"{name}-secret", f"{name}-token")
            data = dict(zip(("access_key_id", "access_key_secret", "token"), library.now, strict=True))
            body = json.dumps({**data, "expires": expires}).encode()
            with urllib.request.urlopen(f"{server.url}/_control/sts", body):  # noqa: S310 - our own server
                pass

        issue("first", expires=time.time() + 3600)
        found = info(("oss",), conn_type="oss", host=server.url, extra=ROLE)
        client = OssClient(found, retry=RetryPolicy(attempts=1))
        client.put("lake", "k", b"1")
        assert [one.key for one in client.list_objects("lake")] == ["k"]
        kept = library.now
        issue("first", expires=time.time() - 1)
        library.now = kept
        with pytest.raises(AccessDeniedError, match="SecurityTokenExpired"):
            client.put("lake", "k", b"2")
        issue("second", expires=time.time() + 3600)
        client.put("lake", "k", b"3")
        assert [one.key for one in client.list_objects("lake")] == ["k"]
        assert client.get("lake", "k") == b"3"
        client.close()


def test_a_token_that_runs_out_in_the_middle_of_a_task_is_renewed_for_tablestore(library: Library) -> None:
    keys, tokens = {"STS.first": "first-secret"}, {"STS.first": "first-token"}
    service = TablestoreService(keys, sts_tokens=tokens)
    with Server(service) as server:
        library.now = ("STS.first", "first-secret", "first-token")
        extra = {**ROLE, "instance": "orders"}
        found = info(("tablestore",), conn_type="tablestore", host=server.url, extra=extra)
        with TablestoreClient(found, retry=RetryPolicy(attempts=1)) as client:
            assert client.list_tables() == []
            service._access_keys.clear()
            service._access_keys["STS.second"] = "second-secret"
            service._sts_tokens["STS.second"] = "second-token"
            with pytest.raises(AccessDeniedError):
                client.list_tables()
            library.now = ("STS.second", "second-secret", "second-token")
            assert client.list_tables() == []


def test_a_token_that_cannot_be_had_is_worth_another_try(library: Library) -> None:
    found = info(("oss",), conn_type="oss", host="h", extra=ROLE)
    library.now = ()  # type: ignore[assignment] # unpacking it fails, as the library may fail in any way
    with pytest.raises(TransientError, match="connection here: no credentials of type ecs_ram_role"):
        found.credentials()()


def test_a_role_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_clients", {})  # another test may have signed in so
    for name in ("", ".client", ".models"):  # those that another test may have imported, too
        monkeypatch.setitem(sys.modules, f"alibabacloud_credentials{name}", None)
    with pytest.raises(ConfigError, match=r"airflow-provider-sync\[credentials\]"):
        info(conn_type="oss", extra={"auth_type": "default"})
