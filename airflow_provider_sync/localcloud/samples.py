"""What the demo has beside its main DAG: a bucket in S3 to migrate, and a CPFS that new objects flow into.

``migrate_once`` waits to be triggered. ``cpfs_import`` runs every five minutes; an object a minute is put where it
looks, and arrives in a folder of this machine. S3 is ``rclone serve s3``, where that is installed.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_sync.localcloud.programs import Places, answers, port_of, process, say, wait

__all__ = ["CLOUD_OPTIONS", "Samples"]

_FILE_SYSTEM = "bmcpfs-370jz26fkr2st9"
_FLOWS, _PHOTOS, _STATE = "examplebucket", "photos", "sync-state"
_SOURCE = "photos-tokyo"
_COUNT = 600
_EVERY = 60.0

# what the local cloud is started with
CLOUD_OPTIONS = (
    "--bucket", _PHOTOS, "--bucket", _STATE, "--dataflow-bucket", _FLOWS, "--file-system", _FILE_SYSTEM,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Samples:
    """Their addresses and keys; ``dags`` is the folder that the DAGs are copied from."""

    places: Places
    dags: Path
    nas: str
    s3: str
    key_id: str
    secret: str

    def connections(self) -> dict[str, str]:
        """Return the connections as Airflow's environment variables."""
        keys = {"login": self.key_id, "password": self.secret}
        aws = {"conn_type": "aws", **keys, "extra": {"endpoint_url": self.s3, "region_name": "us-east-1"}}
        cpfs = {"conn_type": "cpfs", "host": self.nas, **keys, "extra": {"region": "local"}}
        return {
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
            "AIRFLOW_CONN_CPFS_DEFAULT": json.dumps(cpfs),
        }

    @property
    def arrivals(self) -> Path:
        """Where imported files are seen."""
        return self.places.home / "cpfs" / _FILE_SYSTEM / "data"

    def arrived(self) -> set[str]:
        """Return the names of imported files."""
        return {path.name for path in self.arrivals.rglob("*") if path.is_file()}

    @contextmanager
    def running(self, open_bucket: Any) -> Iterator[None]:
        """Start the rest: S3, the DAGs, and a new object every minute."""
        with ExitStack() as stack:
            if self._has_dag("migrate_once") and stack.enter_context(self._s3()):
                self._copy_dag("migrate_once")
                say(
                    f"S3        {self.s3}   bucket {_SOURCE}: trigger migrate_once, it moves to OSS bucket {_PHOTOS}"
                )
            if self._has_dag("cpfs_import"):
                self.arrivals.mkdir(parents=True, exist_ok=True)
                self._copy_dag("cpfs_import")
                stack.enter_context(self._arriving(open_bucket(_FLOWS)))
                say(f"CPFS      cpfs_import moves new objects of OSS bucket {_FLOWS} to {self.arrivals}")
            yield

    def _has_dag(self, name: str) -> bool:
        return (self.dags / f"{name}.py").exists()

    def _copy_dag(self, name: str) -> None:
        """Copy a DAG; its first windows have just ended, and its tasks are small enough for a few of them."""
        text = (self.dags / f"{name}.py").read_text(encoding="utf-8")
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        first = now - timedelta(minutes=now.minute % 5 + 10)
        text = re.sub(r'fromisoformat\("[^"]*"\)', f'fromisoformat("{first.isoformat()}")', text)
        text = text.replace(
            'verify="checksum",', 'verify="checksum",\n        options={"task_object_count": 50},'
        )
        (self.places.dags / f"{name}.py").write_text(text, encoding="utf-8")

    @contextmanager
    def _s3(self) -> Iterator[bool]:
        program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
        if program is None:
            yield False
            return
        folder = self.places.home / "s3"
        _fill(folder / _SOURCE)
        command = [program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port_of(self.s3)}"]
        command += ["--auth-key", f"{self.key_id},{self.secret}", "--config", str(self.places.home / "none")]
        with process(command, self.places, "s3"):
            wait(lambda: answers(self.s3, refused_is_fine=True), "S3", self.places)
            yield True

    @contextmanager
    def _arriving(self, bucket: Any) -> Iterator[None]:
        """Put an object now and then every minute, as whoever produces data would."""
        stop = threading.Event()

        def put() -> None:
            while True:
                bucket.put_object(f"incoming/{datetime.now(UTC):%H%M%S}.txt", b"new\n" * 100)
                if stop.wait(_EVERY):
                    return

        thread = threading.Thread(target=put, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)


def _fill(folder: Path) -> None:
    rng = random.Random(1)
    for number in range(_COUNT):
        place = folder / f"2026-{number % 12 + 1:02d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"photo {number:04d}.jpg").write_bytes(rng.randbytes(rng.randint(0, 60_000)))
    (folder / "film.mp4").write_bytes(rng.randbytes(40_000_000))
