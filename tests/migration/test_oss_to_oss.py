"""Server-side copies, versions, protection of what others write, audits, state kept in OSS."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from typing import Any

import oss2
import pytest

from airflow_provider_sync.errors import NotFoundError
from airflow_provider_sync.migration.files import LocalFiles, OssFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskReport, TaskRunner
from airflow_provider_sync.migration.sources.local import LocalSource
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.status import failed_objects, stat, tasks_to_run
from airflow_provider_sync.migration.targets.local import LocalTarget

MIB = 1024 * 1024


def run_all(spec: MigrationSpec, source: Any, target: Any, folder: JobFolder) -> list[TaskReport]:
    runner = TaskRunner(spec, source, target, folder, host="here")
    return [runner.run(seq) for seq in tasks_to_run(folder)]


def migrate(spec: MigrationSpec, source: Any, target: Any, folder: JobFolder) -> list[TaskReport]:
    plan_job(spec, source, target, folder)
    return run_all(spec, source, target, folder)


def errors(folder: JobFolder) -> dict[str, str]:
    return {row["key"]: row["code"] for row in failed_objects(folder)}


def notes(folder: JobFolder) -> dict[str, str]:
    found = {}
    for name in folder.files.list(f"{folder.root}succeed_tasks/"):
        if name.endswith("audit.log"):
            text = (folder.files.read(name) or b"").decode()
            found.update({row["key"]: row["note"] for row in csv.DictReader(io.StringIO(text))})
    return found


HEADERS = {
    "Content-Type": "text/x",
    "Cache-Control": "no-cache",
    "x-oss-meta-owner": "etl",
    "x-oss-tagging": "a=b%20c",
    "x-oss-storage-class": "IA",
    "x-oss-object-acl": "public-read",
}


def test_within_one_endpoint_the_service_copies(oss, folder, spec):
    oss.sdk.put_object("in/a", b"1", headers=HEADERS)
    oss.sdk.put_object("in/empty", b"")
    migrate(spec, oss.source("in/"), oss.target("out/"), folder)
    assert oss.contents("out/") == {"out/a": b"1", "out/empty": b""}
    assert oss.requests("CopyObject") == 2
    assert oss.requests("PutObject") == 2
    found = oss.sdk.head_object("out/a").headers
    assert (found["x-oss-meta-owner"], found["Content-Type"]) == ("etl", "text/x")


def test_through_this_machine_everything_beside_the_bytes_goes_along(oss, folder, spec):
    big = b"z" * (3 * MIB)
    oss.sdk.put_object("in/a", b"1", headers=HEADERS)
    oss.sdk.put_object("in/big", big, headers=HEADERS)
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    migrate(spec, oss.source("in/", acl=True), oss.target("out/", server_copy=False), folder)
    assert oss.contents("out/") == {"out/a": b"1", "out/big": big}
    for key in ("out/a", "out/big"):
        found = oss.sdk.head_object(key).headers
        assert found["Content-Type"] == "text/x"
        assert found["Cache-Control"] == "no-cache"
        assert found["x-oss-meta-owner"] == "etl"
        assert found["x-oss-storage-class"] == "IA"
        assert oss.sdk.get_object_tagging(key).tag_set.tagging_rule == {"a": "b c"}
        assert oss.sdk.get_object_acl(key).acl == "public-read"


def test_a_source_changed_after_the_plan_is_not_copied_by_its_old_version(oss, folder, spec):
    oss.sdk.put_object("in/a", b"old")
    source, target = oss.source("in/"), oss.target("out/")
    plan_job(spec, source, target, folder)
    oss.sdk.put_object("in/a", b"newer")
    (report,) = run_all(spec, source, target, folder)
    assert (report.copied, report.noted) == (1, 1)
    assert oss.contents("out/") == {"out/a": b"newer"}


# ── what others write meanwhile ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("versioning", ["", "Enabled"])
@pytest.mark.parametrize("existed", [False, True])
def test_what_somebody_writes_after_the_plan_is_not_clobbered(oss, tmp_path, spec, versioning, existed):
    folder = JobFolder(LocalFiles(tmp_path / "state"), spec.job)
    oss.control("bucket", {"name": "lake", "versioning": versioning})
    if existed:
        oss.sdk.put_object("out/a", b"before the migration")
        time.sleep(1.1)  # the service's times are whole seconds
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"migrated")
    (tmp_path / "in" / "b").write_bytes(b"migrated")
    spec = dataclasses.replace(spec, import_since=1.0)
    source, target = LocalSource(tmp_path / "in"), oss.target("out/")
    plan_job(spec, source, target, folder)
    time.sleep(1.1)
    oss.sdk.put_object("out/a", b"written by the application")
    (report,) = run_all(spec, source, target, folder)
    assert (report.copied, report.skipped, report.failed) == (1, 1, 0)
    assert oss.contents("out/") == {"out/a": b"written by the application", "out/b": b"migrated"}
    assert notes(folder)["a"] == "target is not older"


def test_never_leaves_even_older_objects(oss, tmp_path, folder, spec):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"migrated")
    spec = dataclasses.replace(spec, overwrite="never")
    source, target = LocalSource(tmp_path / "in"), oss.target("out/")
    plan_job(spec, source, target, folder)
    oss.sdk.put_object("out/a", b"theirs")
    (report,) = run_all(spec, source, target, folder)
    assert (report.skipped, report.failed) == (1, 0)
    assert oss.contents("out/") == {"out/a": b"theirs"}


def test_our_own_object_of_a_run_that_was_killed_is_recognised(oss, tmp_path, folder, spec):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"migrated")
    spec = dataclasses.replace(spec, overwrite="never")
    source, target = LocalSource(tmp_path / "in"), oss.target("out/")
    plan_job(spec, source, target, folder)
    oss.sdk.put_object("out/a", b"migrated")
    (report,) = run_all(spec, source, target, folder)
    assert (report.copied, report.skipped) == (1, 0)
    assert notes(folder)["a"] == "was there already"


# ── audits ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("level", ["size", "time", "checksum", "content"])
def test_an_audit_finds_what_differs_and_writes_nothing(oss, tmp_path, folder, spec, level):
    (tmp_path / "in").mkdir()
    big = b"x" * (2 * MIB)
    for key, body in {"same": b"1", "big": big, "bent": b"22", "short": b"333", "missing": b"4"}.items():
        (tmp_path / "in" / key).write_bytes(body)
    source, target = LocalSource(tmp_path / "in"), oss.target("out/")
    oss.sdk.put_object("out/same", b"1")
    oss.sdk.put_object("out/big", big)
    oss.sdk.put_object("out/bent", b"2X")
    oss.sdk.put_object("out/short", b"33")
    puts = oss.requests("PutObject")
    spec = dataclasses.replace(spec, job_type="audit", audit_level=level, part_size=MIB, since_margin=0)
    summary = plan_job(spec, source, target, folder)
    run_all(spec, source, target, folder)
    found = errors(folder)
    if level == "time":
        found = {key: code for key, code in found.items() if code != "TARGET_OLDER"}
    expected = {"short": "SIZE_NOT_MATCH", "missing": "MISSING"}
    if level in {"checksum", "content"}:
        expected["bent"] = "CHECKSUM_NOT_MATCH"
        assert summary.objects == 3
    assert found == expected
    assert oss.requests("PutObject") == puts
    assert stat(folder).state == "Failed"


def test_an_audit_by_checksum_reads_nothing_where_the_services_know(oss, folder, spec):
    oss.sdk.put_object("in/a", b"1")
    oss.sdk.put_object("out/a", b"1")
    spec = dataclasses.replace(spec, job_type="audit")
    assert plan_job(spec, oss.source("in/"), oss.target("out/"), folder).counts == {"verified": 1}
    assert oss.requests("GetObject") == 0
    assert stat(folder).state == "Succeed"


# ── bad ends ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_bucket_stops_the_plan_and_the_task(oss, folder, spec):
    oss.sdk.put_object("in/a", b"1")
    missing = oss.target("out/", server_copy=False)
    missing.bucket = "no-such-bucket"
    with pytest.raises(NotFoundError, match="NoSuchBucket"):
        plan_job(spec, oss.source("in/"), missing, folder)
    plan_job(spec, oss.source("in/"), oss.target("out/", server_copy=False), folder, anew=True)
    with pytest.raises(NotFoundError, match="NoSuchBucket"):
        TaskRunner(spec, oss.source("in/"), missing, folder).run(0)
    assert set(folder.states().values()) == {"dispatched"}


@pytest.mark.parametrize(
    "key", ["ünï cödé", "a b+c%20d", "x/../y", "./x", "dir/", "x" * 1023, "a//b", "~!@#$&*()=:,;?'\"<>|"]
)
def test_odd_names_arrive_as_they_are(oss, folder, spec, key):
    body = b"" if key.endswith("/") else b"1"
    client = oss.client()
    client.put("lake", key, body)
    migrate(spec, oss.source(), oss2_target(oss), folder)
    assert client.get("copy", key) == body


def oss2_target(oss: Any) -> Any:
    oss.control("bucket", {"name": "copy"})
    target = oss.target(server_copy=False)
    target.bucket = "copy"
    return target


def test_an_object_cut_on_the_way_is_read_again(oss, tmp_path, folder, spec):
    (tmp_path / "out").mkdir()
    oss.sdk.put_object("in/a", b"x" * 1000)
    oss.control("faults", {"action": "cut", "operation": "GetObject", "bytes": 500})
    oss.control("faults", {"action": "wrong_crc", "operation": "GetObject", "after": 1})
    (report,) = migrate(spec, oss.source("in/"), LocalTarget(tmp_path / "out"), folder)
    assert report.failed == 0
    assert (tmp_path / "out" / "a").read_bytes() == b"x" * 1000


# ── state in OSS ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_whose_state_is_in_oss_is_resumed_and_retried_alike(oss, tmp_path, spec):
    for n in range(30):
        oss.sdk.put_object(f"in/{n:02d}", b"x" * n)
    folder = JobFolder(OssFiles(oss.client(), "lake", "state/"), spec.job)
    oss.control("deny", {"key_regex": "out/07$"})
    source, target = oss.source("in/"), oss.target("out/", server_copy=False)
    spec = dataclasses.replace(spec, task_object_count=20)
    reports = migrate(spec, source, target, folder)
    assert sorted((one.copied, one.failed) for one in reports) == [(10, 0), (19, 1)]
    assert errors(folder) == {"07": "ACCESS_DENIED"}
    assert (stat(folder).state, stat(folder).failed_objects) == ("Failed", 1)
    oss.control("deny", method="DELETE")
    (again,) = run_all(spec, source, target, folder)
    assert (again.resumed, again.copied, again.failed) == (19, 20, 0)
    assert stat(folder).as_json() | {"reasons": {}} == stat(folder).as_json()
    assert "JobState:Succeed" in stat(folder).as_text()
    assert "SucceedTasks:2" in stat(folder).as_text()
    folder.clean()
    assert oss.contents("state/") == {}
    assert len(oss.contents("out/")) == 30


@pytest.mark.parametrize("place", ["local", "oss"])
def test_state_files_are_replaced_appended_listed_and_removed(oss, tmp_path, place):
    files = LocalFiles(tmp_path / "s") if place == "local" else OssFiles(oss.client(), "lake", "s/")
    assert files.read("a/b") is None
    assert list(files.list("a/")) == []
    files.write("a/b", b"1")
    files.write("a/b", b"2")
    files.append("a/c", b"3")
    files.append("a/c", b"4")
    files.write("ab/c", b"5")
    assert (files.read("a/b"), files.read("a/c")) == (b"2", b"34")
    assert list(files.list("a/")) == ["a/b", "a/c"]
    assert list(files.list("a")) == ["a/b", "a/c", "ab/c"]
    assert list(files.list("")) == ["a/b", "a/c", "ab/c"]
    again = LocalFiles(tmp_path / "s") if place == "local" else OssFiles(oss.client(), "lake", "s/")
    again.append("a/c", b"5")
    assert files.read("a/c") == b"345"
    again.close()
    files.delete("a/b")
    files.delete("a/b")
    assert list(files.list("a/")) == ["a/c"]
    files.delete_all("a/")
    files.delete_all("a/")
    assert list(files.list("")) == ["ab/c"]
    files.close()


def test_the_list_of_uploads_is_empty_after_a_failure(oss, tmp_path, folder, spec):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "big").write_bytes(b"x" * (3 * MIB))
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    oss.control("deny", {"key_regex": "big$", "operation": "CompleteMultipartUpload"})
    (report,) = migrate(spec, LocalSource(tmp_path / "in"), oss.target("out/"), folder)
    assert report.reasons == {"ACCESS_DENIED": 1}
    assert oss.uploads() == []
    assert list(oss2.ObjectIteratorV2(oss.sdk, prefix="out/")) == []
