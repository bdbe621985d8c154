"""Kill object migration at random, and see that every byte arrives, once.

``python bench/migration_faults.py --objects N --kills K --seed S [--large L] [--large-mb M] [--workers W]``

A real S3 server (rclone) and the local OSS run in processes of their own. A plan, then W copying processes work
on N small and L large objects, and are killed (-9) K times: planning at random moments, copying at random writes,
half of them before the write has an effect, half after it, before anybody hears of it. Some objects are refused by
the target, some deleted from the source after the listing. At the end a plain HTTP client compares the target with
the source's files, byte by byte, and the error list with what had to fail; then the refusal ends, and a retry must
write these objects and nothing else.

The last line is one JSON object; the exit code is 1 unless wrong, missing, extra, lists and leftovers are zero and
no more was copied twice than those killed had in their hands.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
from objects.servers import BUCKET, KEY, S3, SECRET, Oss, fill, oss_server, plain_http, s3_server
from objects.worker import Job, Process, start

from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.status import failed_objects, stat

SOURCE = "photos"
_THREADS, _PARTS, _LARGE_AT_ONCE = 12, 3, 2
_MIB = 1024 * 1024
_NAP = 0.005


class Play:
    """One migration, and what is done to it."""

    def __init__(self, s3: S3, oss: Oss, folder: Path, options: argparse.Namespace) -> None:
        self.s3, self.oss, self.options = s3, oss, options
        self.rng = random.Random(options.seed)
        self.files = sorted(
            str(path.relative_to(s3.folder / SOURCE))
            for path in (s3.folder / SOURCE).rglob("*")
            if path.is_file()
        )
        spec = MigrationSpec(
            "faults",
            threads=_THREADS,
            part_threads=_PARTS,
            multipart_threshold=4 * _MIB,
            part_size=4 * _MIB,
            task_object_count=max(10, options.objects // 40),
            scan_threads=2,
        )
        retry = RetryPolicy(attempts=4, base=0.01, cap=0.1)
        self.job = Job(spec, s3.connection, oss.connection, SOURCE, BUCKET, folder / "state", retry)
        self.kills = {"plan": 0, "copy": 0}
        self.crashes = 0

    def plan(self) -> None:
        """Plan, killed now and then, until it is done."""
        most = min(5, self.options.kills // 10)
        began = time.monotonic()
        while True:
            process = start(self.job.plan)
            if self.kills["plan"] < most:
                process.join(self.rng.random() * (0.2 + (time.monotonic() - began) / 2))
                if process.is_alive():
                    process.kill()
                    self.kills["plan"] += 1
            process.join()
            if process.exitcode == 0:
                return
            self._count_crash(process)

    def copy(self) -> None:
        """Run the workers, killed at chosen writes, until all tasks have been run."""
        shares = self.options.workers
        writes = self.options.objects + self.options.large * (self.options.large_mb // 4 + 2)
        count = max(0, self.options.kills - self.kills["plan"])
        moments = sorted(self.rng.randrange(1, max(2, int(writes * 0.95))) for _ in range(count))
        workers = {share: start(self.job.run, share, shares) for share in range(shares)}
        victim = -1
        while workers:
            for share, worker in list(workers.items()):
                if worker.is_alive():
                    continue
                worker.join()
                del workers[share]
                if worker.exitcode == 0:
                    victim = -1 if victim == share else victim
                    continue
                if share == victim:
                    self.kills["copy"] += 1
                    victim = -1
                else:
                    self._count_crash(worker)
                workers[share] = start(self.job.run, share, shares)
            if victim < 0 and moments and workers:
                victim = self.rng.choice(sorted(workers))
                pid, answer = workers[victim].pid, self.rng.random() < 0.5
                self.oss.control("kill", {"pid": pid, "at": moments.pop(0), "answer": answer})
            time.sleep(_NAP)

    def retry(self) -> None:
        """Run what failed once more, with nobody killed."""
        worker = start(self.job.run, 0, 1)
        worker.join()
        self._count_crash(worker)

    def failures(self) -> dict[str, str]:
        """Return the job's error list: key and code."""
        return {row["key"]: row["code"] for row in failed_objects(self.job.folder)}

    def _count_crash(self, process: Process) -> None:
        if process.exitcode not in (0, -9):
            self.crashes += 1
            if self.crashes > 20:
                raise RuntimeError("processes end by themselves, again and again")


