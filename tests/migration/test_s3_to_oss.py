"""The whole way: a real S3 server, the local OSS, two vendor SDKs as judges."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import random
from typing import Any

from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskReport, TaskRunner
from airflow_provider_sync.migration.spec import MigrationSpec

MIB = 1024 * 1024
SMALL = {f"d{n % 3}/f{n:03d}": bytes([n % 256]) * n for n in range(100)}


def migrate(spec: MigrationSpec, source: Any, target: Any, folder: JobFolder) -> list[TaskReport]:
    summary = plan_job(spec, source, target, folder)
    runner = TaskRunner(spec, source, target, folder, host="here")
    return [runner.run(seq) for seq in range(summary.tasks)]


def rows(folder: JobFolder, kind: str, file: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for name in folder.files.list(f"{folder.root}{kind}/"):
        if name.endswith(file):
            found += csv.DictReader(io.StringIO((folder.files.read(name) or b"").decode(), newline=""))
    return found


def test_every_object_arrives_byte_by_byte(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, SMALL)
    reports = migrate(spec, s3.source(bucket_name), oss.target("copy/"), folder)
    assert oss.contents() == {f"copy/{key}": body for key, body in SMALL.items()}
    assert [(one.objects, one.copied, one.failed) for one in reports] == [(100, 100, 0)]
    assert folder.states() == {reports[0].task: "succeeded"}
    audit = rows(folder, "succeed_tasks", "audit.log")
    assert {row["key"] for row in audit} == set(SMALL)
    assert {row["result"] for row in audit} == {"copied"}


def test_no_object_costs_more_than_one_request_on_each_side(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, SMALL)
    migrate(spec, s3.source(bucket_name), oss.target(), folder)
    assert oss.requests("PutObject") == 100
    assert oss.requests("HeadObject") == 0


def test_a_large_object_arrives_in_parts(s3, oss, bucket_name, folder, spec):
    body = random.Random(1).randbytes(5 * MIB + 17)
    s3.bucket(bucket_name, {"big": body, "small": b"x"})
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    migrate(spec, s3.source(bucket_name), oss.target(), folder)
    assert oss.contents() == {"big": body, "small": b"x"}
    assert oss.requests("UploadPart") == 6
    assert oss.uploads() == []


def test_tasks_are_cut_by_count_and_by_bytes(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, {f"k{n:02d}": b"x" * 100 for n in range(10)})
    by_count = dataclasses.replace(spec, task_object_count=4)
    assert plan_job(by_count, s3.source(bucket_name), oss.target(), folder, dry_run=True).tasks == 3
    by_bytes = dataclasses.replace(spec, task_object_bytes=250)
    assert plan_job(by_bytes, s3.source(bucket_name), oss.target(), folder, dry_run=True).tasks == 5
    assert list(folder.files.list("")) == []


def test_a_second_migration_copies_only_what_changed(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, SMALL)
    source, target = s3.source(bucket_name), oss.target()
    migrate(spec, source, target, folder)
    s3.bucket(bucket_name, {"d0/f000": b"longer", "new": b"new"})
    folder.clean()
    reports = migrate(spec, source, target, folder)
    assert sum(one.copied for one in reports) == 2
    assert oss.contents() == {**SMALL, "d0/f000": b"longer", "new": b"new"}


def test_one_object_that_is_refused_fails_alone_and_is_retried_alone(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, SMALL)
    oss.control("deny", {"key_regex": "f042$", "operation": "PutObject"})
    source, target = s3.source(bucket_name), oss.target()
    (report,) = migrate(spec, source, target, folder)
    assert (report.copied, report.failed, report.reasons) == (99, 1, {"ACCESS_DENIED": 1})
    assert folder.states() == {report.task: "failed"}
    (error,) = rows(folder, "failed_tasks", "error.list")
    assert (error["key"], error["code"]) == ("d0/f042", "ACCESS_DENIED")
    oss.control("deny", method="DELETE")
    before = oss.requests("PutObject")
    again = TaskRunner(spec, source, target, folder, host="elsewhere").run(0)
    assert (again.copied, again.failed, again.resumed) == (100, 0, 99)
    assert oss.requests("PutObject") == before + 1
    assert folder.states() == {report.task: "succeeded"}
    assert oss.contents() == SMALL
    assert [name for name in folder.files.list("") if "failed_tasks" in name or "worker" in name] == []


def test_a_task_that_succeeded_is_not_run_again(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, SMALL)
    source, target = s3.source(bucket_name), oss.target()
    (report,) = migrate(spec, source, target, folder)
    before = oss.requests("PutObject")
    assert TaskRunner(spec, source, target, folder).run(0) == report
    assert oss.requests("PutObject") == before
    assert TaskRunner(spec, source, target, folder).run(0, anew=True).copied == 100
    assert oss.requests("PutObject") == before + 100


def test_an_object_deleted_after_the_plan_is_in_the_error_list(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, {"a": b"1", "b": b"2"})
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    s3.sdk.delete_object(Bucket=bucket_name, Key="a")
    report = TaskRunner(spec, source, target, folder).run(0)
    assert (report.copied, report.reasons) == (1, {"SOURCE_DELETED": 1})
    assert oss.contents() == {"b": b"2"}


def test_an_object_changed_after_the_plan_is_copied_as_it_is_now(s3, oss, bucket_name, folder, spec):
    big, other = b"a" * (3 * MIB), b"b" * (4 * MIB)
    s3.bucket(bucket_name, {"a": b"1", "big": big})
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    s3.bucket(bucket_name, {"a": b"another", "big": other})
    report = TaskRunner(spec, source, target, folder).run(0)
    assert (report.copied, report.noted) == (2, 2)
    assert oss.contents() == {"a": b"another", "big": other}
    assert oss.uploads() == []


def test_a_fault_now_and_then_is_outlived(s3, oss, bucket_name, folder, spec):
    objects = {**SMALL, "big": b"z" * (3 * MIB)}
    s3.bucket(bucket_name, objects)
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    for action in ("wrong_crc", "lost_reply", "drop_before", "error"):
        oss.control("reset")
        for operation in ("PutObject", "UploadPart", "CompleteMultipartUpload"):
            if (action, operation) != ("wrong_crc", "CompleteMultipartUpload"):  # that is an object's failure
                oss.control("faults", {"action": action, "operation": operation, "count": 2})
        report = TaskRunner(spec, source, target, folder).run(0, anew=True)
        assert (action, report.failed) == (action, 0)
        assert oss.contents() == objects


def test_a_checksum_that_stays_wrong_is_in_the_error_list(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, {"a": b"1", "b": b"2", "big": b"z" * (3 * MIB)})
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    wrong = {"action": "wrong_crc", "key": "/(b|big)$", "count": -1}
    oss.control("faults", wrong)
    (report,) = migrate(spec, s3.source(bucket_name), oss.target(), folder)
    assert (report.copied, report.failed) == (1, 2)
    assert {row["key"] for row in rows(folder, "failed_tasks", "error.list")} == {"b", "big"}
    oss.control("faults", method="DELETE")
    again = TaskRunner(spec, s3.source(bucket_name), oss.target(), folder).run(0)
    assert again.failed == 0
    assert oss.contents() == {"a": b"1", "b": b"2", "big": b"z" * (3 * MIB)}
    assert oss.uploads() == []


def test_a_full_target_is_in_the_error_list(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, {f"k{n}": b"x" * 1000 for n in range(10)})
    oss.control("quota", {"bucket": "lake", "bytes": 4500})
    (report,) = migrate(spec, s3.source(bucket_name), oss.target(), folder)
    assert (report.copied, report.failed) == (4, 6)
    assert len(oss.contents()) == 4
    assert len(rows(folder, "failed_tasks", "error.list")) == 6


def test_job_and_task_files_are_where_an_ossimport_user_looks(s3, oss, bucket_name, folder, spec):
    s3.bucket(bucket_name, {"a": b"1"})
    source, target = s3.source(bucket_name), oss.target()
    plan_job(spec, source, target, folder)
    names = list(folder.files.list(""))
    pending = [name for name in names if name.startswith("master/jobs/test-job/pending_tasks/")]
    assert len(pending) == 1
    task = pending[0].rpartition("/")[2]
    TaskRunner(spec, source, target, folder, host="here").run(0)
    done = f"master/jobs/test-job/succeed_tasks/{task}@here/"
    found = {name.removeprefix(done): folder.files.read(name) for name in folder.files.list(done)}
    assert set(found) == {"audit.log", "DONE", "error.list", "STATUS", "TASK"}
    assert (found["STATUS"], found["error.list"]) == (b"Completed", b"")
    assert json.loads(found["TASK"] or b"")["copied"] == 1
    assert not [name for name in folder.files.list("") if "pending_tasks" in name or "dispatched" in name]
