"""The quick start: a real Airflow beside the local cloud, with orders being written all the while.

``python -m airflow_provider_sync.localcloud.demo`` stays up until Ctrl-C; with ``--once`` it ends after the first
committed window, having compared its rows with the service's own log (exit code 0, or 1 if they differ).

The DAG is ``dags/ots_stream_to_oss.py`` as users copy it, with its one line to set, the first window, set to
half an hour ago. The table gets half an hour of history first, so that windows are due at once.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_sync.localcloud.history import write_history
from airflow_provider_sync.localcloud.programs import (
    DemoError,
    Places,
    answers,
    free_port,
    get,
    port_of,
    process,
    say,
    wait,
)
from airflow_provider_sync.localcloud.samples import CLOUD_OPTIONS, Samples

_KEY_ID, _SECRET = "localcloud", "localcloud-secret"
_INSTANCE, _BUCKET, _TABLE, _PREFIX = "demo", "demo", "orders", "tablestore/orders"
_COLUMNS = ("order_id", "customer", "amount", "status", "updated_at")
_DAG = "ots_stream_to_oss"
_LOGIN = ("admin", "admin")
_HISTORY = timedelta(minutes=30)
_FIRST_WINDOW = timedelta(minutes=25)
_SHOWN = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run the demo, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sync.localcloud.demo", description=__doc__
    )
    parser.add_argument("--once", action="store_true", help="end after the first committed window")
    parser.add_argument("--home", type=Path, default=Path(".demo"), help="working folder, emptied at start")
    parser.add_argument("--dag", type=Path, default=Path("dags") / f"{_DAG}.py", help="the DAG to run")
    parser.add_argument("--airflow-port", type=int, default=18080, help="a free one is taken if it is in use")
    parser.add_argument("--rows-per-second", type=float, default=5.0)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is stopped
    try:
        with ExitStack() as stack:
            return _run(options, stack)
    except DemoError as error:
        say(f"demo: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 0


def _run(options: argparse.Namespace, stack: ExitStack) -> int:
    started = time.monotonic()
    home = options.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    (home / "logs").mkdir(parents=True)
    (home / "airflow").mkdir()
    places = Places(
        home,
        _copy_dag(options.dag, home / "dags"),
        free_port(options.airflow_port),
        f"http://127.0.0.1:{free_port(8800)}",
        f"http://127.0.0.1:{free_port(8801)}",
    )
    samples = Samples(
        places,
        options.dag.parent,
        f"http://127.0.0.1:{free_port(8802)}",
        f"http://127.0.0.1:{free_port(8803)}",
        _KEY_ID,
        _SECRET,
    )
    say("1/4 local cloud: Tablestore and OSS")
    stack.enter_context(_local_cloud(places, samples))
    asyncio.run(
        write_history(
            places.tablestore,
            instance=_INSTANCE,
            key_id=_KEY_ID,
            secret=_SECRET,
            table=_TABLE,
            seconds=_HISTORY.total_seconds(),
        )
    )
    stack.enter_context(_traffic(places, options.rows_per_second))
    say(f"2/4 Airflow: starting (logs in {places.home / 'logs'})")
    stack.enter_context(_airflow(places, samples))
    wait(lambda: answers(f"{places.airflow}/api/v2/monitor/health"), "Airflow", places)
    # The first request to the API of tasks builds it, which takes a busy machine longer than tasks wait.
    wait(lambda: answers(f"{places.airflow}/execution/health"), "Airflow's API of tasks", places)
    say("3/4 waiting for the first committed window")
    bucket = _open_bucket(places.oss)
    manifest = wait(lambda: next(iter(_manifests(bucket)), None), "the first window", places)
    passed = _show_and_compare(places, bucket, manifest)
    say(f"4/4 first window committed and checked {time.monotonic() - started:.0f} s after the start")
    if options.once:
        return 0 if passed else 1
    say(f"\nAirflow   {places.airflow}   user {_LOGIN[0]}, password {_LOGIN[1]}   DAG {_DAG}")
    say(f"OSS       {places.oss}   bucket {_BUCKET}   objects under {_PREFIX}/")
    stack.enter_context(samples.running(lambda name: _open_bucket(places.oss, name)))
    say("Orders keep coming; a window lands every five minutes. Ctrl-C ends it.\n")
    _follow(bucket, {manifest}, samples)
    return 0


# What is started


@contextmanager
def _local_cloud(places: Places, samples: Samples) -> Iterator[None]:
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud", "--bucket", _BUCKET, *CLOUD_OPTIONS]
    command += ["--instance", _INSTANCE, "--access-key-id", _KEY_ID, "--access-key-secret", _SECRET]
    command += ["--tablestore-port", port_of(places.tablestore), "--oss-port", port_of(places.oss)]
    command += ["--nas-port", port_of(samples.nas), "--cpfs", str(places.home / "cpfs")]
    with process(command, places, "localcloud"):
        wait(lambda: answers(f"{places.oss}/_control/requests"), "the local cloud", places)
        yield


def _traffic(places: Places, rows_per_second: float) -> Any:
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud.traffic"]
    command += ["--endpoint", places.tablestore, "--instance", _INSTANCE, "--table", _TABLE]
    command += ["--access-key-id", _KEY_ID, "--access-key-secret", _SECRET]
    command += ["--rows-per-second", str(rows_per_second)]
    return process(command, places, "traffic")


@contextmanager
def _airflow(places: Places, samples: Samples) -> Iterator[None]:
    environment = os.environ | _airflow_settings(places) | samples.connections()
    airflow = Path(sys.executable).with_name("airflow")
    passwords = places.home / "airflow" / "passwords.json"
    passwords.write_text(json.dumps({_LOGIN[0]: _LOGIN[1]}))
    migrate = [str(airflow), "db", "migrate"]
    with (places.home / "logs" / "migrate.log").open("wb") as log:
        if subprocess.run(migrate, env=environment, stdout=log, stderr=log, check=False).returncode:  # noqa: S603
            raise DemoError(f"'airflow db migrate' failed; see {log.name}")
    with process([str(airflow), "standalone"], places, "airflow", environment):
        yield


def _airflow_settings(places: Places) -> dict[str, str]:
    core = {
        "AIRFLOW_HOME": str(places.home / "airflow"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(places.dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",  # SQLite bears no more
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_LOGIN[0]}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(places.home / "airflow" / "passwords.json"),
        "AIRFLOW__API__PORT": str(places.airflow_port),
        "AIRFLOW__API__BASE_URL": places.airflow,  # the port alone would leave tasks without their API
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    }
    tablestore = {
        "conn_type": "tablestore",
        "host": places.tablestore,
        "login": _KEY_ID,
        "password": _SECRET,
        "extra": {"instance": _INSTANCE},
    }
    oss = {
        "conn_type": "oss",
        "host": places.oss,
        "login": _KEY_ID,
        "password": _SECRET,
        "schema": _BUCKET,
        "extra": {"region": "cn-hangzhou", "path_style": True},
    }
    core["AIRFLOW_CONN_TABLESTORE_DEFAULT"] = json.dumps(tablestore)
    core["AIRFLOW_CONN_OSS_DEFAULT"] = json.dumps(oss)
    return core


# What is looked at


def _show_and_compare(places: Places, bucket: Any, key: str) -> bool:
    """Print a window's manifest and first rows; tell whether its rows are those of the service's log."""
    manifest = json.loads(bucket.get_object(key).read())
    say(f"\n{key}\n{json.dumps(manifest, indent=2)}\n")
    rows: list[list[str]] = []
    for one in manifest["objects"]:
        text = bucket.get_object(one["name"]).read().decode()
        rows += list(csv.reader(text.splitlines()))
    for row in rows[:_SHOWN]:
        say("  " + ",".join(row))
    window = manifest["window"]
    expected = _rows_of_log(places, window["start"], window["end"])
    same = rows == expected
    verdict = "equal" if same else "DIFFERENT"
    say(f"\n{len(rows)} rows in OSS, {len(expected)} in the table's log of that window: {verdict}")
    return same and bool(rows)


def _rows_of_log(places: Places, start_ms: int, end_ms: int) -> list[list[str]]:
    """Work out a window's rows from the service's log: puts and updates, chosen columns, null as text."""
    log = json.loads(get(f"{places.tablestore}/_control/log?table={_TABLE}"))
    rows = []
    for shard in log["shards"]:
        for record in shard["log"]:
            if start_ms <= record["ts_us"] // 1000 < end_ms and record["action"] != "DELETE":
                values = dict(record["pk"]) | {cell["name"]: cell["value"] for cell in record["cells"]}
                rows.append(["null" if values.get(name) is None else str(values[name]) for name in _COLUMNS])
    return rows


def _manifests(bucket: Any) -> list[str]:
    listing = bucket.list_objects_v2(prefix=f"{_PREFIX}/_manifests/", max_keys=1000)
    return sorted(one.key for one in listing.object_list)


def _follow(bucket: Any, seen: set[str], samples: Samples) -> None:
    arrived: set[str] = set()
    while True:
        for key in _manifests(bucket):
            if key not in seen:
                seen.add(key)
                manifest = json.loads(bucket.get_object(key).read())
                names = ", ".join(one["name"] for one in manifest["objects"])
                rows = sum(one["rows"] for one in manifest["objects"])
                say(f"{datetime.now(UTC):%H:%M:%S} {names}: {rows} rows")
        for name in sorted(samples.arrived() - arrived):
            arrived.add(name)
            say(f"{datetime.now(UTC):%H:%M:%S} {name} has arrived in CPFS")
        time.sleep(5)


def _open_bucket(endpoint: str, name: str = _BUCKET) -> Any:
    import oss2  # noqa: PLC0415 - takes a while, and only the demo's own eyes need it

    auth = oss2.AuthV4(_KEY_ID, _SECRET)
    return oss2.Bucket(auth, endpoint, name, region="cn-hangzhou", is_path_style=True)


# Small things


def _copy_dag(source: Path, folder: Path) -> Path:
    """Copy the DAG with its first day set to a few runs ago."""
    tick = datetime.now(UTC).replace(second=0, microsecond=0)
    first = tick - timedelta(minutes=tick.minute % 5) - _FIRST_WINDOW
    text = source.read_text(encoding="utf-8")
    text, count = re.subn(r'fromisoformat\("[^"]*"\)', f'fromisoformat("{first.isoformat()}")', text)
    if count != 1:
        raise DemoError(f"{source} should set its first day in one place, found {count}")
    folder.mkdir(parents=True)
    (folder / source.name).write_text(text, encoding="utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(main())
