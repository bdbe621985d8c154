from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.clients.listing import ListedObject, ListingPage
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import (
    AccessDeniedError,
    CancelledError,
    ConfigError,
    CorruptDataError,
    NotFoundError,
)
from airflow_provider_sync.migration.bucket import list_objects
from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.objects import ObjectInfo
from airflow_provider_sync.migration.plan import merge, plan_job
from airflow_provider_sync.migration.sources.local import LocalSource
from airflow_provider_sync.migration.status import failed_objects, stat, tasks_to_run
from airflow_provider_sync.migration.targets.local import LocalTarget

keys = st.sets(st.text("ab/日\U0001f600", max_size=4), max_size=12)


def infos(some: Any) -> Iterator[ObjectInfo]:
    return (ObjectInfo(key, 1, "", 1.0) for key in sorted(some, key=lambda one: one.encode()))


@given(keys, keys, st.none() | st.text("ab/日\U0001f600", max_size=4))
def test_a_merge_pairs_every_key_once_in_order(here, there, upto):
    inside = {key for key in here | there if upto is None or key <= upto}
    pairs = list(merge(infos(here), infos(there), upto))
    assert [(one or other).key for one, other in pairs] == sorted(inside, key=lambda key: key.encode())
    assert {one.key for one, _ in pairs if one} == here & inside
    assert {other.key for _, other in pairs if other} == there & inside
    assert all(one.key == other.key for one, other in pairs if one and other)


class Bucket:
    """A source and target whose listing is a list; counts keys listed, fails when told to."""

    name = "test://bucket/"

    def __init__(self, keys: list[str], cuts: list[str] | None = None, *, fail_at: str | None = None) -> None:
        self.keys, self.cuts, self.fail_at = keys, cuts or [], fail_at
        self.listed = 0

    def check(self) -> None:
        pass

    def boundaries(self, *_: int) -> list[str]:
        return self.cuts

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        for key in self.keys:
            if after is None or key > after:
                if key == self.fail_at:
                    raise AccessDeniedError("the listing breaks off")
                self.listed += 1
                yield ObjectInfo(key, 10, "", 1.0)

    def rejected(self) -> Iterator[tuple[str, str]]:
        yield from ()

    def refusal(self, key: str) -> str:
        return "starts with a slash" if key.startswith("/") else ""


def planned(folder: JobFolder) -> list[str]:
    count = folder.planned()["summary"]["tasks"]
    return sorted(entry.info.key for seq in range(count) for entry in folder.read_task(seq).entries)


@pytest.mark.parametrize("cuts", [[], ["k1"], ["a", "k0500", "k0500x", "k25", "z"]])
def test_pieces_side_by_side_plan_every_key_once(folder, spec, cuts):
    keys = [f"k{n:04d}" for n in range(5000)]
    spec = dataclasses.replace(spec, task_object_count=700, scan_threads=4)
    summary = plan_job(spec, Bucket(keys, cuts), Bucket([*keys[::2], "zz"]), folder)
    assert planned(folder) == keys[1::2]
    assert (summary.scanned, summary.objects, summary.bytes, summary.extra) == (5000, 2500, 25000, 1)
    assert summary.counts == {"skipped: same size, target is not older": 2500}
    assert summary.tasks == 4
    assert [len(folder.read_task(seq).entries) for seq in range(4)] == [700, 700, 700, 400]


def test_a_plan_that_broke_off_goes_on_where_it_was(folder, spec):
    keys = [f"k{n:05d}" for n in range(30_000)]
    spec = dataclasses.replace(spec, task_object_count=1500)
    cuts = ["k10000", "k20000"]
    with pytest.raises(AccessDeniedError):
        plan_job(spec, Bucket(keys, cuts, fail_at="k17500"), Bucket([]), folder)
    assert stat(folder).state == "Scanning"
    with pytest.raises(NotFoundError, match="no finished plan"):
        tasks_to_run(folder)
    source = Bucket(keys, ["other", "cuts"])
    summary = plan_job(spec, source, Bucket([]), folder)
    assert planned(folder) == keys
    assert summary.scanned == 30_000
    assert source.listed < 25_000
    assert stat(folder).pending == summary.tasks == 20


