from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.datax import load_job
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits
from airflow_provider_sync.spec.window import Window

# The run at 18:10 in Shanghai reads from 18:00 to 18:05.
MOMENT = datetime(2026, 11, 20, 10, 10, tzinfo=UTC)
WINDOW = Window(1795168800000, 1795169100000)
SCHEDULE = {
    "start_time": "$[yyyymmddhh24miss-10/24/60]",
    "end_time": "$[yyyymmddhh24miss-5/24/60]",
    "date": "${bdp.system.bizdate}",
}

DOCUMENTED = """
{
  "type": "job",
  "version": "1.0",
  "configuration": {
    "setting": {
      "errorLimit": {
        "record": "0"  # Allowed number of errors. If the number of errors exceeds the value, the task fails.
      },
      "speed": {
        "mbps": "1",  # Maximum traffic of each synchronization task.
        "concurrent": "1"   # Number of concurrent synchronization tasks each time.
      }
    },
    "reader": {
      "plugin": "otsstream",  # Name of the Reader plugin.
      "parameter": {
        "datasource": "orders_tablestore", # Name of the Table Store data source.
        "dataTable": "orders", # Name of the table in Table Store.
        "statusTable": "TableStoreStreamReaderStatusTable", # Table that stores the status
        "startTimestampMillis": "${start_time}",  # Start time of the export.
        "endTimestampMillis": "${end_time}",  # End time of the export.
        "mode": "single_version_and_update_only",
        "column":[  # Names of the columns to be exported from Table Store to OSS.
           {"name": "uid"},  # It is the primary key column in Table Store.
           {"name": "name"},  # It is an attribute column in Table Store.
        ],
        "isExportSequenceInfo": false,
        "maxRetries": 30 # Maximum number of retry times.
      }
    },
    "writer": {
      "plugin": "oss", # Name of the Writer plugin
      "parameter": {
        "datasource": "archive_oss", # Name of the OSS data source
        "object": "instance/orders/${date}",  # Prefix of the name of the last file to be backed up to OSS.
        "writeMode": "truncate", # truncate, append, and nonConflict are supported.
        "fileFormat": "csv", # File format
        "encoding": "UTF-8", # Encoding mode
        "nullFormat": "null", # Mode of representation in a TXT file under control
        "dateFormat": "yyyy-MM-dd HH:mm:ss", # # Time format
        "fieldDelimiter": "," # Delimiter of each column
      }
    }
  }
}
"""
READER = {
    "dataTable": "orders",
    "statusTable": "TableStoreStreamReaderStatusTable",
    "mode": "single_version_and_update_only",
    "column": [{"name": "uid"}, {"name": "name"}],
    "isExportSequenceInfo": False,
    "maxRetries": 30,
}
WRITER = {
    "object": "instance/orders/20261119",
    "writeMode": "truncate",
    "fileFormat": "csv",
    "encoding": "UTF-8",
    "nullFormat": "null",
    "dateFormat": "yyyy-MM-dd HH:mm:ss",
    "fieldDelimiter": ",",
}
EXPECTED = JobSpec(
    name="orders",
    reader=Endpoint("otsstream", READER, "orders_tablestore"),
    writer=Endpoint("oss", WRITER, "archive_oss"),
    limits=Limits(concurrent=1, bytes_per_second=1_048_576, error_records=0, error_ratio=None),
    checkpoint=Endpoint("tablestore", {"table": "TableStoreStreamReaderStatusTable"}, "orders_tablestore"),
)