def judge(url: str, folder: str, keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which of the keys are wrong, and which are missing, in the target."""
    http = plain_http()
    wrong, missing = [], []
    for key in keys:
        with http.request("GET", f"{url}/{BUCKET}/{quote(key)}", preload_content=False) as reply:
            if reply.status != 200:
                missing.append(key)
            elif not _same(reply, Path(folder) / key):
                wrong.append(key)
    return wrong, missing


def _same(reply: Any, path: Path) -> bool:
    with path.open("rb") as file:
        while piece := file.read(_MIB):
            if reply.read(len(piece)) != piece:
                return False
    return not reply.read(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, print the verdict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=20_000, help="small ones")
    parser.add_argument("--large", type=int, default=4)
    parser.add_argument("--large-mb", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--small-bytes", type=int, default=4000, help="of the largest small object")
    parser.add_argument("--folder", help="where to put files; two copies of all bytes must fit")
    options = parser.parse_args(arguments)
    logging.getLogger("airflow_provider_sync").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="migration-faults-", dir=options.folder) as name:
        folder = Path(name)
        began = time.monotonic()
        nbytes = fill(
            folder / "s3" / SOURCE,
            small=options.objects,
            small_bytes=(1, options.small_bytes),
            large=options.large,
            large_mb=options.large_mb,
            seed=options.seed,
        )
        print(f"{options.objects + options.large} files, {nbytes} bytes, {time.monotonic() - began:.0f} s")
        with s3_server(folder / "s3") as s3, oss_server(folder / "oss") as oss:
            verdict, good = play(Play(s3, oss, folder, options))
    print(json.dumps({**verdict, "bytes": nbytes}))
    return 0 if good else 1


def play(one: Play) -> tuple[dict[str, Any], bool]:
    """Run everything, return the verdict and whether it is good."""
    began = time.monotonic()
    one.plan()
    print(f"planned, {one.kills['plan']} kills, {time.monotonic() - began:.0f} s", flush=True)
    some = one.rng.sample(
        [key for key in one.files if key.startswith("klein/")], max(2, len(one.files) // 500)
    )
    refused, deleted = set(some[::2]), set(some[1::2])
    names = "|".join(key.rpartition("/")[2].split(" ")[0] for key in refused)
    one.oss.control("deny", {"key_regex": f"/({names}) ", "operation": "PutObject"})
    client = boto3.client(
        "s3", endpoint_url=one.s3.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="x"
    )
    for key in deleted:
        client.delete_object(Bucket=SOURCE, Key=key)
    copying = time.monotonic()
    one.copy()
    copied = time.monotonic() - copying
    print(f"copied, {one.kills['copy']} kills, {copied:.0f} s", flush=True)
    expected = dict.fromkeys(refused, "ACCESS_DENIED") | dict.fromkeys(deleted, "SOURCE_DELETED")
    listed = one.failures()
    lists = sum(1 for key in expected.keys() | listed.keys() if expected.get(key) != listed.get(key))
    twice = one.oss.control("twice")
    before = one.oss.control("writes")["counts"]["objects"]
    one.oss.control("deny", method="DELETE")
    one.retry()
    retried = one.oss.control("writes")["counts"]["objects"] - before
    listed = one.failures()
    lists += sum(
        1
        for key in deleted | listed.keys()
        if listed.get(key) != ("SOURCE_DELETED" if key in deleted else None)
    )
    there = {one["key"] for one in one.oss.control(f"objects?bucket={BUCKET}")}
    keys = [key for key in one.files if key not in deleted]
    with ProcessPoolExecutor(2) as pool:
        halves = [keys[0::2], keys[1::2]]
        found = list(pool.map(judge, [one.oss.url] * 2, [str(one.s3.folder / SOURCE)] * 2, halves))
    allowed = {
        "objects": one.kills["copy"] * (_THREADS + _LARGE_AT_ONCE),
        "parts": one.kills["copy"] * _PARTS,
    }
    verdict = {
        "objects": len(one.files),
        "wrong": sum(len(wrong) for wrong, _ in found),
        "missing": sum(len(missing) for _, missing in found),
        "extra": len(there - set(keys)),
        "copied_twice": twice["objects"],
        "copied_twice_allowed": allowed["objects"],
        "parts_twice": twice["parts"],
        "parts_twice_allowed": allowed["parts"],
        "error_list_wrong": lists,
        "failed_on_purpose": len(expected),
        "retried": retried,
        "uploads_left": len(one.oss.control("uploads")),
        "kills": one.kills["plan"] + one.kills["copy"],
        "kills_of_plan": one.kills["plan"],
        "crashes": one.crashes,
        "tasks": stat(one.job.folder).tasks,
        "copy_seconds": round(copied, 1),
        "seconds": round(time.monotonic() - began, 1),
    }
    zero = ("wrong", "missing", "extra", "error_list_wrong", "uploads_left", "crashes")
    good = not any(verdict[name] for name in zero) and retried == len(refused)
    good &= all(twice[name] <= allowed[name] for name in allowed)
    return verdict, good


if __name__ == "__main__":
    sys.exit(main())