def test_a_finished_plan_is_kept_and_another_of_its_name_refused(folder, spec):
    source = Bucket(["a", "b"])
    first = plan_job(spec, source, Bucket([]), folder)
    listed = source.listed
    assert plan_job(spec, source, Bucket([]), folder) == first
    assert source.listed == listed
    other = dataclasses.replace(spec, min_size=1)
    with pytest.raises(ConfigError, match=r"another spec.*clean that job"):
        plan_job(other, source, Bucket([]), folder)
    assert plan_job(other, source, Bucket([]), folder, anew=True).tasks == 1


def test_names_that_the_target_cannot_hold_are_reported_and_fail_the_job(folder, spec):
    summary = plan_job(spec, Bucket(["/a", "b"]), Bucket([]), folder)
    assert (summary.objects, summary.rejected) == (1, 1)
    assert list(failed_objects(folder)) == [{"key": "/a", "code": "REJECTED", "note": "starts with a slash"}]
    assert "rejected  1" in summary.as_text()
    assert "'/a': starts with a slash" in summary.as_text()


def test_an_empty_source_plans_no_task_and_the_job_is_done(folder, spec):
    assert plan_job(spec, Bucket([]), Bucket(["x"]), folder).tasks == 0
    assert stat(folder).state == "Succeed"
    assert tasks_to_run(folder) == []


def test_the_target_is_not_listed_when_everything_is_copied_anyway(folder, spec):
    target = Bucket(["a"])
    plan_job(dataclasses.replace(spec, overwrite="always"), Bucket(["a"]), target, folder)
    assert target.listed == 0


def test_what_only_the_target_has_is_listed_if_asked(folder, spec):
    plan_job(dataclasses.replace(spec, report_extra=True), Bucket(["b"]), Bucket(["a", "c"]), folder)
    assert list(folder.read_list("extra")) == [["a", "not in the source"], ["c", "not in the source"]]


def test_a_stop_ends_the_plan(folder, spec):
    environment = Environment()
    environment.cancelled.set()
    with pytest.raises(CancelledError):
        plan_job(spec, Bucket(["a"]), Bucket([]), folder, environment=environment)


def test_a_listing_out_of_order_is_an_error():
    class Disordered:
        def list_page(self, *_: Any, **__: Any) -> ListingPage:
            return ListingPage([ListedObject(key, 1, "", 1.0, "") for key in ("b", "a")], [], "")

    with pytest.raises(CorruptDataError, match="utf-8"):
        list(list_objects(Disordered(), "bucket", "", None))


@pytest.mark.parametrize("depth", [1, 2])
def test_a_bucket_is_cut_at_folders_or_at_first_letters(oss, depth):
    for key in ["top", *[f"d{a}/e{b}/f{c}" for a in range(3) for b in range(2) for c in range(2)]]:
        oss.sdk.put_object(f"deep/{key}", b"")
    cuts = list(oss.source("deep/").boundaries(depth, 100))
    folders = ["d0/", "d1/", "d2/"]
    below = [f"d{a}/e{b}/" for a in range(3) for b in range(2)]
    assert cuts == (folders if depth == 1 else sorted(folders + below))
    for n in range(20):
        oss.sdk.put_object(f"flat/{n:02d}", b"")
    assert list(oss.source("flat/").boundaries(depth, 100)) == ["0", "1"]
    assert list(oss.source("flat/").boundaries(depth, 1)) == ["0"]


@pytest.mark.parametrize("names", [["a", "b/c", "b0", "b-1/x"]])
def test_folders_are_planned_like_buckets(tmp_path, folder, spec, names):
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
    (tmp_path / "out").mkdir()
    source, target = LocalSource(tmp_path / "in"), LocalTarget(tmp_path / "out")
    assert plan_job(spec, source, target, folder).objects == 4
    assert planned(folder) == sorted(names)


def test_state_must_have_a_place_to_be(tmp_path):
    with pytest.raises(ConfigError, match="parent folder does not exist"):
        LocalFiles(tmp_path / "no" / "such")
    with pytest.raises(ConfigError, match="absolute"):
        LocalFiles("relative")


@pytest.mark.parametrize("job", ["../../etc", "a/b/c", "abc", "with space", "x" * 129])
def test_a_jobs_name_is_a_folders_name(tmp_path, job):
    with pytest.raises(ConfigError, match=r"migration\.job"):
        JobFolder(LocalFiles(tmp_path / "s"), job)


def test_the_folder_must_be_the_jobs_own(tmp_path, spec):
    with pytest.raises(ConfigError, match="other-job"):
        plan_job(spec, Bucket([]), Bucket([]), JobFolder(LocalFiles(tmp_path / "s"), "other-job"))
