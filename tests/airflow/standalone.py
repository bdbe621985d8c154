"""A real Airflow: scheduler, dag-processor, triggerer and API server, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import urllib3

T = TypeVar("T")
LOGIN = {"username": "admin", "password": "admin"}


class Standalone:
    """Talks to one Airflow over its REST API; without ``database`` (a URL) it keeps its data in SQLite."""

    def __init__(
        self,
        home: Path,
        dags: Path,
        connections: Mapping[str, Mapping[str, Any]],
        *,
        database: str | None = None,
    ) -> None:
        self.home = home
        self.dags = dags
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.environment = os.environ | self._settings(connections)
        if database is not None:
            self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database
        self.pool = urllib3.PoolManager(retries=False, timeout=120)
        self.token = ""

    def _settings(self, connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        passwords = self.home / "passwords.json"
        settings = {
            "CORE__DAGS_FOLDER": str(self.dags),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PARALLELISM": "4",
            "CORE__TEST_CONNECTION": "Enabled",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }
        return {
            "AIRFLOW_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(one) for name, one in connections.items()},
        }

    @contextmanager
    def running(self) -> Iterator[Standalone]:
        """Start everything, wait until it is healthy, stop everything."""
        self.home.mkdir(parents=True, exist_ok=True)
        # A test run that is told to end must not leave a scheduler behind.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        (self.home / "passwords.json").write_text(json.dumps({LOGIN["username"]: LOGIN["password"]}))
        airflow = str(Path(sys.executable).with_name("airflow"))
        with (self.home / "airflow.log").open("wb") as log:
            subprocess.run(
                [airflow, "db", "migrate"], env=self.environment, stdout=log, stderr=log, check=True
            )
            process = subprocess.Popen(
                [airflow, "standalone"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                wait_for(self._healthy, 240, f"Airflow; see {log.name}")
                # The first request to the API of tasks builds it, which takes a busy machine longer than tasks
                # have patience.
                self.pool.request("GET", f"{self.url}/execution/health", timeout=240)
                self.token = self.call("POST", "/auth/token", LOGIN)["access_token"]
                yield self
            finally:
                stop(process)
                signal.signal(signal.SIGTERM, before)

    def _healthy(self) -> bool:
        try:
            health = self.call("GET", "/api/v2/monitor/health")
        except (urllib3.exceptions.HTTPError, AssertionError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all(health.get(part, {}).get("status") == "healthy" for part in parts)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request, return the JSON of a good answer; SQLite may be locked by another process."""
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body)
        for patience in (1, 2, 4, 8, 0):
            answer = self.pool.request(method, f"{self.url}{path}", body=data, headers=headers)
            if answer.status < 500 or b"atabase" not in answer.data or not patience:
                break
            time.sleep(patience)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.data.decode()}"
        return json.loads(answer.data) if answer.data else None

    def dag(self, dag_id: str) -> Dag:
        """Return a handle on one DAG, once Airflow has parsed it."""
        wait_for(lambda: self._parsed(dag_id), 60, lambda: f"{dag_id} to be parsed: {self._import_errors()}")
        return Dag(self, dag_id)

    def _parsed(self, dag_id: str) -> bool:
        return bool(self.call("GET", f"/api/v2/dags?dag_id_pattern={dag_id}")["dags"])

    def _import_errors(self) -> list[str]:
        return [one["stack_trace"] for one in self.call("GET", "/api/v2/importErrors")["import_errors"]]

    def cli(self, *arguments: str) -> str:
        """Run an ``airflow`` command and return what it prints."""
        airflow = str(Path(sys.executable).with_name("airflow"))
        done = subprocess.run(
            [airflow, *arguments], env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout


class Dag:
    """What people do to one DAG."""

    def __init__(self, airflow: Standalone, dag_id: str) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.path = f"/api/v2/dags/{dag_id}"

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self.airflow.call(method, f"{self.path}{path}", body)

    def pause(self, *, paused: bool = True) -> None:
        self.call("PATCH", "", {"is_paused": paused})

    @property
    def is_paused(self) -> bool:
        return bool(self.call("GET", "")["is_paused"])

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, oldest first."""
        found: list[dict[str, Any]] = self.call("GET", "/dagRuns?limit=100&order_by=run_after")["dag_runs"]
        return found

    def states(self) -> list[str]:
        return [run["state"] for run in self.runs()]

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/dagRuns/{run_id}")
        return found

    def trigger(self, **body: Any) -> str:
        """Start a run by hand; without arguments it has no logical date."""
        return str(self.call("POST", "/dagRuns", {"logical_date": None, **body})["dag_run_id"])

    def clear(self, run_id: str) -> None:
        self.call("POST", f"/dagRuns/{run_id}/clear", {"dry_run": False, "only_failed": False})

    def mark(self, run_id: str, state: str) -> None:
        self.call("PATCH", f"/dagRuns/{run_id}", {"state": state})

    def backfill(self, start: str, end: str, **options: Any) -> int:
        """Create a backfill of the windows that start from ``start`` to ``end``; return its id."""
        body = {"dag_id": self.dag_id, "from_date": start, "to_date": end, **options}
        before = self._backfills()
        try:
            return int(self.airflow.call("POST", "/api/v2/backfills", body)["id"])
        except AssertionError as error:
            # A locked SQLite makes Airflow say no after it has begun; then the backfill is there.
            if "409" not in str(error):
                raise
            (made,) = self._backfills() - before
            return made

    def _backfills(self) -> set[int]:
        path = f"/ui/backfills?dag_id={self.dag_id}"
        return {int(one["id"]) for one in self.airflow.call("GET", path)["backfills"]}

    def finished(self, run_id: str, seconds: float = 300) -> str:
        """Wait for the end of a run; return its state."""
        return str(
            wait_for(
                lambda: (state := self.run(run_id)["state"]) in {"success", "failed"} and state,
                seconds,
                f"{self.dag_id} {run_id}",
            )
        )

    def wait(self, check: Callable[[list[str]], bool], what: str, seconds: float = 300) -> None:
        """Wait until the states of all runs, oldest first, pass ``check``."""
        wait_for(lambda: check(self.states()), seconds, lambda: f"{self.dag_id} {what}: {self.states()}")

    def xcom(self, run_id: str, task_id: str, key: str = "return_value") -> Any:
        path = f"/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}?deserialize=true"
        return self.call("GET", path)["value"]


def wait_for(check: Callable[[], T], seconds: float, what: str | Callable[[], str]) -> T:
    """Return the first true answer of ``check``."""
    end = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what() if callable(what) else what}")
        time.sleep(0.5)


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it started."""
    for number, patience in ((signal.SIGINT, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
