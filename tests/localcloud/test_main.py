"""Both services and the sample traffic, as the processes that users start."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import oss2
import pytest


@contextmanager
def _running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud", "--tablestore-port", "0"]
    process = subprocess.Popen(
        [*command, "--oss-port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        urls = dict(line.split() for line in lines)
        assert set(urls) == {"tablestore", "oss"}, lines
        yield process, urls
    finally:
        process.kill()
        process.communicate()


def _log(url: str, table: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/_control/log?table={table}", timeout=10) as response:  # noqa: S310 - a local address
        return [record for shard in json.loads(response.read())["shards"] for record in shard["log"]]


def _wait_for_records(url: str, table: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 20
    while len(found := _log(url, table)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_both_services_go_by_one_clock() -> None:
    with _running() as (_, urls):
        connection = http.client.HTTPConnection(urls["oss"].removeprefix("http://"))
        connection.request("POST", "/_control/clock", json.dumps({"now": 1_700_000_000}))
        assert connection.getresponse().status == 200
        connection.close()
        connection = http.client.HTTPConnection(urls["tablestore"].removeprefix("http://"))
        connection.request("POST", "/ListTable")
        assert connection.getresponse().headers["x-ots-date"] == "2023-11-14T22:13:20.000000Z"
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(number: signal.Signals) -> None:
    with _running("--bucket", "demo-bucket", "--table", "orders") as (process, urls):
        assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+", url) for url in urls.values())
        bucket = oss2.Bucket(oss2.Auth("localcloud", "localcloud-secret"), urls["oss"], "demo-bucket")
        bucket.put_object("a", b"x")
        assert bucket.get_object("a").read() == b"x"
        assert _log(urls["tablestore"], "orders") == []
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_traffic_writes_orders_and_data_survives_a_kill(tmp_path: Path) -> None:
    arguments = ("--data", str(tmp_path), "--traffic", "--rows-per-second", "200")
    with _running(*arguments) as (process, urls):
        records = _wait_for_records(urls["tablestore"], "orders", 60)
        process.kill()
    assert {record["action"] for record in records} == {"PUT", "UPDATE", "DELETE"}
    assert {cell["name"] for cell in records[0]["cells"]} == {
        "customer",
        "amount",
        "quantity",
        "currency",
        "status",
        "paid",
        "updated_at",
    }
    with _running("--data", str(tmp_path)) as (_, urls):
        assert _log(urls["tablestore"], "orders")[: len(records)] == records


def test_the_traffic_program_creates_its_table_and_ends_after_its_time() -> None:
    with _running() as (_, urls):
        command = [sys.executable, "-m", "airflow_provider_sync.localcloud.traffic"]
        done = subprocess.run(
            [*command, "--endpoint", urls["tablestore"], "--rows-per-second", "100", "--seconds", "1"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        written = int(done.stdout.split()[0])
        assert 50 <= written <= 150
        assert len(_log(urls["tablestore"], "orders")) == written
        assert done.stderr == ""
