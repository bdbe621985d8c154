from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_sync
from airflow_provider_sync import provider_info

INFO = provider_info.get_provider_info()
FORMS = [provider_info._TABLESTORE, provider_info._OSS, provider_info._CPFS]


def listed(section: str) -> set[str]:
    return {module for one in INFO[section] for module in one["python-modules"]}


def test_it_fits_airflows_schema() -> None:
    schema = Path(airflow.__file__).parent / "provider_info.schema.json"
    jsonschema.validate(INFO, json.loads(schema.read_text()))


def test_airflow_finds_it_by_its_entry_point() -> None:
    ours = [
        one
        for one in entry_points(group="apache_airflow_provider")
        if one.dist is not None and one.dist.name == INFO["package-name"]
    ]
    assert [one.load()() for one in ours] == [INFO]


@pytest.mark.parametrize("section", ["operators", "sensors", "hooks", "triggers"])
def test_every_public_module_is_listed_and_can_be_imported(section: str) -> None:
    folder = Path(airflow_provider_sync.__file__).parent / section
    public = {one.name for one in pkgutil.iter_modules([str(folder)]) if not one.name.startswith("_")}
    helpers = {"hooks": {"aws", "connection", "credentials"}}.get(section, set())
    assert listed(section) == {f"airflow_provider_sync.{section}.{name}" for name in public - helpers}
    for module in listed(section):
        importlib.import_module(module)


def classes() -> list[str]:
    found = [one["hook-class-name"] for one in (*INFO["connection-types"], provider_info._OSS)]
    return [*found, *INFO["notifications"], *(one["plugin-class"] for one in INFO["plugins"])]


@pytest.mark.parametrize("path", sorted(set(classes())))
def test_every_class_that_is_named_exists(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_belongs_to_a_hook_of_that_type(form: dict[str, Any]) -> None:
    module, _, name = form["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name).conn_type == form["connection-type"]


def test_what_a_form_asks_for_that_is_secret_is_a_password_field() -> None:
    for form in FORMS:
        for name, field in form["conn-fields"].items():
            secret = ("token" in name and "file" not in name) or "secret" in name
            assert (field["schema"].get("format") == "password") is secret, name


def test_the_oss_form_gives_way_to_alibabas_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    with_theirs = {one["connection-type"] for one in INFO["connection-types"]}
    assert with_theirs == {"tablestore", "oss", "cpfs"}
    monkeypatch.setattr(
        provider_info, "find_spec", lambda name: find_spec("json" if name.endswith("alibaba") else name)
    )
    without = {one["connection-type"] for one in provider_info.get_provider_info()["connection-types"]}
    assert without == {"tablestore", "cpfs"}


def test_finding_the_provider_imports_nothing_heavy() -> None:
    program = (
        "import sys; from airflow_provider_sync.provider_info import get_provider_info; get_provider_info();"
        "print([m for m in ('airflow', 'pyarrow', 'oss2') if m in sys.modules])"
    )
    # The look for Alibaba's provider imports the parent package `airflow.providers`, hence `airflow`.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"[]", "['airflow']"}
