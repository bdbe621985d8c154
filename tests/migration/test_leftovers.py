"""An upload that was begun, and whose name the killed worker never heard."""

from __future__ import annotations

import dataclasses
import json

import pytest

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
