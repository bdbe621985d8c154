"""The local cloud seen from its side doors: start it, reset it, move its clock, arm faults and kills."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oss2
import urllib3

__all__ = ["BUCKET", "HISTORY", "REGION", "SECRET", "TABLE", "WORKERS", "World", "local_cloud"]

SECRET = "secret"
HISTORY = "history"
WORKERS = ("worker-a", "worker-b", "worker-c")
BUCKET = "faults"
REGION = "cn-hangzhou"
TABLE = "orders"
_CLOUD = Path(__file__).with_name("cloud.py")


@dataclass
class World:
    """Both services, and what has been done to their clients so far."""

    tablestore: str
    oss: str
    folder: Path
    now: float = 0.0
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def control(self, service: str, method: str, route: str, data: object = None) -> Any:
        """Ask a control route, ``service`` is ``tablestore`` or ``oss``."""
        url = self.tablestore if service == "tablestore" else self.oss
        body = None if data is None else json.dumps(data)
        reply = self.http.request(method, f"{url}/_control/{route}", body=body)
        answer = json.loads(reply.data)
        if reply.status != 200:
            raise RuntimeError(f"control route {route} of {service} refused {data}: {answer}")
        return answer

    def reset(self, now: float) -> None:
        """Forget everything; one bucket that anybody may read, a clock that stands at ``now``."""
        for service in ("tablestore", "oss"):
            self.control(service, "POST", "reset")
        self.bucket().create_bucket(oss2.BUCKET_ACL_PUBLIC_READ)
        self.at(now)

    def at(self, now: float) -> None:
        """Move the clock of both services."""
        self.now = now
        self.control("tablestore", "POST", "clock", {"now": now})

    def real_time(self) -> None:
        """Let the clock go, so that clients of others' can sign."""
        self.control("tablestore", "POST", "clock", {})

    def arm(self, faults: Sequence[dict[str, Any]]) -> None:
        """Arm faults; each names its ``service``."""
        for service in ("tablestore", "oss"):
            rules = [
                {k: v for k, v in one.items() if k != "service"}
                for one in faults
                if one["service"] == service
            ]
            if rules:
                self.control(service, "POST", "faults", rules)

    def arm_kill(self, worker: str, pid: int, kill: dict[str, Any]) -> None:
        """Kill ``pid`` at a request that ``worker`` sends."""
        self.control("tablestore", "POST", "kills", {"worker": worker, "pid": pid, **kill})

    def disarm(self) -> None:
        """End all faults and kills, and count what they did."""
        for one in self.control("tablestore", "DELETE", "kills"):
            self.kills[one["operation"], one["when"]] += 1
        for service in ("tablestore", "oss"):
            for one in self.control(service, "GET", "faults"):
                self.faults[one["action"]] += one["fired"]
            self.control(service, "DELETE", "faults")

    def settle(self) -> None:
        """Wait until requests of the dead have arrived."""
        while self.control("tablestore", "GET", "kills")["pending"]:
            time.sleep(0.005)

    def bucket(self) -> oss2.Bucket:
        """Return the bucket through the vendor's client; only while the clock is let go."""
        auth = oss2.make_auth(HISTORY, SECRET, oss2.AUTH_VERSION_4)
        return oss2.Bucket(auth, self.oss, BUCKET, region=REGION, is_path_style=True, enable_crc=False)

    def peek(self, key: str) -> bytes | None:
        """Read an object as anybody may, whatever the clock says."""
        reply = self.http.request("GET", f"{self.oss}/{BUCKET}/{key}")
        return reply.data if reply.status == 200 else None


@contextmanager
def local_cloud() -> Iterator[World]:
    """Start the services in a process of their own, and end it afterwards."""
    command = [sys.executable, str(_CLOUD), HISTORY, *WORKERS]
    with (
        tempfile.TemporaryDirectory(prefix="stream-faults-") as folder,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        yield World(addresses["tablestore"], addresses["oss"], Path(folder))
        process.communicate()