STEPS: dict[str, Any] = {
    "type": "job",
    "version": "2.0",
    "steps": [
        {"stepType": "oss", "category": "writer", "name": "Writer", "parameter": {"datasource": "dst", "object": "p"}},
        {"stepType": "otsstream", "category": "Reader ", "name": "Reader", "parameter": {"datasource": "src"}},
        {"name": "Processor", "stepType": None, "category": "processor", "copies": 1,
         "parameter": {"nodes": [], "edges": [], "groups": [], "version": "2.0"}},
    ],
    "setting": {
        "executeMode": None,
        "jvmOption": "-Xms4096m",
        "locale": "zh_CN",
        "errorLimit": {"record": ""},
        "speed": {"throttle": True, "concurrent": 3, "mbps": "12", "dmu": 2},
    },
    "order": {"hops": [{"from": "Reader", "to": "Writer"}]},
    "extend": {"mode": "code"},
}  # fmt: skip

DATAX: dict[str, Any] = {
    "job": {
        "setting": {"speed": {"channel": 4, "byte": 0, "record": 1000}, "errorLimit": {"percentage": 0.02}},
        "content": [
            {
                "reader": {
                    "name": "otsstreamreader",
                    "parameter": {
                        "endpoint": "https://demo.cn-hangzhou.ots.aliyuncs.com",
                        "accessId": "reader-id",
                        "accessKey": "reader-s3cr3t",
                        "instanceName": "demo",
                        "dataTable": "orders",
                        "statusTable": "status",
                        "startTimeString": "20261120180000",
                        "endTimeString": "20261120180500",
                    },
                },
                "transformer": [],
                "writer": {
                    "name": "osswriter",
                    "parameter": {
                        "endpoint": "oss-cn-hangzhou.aliyuncs.com",
                        "accessId": "writer-id",
                        "accessKey": "writer-s3cr3t",
                        "bucket": "archive",
                        "object": "orders",
                    },
                },
            }
        ],
    },
    "core": {"transport": {"channel": {"capacity": 512}}, "container": {"job": {"reportInterval": 1}}},
}


def changed(data: dict[str, Any], path: str, value: Any = ...) -> dict[str, Any]:
    """Return a copy with the value at ``path`` (dots) set, or removed."""
    copy = deepcopy(data)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = copy
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


def test_the_documented_job_runs_as_it_is() -> None:
    job = load_job(DOCUMENTED, name="orders", parameters=SCHEDULE, moment=MOMENT)
    assert job.spec == EXPECTED
    assert job.window == WINDOW
    assert job.notes == ()


def test_without_parameters_only_the_form_is_checked() -> None:
    job = load_job(DOCUMENTED, name="orders")
    assert job.window is None
    assert job.spec.reader == EXPECTED.reader
    assert job.spec.writer.parameter["object"] == "instance/orders/${date}"


def test_parameters_without_a_value_are_refused_by_path() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^configuration\.reader\.parameter\.startTimestampMillis: unknown parameter \$\{start_time\}",
    ):
        load_job(DOCUMENTED, name="orders", parameters={"end_time": "1"}, moment=MOMENT)


def test_a_syntax_error_names_line_and_column() -> None:
    lines = DOCUMENTED.split("\n")
    assert lines[15] == '      "plugin": "otsstream",  # Name of the Reader plugin.'
    lines[15] = lines[15].replace(",", "")
    with pytest.raises(ConfigError, match=r"^orders: line 17, column 7: expecting ',' delimiter"):
        load_job("\n".join(lines), name="orders")


def test_dataworks_steps_are_read() -> None:
    job = load_job(STEPS, name="orders", parameters={})
    assert job.spec == JobSpec(
        name="orders",
        reader=Endpoint("otsstream", {}, "src"),
        writer=Endpoint("oss", {"object": "p"}, "dst"),
        limits=Limits(concurrent=3, bytes_per_second=12 * 1_048_576, error_records=None, error_ratio=None),
    )
    assert job.window is None
    assert [note.partition(":")[0] for note in job.notes] == [
        "extend",
        "steps[2]",
        "setting.executeMode",
        "setting.jvmOption",
        "setting.locale",
        "setting.speed.dmu",
        "setting.errorLimit",
    ]


