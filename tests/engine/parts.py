"""Small readers, writers and stores for engine tests: lists in, lists out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from airflow_provider_sync.engine.contract import (
    Committed,
    CommittedObject,
    Environment,
    Output,
    Plan,
    PlanRequest,
    Reader,
    SplitWriter,
    Writer,
)
from airflow_provider_sync.engine.job import Job
from airflow_provider_sync.engine.record import JsonObject, RecordBatch, Rejected, Split
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.state.memory import MemoryStore

SCHEMA = pa.schema([("n", pa.int64())])


class LogReader(Reader):
    """A log of (time, number) pairs in ``splits`` parts; a window holds the numbers of its times.

    The boundary is how long the log was when the window was read, as with an idle shard.
    """

    def __init__(self, logs: Sequence[list[tuple[int, int]]], batch: int = 2) -> None:
        self.logs = logs
        self.batch = batch
        self.plans: list[PlanRequest] = []
        self.acknowledged: list[tuple[int, JsonObject]] = []

    def plan(self, request: PlanRequest) -> Plan:
        self.plans.append(request)
        window = request.window
        splits = []
        for index, log in enumerate(self.logs):
            first = request.start["at"][index] if request.start else sum(t < window.start for t, _ in log)
            last = request.end["at"][index] if request.end else sum(t < window.end for t, _ in log)
            splits.append(Split(f"{index}", {"index": index, "first": first, "last": last}))
        return Plan(SCHEMA, tuple(splits))

    def read(self, split: Split) -> Iterator[RecordBatch]:
        log = self.logs[split.detail["index"]][split.detail["first"] : split.detail["last"]]
        for start in range(0, max(len(log), 1), self.batch):
            part = log[start : start + self.batch]
            rows = pa.RecordBatch.from_pylist([{"n": n} for _, n in part], schema=SCHEMA)
            yield RecordBatch(rows, {"at": split.detail["last"]}, len(part), 8 * len(part))

    def boundary(self, plan: Plan, ends: Mapping[str, JsonObject]) -> JsonObject:
        return {"at": [ends[split.id]["at"] for split in plan.splits]}

    def acknowledge(self, plan: Plan, window: Window, boundary: JsonObject) -> None:
        del plan
        self.acknowledged.append((window.end, boundary))


@dataclass
class ListWriter(Writer):
    """Keeps rows per window in ``visible``; ``prepared`` must be empty when nobody is writing."""

    visible: dict[str, list[Any]] = field(default_factory=dict)
    prepared: dict[str, list[Any]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    refuse: Callable[[Any], bool] = lambda _: False
    fail: Callable[[str], None] = lambda _: None
    error_list: list[Rejected] = field(default_factory=list)
    take: Callable[[pa.RecordBatch], list[Any]] = lambda rows: rows.column(0).to_pylist()
    output: Output | None = None
    opened: int = 0

    def begin(self, output: Output) -> None:
        self.fail("begin")
        self.output = output

    def open(self, split_id: str) -> SplitWriter:
        return _ListSplitWriter(self, split_id)

    def commit(self, receipts: Sequence[JsonObject], rejected: Sequence[Rejected] = ()) -> Committed:
        self.fail("commit")
        label = self.output.window.label if self.output.window else ""
        rows = [n for receipt in receipts for n in self.prepared[receipt["key"]]]
        self.abort(receipts)
        self.visible[label] = rows
        self.commits.append(label)
        self.error_list = list(rejected)
        return Committed((CommittedObject(label, 8 * len(rows), len(rows)),))

    def abort(self, receipts: Sequence[JsonObject]) -> None:
        for receipt in receipts:
            self.prepared.pop(receipt["key"], None)


class _ListSplitWriter(SplitWriter):
    def __init__(self, owner: ListWriter, split_id: str) -> None:
        self.owner = owner
        owner.opened += 1
        label = owner.output.window.label if owner.output.window else ""
        self.key = f"{label}/{split_id}/{owner.opened}"
        owner.prepared[self.key] = []

    def write(self, rows: pa.RecordBatch) -> Sequence[Rejected]:
        self.owner.fail("write")
        numbers = self.owner.take(rows)
        self.owner.prepared[self.key] += [n for n in numbers if not self.owner.refuse(n)]
        return [Rejected(f"n={n}", "refused") for n in numbers if self.owner.refuse(n)]

    def prepare(self) -> JsonObject:
        self.owner.fail("prepare")
        return {"key": self.key}

    def abort(self) -> None:
        self.owner.abort([{"key": self.key}])


def make_job(reader: Reader, writer: Writer, *, store=None, environment=None, **limits) -> Job:
    spec = JobSpec("job", Endpoint("log"), Endpoint("list"), Limits(**limits))
    environment = environment or Environment()
    return Job(spec, reader, writer, store or MemoryStore(), environment)
