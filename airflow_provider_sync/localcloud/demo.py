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
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_sync.localcloud.history import write_history

_KEY_ID, _SECRET = "localcloud", "localcloud-secret"
_INSTANCE, _BUCKET, _TABLE, _PREFIX = "demo", "demo", "orders", "tablestore/orders"
_COLUMNS = ("order_id", "customer", "amount", "status", "updated_at")
_DAG = "ots_stream_to_oss"
_LOGIN = ("admin", "admin")
_HISTORY = timedelta(minutes=30)
_FIRST_WINDOW = timedelta(minutes=25)
_LONGEST_START = 240.0
_SHOWN = 5


class DemoError(Exception):
    """Something did not come up; the text says what and where its log is."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is: folders and addresses."""

    home: Path
    dags: Path
    airflow_port: int
    tablestore: str
    oss: str

    @property
    def airflow(self) -> str:
        """Address of the Airflow UI."""
        return f"http://localhost:{self.airflow_port}"


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
        _say(f"demo: {error}")
        return 1
    except KeyboardInterrupt:
        _say("stopped")
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
        _free_port(options.airflow_port),
        f"http://127.0.0.1:{_free_port(8800)}",
        f"http://127.0.0.1:{_free_port(8801)}",
    )
    _say("1/4 local cloud: Tablestore and OSS")
    stack.enter_context(_local_cloud(places))
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
    _say(f"2/4 Airflow: starting (logs in {places.home / 'logs'})")
    stack.enter_context(_airflow(places))
    _wait(lambda: _answers(f"{places.airflow}/api/v2/monitor/health"), "Airflow", places)
    # The first request to the API of tasks builds it, which takes a busy machine longer than tasks wait.
    _wait(lambda: _answers(f"{places.airflow}/execution/health"), "Airflow's API of tasks", places)
    _say("3/4 waiting for the first committed window")
    bucket = _open_bucket(places.oss)
    manifest = _wait(lambda: next(iter(_manifests(bucket)), None), "the first window", places)
    passed = _show_and_compare(places, bucket, manifest)
    _say(f"4/4 first window committed and checked {time.monotonic() - started:.0f} s after the start")
    if options.once:
        return 0 if passed else 1
    _say(f"\nAirflow   {places.airflow}   user {_LOGIN[0]}, password {_LOGIN[1]}   DAG {_DAG}")
    _say(f"OSS       {places.oss}   bucket {_BUCKET}   objects under {_PREFIX}/")
    _say("Orders keep coming; a window lands every five minutes. Ctrl-C ends it.\n")
    _follow(bucket, {manifest})
    return 0


# What is started


@contextmanager
def _local_cloud(places: Places) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "airflow_provider_sync.localcloud",
        "--bucket",
        _BUCKET,
    ]
    command += ["--instance", _INSTANCE, "--access-key-id", _KEY_ID, "--access-key-secret", _SECRET]
    command += ["--tablestore-port", _port(places.tablestore), "--oss-port", _port(places.oss)]
    with _process(command, places, "localcloud"):
        _wait(lambda: _answers(f"{places.oss}/_control/requests"), "the local cloud", places)
        yield


def _traffic(places: Places, rows_per_second: float) -> Any:
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud.traffic"]
    command += ["--endpoint", places.tablestore, "--instance", _INSTANCE, "--table", _TABLE]
    command += ["--access-key-id", _KEY_ID, "--access-key-secret", _SECRET]
    command += ["--rows-per-second", str(rows_per_second)]
    return _process(command, places, "traffic")


@contextmanager
def _airflow(places: Places) -> Iterator[None]:
    environment = os.environ | _airflow_settings(places)
    airflow = Path(sys.executable).with_name("airflow")
    passwords = places.home / "airflow" / "passwords.json"
    passwords.write_text(json.dumps({_LOGIN[0]: _LOGIN[1]}))
    migrate = [str(airflow), "db", "migrate"]
    with (places.home / "logs" / "migrate.log").open("wb") as log:
        if subprocess.run(migrate, env=environment, stdout=log, stderr=log, check=False).returncode:  # noqa: S603
            raise DemoError(f"'airflow db migrate' failed; see {log.name}")
    with _process([str(airflow), "standalone"], places, "airflow", environment):
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


@contextmanager
def _process(
    command: list[str], places: Places, name: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a process group of its own, and end the whole group afterwards."""
    with (places.home / "logs" / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        yield process
    finally:
        for number, patience in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, number)
                process.wait(patience)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        process.wait()


# What is looked at


def _show_and_compare(places: Places, bucket: Any, key: str) -> bool:
    """Print a window's manifest and first rows; tell whether its rows are those of the service's log."""
    manifest = json.loads(bucket.get_object(key).read())
    _say(f"\n{key}\n{json.dumps(manifest, indent=2)}\n")
    rows: list[list[str]] = []
    for one in manifest["objects"]:
        text = bucket.get_object(one["name"]).read().decode()
        rows += list(csv.reader(text.splitlines()))
    for row in rows[:_SHOWN]:
        _say("  " + ",".join(row))
    window = manifest["window"]
    expected = _rows_of_log(places, window["start"], window["end"])
    same = rows == expected
    verdict = "equal" if same else "DIFFERENT"
    _say(f"\n{len(rows)} rows in OSS, {len(expected)} in the table's log of that window: {verdict}")
    return same and bool(rows)


def _rows_of_log(places: Places, start_ms: int, end_ms: int) -> list[list[str]]:
    """Work out a window's rows from the service's log: puts and updates, chosen columns, null as text."""
    log = json.loads(_get(f"{places.tablestore}/_control/log?table={_TABLE}"))
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


def _follow(bucket: Any, seen: set[str]) -> None:
    while True:
        for key in _manifests(bucket):
            if key not in seen:
                seen.add(key)
                manifest = json.loads(bucket.get_object(key).read())
                names = ", ".join(one["name"] for one in manifest["objects"])
                _say(
                    f"{datetime.now(UTC):%H:%M:%S} {names}: {sum(one['rows'] for one in manifest['objects'])} rows"
                )
        time.sleep(5)


def _open_bucket(endpoint: str) -> Any:
    import oss2  # noqa: PLC0415 - takes a while, and only the demo's own eyes need it

    auth = oss2.AuthV4(_KEY_ID, _SECRET)
    return oss2.Bucket(auth, endpoint, _BUCKET, region="cn-hangzhou", is_path_style=True)


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


def _wait(look: Callable[[], Any], what: str, places: Places) -> Any:
    deadline = time.monotonic() + _LONGEST_START
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise DemoError(
        f"{what} did not come within {_LONGEST_START:.0f} s; see the logs in {places.home / 'logs'}"
    )


def _answers(url: str) -> bool:
    try:
        _get(url)
    except urllib.error.HTTPError:
        return False
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - an address on this machine
        body: bytes = reply.read()
    return body


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port")


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
