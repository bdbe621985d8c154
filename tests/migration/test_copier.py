# ruff: noqa: ARG002 - the doubles implement whole contracts
from __future__ import annotations

import dataclasses
import logging
import threading
from typing import Any

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.migration.budget import ByteBudget
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.objects import Attributes, Content, ObjectInfo, Part, Prepared, Stored
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.sources.local import LocalSource
from airflow_provider_sync.migration.sources.oss import OssSource
from airflow_provider_sync.migration.targets import oss as oss_target

MIB = 1024 * 1024
GIB = 1024 * MIB
ZEROS = bytes(64 * MIB)


class Zeros(Source):
    """One object of zeros."""

    name = "test://zeros/"

    def __init__(self, size: int) -> None:
        self.size = size

    def check(self) -> None: ...

    def list(self, after=None):
        del after
        yield ObjectInfo("huge", self.size, "e", 1.0)

    def head(self, item):
        return item

    def get(self, item, start=None, end=None):
        return Content(memoryview(ZEROS)[: end - start], item, Attributes())

    def attributes(self, item):
        return Attributes()


class Counter(Target):
    """Keeps the sizes of parts, and the most bytes that were on their way at once."""

    name = "test://counter/"

    def __init__(self) -> None:
        self.offsets: dict[int, tuple[int, int]] = {}
        self.now = self.most = 0
        self.completed: list[Part] = []
        self._lock = threading.Lock()

    def check(self) -> None: ...

    def list(self, after=None):
        return iter(())

    def refusal(self, key):
        return ""

    def head(self, key):
        return None

    def prepare(self, attributes):
        return Prepared()

    def put(self, key, body, prepared, *, item, only_new):
        raise AssertionError("a large object is not put whole")

    def begin(self, key, size, prepared):
        return "upload"

    def put_part(self, key, upload, number, offset, body):
        with self._lock:
            self.now += len(body)
            self.most = max(self.most, self.now)
        part = Part(number, "", len(body), crc64(body))
        with self._lock:
            self.now -= len(body)
            self.offsets[number] = (offset, len(body))
        return part

    def complete(self, key, upload, parts, *, item, only_new):
        self.completed = list(parts)
        return Stored("", None)

    def abort(self, key, upload): ...

    def read(self, key, start, end):
        raise AssertionError("a copy does not read its target")


def test_an_object_of_six_gigabytes_goes_in_parts_within_the_budget(folder, spec):
    spec = dataclasses.replace(spec, part_size=64 * MIB, bytes_in_flight=128 * MIB, part_threads=4)
    target = Counter()
    source = Zeros(6 * GIB + 1)
    plan_job(spec, source, target, folder)
    report = TaskRunner(spec, source, target, folder).run(0)
    assert (report.copied, report.bytes) == (1, 6 * GIB + 1)
    assert target.offsets == {n: ((n - 1) * 64 * MIB, 64 * MIB) for n in range(1, 97)} | {97: (6 * GIB, 1)}
    assert [part.number for part in target.completed] == list(range(1, 98))
    assert target.most <= 128 * MIB


def test_parts_grow_where_ten_thousand_would_not_do(folder, spec):
    size = 100 * MIB * 10_000 + 1  # just over what parts of 100 MiB can hold
    spec = dataclasses.replace(spec, part_size=8 * MIB, bytes_in_flight=GIB)
    made: list[int] = []

    class Stop(Counter):
        def put_part(self, key, upload, number, offset, body):
            made.append(offset // max(number - 1, 1))
            raise ValueError("enough was seen")

    plan_job(spec, Zeros(size), Stop(), folder)
    source = Zeros(size)
    source.get = lambda item, start, end: Content(_OfLength(end - start), item, Attributes())  # type: ignore[method-assign]
    logging.disable(logging.ERROR)
    try:
        report = TaskRunner(spec, source, Stop(), folder).run(0)
    finally:
        logging.disable(logging.NOTSET)
    assert report.failed == 1
    assert set(made) <= {0, 101 * MIB}


class _OfLength(bytes):
    """As many bytes as are said, without holding them."""

    def __new__(cls, size: int) -> Any:
        made = super().__new__(cls)
        made.size = size
        return made

    def __len__(self) -> int:
        return self.size


def test_a_source_that_changes_between_two_parts_is_read_again_whole(oss, folder, spec):
    old, new = b"a" * (4 * MIB), b"b" * (3 * MIB)
    oss.sdk.put_object("in/big", old)

    class Restless(OssSource):
        reads = 0

        def get(self, item, start=None, end=None):
            self.reads += 1
            if self.reads == 3:
                oss.sdk.put_object("in/big", new)
            return super().get(item, start, end)

    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB, part_threads=1)
    source, target = Restless(oss.client(), "lake", "in/"), oss.target("out/", server_copy=False)
    plan_job(spec, source, target, folder)
    report = TaskRunner(spec, source, target, folder).run(0)
    assert (report.copied, report.noted) == (1, 1)
    assert oss.contents("out/") == {"out/big": new}
    assert oss.uploads() == []


def test_a_source_that_never_rests_is_reported_and_nothing_is_mixed(oss, folder, spec):
    oss.sdk.put_object("in/big", b"a" * (2 * MIB))

    class Restless(OssSource):
        reads = 0

        def get(self, item, start=None, end=None):
            self.reads += 1
            oss.sdk.put_object("in/big", bytes([self.reads % 256]) * (2 * MIB))
            return super().get(item, start, end)

    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    source, target = Restless(oss.client(), "lake", "in/"), oss.target("out/", server_copy=False)
    plan_job(spec, source, target, folder)
    report = TaskRunner(spec, source, target, folder).run(0)
    assert report.reasons == {"SOURCE_CHANGED": 1}
    assert oss.contents("out/") == {}
    assert oss.uploads() == []


def test_the_service_copies_large_objects_in_parts(oss, folder, spec, monkeypatch):
    monkeypatch.setattr(oss_target, "_COPY_PART", MIB)
    body = bytes(range(256)) * 4096 * 3 + b"tail"
    oss.sdk.put_object("in/big", body, headers={"x-oss-meta-a": "b"})
    source, target = oss.source("in/"), oss.target("out/")
    plan_job(spec, source, target, folder)
    assert TaskRunner(spec, source, target, folder).run(0).copied == 1
    assert oss.contents("out/") == {"out/big": body}
    assert oss.requests("UploadPartCopy") == 4
    assert oss.sdk.head_object("out/big").headers["x-oss-meta-a"] == "b"


def test_limits_hold_for_the_task(tmp_path, folder, spec, oss):
    (tmp_path / "in").mkdir()
    for n in range(20):
        (tmp_path / "in" / f"{n:02d}").write_bytes(b"x" * 100)
    now, lock = [1_700_000_000.0], threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    environment = Environment(clock=lambda: now[0], sleep=sleep)
    spec = dataclasses.replace(spec, threads=1, bytes_per_second=200, objects_per_second=10)
    source, target = LocalSource(tmp_path / "in"), oss.target()
    plan_job(spec, source, target, folder)
    report = TaskRunner(spec, source, target, folder, environment=environment).run(0)
    assert 9.0 <= report.seconds <= 11.0  # 2,000 bytes at 200 a second


def test_a_budget_lets_one_that_is_too_large_go_alone():
    budget = ByteBudget(10)
    with budget.hold(100):
        waiting = threading.Thread(target=lambda: budget.take(1))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
    waiting.join(5)
    assert not waiting.is_alive()
