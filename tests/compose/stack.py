"""The default services of docker-compose.yaml as processes of this machine, started in the order the file asks for.

What a container would give is imitated: a folder of its own for ``/opt/airflow``, volumes as links, ports and
host names by replacing them with free ones of this machine. Commands, settings and health checks are the file's.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil
import urllib3
import yaml

from tests.airflow.standalone import free_port, wait_for

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yaml"
PORTS = (8080, 8800, 8801, 5432, 6379)
HOME = "/opt/airflow"
PACKAGES = {"postgres": "postgresql", "redis": "redis-server"}
PATIENCE = 500.0  # the machine may be busy with other things


def services() -> dict[str, dict[str, Any]]:
    """Return all services, as the file has them once its variables have their defaults."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text())
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return found


def started_by_default() -> dict[str, dict[str, Any]]:
    return {name: one for name, one in services().items() if "profiles" not in one}


class Stack:
    """Starts every default service, and stops it."""

    def __init__(self, folder: Path, binds: Mapping[str, Path], settings: Mapping[str, str]) -> None:
        self.folder = folder
        folder.mkdir()
        self.services = started_by_default()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._killed: list[str] = []
        self._binds = {"./deploy": ROOT / "deploy", **binds}
        self._settings = settings
        self._ports = {str(port): str(free_port()) for port in PORTS}
        self._pool = urllib3.PoolManager(retries=False, timeout=60)
        self._token = ""

    def url(self, port: int) -> str:
        """Return the address of a port that the file publishes."""
        return f"http://127.0.0.1:{self._ports[str(port)]}"

    def __enter__(self) -> Self:
        try:
            self._start_all()
            self._token = self.call("POST", "/auth/token", {"username": "admin", "password": "admin"})[
                "access_token"
            ]
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Starting

    def _start_all(self) -> None:
        waiting = dict(self.services)
        while waiting:
            ready = [
                name for name, one in waiting.items() if not set(one.get("depends_on", {})) & set(waiting)
            ]
            assert ready, f"services wait for each other: {sorted(waiting)}"
            for name in ready:
                for other, how in waiting.pop(name).get("depends_on", {}).items():
                    self._wait(other, how["condition"])
                self._start(name)

    def _start(self, name: str) -> None:
        home = self.folder / name
        if not home.exists():  # a service that starts again finds what it left
            home.mkdir()
            for volume in self.services[name].get("volumes", []):
                self._mount(home, volume)
            if name == "postgres":
                self._make_database(home)
        if name == "postgres":
            command = [str(_postgres("postgres")), "-D", str(home / "data"), "-p", self._ports["5432"]]
            command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(home)]
        else:
            command = [self._here(part, name) for part in self.services[name]["command"]]
        with (home / "output.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=home,
                env=self.environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
                **(_unprivileged() if name in PACKAGES else {}),
            )

    def _mount(self, home: Path, volume: str) -> None:
        source, target = volume.split(":")[:2]
        if not target.startswith(HOME):
            return  # the database's own folder
        kept = self._binds[source] if source.startswith(".") else self.folder / "volumes" / source
        kept.mkdir(parents=True, exist_ok=True)
        (home / target.removeprefix(f"{HOME}/")).symlink_to(kept)

    def _make_database(self, home: Path) -> None:
        user, data = self.services["postgres"]["environment"]["POSTGRES_USER"], home / "data"
        if os.getuid() == 0:
            shutil.chown(home, "postgres")
        options = ["-U", user, "-A", "trust", "--no-sync", "--locale=C.UTF-8"]
        command: list[str | Path] = [_postgres("initdb"), "-D", data, *options]
        subprocess.run(command, check=True, cwd=home, capture_output=True, **_unprivileged())
        # The image creates POSTGRES_DB at its first start; single-user mode does the same.
        name = self.services["postgres"]["environment"]["POSTGRES_DB"]
        single: list[str | Path] = [_postgres("postgres"), "--single", "-D", data, "postgres"]
        create = f"CREATE DATABASE {name}\n".encode()
        subprocess.run(single, check=True, cwd=home, capture_output=True, input=create, **_unprivileged())

    def _here(self, text: str, name: str) -> str:
        """Replace what only a container has: folders, ports, host names."""
        text = text.replace("$$", "$").replace(HOME, str(self.folder / name))
        text = re.sub(rf"(?<=[@/])({'|'.join(self.services)})(?=:\d)", "127.0.0.1", text)
        return re.sub(rf"\b({'|'.join(self._ports)})\b", lambda found: self._ports[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's environment: nothing of this process but the programs' places."""
        own = self.services[name].get("environment", {})
        path = [
            str(Path(sys.executable).parent),
            str(_postgres("initdb").parent),
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
        ]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self.folder / name),
            "LANG": "C.UTF-8",
            "AIRFLOW_HOME": str(self.folder / name),
            # Containers have ports of their own; processes share them.
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            **{key: self._here(value, name) for key, value in own.items()},
            **self._settings,
        }

    def revive(self) -> None:
        """Start again what was killed, as ``restart: unless-stopped`` would, and wait until it is well."""
        killed, self._killed = self._killed, []
        for name in killed:
            self._start(name)
        for name in killed:
            self.wait_healthy(name)

    # Waiting

    def _wait(self, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            code = self.processes[name].wait(PATIENCE)
            assert code == 0, self._last_words(name)
            return
        assert condition == "service_healthy", condition
        self.wait_healthy(name)

    def wait_for(self, check: Callable[[], object], what: str) -> None:
        """Wait until ``check`` is true; a service that ended by itself ends the wait."""

        def checked() -> object:
            for name, process in self.processes.items():
                assert process.poll() in {None, 0}, self._last_words(name)
            return check()

        wait_for(checked, PATIENCE, what)

    def wait_healthy(self, name: str) -> None:
        """Run a service's health check until it passes."""
        kind, *test = self.services[name]["healthcheck"]["test"]
        command = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        command = [self._here(part, name) for part in command]
        said: list[str] = []

        def healthy() -> bool:
            assert self.processes[name].poll() is None, self._last_words(name)
            done = subprocess.run(
                command,
                env=self.environment(name),
                cwd=self.folder / name,
                capture_output=True,
                text=True,
                check=False,
            )
            said[:] = [done.stdout, done.stderr]
            return done.returncode == 0

        wait_for(
            healthy, PATIENCE, lambda: f"{name} to be healthy: {command}: {said}\n{self._last_words(name)}"
        )

    def _last_words(self, name: str) -> str:
        return f"{name}: {self.output(name)[-3000:]}"

    def output(self, name: str) -> str:
        return (self.folder / name / "output.log").read_text(errors="replace")

    # Ending

    def kill(self, name: str) -> None:
        """End a service and all it started as a lost machine would: at once and without a word."""
        leader = psutil.Process(self.processes[name].pid)
        family = [leader, *leader.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.processes.pop(name).wait(30)
        self._killed.append(name)
        wait_for(lambda: not any(_lives(one) for one in family), 30, f"{name} to be gone")

    def stop(self) -> None:
        """End everything: Airflow and the samples together, then what they talk to."""
        self._pool.clear()
        servers = {"postgres", "redis", "localcloud"}
        self._end([name for name in self.processes if name not in servers])
        self._end([name for name in self.processes if name in servers])

    def _end(self, names: list[str]) -> None:
        ending = {name: self.processes.pop(name) for name in names}
        family = [child for one in ending.values() for child in _descendants(one.pid)]
        for name, process in ending.items():
            # Told to end, the database waits for its clients unless it is told to be fast.
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            end = time.monotonic() + 20
            for process in ending.values():
                process.wait(max(0.0, end - time.monotonic()))
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for process in ending.values():
            process.kill()
            process.wait(30)

    # Talking to it

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask Airflow, return the JSON of a good answer."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self._token}"} if self._token else {}
        )
        return self._request(method, self.url(8080) + path, body, headers)

    def control(self, method: str, path: str, body: object = None, *, port: int = 8800) -> Any:
        """Use a knob of the local cloud."""
        return self._request(method, f"{self.url(port)}/_control/{path}", body, {})

    def _request(self, method: str, url: str, body: object, headers: Mapping[str, str]) -> Any:
        text = None if body is None else json.dumps(body)
        answer = self._pool.request(method, url, body=text, headers=headers)
        assert answer.status < 300, f"{method} {url}: {answer.status} {answer.data.decode()}"
        return json.loads(answer.data) if answer.data else None


def _postgres(program: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    assert found, "no PostgreSQL server on this machine: apt-get install postgresql"
    assert shutil.which("redis-server"), "no Redis server on this machine: apt-get install redis-server"
    return found[-1]


def _unprivileged() -> dict[str, Any]:
    """Return how to start a server that refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that waits to be buried does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
