"""What every bench shares: a stopwatch over wall and CPU time, honest peaks of memory, a local cloud of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = [
    "INSTANCE",
    "KEY_ID",
    "SECRET",
    "Cloud",
    "Measured",
    "Stopwatch",
    "control",
    "in_fresh_process",
    "local_cloud",
    "peak_mb",
]

KEY_ID, SECRET, INSTANCE, BUCKET = "localcloud", "localcloud-secret", "demo", "bench"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one subject took. ``nbytes`` are bytes of the source; zero rows mean that rows are not the point."""

    rows: int
    nbytes: int
    seconds: float
    cpu_s: float
    peak_mb: float
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def rows_s(self) -> float | None:
        """Rows per second of wall time."""
        return self.rows / self.seconds if self.rows else None

    @property
    def mb_s(self) -> float | None:
        """Megabytes (10^6) per second of wall time."""
        return self.nbytes / self.seconds / 1e6 if self.nbytes else None


class Stopwatch:
    """Wall and CPU seconds of a ``with`` block, CPU over all threads of this process."""

    seconds = cpu_s = 0.0

    def __enter__(self) -> Self:
        self._cpu = time.process_time()
        self._wall = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu

    def measured(self, rows: int, nbytes: int, **extra: Any) -> Measured:
        """Return what was measured, with this process's peak of memory up to now."""
        return Measured(rows, nbytes, self.seconds, self.cpu_s, peak_mb(), extra)


def peak_mb() -> float:
    """Return the most memory (10^6 bytes, resident) that this process ever had.

    The kernel's own high-water mark where there is one: ``ru_maxrss`` of a child begins with its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def in_fresh_process(script: Path, arguments: Sequence[str]) -> Measured:
    """Run ``script`` with a new interpreter and read the :class:`Measured` that it prints as its last line."""
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def print_measured(measured: Measured) -> None:
    """Say what was measured to :func:`in_fresh_process`."""
    print(json.dumps(asdict(measured)))


@dataclass(frozen=True, slots=True)
class Cloud:
    """Addresses of a local Tablestore and OSS in another process."""

    tablestore: str
    oss: str
    pid: int


@contextmanager
def local_cloud() -> Iterator[Cloud]:
    """Run the local services in a process of their own, whose memory and CPU are nobody's business here."""
    command = [sys.executable, "-m", "airflow_provider_sync.localcloud", "--tablestore-port", "0"]
    command += ["--oss-port", "0", "--bucket", BUCKET, "--instance", INSTANCE]
    command += ["--access-key-id", KEY_ID, "--access-key-secret", SECRET]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        urls = dict(process.stdout.readline().split() for _ in range(2))
        yield Cloud(urls["tablestore"], urls["oss"], process.pid)
    finally:
        process.terminate()
        process.wait()


def control(url: str, route: str, data: object = None) -> Any:
    """Use a service's side door: GET without ``data``, POST with it."""
    request = urllib.request.Request(  # noqa: S310 - an address on this machine
        f"{url}/_control/{route}",
        None if data is None else json.dumps(data).encode(),
        method="GET" if data is None else "POST",
    )
    with urllib.request.urlopen(request, timeout=600) as reply:  # noqa: S310
        return json.load(reply)
