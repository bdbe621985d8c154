"""A worker killed at random: the next run finishes, and copies again only what was in flight."""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import subprocess
import sys
import time

from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.status import stat

MIB = 1024 * 1024
WORKER = """
import json, sys
from airflow_provider_sync.migration.ends import open_source, open_target, open_files
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
said = json.loads(sys.argv[1])
def connection(kind, url, region):
    return ConnectionInfo(kind, url, "test-key", Secret("test-secret"), region=region)
source = open_source({"type": "s3", "bucket": said["bucket"]}, connection("aws", said["s3"], "us-east-1"))
target = open_target({"type": "oss", "bucket": "lake"}, connection("oss", said["oss"], "cn-hangzhou"))
spec = MigrationSpec.of(said["spec"])
TaskRunner(spec, source, target, JobFolder(open_files(said["state"]), spec.job)).run(0)
"""


def test_killed_at_random_every_object_arrives_and_few_are_copied_twice(s3, oss, bucket_name, tmp_path, spec):
    rng = random.Random(7)
    objects = {f"f{n:04d}": rng.randbytes(rng.randrange(2000)) for n in range(400)}
    objects |= {f"big{n}": rng.randbytes(4 * MIB + n) for n in range(3)}
    s3.bucket(bucket_name, objects)
    spec = dataclasses.replace(
        spec, threads=4, part_threads=2, multipart_threshold=MIB, part_size=MIB, objects_per_second=300
    )
    state = tmp_path / "state"
    folder = JobFolder(LocalFiles(state), spec.job)
    plan_job(spec, s3.source(bucket_name), oss.target(), folder)
    said = {"bucket": bucket_name, "s3": s3.url, "oss": oss.url, "state": str(state), "spec": spec.as_json()}
    kills = 0
    for _ in range(5):
        before = len(oss.control("objects?bucket=lake", method="GET"))
        worker = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(said)])
        while worker.poll() is None and len(oss.control("objects?bucket=lake", method="GET")) < before + 20:
            time.sleep(0.02)
        time.sleep(rng.random() * 0.1)
        kills += worker.poll() is None
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert kills >= 3
    assert stat(folder).state == "Running"
    report = TaskRunner(spec, s3.source(bucket_name), oss.target(), folder).run(0)
    assert (report.copied, report.failed) == (403, 0)
    assert oss.contents() == objects
    assert oss.uploads() == []
    in_flight = spec.threads + spec.part_threads
    assert oss.requests("PutObject") <= 400 + kills * in_flight
    assert oss.requests("UploadPart") <= 15 + kills * in_flight
    assert stat(folder).state == "Succeed"
