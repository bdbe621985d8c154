"""Random faults with a seed: what is not in the error list is right, and a run without faults cures the rest."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from airflow_provider_sync.errors import SyncError
from airflow_provider_sync.migration.files import OssFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.status import failed_objects, stat, tasks_to_run

ACTIONS = ("error", "throttle", "drop_before", "lost_reply", "cut", "wrong_crc", "duplicate")
OPERATIONS = (
    "PutObject",
    "GetObject",
    "HeadObject",
    "InitiateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListObjects.*",
    "AppendObject",
)
SIZES = (0, 10, 5_000, 300_000, 900_000)


def faults(rng: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "action": rng.choice(ACTIONS),
            "operation": rng.choice(OPERATIONS),
            "key": rng.choice(["", "in/", "out/", "f01"]),
            "after": rng.randrange(20),
            "count": rng.choice([1, 2, 5, 20]),
            "bytes": rng.randrange(100),
        }
        for _ in range(rng.randrange(3, 12))
    ]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_breaks_no_wrong_object_goes_unreported(oss, spec, seed):
    rng = random.Random(seed)
    objects = {f"f{n:03d}": rng.randbytes(rng.choice(SIZES)) for n in range(40)}
    for key, body in objects.items():
        oss.sdk.put_object(f"in/{key}", body)
    spec = dataclasses.replace(
        spec,
        overwrite=rng.choice(["changed", "never", "always", "older"]),
        multipart_threshold=250_000,
        part_size=110_000,
        task_object_count=25,
    )
    folder = JobFolder(OssFiles(oss.client(), "lake", "state/"), spec.job)
    source, target = oss.source("in/"), oss.target("out/", server_copy=False)
    oss.control("faults", faults(rng))
    try:
        plan_job(spec, source, target, folder)
        for seq in tasks_to_run(folder):
            TaskRunner(spec, source, target, folder).run(seq)
        bad = {row["key"] for row in failed_objects(folder)}
    except SyncError:
        bad = set(objects)  # the run stopped and said so
    oss.control("faults", method="DELETE")
    found = oss.contents("out/")
    assert {key: found.get(f"out/{key}") for key in objects if key not in bad} == {
        key: body for key, body in objects.items() if key not in bad
    }
    plan_job(spec, source, target, folder)
    for seq in tasks_to_run(folder):
        TaskRunner(spec, source, target, folder).run(seq)
    assert stat(folder).state == "Succeed"
    assert oss.contents("out/") == {f"out/{key}": body for key, body in objects.items()}
