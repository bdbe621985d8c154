"""What is wrong is refused by name before a byte is written: from the job file to the services and back."""

import copy
import json
import time
from typing import Any

import pytest
import urllib3

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import KeyColumn
from airflow_provider_sync.clients.tablestore.messages import KeyType
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.job import Job, run_window
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    DataLossError,
    NotFoundError,
    SyncError,
    TargetConflictError,
)
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService
from airflow_provider_sync.registry import build_reader, build_store, build_writer
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.datax import load_job
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.state.memory import MemoryStore

KEYS = {"ak": "the-secret"}
MINUTE = 60_000


@pytest.fixture(scope="module")
def services():
    with Server(TablestoreService(KEYS)) as tablestore, Server(OssService(KEYS, buckets=["lake"])) as oss:
        client = TablestoreClient(connection(tablestore), retry=RetryPolicy())
        key = (KeyColumn("id", KeyType.STRING),)
        client.create_table("orders", key, stream_hours=24)
        client.create_table("still", key)  # without a stream
        client.create_table("other_status", key)
        client.put_row("orders", (("id", "a"),), {"v": 1})
        client.close()
        yield tablestore, oss


def connection(server: Server, **changes: Any) -> ConnectionInfo:
    values = {
        "kind": server.service.name,
        "endpoint": server.url,
        "access_key_id": "ak",
        "access_key_secret": Secret("the-secret"),
        "region": "cn-hangzhou",
        "extra": {"instance": "demo"} if server.service.name == "tablestore" else {"path_style": True},
    }
    return ConnectionInfo(**{**values, **changes})


def job(*changes: tuple[str, Any]) -> dict[str, Any]:
    """Return a DataWorks job; each change is a dotted path and its new value."""
    data = {
        "type": "job",
        "version": "1.0",
        "configuration": {
            "setting": {"errorLimit": {"record": "0"}, "speed": {"concurrent": "1"}},
            "reader": {
                "plugin": "otsstream",
                "parameter": {
                    "datasource": "ots",
                    "dataTable": "orders",
                    "mode": "single_version_and_update_only",
                    "column": [{"name": "id"}, {"name": "v"}],
                },
            },
            "writer": {
                "plugin": "oss",
                "parameter": {
                    "datasource": "oss",
                    "bucket": "lake",
                    "object": "orders",
                    "writeMode": "truncate",
                    "fileFormat": "csv",
                },
            },
        },
    }
    for path, value in changes:
        place = data["configuration"]
        *way, last = path.split(".")
        for step in way:
            place = place[step]
        place[last] = value
    return data


def run(
    services, source: Any, *, window: Window | None = None, clock=time.time, **bad: ConnectionInfo
) -> None:
    tablestore, oss = services
    environment = Environment(clock=clock)
    text = source if isinstance(source, str) else json.dumps(source)
    spec = load_job(text, name="bad", parameters={}, timezone="UTC").spec
    reader = build_reader(spec.reader, bad.get("ots", connection(tablestore)), environment)
    writer = build_writer(spec.writer, bad.get("oss", connection(oss)), environment)
    store = (
        build_store(spec.checkpoint, bad.get("ots", connection(tablestore)), environment)
        if spec.checkpoint
        else MemoryStore()
    )
    now = int(time.time() * 1000)
    with reader, writer:
        run_window(Job(spec, reader, writer, store, environment), window or Window(now - 5 * MINUTE, now))


def nothing_was_written(services) -> bool:
    def control(route: str) -> Any:
        return urllib3.request("GET", f"{services[1].url}/_control/{route}").json()

    return not control("objects?bucket=lake") and not control("uploads")


def hours_ago(hours: float) -> Window:
    end = int((time.time() - hours * 3600) * 1000)
    return Window(end - 5 * MINUTE, end)


