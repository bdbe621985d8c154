from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService

Control = Callable[..., Any]


@pytest.fixture(scope="session")
def postgres() -> Iterator[int]:
    """Start a PostgreSQL server that trusts everyone on this machine; return its port."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not binaries:
        pytest.fail("no PostgreSQL server on this machine: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="sync-postgres-"))
    # The server refuses to run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        shutil.chown(folder, user, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    pg_ctl, initdb = binaries[-1], binaries[-1].with_name("initdb")

    def run(*command: str | Path) -> None:
        who = {"user": user, "group": user, "extra_groups": []} if os.getuid() == 0 else {}
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)  # type: ignore[call-overload]

    run(initdb, "-D", data, "-U", "sync", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale", "C.UTF-8")
    run(pg_ctl, "-D", data, "-o", settings, "-l", folder / "log", "-w", "start")
    yield port
    run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def tablestore_server() -> Iterator[Server]:
    with Server(TablestoreService(access_keys={"ak": "sk"})) as server:
        yield server


@pytest.fixture
def tablestore_control(tablestore_server: Server) -> Control:
    """``control("POST", "faults", action="throttle")``; everything is forgotten before each test."""
    return _control(tablestore_server)


@pytest.fixture(scope="session")
def oss_server() -> Iterator[Server]:
    with Server(OssService(access_keys={"ak": "sk"}, buckets=("progress",))) as server:
        yield server


@pytest.fixture
def oss_control(oss_server: Server) -> Control:
    """Like :func:`tablestore_control`; the bucket ``progress`` is there and empty."""
    return _control(oss_server)


def _control(server: Server) -> Control:
    def call(method: str, route: str, **data: Any) -> Any:
        body = json.dumps(data) if data else b""
        answer = urllib3.request(method, f"{server.url}/_control/{route}", body=body, retries=False)
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    call("POST", "reset")
    return call