def test_an_open_source_datax_job_is_read() -> None:
    job = load_job(json.dumps(DATAX), name="orders", parameters={})
    tablestore = ConnectionInfo(
        "tablestore",
        endpoint="https://demo.cn-hangzhou.ots.aliyuncs.com",
        access_key_id="reader-id",
        access_key_secret=Secret("reader-s3cr3t"),
        extra={"instance": "demo"},
    )
    oss = ConnectionInfo(
        "oss",
        endpoint="oss-cn-hangzhou.aliyuncs.com",
        access_key_id="writer-id",
        access_key_secret=Secret("writer-s3cr3t"),
    )
    assert job.spec == JobSpec(
        name="orders",
        reader=Endpoint("otsstream", {"dataTable": "orders", "statusTable": "status"}, "", tablestore),
        writer=Endpoint("oss", {"bucket": "archive", "object": "orders"}, "", oss),
        limits=Limits(concurrent=4, records_per_second=1000, error_records=None, error_ratio=0.02),
        checkpoint=Endpoint("tablestore", {"table": "status"}, "", tablestore),
    )
    assert job.window == WINDOW
    assert [note.partition(":")[0] for note in job.notes] == [
        "core.container",
        "core.transport.channel.capacity",
        "job.content[0].reader.parameter.accessKey",
        "job.content[0].writer.parameter.accessKey",
    ]


def test_keys_written_into_a_job_are_never_shown_or_stored() -> None:
    job = load_job(DATAX, name="orders")
    assert "s3cr3t" not in repr(job)
    assert "s3cr3t" not in str(job)
    with pytest.raises(ConfigError, match=r"^reader\.connection: the keys .* must not be stored"):
        job.spec.to_json()


def test_a_job_of_our_own_is_read_and_keeps_its_name() -> None:
    spec = JobSpec("mine", Endpoint("generator", {"rows": 5}), Endpoint("null"))
    assert load_job(json.dumps(spec.to_json()), name="file name").spec == spec
    unnamed = {key: value for key, value in spec.to_json().items() if key != "name"}
    assert load_job(unnamed, name="orders").spec.name == "orders"


def test_a_stream_job_of_our_own_has_its_window_and_status_table_too() -> None:
    data = {
        "reader": {
            "plugin": "otsstream",
            "connection": "src",
            "parameter": {"dataTable": "t", "statusTable": "s", "date": "$[yyyymmdd]"},
        },
        "writer": {"plugin": "null"},
    }
    job = load_job(data, name="orders", parameters={}, moment=MOMENT, timezone="UTC")
    assert job.window == Window(1795132800000, 1795219200000)
    assert job.spec.checkpoint == Endpoint("tablestore", {"table": "s"}, "src")
    assert job.spec.reader.parameter == {"dataTable": "t", "statusTable": "s"}
    named = load_job({**data, "checkpoint": {"plugin": "memory"}}, name="orders")
    assert named.spec.checkpoint == Endpoint("memory")


