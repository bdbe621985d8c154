"""The documented cut-over while an application writes: nothing it wrote is lost, nothing is overwritten."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from pathlib import Path

import oss2
import pytest

from airflow_provider_sync.migration.decide import is_kept, needs_copy
from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.objects import ObjectInfo
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.status import failed_objects, stat, tasks_to_run

MIB = 1024 * 1024
KEYS = [f"{folder}/{n:03d}" for folder in "abc" for n in range(60)]


class Application:
    """Writes all the time; ``wrote`` is what it would expect to read. Back-to-origin is its reads in OSS."""

    def __init__(self, s3, bucket, oss, seed):
        self.s3, self.bucket, self.oss = s3, bucket, oss
        self.rng = random.Random(seed)
        self.wrote: dict[str, bytes] = {}
        self.in_oss = False
        self.old = KEYS
        self.stopped = threading.Event()
        self.turn = threading.Lock()
        self.steps = 0
        self.thread = threading.Thread(target=self._work)

    def write(self, key, body=None):
        body = self.rng.randbytes(self.rng.randrange(1, 400)) if body is None else body
        if self.in_oss:
            self.oss.sdk.put_object(key, body)
        else:
            self.s3.sdk.put_object(Bucket=self.bucket, Key=key, Body=body)
        self.wrote[key] = body

    def read(self, key):
        """Read from OSS, which fetches from S3 what it has not, and keeps it."""
        try:
            self.oss.sdk.get_object(key).read()
        except oss2.exceptions.NoSuchKey:
            body = self.s3.sdk.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            self.oss.sdk.put_object(key, body)

    def _work(self):
        while not self.stopped.is_set():
            with self.turn:
                if self.in_oss and self.rng.random() < 0.3:
                    self.read(self.rng.choice(sorted(self.wrote)))
                else:
                    self.write(self.rng.choice([*self.old, f"new/{self.steps}"]))
                self.steps += 1

    def wait(self, steps):
        goal = self.steps + steps
        while self.steps < goal:
            time.sleep(0.005)


def run(spec, s3, bucket, oss, state):
    folder = JobFolder(LocalFiles(state), spec.job)
    source, target = s3.source(bucket), oss.target()
    summary = plan_job(spec, source, target, folder)
    for _ in range(9):  # an object that changes again and again fails, and is tried again
        for seq in tasks_to_run(folder):
            TaskRunner(spec, source, target, folder).run(seq)
    assert stat(folder).state == "Succeed", list(failed_objects(folder))
    return summary


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_writes_go_on_and_the_target_ends_as_the_application_left_it(s3, oss, bucket_name, tmp_path, seed):
    state: Path = tmp_path / "state"
    base = MigrationSpec(
        "cut-over", threads=4, scan_threads=2, task_object_count=50, multipart_threshold=MIB, part_size=MIB
    )
    s3.bucket(bucket_name, {})
    application = Application(s3, bucket_name, oss, seed)
    for key in KEYS:
        application.write(key)
    application.write("large", bytes(3 * MIB))
    application.thread.start()
    try:
        application.wait(20)
        full = run(dataclasses.replace(base, job="cut-full"), s3, bucket_name, oss, state)
        application.write("late-large", bytes(2 * MIB + 1))
        application.wait(20)
        changes = {"import_since": full.started, "overwrite": "changed", "compare": "checksum"}
        run(dataclasses.replace(base, job="cut-warm", **changes), s3, bucket_name, oss, state)
        finished = time.time()
        application.wait(20)
        time.sleep(1.1)  # no person is faster; services tell times in whole seconds
        with application.turn:
            application.in_oss = True
        application.wait(40)
        with application.turn:
            # the service cannot replace an object only if it is unchanged, so the moment of one request stays open
            application.old = KEYS[:40]
            for key in application.old:
                application.write(key)
        kept = {"import_since": full.started, "overwrite": "older", "target_since": finished}
        catch_up = dataclasses.replace(base, job="cut-last", **kept)
        run(catch_up, s3, bucket_name, oss, state)
        application.wait(20)
    finally:
        application.stopped.set()
        application.thread.join()
    there = oss.contents()
    assert {key: body for key, body in application.wrote.items() if there.get(key) != body} == {}
    assert set(there) == set(application.wrote)
    audit = dataclasses.replace(
        catch_up, job="cut-audit", job_type="audit", audit_level="checksum", last_modify=time.time()
    )
    run(audit, s3, bucket_name, oss, state)


def thing(etag: str, modified: float, size: int = 10) -> ObjectInfo:
    return ObjectInfo("key", size, etag, modified)


SINCE = 10_000.0
CATCH_UP = MigrationSpec("cut-over", import_since=5_000.0, target_since=SINCE)
OURS, THEIRS = "5d41402abc4b2a76b9719d911017c592", "7d793037a0760186574b0282f2f435e7"


def test_what_the_target_got_since_the_switch_is_kept_though_the_source_says_it_is_newer():
    assert needs_copy(CATCH_UP, thing(THEIRS, SINCE + 5), thing(OURS, SINCE)) != ""
    assert is_kept(CATCH_UP, thing(THEIRS, SINCE + 5), thing(OURS, SINCE))


def test_a_copy_made_just_after_the_source_changed_by_its_clock_is_replaced():
    assert needs_copy(CATCH_UP, thing(THEIRS, 9_000.0), thing(OURS, 9_000.0)) == ""
    assert needs_copy(CATCH_UP, thing(f"{THEIRS}-2", 9_000.0), thing(f"{OURS}-2", 9_200.0)) == ""
    assert needs_copy(CATCH_UP, thing(THEIRS, 6_000.0), thing(OURS, 9_900.0, size=11)) == ""


def test_a_copy_that_is_the_same_is_left_alone():
    assert needs_copy(CATCH_UP, thing(OURS, 9_000.0), thing(OURS.upper(), 6_000.0)) != ""
    assert needs_copy(CATCH_UP, thing(f"{OURS}-2", 6_000.0), thing(f"{THEIRS}-2", 9_000.0)) != ""


def test_without_the_time_of_the_switch_the_objects_times_decide():
    spec = dataclasses.replace(CATCH_UP, target_since=0.0)
    assert is_kept(spec, thing(OURS, 9_000.0), thing(THEIRS, 9_001.0))
    assert not is_kept(spec, thing(OURS, 9_000.0), thing(THEIRS, 9_000.0))
    assert not is_kept(dataclasses.replace(spec, overwrite="changed"), thing(OURS, 1.0), thing(THEIRS, 2.0))


def replaced(oss, key: str) -> MigrationSpec:
    """Put an earlier copy into the target; return a job that replaces what is not newer."""
    oss.sdk.put_object(key, b"an earlier copy")
    before = oss.sdk.head_object(key).last_modified
    return MigrationSpec(
        "cut-over", import_since=1.0, target_since=before + 1.0, multipart_threshold=MIB, part_size=MIB
    )


def write_after(oss, key: str, since: float) -> None:
    time.sleep(max(0.0, since + 0.05 - time.time()))
    oss.sdk.put_object(key, b"the application's")


@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_an_object_written_while_its_older_copy_is_being_replaced_is_kept(
    s3, oss, bucket_name, tmp_path, size
):
    s3.bucket(bucket_name, {"thing": bytes(size)})
    spec = replaced(oss, "thing")
    folder = JobFolder(LocalFiles(tmp_path / "state"), spec.job)
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    get = source.get

    def written_meanwhile(item, start=None, end=None):
        content = get(item, start, end)
        if not start:
            write_after(oss, "thing", spec.target_since)
        return content

    source.get = written_meanwhile
    report = TaskRunner(spec, source, target, folder).run(0)
    assert (report.copied, report.skipped, report.failed) == (0, 1, 0)
    assert oss.contents() == {"thing": b"the application's"}
    assert oss.uploads() == []
