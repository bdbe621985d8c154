"""The whole way against the local cloud, and the limits it cannot pass: source, engine, target by themselves."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from measure import BUCKET, INSTANCE, KEY_ID, SECRET, Measured, Stopwatch, control, peak_mb

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.engine.chain import Chain, run_chain
from airflow_provider_sync.engine.contract import CheckpointStore, Environment
from airflow_provider_sync.engine.job import Job, run_window
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.registry import build_reader, build_store, build_writer
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.job import Endpoint, JobSpec
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.state.memory import MemoryStore
from speed.rows import COLUMNS, KEY, PLAN

__all__ = ["SUBJECTS", "Scene", "set_scene"]

_TABLE, _SPLIT_TABLE, _IDLE_TABLE = "orders", "orders_of_four_shards", "idle"
_STEP_US = 10
_WIDTH_MS = 300_000
_EMPTY_WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the services are and which window (ms) holds the seeded rows."""

    tablestore: str
    oss: str
    start: int
    end: int
    idle_from: int


def set_scene(tablestore: str, oss: str, rows: int) -> Scene:
    """Seed ``rows`` records of one shard, the same of four, and a table where nothing has happened for hours."""
    now_us = time.time_ns() // 1000
    start_us = now_us - rows * _STEP_US - 60_000_000
    seed = {"primary_key": KEY, "step_us": _STEP_US, "start_us": start_us, **PLAN}
    control(tablestore, "seed", {"table": _TABLE, "count": rows, **seed})
    control(tablestore, "seed", {"table": _SPLIT_TABLE, "count": 1, **seed})
    for _ in range(2):
        for shard in _open_shards(tablestore, _SPLIT_TABLE):
            where = {"table": _SPLIT_TABLE, "shard": shard}
            control(tablestore, "shards/split", where)
            control(tablestore, "shards/trim", where | {"all": True})
        control(tablestore, "shards/retire", {"table": _SPLIT_TABLE})  # orphans are families of their own
    later = {"start_us": now_us - 30_000_000, "step_us": 1}
    control(tablestore, "seed", {"table": _SPLIT_TABLE, "count": rows, **seed, **later})
    idle_us = now_us - 10 * 3_600_000_000
    control(tablestore, "seed", {"table": _IDLE_TABLE, "count": 1, **seed, "start_us": idle_us})
    return Scene(tablestore, oss, start_us // 1000, now_us // 1000, idle_us // 1000 + 3_600_000)


def _open_shards(tablestore: str, table: str) -> list[str]:
    shards = control(tablestore, f"shards?table={table}")["shards"]
    return [one["shard"] for one in shards if not one["closed"]]


def _run(scene: Scene, reader: Endpoint, writer: Endpoint) -> Measured:
    """Run one window of a job, in a process that has loaded what an Airflow task has loaded."""
    importlib.import_module("airflow.sdk.execution_time.task_runner")
    importlib.import_module("airflow_provider_sync.operators.ots_stream")
    base = peak_mb()
    with _job(scene, reader, writer, MemoryStore()) as job, Stopwatch() as watch:
        report = run_window(job, Window(scene.start, scene.end))
    return watch.measured(
        report.tally.read, report.tally.nbytes, written=report.tally.written, base_mb=round(base)
    )


@contextmanager
def _job(scene: Scene, reader: Endpoint, writer: Endpoint, store: CheckpointStore) -> Iterator[Job]:
    environment = Environment()
    tablestore, oss = _connections(scene)
    with (
        build_reader(reader, tablestore, environment) as source,
        build_writer(writer, oss, environment) as target,
    ):
        yield Job(JobSpec("bench", reader, writer), source, target, store, environment)


def _connections(scene: Scene) -> tuple[ConnectionInfo, ConnectionInfo]:
    secret = Secret(SECRET)
    return (
        ConnectionInfo("tablestore", scene.tablestore, KEY_ID, secret, extra={"instance": INSTANCE}),
        ConnectionInfo("oss", scene.oss, KEY_ID, secret, region="cn-hangzhou", extra={"bucket": BUCKET}),
    )


def _stream(table: str) -> Endpoint:
    return Endpoint(
        "otsstream",
        {"dataTable": table, "mode": "single_version_and_update_only", "column": COLUMNS},
    )


def _generator(rows: int) -> Endpoint:
    return Endpoint("generator", {"sliceRecordCount": rows, "columns": 11})


_NULL = Endpoint("null")


def _csv(name: str) -> Endpoint:
    return Endpoint("oss", {"object": f"bench/{name}", "writeMode": "truncate", "fileFormat": "csv"})


def _source_limit(_rows: int, scene: Scene) -> Measured:
    """Fetch the same pages, signed and checked, without looking into the records."""
    rows = nbytes = 0
    with TablestoreClient(_connections(scene)[0], retry=RetryPolicy()) as client:
        stream_id = client.list_streams(_TABLE)[0].stream_id
        shard = client.describe_stream(stream_id).shards[0].shard_id
        iterator: str | None = client.get_shard_iterator(stream_id, shard)
        with Stopwatch() as watch:
            while iterator is not None:
                page = client.get_stream_records(iterator)
                rows, nbytes = rows + len(page.records), nbytes + page.nbytes
                iterator = page.next_iterator if page.may_more else None
    return watch.measured(rows, nbytes)


def _empty_window(_rows: int, scene: Scene) -> Measured:
    """Run windows in which nothing happened, one after the other, as the five-minute DAG does."""
    tablestore, _ = _connections(scene)
    store = build_store(
        Endpoint("tablestore", {"table": "bench_status"}), tablestore, Environment(), "checkpoint"
    )
    times = []
    before = 0
    with _job(scene, _stream(_IDLE_TABLE), _csv("idle"), store) as job:
        for number in range(_EMPTY_WINDOWS + 1):
            start = scene.idle_from + number * _WIDTH_MS
            with Stopwatch() as watch:
                run_chain(job, Window(start, start + _WIDTH_MS), Chain())
            times.append((watch.seconds, watch.cpu_s))
            if number == 0:  # the first one makes the table of progress and searches for its start
                before = _requests(scene)
    requests = (_requests(scene) - before) / _EMPTY_WINDOWS
    seconds, cpu_s = sorted(times[1:])[_EMPTY_WINDOWS // 2]
    return Measured(0, 0, seconds, cpu_s, peak_mb(), {"requests": requests})


def _requests(scene: Scene) -> int:
    return sum(len(control(url, "requests")) for url in (scene.tablestore, scene.oss))


SUBJECTS: dict[str, Callable[[int, Scene], Measured]] = {
    "source_limit": _source_limit,
    "stream_to_null": lambda _, scene: _run(scene, _stream(_TABLE), _NULL),
    "stream_to_csv": lambda _, scene: _run(scene, _stream(_TABLE), _csv("one")),
    "stream_to_csv_four_shards": lambda _, scene: _run(scene, _stream(_SPLIT_TABLE), _csv("four")),
    "generator_to_null": lambda rows, scene: _run(scene, _generator(rows), _NULL),
    "generator_to_csv": lambda rows, scene: _run(scene, _generator(rows), _csv("generated")),
    "empty_window": _empty_window,
}
