"""An upload that was begun, and whose name the killed worker never heard."""

from __future__ import annotations

import dataclasses
import json

import pytest

from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import CancelledError, PermanentError, TransientError
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner

MIB = 1024 * 1024


@pytest.mark.parametrize(("overwrite", "left"), [("changed", []), ("older", ["large"])])
def test_it_is_thrown_away_where_nobody_else_writes(s3, oss, bucket_name, folder, spec, overwrite, left):  # noqa: PLR0917
    s3.bucket(bucket_name, {"large": bytes(3 * MIB), "other": bytes(2 * MIB)})
    spec = dataclasses.replace(spec, overwrite=overwrite, multipart_threshold=MIB, part_size=MIB)
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    begun = oss.sdk.init_multipart_upload("large").upload_id
    other = oss.sdk.init_multipart_upload("larger").upload_id
    etag = folder.read_task(0).entries[0].info.etag
    journal = f"{folder.worker}{folder.task_name(0)}/progress.1.a.jsonl"
    folder.files.write(journal, json.dumps(["U", "large", "", etag]).encode() + b"\n")
    assert {one["upload_id"] for one in oss.uploads()} == {begun, other}
    report = TaskRunner(spec, source, target, folder).run(0)
    assert (report.copied, report.failed) == (2, 0)
    assert [one["key"] for one in oss.uploads()] == [*left, "larger"]
    assert oss.contents() == {"large": bytes(3 * MIB), "other": bytes(2 * MIB)}


def test_the_intention_is_written_before_the_upload_is_begun(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, {"large": bytes(3 * MIB)})
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    begin, seen = target.begin, []

    def begins(key, size, prepared):
        names = folder.files.list(folder.worker)
        seen.extend(line for name in names for line in (folder.files.read(name) or b"").splitlines())
        return begin(key, size, prepared)

    target.begin = begins
    TaskRunner(spec, source, target, folder).run(0)
    assert [json.loads(line)[:3] for line in seen] == [["U", "large", ""]]


@pytest.fixture
def large(s3, oss, bucket_name, folder, spec):
    """A planned job of one object of six parts, moved one part at a time."""
    s3.bucket(bucket_name, {"large": bytes(range(256)) * 4096 * 6})
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB, part_threads=1)
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    return spec, source, target


def cut_off(target, environment, *, after, how):
    """Let ``after`` parts through, then cancel the task, or let the network fail."""
    put, count = target.put_part, 0

    def puts(*given):
        nonlocal count
        count += 1
        if count > after:
            if how == "cancelled":
                environment.cancelled.set()
                environment.check_cancelled()
            raise TransientError("the network failed") if how == "network" else PermanentError("no")
        return put(*given)

    target.put_part = puts


@pytest.mark.parametrize("how", ["cancelled", "network"])
def test_a_large_object_that_was_cut_off_goes_on_with_its_parts(large, oss, folder, how):
    spec, source, target = large
    environment = Environment()
    cut_off(target, environment, after=4, how=how)
    runner = TaskRunner(spec, source, target, folder, environment=environment)
    if how == "cancelled":
        with pytest.raises(CancelledError):
            runner.run(0)
    else:
        assert runner.run(0).reasons == {"NETWORK": 1}
    assert len(oss.uploads()) == 1
    assert oss.contents() == {}
    report = TaskRunner(spec, source, oss.target(), folder).run(0)
    assert (report.copied, report.failed) == (1, 0)
    assert oss.contents() == {"large": bytes(range(256)) * 4096 * 6}
    assert oss.requests("UploadPart") == 6
    assert oss.uploads() == []


def test_a_failure_that_no_later_try_helps_leaves_no_parts(large, oss, folder):
    spec, source, target = large
    cut_off(target, Environment(), after=4, how="refused")
    assert TaskRunner(spec, source, target, folder).run(0).failed == 1
    assert oss.uploads() == []


def test_parts_of_an_object_that_is_then_skipped_or_gone_are_thrown_away(large, s3, oss, bucket_name, folder):
    spec, source, target = large
    cut_off(target, Environment(), after=4, how="network")
    TaskRunner(spec, source, target, folder).run(0)
    assert len(oss.uploads()) == 1
    s3.sdk.delete_object(Bucket=bucket_name, Key="large")
    report = TaskRunner(spec, source, oss.target(), folder).run(0)
    assert report.reasons == {"SOURCE_DELETED": 1}
    assert oss.uploads() == []