@pytest.mark.parametrize(
    ("reader", "writer", "plugins"),
    [
        ("otsstreamreader", "osswriter", ("otsstream", "oss")),
        ("otsstream", "oss", ("otsstream", "oss")),
        ("ots_stream", "OSSWriter", ("otsstream", "oss")),
        ("streamreader", "streamwriter", ("generator", "null")),
        ("stream", "stream", ("generator", "null")),
        ("mysqlreader", "hbase11xwriter", ("mysql", "hbase11x")),
        ("linse", " linse ", ("linse", "linse")),
    ],
)
def test_names_are_mapped_and_unknown_ones_pass(reader: str, writer: str, plugins: tuple[str, str]) -> None:
    data = changed(DATAX, "job.content.0.reader", {"name": reader, "parameter": {}})
    data = changed(data, "job.content.0.writer", {"name": writer})
    spec = load_job(data, name="orders").spec
    assert (spec.reader.plugin, spec.writer.plugin) == plugins


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^orders: holds list; allowed: a JSON object"),
        ({}, r"^orders: not a job file; allowed: "),
        ({"type": "job"}, r"^orders: not a job file"),
        (changed(DATAX, "jobs", 1), r"^jobs: unknown key; allowed: core, entry, job"),
        (changed(DATAX, "common", {"column": {"timeZone": "GMT+8"}}), r"^common: unknown key"),
        (changed(DATAX, "job", []), r"^job: list instead of an object"),
        (changed(DATAX, "job.settings", {}), r"^job\.settings: unknown key; allowed: content, setting"),
        (changed(DATAX, "job.content"), r"^job\.content: got 'NoneType'"),
        (changed(DATAX, "job.content", []), r"^job\.content: got 0; allowed: a list of one"),
        (changed(DATAX, "job.content", [{}, {}]), r"^job\.content: got 2; .*DataX runs only the first"),
        (changed(DATAX, "job.content.0", 1), r"^job\.content\[0\]: got 'int'"),
        (changed(DATAX, "job.content.0.reader"), r"^job\.content\[0\]\.reader: missing"),
        (
            changed(DATAX, "job.content.0.writer.name"),
            r"^job\.content\[0\]\.writer\.name: got None; allowed: the name",
        ),
        (
            changed(DATAX, "job.content.0.writer.plugin", "x"),
            r"^job\.content\[0\]\.writer\.plugin: unknown key",
        ),
        (
            changed(DATAX, "job.content.0.writer.parameter", "x"),
            r"writer\.parameter: str instead of an object",
        ),
        (
            changed(DATAX, "job.content.0.transformer", [{"name": "dx_substr"}]),
            r"^job\.content\[0\]\.transformer: ",
        ),
        (
            changed(DATAX, "job.setting.speed.chanel", 1),
            r"^job\.setting\.speed\.chanel: unknown key; allowed: byte",
        ),
        (changed(DATAX, "core.transport.channel.speed", 5), r"^core\.transport\.channel\.speed: int instead"),
        (
            changed(DATAX, "job.content.0.reader.parameter.statusTable", ""),
            r"^job.*parameter\.statusTable: got ''",
        ),
        (changed(DATAX, "job.content.0.reader.parameter.*accessKey", "x"), r"\*accessKey: DataX's encrypted"),
        (changed(STEPS, "type", "node"), r"^type: got 'node'; allowed: 'job'"),
        (changed(STEPS, "version", "1.0"), r"^version: got '1\.0'; allowed: '2\.0'"),
        (changed(STEPS, "transform", {"x": 1}), r"^transform: "),
        (changed(STEPS, "stepz", 1), r"^stepz: unknown key"),
        (changed(STEPS, "steps", {}), r"^steps: got 'dict'"),
        (changed(STEPS, "steps.0", 1), r"^steps\[0\]: got 'int'"),
        (
            changed(STEPS, "steps.0.category", "sink"),
            r"^steps\[0\]\.category: got 'sink'; allowed: 'reader' or",
        ),
        (changed(STEPS, "steps.0.category", "reader"), r"^steps\[1\]\.category: a second reader"),
        (changed(STEPS, "steps.1"), r"^steps: no step of category 'reader'"),
        (changed(STEPS, "steps.0.stepType", ""), r"^steps\[0\]\.stepType: got ''"),
        (changed(STEPS, "steps.0.params", {}), r"^steps\[0\]\.params: unknown key"),
        (changed(STEPS, "steps.2.parameter.nodes", [1]), r"^steps\[2\]\.parameter\.nodes: processing steps"),
        (changed(STEPS, "steps.0.parameter.datasource", 5), r"^steps\[0\]\.parameter\.datasource: got 5"),
    ],
)
def test_bad_files_are_refused_by_path(data: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_job(data, name="orders", parameters={})


def test_a_name_that_is_no_job_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^name: "):
        load_job(STEPS, name="a/b")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^timezone: unknown time zone, got 'Peking'"):
        load_job(STEPS, name="orders", timezone="Peking")
