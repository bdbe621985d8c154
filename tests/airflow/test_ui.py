"""Airflow itself sees the provider: its list, its connection forms, their test button."""

from __future__ import annotations

import json

import pytest

from tests.airflow.conftest import World

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


def test_the_provider_is_listed(world: World) -> None:
    providers = json.loads(world.airflow.cli("providers", "list", "--output", "json"))
    (ours,) = [one for one in providers if one["package_name"] == "airflow-provider-sync"]
    assert "Alibaba Cloud" in ours["description"]


def test_the_connection_forms_ask_for_what_is_needed(world: World) -> None:
    forms = {one["connection_type"]: one for one in world.airflow.call("GET", "/ui/connections/hook_meta")}
    tablestore = forms["tablestore"]
    assert tablestore["hook_name"] == "Alibaba Cloud Tablestore"
    assert tablestore["standard_fields"]["host"]["title"] == "Endpoint"
    assert tablestore["standard_fields"]["password"]["title"] == "AccessKey secret"
    assert tablestore["standard_fields"]["port"]["hidden"] is True
    fields = tablestore["extra_fields"]
    assert {"instance", "region", "auth_type", "security_token", "timeout"} <= set(fields)
    assert fields["security_token"]["schema"]["format"] == "password"
    assert fields["auth_type"]["schema"]["enum"][:2] == ["AK", "STS"]
    assert forms["oss"]["standard_fields"]["url_schema"]["title"] == "Bucket"


@pytest.mark.parametrize(
    ("name", "says"), [("tablestore_default", "tables"), ("oss_default", "bucket lake is there")]
)
def test_the_test_button_signs_in(world: World, name: str, says: str) -> None:
    connection = world.lake.connections[name]
    body = {
        "connection_id": f"{name}_tested",
        **connection,
        "extra": json.dumps(connection["extra"]),
    }
    answer = world.airflow.call("POST", "/api/v2/connections/test", body)
    assert answer["status"] is True, answer
    assert says in answer["message"]


def test_the_test_button_says_what_is_wrong(world: World) -> None:
    connection = world.lake.connections["oss_default"] | {"password": "wrong-secret"}
    body = {"connection_id": "wrong", **connection, "extra": json.dumps(connection["extra"])}
    answer = world.airflow.call("POST", "/api/v2/connections/test", body)
    assert answer["status"] is False
    assert "SignatureDoesNotMatch" in answer["message"]
    assert "wrong-secret" not in answer["message"]