CASES: dict[str, tuple[Any, dict[str, Any], type[SyncError], str]] = {
    "unknown reader": (
        job(("reader.plugin", "otsstreem")),
        {},
        ConfigError,
        r"reader.*unknown reader 'otsstreem'; known: .*otsstream.*did you mean",
    ),
    "unknown writer": (
        job(("writer.plugin", "s4")),
        {},
        ConfigError,
        r"writer.*unknown writer 's4'; known: .*oss",
    ),
    "unknown reader parameter": (
        job(("reader.parameter.colunm", [])),
        {},
        ConfigError,
        r"reader\.parameter\.colunm: unknown parameter; allowed: .*column",
    ),
    "unknown writer parameter": (
        job(("writer.parameter.writeMod", "x")),
        {},
        ConfigError,
        r"writer\.parameter\.writeMod: unknown parameter; allowed: .*writeMode",
    ),
    "wrong type": (
        job(("reader.parameter.maxRetries", "often")),
        {},
        ConfigError,
        r"reader\.parameter\.maxRetries: got 'often'; allowed: integer",
    ),
    "wrong mode": (
        job(("writer.parameter.writeMode", "replace")),
        {},
        ConfigError,
        r"writer\.parameter\.writeMode: got 'replace'; allowed: .*'truncate'",
    ),
    "wrong format": (
        job(("writer.parameter.fileFormat", "orc")),
        {},
        ConfigError,
        r"writer\.parameter\.fileFormat.*orc",
    ),
    "no columns": (
        job(("reader.parameter.column", [])),
        {},
        ConfigError,
        r"reader\.parameter\.column: got \[\]; allowed: at least one column",
    ),
    "header of another length": (
        job(("writer.parameter.header", ["id"])),
        {},
        ConfigError,
        r"writer\.parameter\.header",
    ),
    "bad zone": (
        job(("writer.parameter.timezone", "Mars/Olympus")),
        {},
        ConfigError,
        r"writer\.parameter\.timezone.*Mars/Olympus",
    ),
    "bad delimiter": (
        job(("writer.parameter.fieldDelimiter", "ab")),
        {},
        ConfigError,
        r"writer\.parameter\.fieldDelimiter.*'ab'",
    ),
    "window in the future": (
        job(),
        {"window": hours_ago(-2)},
        ConfigError,
        r"window: its end lies in the future.*wait",
    ),
    "window before retention": (
        job(),
        {"window": hours_ago(48)},
        DataLossError,
        r"begins before what the stream still holds \(24 h\).*may be gone.*onDataLoss",
    ),
    "no such table": (
        job(("reader.parameter.dataTable", "nosuch")),
        {},
        NotFoundError,
        r"table 'nosuch'.*OTSObjectNotExist",
    ),
    "table without stream": (
        job(("reader.parameter.dataTable", "still")),
        {},
        ConfigError,
        r"reader\.parameter\.dataTable: its stream is off, got 'still'; enable Stream",
    ),
    "status table with another schema": (
        job(("reader.parameter.statusTable", "other_status")),
        {},
        ConfigError,
        r"its primary key is \(id STRING\), got 'other_status'; allowed: a table with .*StreamId",
    ),
    "no such bucket": (
        job(("writer.parameter.bucket", "nosuch")),
        {},
        NotFoundError,
        r"nosuch/orders.*NoSuchBucket.*create the bucket or correct its name",
    ),
    "bad bucket name": (job(("writer.parameter.bucket", "Lake_1")), {}, ConfigError, r"bucket.*Lake_1"),
    "leading slash": (
        job(("writer.parameter.object", "/orders")),
        {},
        ConfigError,
        r"writer\.parameter\.object.*'/orders'",
    ),
    "name too long": (
        job(("writer.parameter.object", "x" * 1024)),
        {},
        ConfigError,
        r"writer\.parameter\.object",
    ),
    "bad concurrency": (job(("setting.speed.concurrent", "0")), {}, ConfigError, r"concurrent"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_refused_by_name_and_nothing_is_written(services, case):
    source, how, error, match = CASES[case]
    before = copy.deepcopy(source)
    with pytest.raises(error, match=match) as caught:
        run(services, source, **how)
    assert "the-secret" not in str(caught.value)
    assert source == before
    assert nothing_was_written(services)


@pytest.mark.parametrize("side", ["ots", "oss"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"access_key_secret": Secret("the-wrong-one")}, r"access_key_secret"),
        ({"access_key_id": "nobody"}, r"access_key_id"),
    ],
)
def test_a_wrong_key_is_told_without_showing_it(services, side, change, match):
    wrong = connection(services[0 if side == "ots" else 1], **change)
    with pytest.raises(AccessDeniedError, match=match) as caught:
        run(services, job(), **{side: wrong})
    assert "the-wrong-one" not in str(caught.value)
    assert "the-secret" not in str(caught.value)
    assert nothing_was_written(services)


def test_a_clock_that_is_off_is_named_as_the_cause(services):
    with pytest.raises(AccessDeniedError, match="set the clock of this machine"):
        run(services, job(), clock=lambda: time.time() + 3600)
    assert nothing_was_written(services)


def test_a_window_must_start_before_it_ends():
    with pytest.raises(ConfigError, match="start must be before end"):
        Window(10, 10)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"type": "job",\n "version": "1.0",\n "configuration": {"setting" }}', "line 3.*column"),
        ('// a job\n{"type": "job" "version": "1.0"}', "line 2.*column"),
        ("{\n}", "job"),
    ],
)
def test_a_broken_job_file_names_line_and_column(services, text, match):
    with pytest.raises(ConfigError, match=match):
        run(services, text)


def test_a_job_file_with_comments_runs(services):
    text = json.dumps(job(("writer.parameter.object", "commented")), indent=1)
    text = text.replace('"dataTable"', '# the table\n"dataTable"').replace('"bucket"', '/* where */ "bucket"')
    run(services, text + " // done")
    assert not nothing_was_written(services)


def test_an_object_that_another_window_holds_is_not_overwritten(services):
    single = job(("writer.parameter.object", "daily"), ("writer.parameter.writeSingleObject", True))
    run(services, single)
    with pytest.raises(TargetConflictError, match=r"holds window .*\$\{start_time\}"):
        run(services, single, window=hours_ago(1))
