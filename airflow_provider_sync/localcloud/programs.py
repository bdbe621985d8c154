"""What the demo's programs share: addresses, processes that end with it, and waiting."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DemoError", "Places", "answers", "free_port", "get", "port_of", "process", "say", "wait"]

_LONGEST_START = 240.0


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


@contextmanager
def process(
    command: list[str], places: Places, name: str, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """Run a program in a process group of its own, and end the whole group afterwards."""
    with (places.home / "logs" / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(  # noqa: S603 - our own programs
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        yield
    finally:
        for number, patience in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(started.pid, number)
                started.wait(patience)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        started.wait()


def wait(look: Callable[[], Any], what: str, places: Places) -> Any:
    """Return the first true answer of ``look``; raise DemoError if none comes within four minutes."""
    deadline = time.monotonic() + _LONGEST_START
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise DemoError(
        f"{what} did not come within {_LONGEST_START:.0f} s; see the logs in {places.home / 'logs'}"
    )


def answers(url: str, *, refused_is_fine: bool = False) -> bool:
    """Tell whether something answers there; with ``refused_is_fine`` any answer will do."""
    try:
        get(url)
    except urllib.error.HTTPError:
        return refused_is_fine
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def get(url: str) -> bytes:
    """Return what is there."""
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - an address on this machine
        body: bytes = reply.read()
    return body


def free_port(wanted: int) -> int:
    """Return a port that nobody listens on: the wanted one, or any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port")


def port_of(url: str) -> str:
    """Return a URL's port as text."""
    return url.rpartition(":")[2]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
