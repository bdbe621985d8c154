"""The pages' code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import csv
import http.client
import io
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from airflow.sdk import DAG, Connection

from airflow_provider_sync.formats.csv import CsvEncoder
from airflow_provider_sync.hooks.connection import connection_info
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from airflow_provider_sync.registry import reader_class, writer_class
from airflow_provider_sync.spec.datax import load_job
from airflow_provider_sync.spec.options import parse_options
from airflow_provider_sync.spec.parameters import evaluate_parameters
from airflow_provider_sync.spec.window import Window

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
OURS = "airflow_provider_sync"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPORT = re.compile(r"^export AIRFLOW_CONN_\w+='(.*?)'$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?P<image>!?)\[[^\[\]]*\]\((?P<target>[^)\s]+)\)")


def blocks(*languages: str) -> list[Any]:
    """All code blocks of these languages, each under its page and number."""
    found = []
    for page in PAGES:
        for number, (language, text) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            if language in languages:
                found.append(pytest.param(text, id=f"{page.stem}-{number}"))
    return found


def chosen(word: str, *languages: str) -> list[Any]:
    return [one for one in blocks(*languages) if word in one.values[0]]


def prose(page: Path) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def commands() -> Iterator[Any]:
    """Every command line of the pages, as words."""
    for one in blocks("sh"):
        for line in EXPORT.sub("", one.values[0]).replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(" # ")[0]) if line[:1].isalpha() else []
            if words:
                yield pytest.param(words, id=" ".join(words)[:60])


# Python


@pytest.mark.parametrize(
    "text", chosen("airflow.sdk import DAG", "python") + chosen("dags_from_folder", "python")
)
def test_dags_in_pages_can_be_parsed(text: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dags" / "jobs", tmp_path / "jobs")
    path = tmp_path / "page.py"
    path.write_text(text, encoding="utf-8")
    names = runpy.run_path(str(path))
    dags = [one for one in names.values() if isinstance(one, DAG)] or _last_dag(text, path)
    assert dags
    for dag in dags:
        assert dag.tasks
        assert "broken" not in dag.tags


def _last_dag(text: str, path: Path) -> list[DAG]:
    """``with DAG(…):`` gives the DAG no name; run it once more with one."""
    path.write_text(re.sub(r"^\):$", ") as the_dag:", text, count=1, flags=re.MULTILINE), encoding="utf-8")
    return [one for one in runpy.run_path(str(path)).values() if isinstance(one, DAG)]


@pytest.mark.parametrize("text", chosen("import pytest", "python"))
def test_tests_in_pages_pass(text: str, tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_every_python_block_is_of_a_kind_that_is_run() -> None:
    for one in blocks("python"):
        assert re.search(r"airflow.sdk import DAG|dags_from_folder|import pytest", one.values[0]), one.id


# Data


@pytest.mark.parametrize("text", chosen('"otsstream', "json", "jsonc"))
def test_jobs_in_pages_are_understood_and_read_the_window_they_should(text: str) -> None:
    moment = datetime(2026, 11, 20, 10, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    parameters = {
        "start_time": "$[yyyymmddhh24miss-10/24/60]",
        "end_time": "$[yyyymmddhh24miss-5/24/60]",
        "date": "${bdp.system.bizdate}",
    }
    job = load_job(text, name="page", parameters=parameters, moment=moment, timezone="Asia/Shanghai")
    parse_options(reader_class(job.spec.reader.plugin).Options, job.spec.reader.parameter, "reader.parameter")
    parse_options(writer_class(job.spec.writer.plugin).Options, job.spec.writer.parameter, "writer.parameter")
    assert job.window == Window.between(moment.replace(minute=0), moment.replace(minute=5))
    assert job.notes == ()


@pytest.mark.parametrize("text", blocks("json"))
def test_json_in_pages_is_json(text: str) -> None:
    json.loads(text)


def test_parameters_have_the_values_that_the_page_says() -> None:
    text = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
    moment = datetime(2026, 11, 20, 10, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    seen = 0
    for cells in re.findall(r"^\| (`\$[^|]+) \| ([^|]+) \|$", text, re.MULTILINE):
        names, values = (re.findall(r"`([^`]+)`", cell) for cell in cells)
        if values:
            got = list(evaluate_parameters(dict(enumerate(names)), moment).values())
            assert got == (values if len(values) == len(names) else values * len(names)), names
            seen += len(got)
    assert seen >= 10


@pytest.mark.parametrize("text", blocks("csv"))
def test_csv_in_pages_is_what_the_writer_writes(text: str) -> None:
    header, *rows = csv.reader(io.StringIO(text))
    notes = [None, *(row[1] for row in rows[1:])]
    batch = pa.RecordBatch.from_pydict({"id": [int(row[0]) for row in rows], "note": notes})
    encoder = CsvEncoder(batch.schema, header=header)
    assert (encoder.header() + bytes(encoder.encode(batch).data)).decode() == text


# Commands


@cache
def options_of(module: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


@cache
def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


@pytest.mark.parametrize("words", list(commands()))
def test_commands_in_pages_exist(words: list[str]) -> None:
    match words:
        case ["make", *targets]:
            rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            assert set(targets) <= set(rules)
        case ["python", "-m", module, *rest]:
            assert module.startswith(OURS)
            for option in (one for one in rest if one.startswith("--")):
                assert re.search(rf"^\s+{option}\b", options_of(module), re.MULTILINE), option
        case ["python", script, *_]:
            assert (ROOT / script).is_file()
        case ["pip", "install", package]:
            name, _, rest = package.partition("[")
            assert name == OURS.replace("_", "-")
            assert set(filter(None, rest.rstrip("]").split(","))) <= extras()
        case ["docker", "compose", *rest]:
            services = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
            scaled = [one.partition("=")[0] for one in rest if "=" in one]
            assert all(re.search(rf"^  {one}:", services, re.MULTILINE) for one in scaled)
        case ["airflow", *rest]:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", *rest[:2], "--help"],
                capture_output=True,
                text=True,
                check=True,
                cwd=ROOT,
            )
            assert all(one in done.stdout for one in rest if one.startswith("--"))
        case ["curl", *_]:
            pass  # they are run, see below
        case _:
            raise AssertionError(f"how is this to be checked? {words}")


def test_control_requests_in_pages_are_served() -> None:
    requests = [one.values[0] for one in commands() if one.values[0][0] == "curl"]
    assert requests
    with (
        Server(TablestoreService({"key": "secret"})) as tablestore,
        Server(OssService({"key": "secret"})) as oss,
    ):
        ports = {8800: tablestore.port, 8801: oss.port}
        for _, *words in requests:
            data = words[words.index("-d") + 1] if "-d" in words else None
            url = urlsplit(next(one for one in words if one.startswith("http")))
            method = words[words.index("-X") + 1] if "-X" in words else "POST" if data else "GET"
            connection = http.client.HTTPConnection("127.0.0.1", ports[url.port], timeout=10)
            connection.request(method, urlunsplit(("", "", url.path, url.query, "")), data)
            assert connection.getresponse().status == 200, words
            connection.close()


@pytest.mark.parametrize(
    "text",
    [text for one in blocks("sh") for text in EXPORT.findall(one.values[0])],
    ids=lambda text: text[18:28],
)
def test_connections_in_pages_are_ours(text: str) -> None:
    data = json.loads(text)
    connection = Connection(conn_id="page", **{**data, "extra": json.dumps(data.get("extra", {}))})
    assert connection_info(connection).endpoint.startswith("http")


# Links


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(prose(page)):
        path, _, anchor = link["target"].partition("#")
        if path.startswith("http") or link["image"]:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link["target"]
        assert not anchor or anchor in anchors(target), link["target"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_images_are_there_and_described(page: Path) -> None:
    for link in LINK.finditer(prose(page)):
        if link["image"]:
            assert (page.parent / link["target"]).is_file(), link["target"]
            assert not link[0].startswith("![]")
