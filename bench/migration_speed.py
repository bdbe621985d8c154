"""Object migration side by side with its peers: objects/s, MB/s, CPU per object, peak memory, and ratios.

``python bench/migration_speed.py [--objects N] [--bytes B] [--large L] [--large-mb M] [--keys K] [--rounds R]``

Two real S3 servers (``rclone serve s3``), each in a process of its own, hold source and target; in one run, over
the same bytes, ``rclone copy`` and this package move N small and L large objects from one to the other, with as
many transfers at once; then ours with two processes, and ours into the local OSS. ``s5cmd``, where it is
installed, knows one service at a time: it copies the small objects to a folder, and so does ours. The best of R
rounds counts. Last, a plan over K generated keys against a target that has half of them.

One JSON object per line; ``ratio`` is this line's speed over that of ``ratio_to``. ``cpu_ms`` is of the client, per
object; the servers and all clients share the machine's cores, so that two workers gain only what those leave.
``far_oss`` answers every request after 100 ms, as a service in another region does: there a worker waits more than
it works, and two workers should do twice as much.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from measure import Measured
from objects.servers import BUCKET, KEY, RCLONE, S3, SECRET, Oss, fill, oss_server, s3_server
from objects.worker import Ends, Job, start

from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

_THREADS, _PART_THREADS, _PART_MB = 24, 4, 8
_FAR = 0.1  # seconds
_KINDS = ("small", "large")


@dataclass
class Bench:
    """The servers, and where results are put."""

    source: S3
    target: S3
    oss: Oss
    folder: Path
    counts: dict[str, tuple[int, int]]
    number: int = 0

    def next_name(self, what: str) -> str:
        """Return a name that nobody has used."""
        self.number += 1
        return f"{what}-{self.number}"

    def ours(
        self, kind: str, workers: int, ends: Ends, target: ConnectionInfo | None, place: str
    ) -> Measured:
        """Plan and copy in processes of their own; CPU and memory are theirs."""
        spec = MigrationSpec("speed", threads=_THREADS, part_threads=_PART_THREADS, scan_threads=2)
        objects, nbytes = self.counts[kind]
        if objects >= workers:
            spec = MigrationSpec(
                "speed",
                threads=_THREADS,
                part_threads=_PART_THREADS,
                scan_threads=2,
                task_object_count=max(1, min(10_000, -(-objects // workers))),
                task_object_bytes=max(1, -(-nbytes // workers)),
            )
        state = self.folder / self.next_name("state")
        job = Job(spec, self.source.connection, target, kind, place, state, ends=ends)
        began = time.perf_counter()
        reports = [self._child(job, job.plan)]
        reports += self._children(job, workers)
        seconds = time.perf_counter() - began
        cpu = sum(one["cpu_s"] for one in reports)
        return Measured(objects, nbytes, seconds, cpu, max(one["peak_mb"] for one in reports))

    def _child(self, job: Job, function: Callable[[], None]) -> dict[str, float]:
        place = self.folder / self.next_name("report")
        process = start(job.report, function, place)
        process.join()
        assert process.exitcode == 0
        return dict(json.loads(place.read_text()))

    def _children(self, job: Job, workers: int) -> list[dict[str, float]]:
        places = [self.folder / self.next_name("report") for _ in range(workers)]
        processes = [
            start(job.report, lambda share=share: job.run(share, workers), place)
            for share, place in enumerate(places)
        ]
        for process in processes:
            process.join()
            assert process.exitcode == 0
        return [json.loads(place.read_text()) for place in places]

    def rclone(self, kind: str) -> Measured:
        """Copy with rclone, its limits set to ours."""
        bucket = self.next_name(f"rclone-{kind}")
        settings = {}
        for name, server in (("SRC", self.source), ("DST", self.target)):
            keys = {"TYPE": "s3", "PROVIDER": "Rclone", "ENDPOINT": server.url}
            keys |= {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET}
            settings |= {f"RCLONE_CONFIG_{name}_{key}": value for key, value in keys.items()}
        command = [RCLONE, "copy", f"src:{kind}", f"dst:{bucket}", "--config", "", "--transfers"]
        command += [str(_THREADS if kind == "small" else 2), "--checkers", str(_THREADS)]
        command += ["--s3-upload-concurrency", str(_PART_THREADS), "--s3-chunk-size", f"{_PART_MB}M"]
        command += ["--s3-upload-cutoff", "16M", "--multi-thread-streams", str(_PART_THREADS)]
        return self._program(kind, command, settings)

    def s5cmd(self, kind: str) -> Measured | None:
        """Copy into a folder with s5cmd; None where it is not installed."""
        program = shutil.which("s5cmd") or shutil.which("s5cmd", path=str(Path(sys.executable).parent))
        if program is None:
            return None
        folder = self.folder / self.next_name("s5cmd")
        command = [program, "--endpoint-url", self.source.url, "--numworkers", str(_THREADS)]
        command += ["--log", "error", "cp", f"s3://{kind}/*", f"{folder}/"]
        return self._program(kind, command, {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET})

    def _program(self, kind: str, command: Sequence[str], settings: dict[str, str]) -> Measured:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | {"AWS_REGION": "us-east-1"} | settings)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        cpu = usage.ru_utime + usage.ru_stime
        return Measured(*self.counts[kind], seconds, cpu, usage.ru_maxrss * 1024 / 1e6)

    def to_s3(self, kind: str, workers: int) -> Measured:
        """Copy with ours to the other S3."""
        bucket = self.next_name(f"ours-{kind}")
        client = boto3.client(
            "s3",
            endpoint_url=self.target.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=bucket)
        return self.ours(kind, workers, Ends("s3", "s3"), self.target.connection, bucket)

    def to_oss(self, kind: str, workers: int) -> Measured:
        """Copy with ours to the local OSS."""
        self.oss.control("reset", {})
        return self.ours(kind, workers, Ends("s3", "oss"), self.oss.connection, BUCKET)

    def to_far_oss(self, kind: str, workers: int) -> Measured:
        """Copy with ours to a local OSS that behaves as if it were far away."""
        self.oss.control("reset", {})
        self.oss.control("faults", {"action": "delay", "seconds": _FAR, "count": -1})
        try:
            return self.ours(kind, workers, Ends("s3", "oss"), self.oss.connection, BUCKET)
        finally:
            self.oss.control("faults", method="DELETE")

    def to_folder(self, kind: str, workers: int) -> Measured:
        """Copy with ours into a folder."""
        folder = self.folder / self.next_name("folder")
        folder.mkdir()
        return self.ours(kind, workers, Ends("s3", "local"), None, str(folder))


def compare(bench: Bench, kind: str, rounds: int) -> Iterator[tuple[str, Measured, str]]:
    """Run every subject in turn, ``rounds`` times; yield name, best measurement, and what it is compared with."""
    subjects: dict[str, tuple[Callable[[], Measured | None], str]] = {
        "rclone_s3_to_s3": (lambda: bench.rclone(kind), ""),
        "ours_s3_to_s3": (lambda: bench.to_s3(kind, 1), "rclone_s3_to_s3"),
        "ours_s3_to_s3_two_workers": (lambda: bench.to_s3(kind, 2), "ours_s3_to_s3"),
        "ours_s3_to_oss": (lambda: bench.to_oss(kind, 1), ""),
        "ours_s3_to_oss_two_workers": (lambda: bench.to_oss(kind, 2), "ours_s3_to_oss"),
        "ours_s3_to_far_oss": (lambda: bench.to_far_oss(kind, 1), ""),
        "ours_s3_to_far_oss_two_workers": (lambda: bench.to_far_oss(kind, 2), "ours_s3_to_far_oss"),
        "s5cmd_s3_to_folder": (lambda: bench.s5cmd(kind), ""),
        "ours_s3_to_folder": (lambda: bench.to_folder(kind, 1), "s5cmd_s3_to_folder"),
    }
    best: dict[str, Measured] = {}
    for _ in range(rounds):
        for name, (run, _) in subjects.items():
            found = run()
            if found is not None and (name not in best or found.seconds < best[name].seconds):
                best[name] = found
    for name, (_, other) in subjects.items():
        if name in best:
            yield name, best[name], other if other in best else ""


def plan(keys: int, folder: Path) -> dict[str, Any]:
    """Plan over generated listings: every second key is in the target already."""
    script = Path(__file__).parent / "objects" / "listing.py"
    command = [sys.executable, str(script), str(keys)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        connection = ConnectionInfo("aws", url, KEY, Secret(SECRET), region="us-east-1")
        spec = MigrationSpec("plan", scan_threads=4)
        job = Job(spec, connection, connection, "all", "half", folder / "plan", ends=Ends("s3", "s3"))
        place = folder / "plan.json"
        process = start(job.report, job.plan, place)
        process.join()
        assert process.exitcode == 0
        server.communicate()
    took = json.loads(place.read_text())
    summary = job.folder.planned()["summary"]
    return {
        "name": "plan",
        "keys": summary["scanned"],
        "to_move": summary["objects"],
        "tasks": summary["tasks"],
        "keys_s": round(summary["scanned"] / took["seconds"]),
        "cpu_us_per_key": round(took["cpu_s"] / summary["scanned"] * 1e6, 2),
        "seconds": round(took["seconds"], 1),
        "peak_mb": round(took["peak_mb"], 1),
        "base_mb": round(took["base_mb"], 1),
    }


def line(kind: str, name: str, found: Measured, other: Measured | None, other_name: str) -> dict[str, Any]:
    """Return one result for people and programs."""
    return {
        "name": f"{kind}_{name}",
        "objects_s": round(found.rows_s or 0, 1),
        "mb_s": round(found.mb_s or 0, 1),
        "cpu_ms": round(found.cpu_s / found.rows * 1000, 3),
        "cpu_s": round(found.cpu_s, 2),
        "seconds": round(found.seconds, 2),
        "peak_mb": round(found.peak_mb, 1),
        "ratio": round(other.seconds / found.seconds, 2) if other else None,
        "ratio_to": f"{kind}_{other_name}" if other else None,
    }


@contextmanager
def servers(options: argparse.Namespace) -> Iterator[Bench]:
    """Fill the source, start everything."""
    with tempfile.TemporaryDirectory(prefix="migration-speed-", dir=options.folder) as name:
        folder = Path(name)
        sizes = {"small_bytes": (options.bytes, options.bytes), "seed": 1}
        none = {"small": 0, "large": 0, "large_mb": 0}
        small = {**none, "small": options.objects}
        large = {**none, "large": options.large, "large_mb": options.large_mb}
        counts = {
            "small": (options.objects, fill(folder / "one" / "small", **small, **sizes)),
            "large": (options.large, fill(folder / "one" / "large", **large, **sizes)),
        }
        (folder / "two").mkdir()
        with s3_server(folder / "one") as one, s3_server(folder / "two") as two, oss_server() as oss:
            yield Bench(one, two, oss, folder, counts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=10_000, help="of a small object")
    parser.add_argument("--large", type=int, default=4)
    parser.add_argument("--large-mb", type=int, default=256)
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the plan; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=_KINDS)
    parser.add_argument("--folder", help="where to put files; needs room for all copies")
    options = parser.parse_args(arguments)
    with servers(options) as bench:
        for kind in _KINDS:
            if options.only not in (None, kind) or not bench.counts[kind][0]:
                continue
            best: dict[str, Measured] = {}
            for name, found, other in compare(bench, kind, options.rounds):
                best[name] = found
                print(json.dumps(line(kind, name, found, best.get(other), other)), flush=True)
        if options.keys:
            print(json.dumps(plan(options.keys, bench.folder)), flush=True)


if __name__ == "__main__":
    main()
