from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import httpx
import pytest
from airflow.plugins_manager import AirflowPlugin

from airflow_provider_sync.plugin import SyncPlugin
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> type[SyncPlugin]:
    monkeypatch.setattr(sys, "argv", ["airflow", "api-server"])
    monkeypatch.setattr(SyncPlugin, "fastapi_apps", [])
    SyncPlugin.on_load()
    return SyncPlugin


def get(app: Any, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_airflow_finds_the_plugin_by_its_entry_point() -> None:
    (found,) = entry_points(group="airflow.plugins", name="sync")
    plugin = found.load()
    assert plugin is SyncPlugin
    assert issubclass(plugin, AirflowPlugin)
    assert plugin.timetables == [SafetyLagTimetable]


def test_the_api_server_serves_the_view_where_airflow_looks_for_it(api_server: type[SyncPlugin]) -> None:
    (app,) = api_server.fastapi_apps
    (view,) = api_server.react_apps
    address = "/" + view["bundle_url"]
    assert address.startswith(app["url_prefix"] + "/")
    answer = get(app["app"], address.removeprefix(app["url_prefix"]))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert f'const NAME = "{view["name"]}"' in answer.text
    assert "globalThis[NAME] =" in answer.text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/static/", "/static/../__init__.py"])
def test_nothing_else_is_served(api_server: type[SyncPlugin], path: str) -> None:
    (app,) = api_server.fastapi_apps
    assert get(app["app"], path).status_code == 404


def test_loading_twice_serves_once(api_server: type[SyncPlugin]) -> None:
    api_server.on_load()
    assert len(api_server.fastapi_apps) == 1


def test_other_processes_load_no_web_framework_and_nothing_heavy() -> None:
    program = (
        "import sys, json; sys.argv = ['airflow', 'scheduler']\n"
        "from airflow.plugins_manager import AirflowPlugin\n"
        "import airflow.timetables.trigger, airflow.serialization.encoders\n"
        "before = set(sys.modules)\n"
        "from airflow_provider_sync.plugin import SyncPlugin\n"
        "SyncPlugin.on_load()\n"
        "print(json.dumps([SyncPlugin.fastapi_apps, sorted(set(sys.modules) - before)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    apps, modules = json.loads(done.stdout.splitlines()[-1])
    assert apps == []
    heavy = re.compile(r"fastapi|starlette|pyarrow|pandas|oss2|urllib3")
    assert [module for module in modules if heavy.match(module)] == []
