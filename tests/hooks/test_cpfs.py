from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_provider_sync.clients.credentials import fingerprint
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks.connection import connection_info
from airflow_provider_sync.hooks.cpfs import CpfsHook
from airflow_provider_sync.provider_info import get_provider_info
from tests.dataflow_world import World


def resolved(
    conn_type: str = "cpfs", login: str | None = "id", **extra: str
) -> tuple[str, str, dict[str, str]]:
    info = connection_info(
        Connection(
            conn_id="c", conn_type=conn_type, login=login, password="sk-0123456", extra=json.dumps(extra)
        ),
        ("cpfs",),
    )
    assert info.kind == "cpfs"
    return info.region, info.access_key_id, dict(info.extra)


@pytest.mark.parametrize("conn_type", ["cpfs", "alibaba_cloud"])
def test_region_and_key_are_enough(conn_type: str) -> None:
    region, key, extra = resolved(conn_type, region="cn-hangzhou")
    assert (region, key, extra["auth_type"]) == ("cn-hangzhou", "id", "AK")


@pytest.mark.parametrize(
    ("auth_type", "more"),
    [
        ("AK", {}),
        ("STS", {"security_token": "tok-012345"}),
        ("ram_role_arn", {"role_arn": "acs:ram::1:role/r"}),
        ("ecs_ram_role", {}),
        ("oidc_role_arn", {"role_arn": "r", "oidc_provider_arn": "p", "oidc_token_file_path": "/t"}),
        ("credentials_uri", {"credentials_uri": "http://127.0.0.1/c"}),
        ("default", {}),
    ],
)
def test_the_client_signs_in_itself_in_every_way(auth_type: str, more: dict[str, str]) -> None:
    connection = Connection(
        conn_id="c",
        conn_type="cpfs",
        login="id",
        password="sk-0123456",
        extra=json.dumps({"region": "cn-hangzhou", "auth_type": auth_type, **more}),
    )
    info = connection_info(connection, ("cpfs",))  # nothing is fetched here: there is nobody to ask
    assert info.extra["auth_type"] == auth_type
    assert fingerprint(info)  # the client understands it


@pytest.mark.parametrize(
    ("vendor", "token", "ours"), [("access_key", "", "AK"), ("sts", "tok-012345", "STS")]
)
def test_the_names_of_alibabas_own_configuration_are_understood(vendor: str, token: str, ours: str) -> None:
    _, _, found = resolved(region="cn-hangzhou", auth_type=vendor, security_token=token)
    assert found["auth_type"] == ours


def test_every_way_to_sign_in_can_be_chosen_in_the_form() -> None:
    (form,) = [one for one in get_provider_info()["connection-types"] if one["connection-type"] == "cpfs"]
    ways = form["conn-fields"]["auth_type"]["schema"]["enum"]
    assert set(ways) == {
        "AK",
        "STS",
        "ram_role_arn",
        "ecs_ram_role",
        "oidc_role_arn",
        "credentials_uri",
        "default",
    }


def test_another_type_of_connection_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"conn_type: got 'ftp'; allowed: cpfs"):
        resolved("ftp")


def test_a_connection_is_tested_by_asking_the_service(
    dataflows: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CpfsHook().test_connection() == (True, "connected; the service accepts these credentials")
    wrong = json.loads(dataflows.connections()["AIRFLOW_CONN_CPFS_DEFAULT"]) | {"password": "another"}
    monkeypatch.setenv("AIRFLOW_CONN_CPFS_DEFAULT", json.dumps(wrong))
    good, message = CpfsHook(patience=1.0).test_connection()
    assert not good
    assert "check connection.access_key_secret" in message
    assert "another" not in message


def test_a_hook_keeps_its_client(dataflows: World) -> None:
    hook = CpfsHook()
    assert hook.get_conn() is hook.get_conn()
