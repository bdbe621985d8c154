from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.dags_for_tests import job_dags, spread_dag, stream_dag
from tests.airflow.dataflows import Dataflows, write_dags
from tests.airflow.lake import FIVE, Lake, floor
from tests.airflow.standalone import Standalone
from tests.postgres import postgres_server

TABLES = ["steady", "healed", "strict", "cleared", "marked", "refilled", "late", "spread", "jobs"]
WINDOWS = 4


class Hook(ThreadingHTTPServer):
    """A webhook that keeps what it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, Any]] = []

    def events(self, dag_id: str) -> list[str]:
        return [one["event"] for one in self.told if one["dag_id"] == dag_id]


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@dataclass
class World:
    """What the tests of this folder share.

    The first window starts at ``first``; ``last`` is the end of the last one that was due when all began.
    """

    airflow: Standalone
    lake: Lake
    dataflows: Dataflows
    hook: Hook
    first: datetime
    last: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.first + WINDOWS * FIVE


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    now = floor()
    first = now - FIVE - WINDOWS * FIVE  # the window that ends at `now - 5 min` is the last one due now
    stream_dag(dags, "steady", start=first)
    stream_dag(dags, "healed", start=first)
    stream_dag(
        dags,
        "strict",
        start=first,
        self_dependency="strict",
        dag="max_consecutive_failed_dag_runs=1,",
        default_args='"depends_on_past": True',
    )
    stream_dag(dags, "cleared", start=first)
    stream_dag(dags, "marked", start=first)
    stream_dag(dags, "refilled", start=first)
    only_one = f"end_date=datetime.fromisoformat('{first.isoformat()}'),"
    stream_dag(dags, "late", start=first, late_after=4, dag=only_one)
    spread_dag(dags, "spread", start=first)
    job_dags(dags, "jobs", start=first)
    # Not SQLite, which Airflow takes by default: under load it is locked, and runs or backfills are not made.
    with postgres_server() as port, Lake() as lake, Dataflows() as dataflows, Hook() as hook:
        database = f"postgresql+psycopg2://sync@127.0.0.1:{port}/postgres"
        thread = threading.Thread(target=hook.serve_forever)
        thread.start()
        lake.write_history(TABLES, first - FIVE, now)
        write_dags(dags, dataflows, lake, first)
        hooked = {"hook": {"conn_type": "http", "host": f"http://127.0.0.1:{hook.server_port}"}}
        connections = {**lake.connections, **dataflows.connections, **hooked}
        with Standalone(folder / "home", dags, connections, database=database).running() as airflow:
            yield World(airflow, lake, dataflows, hook, first)
        hook.shutdown()
        thread.join()
