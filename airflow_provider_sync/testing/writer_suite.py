"""What every writer must do, as tests to inherit.

:class:`WriterSuite` is for any writer; :class:`VisibleWriterSuite` adds what holds for targets that can be
looked into: nothing before the commit, everything after it, nothing left by a run that was killed anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_sync.engine.contract import Committed, Output, Writer
from airflow_provider_sync.engine.record import JsonObject, Rejected
from airflow_provider_sync.errors import CancelledError, SyncError
from airflow_provider_sync.spec.window import Window

__all__ = [
    "FIRST",
    "SCHEMA",
    "SECOND",
    "VisibleWriterBench",
    "VisibleWriterSuite",
    "WriterBench",
    "WriterSuite",
    "expected_rows",
    "prepare_all",
    "run",
    "sample",
]

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("at", pa.timestamp("ms", "UTC"))])
FIRST, SECOND = Window(1_795_200_000_000, 1_795_200_300_000), Window(1_795_200_300_000, 1_795_200_600_000)
_NAMES = ("plain", None, "null", "", 'qu"ote', "com,ma", "数据")
_BATCH = 40


class WriterBench(ABC):
    """Makes writers of one configuration."""

    splits: tuple[str, ...] = ("s-0", "s-1", "s-2")

    @abstractmethod
    def writer(self) -> Writer:
        """Return a new writer, as another process would build it; its environment must not really sleep."""

    @abstractmethod
    def cancelled_writer(self) -> Writer:
        """Return a writer whose environment says that somebody asked to stop."""


class VisibleWriterBench(WriterBench):
    """A writer's target with a side door that is none of the writer's code."""

    @abstractmethod
    def reset(self) -> None:
        """Empty the target."""

    @abstractmethod
    def visible(self) -> dict[str, bytes]:
        """Return everything that readers of the target can see, by name."""

    @abstractmethod
    def hidden(self) -> Sequence[str]:
        """Return what nobody sees but somebody pays for (unfinished uploads, temporary tables)."""

    @abstractmethod
    def rows(self, committed: Committed) -> list[tuple[Any, ...]]:
        """Read the committed rows back, in order, with a reader that is not the writer's."""

    @abstractmethod
    def fail(self, action: str, after: int, count: int) -> None:
        """Let the next ``after`` requests pass and fail ``count`` (-1: all) of those that follow.

        ``action`` is ``drop_before`` (nothing happens), ``lost_reply`` (it happens, without an answer) or
        ``error`` (the service says 500).
        """

    @abstractmethod
    def heal(self) -> None:
        """End all failures."""

    @abstractmethod
    def requests(self) -> int:
        """Return how many requests the target has seen since the reset."""


def sample(splits: Sequence[str], rows: int = 100, shift: int = 0) -> dict[str, list[pa.RecordBatch]]:
    """Return rows for every split, in batches; ``shift`` makes other rows."""
    batches: dict[str, list[pa.RecordBatch]] = {}
    for number, split in enumerate(splits):
        ids = [shift + number * rows + i for i in range(rows)]
        columns = [
            pa.array(ids, pa.int64()),
            pa.array([_NAMES[i % len(_NAMES)] for i in ids], pa.string()),
            pa.array([1_795_200_000_000 + i * 1000 for i in ids], pa.timestamp("ms", "UTC")),
        ]
        whole = pa.record_batch(columns, schema=SCHEMA)
        batches[split] = [whole.slice(start, _BATCH) for start in range(0, max(rows, 1), _BATCH)]
    return batches


def expected_rows(data: Mapping[str, Sequence[pa.RecordBatch]]) -> list[tuple[Any, ...]]:
    """Return the rows of all splits in order, as tuples."""
    return [
        tuple(row.values()) for batches in data.values() for batch in batches for row in batch.to_pylist()
    ]


def prepare_all(
    writer: Writer, output: Output, data: Mapping[str, Sequence[pa.RecordBatch]]
) -> list[JsonObject]:
    """Write all splits and return their receipts."""
    writer.begin(output)
    receipts = []
    for split in output.splits:
        opened = writer.open(split)
        for batch in data[split]:
            assert list(opened.write(batch)) == []
        receipts.append(opened.prepare())
    return receipts


def run(
    bench: WriterBench,
    window: Window | None,
    data: Mapping[str, Sequence[pa.RecordBatch]],
    job: str = "orders",
) -> Committed:
    """Write and commit one window with a writer of its own."""
    with bench.writer() as writer:
        receipts = prepare_all(writer, Output(job, SCHEMA, tuple(data), window), data)
        return writer.commit(receipts)


class WriterSuite:
    """Inherit, and override the fixture ``bench``."""

    @pytest.fixture
    def bench(self) -> WriterBench:
        """Return the bench of the writer under test."""
        raise NotImplementedError("override the fixture 'bench'")

    def test_a_commit_counts_every_row(self, bench: WriterBench) -> None:
        """The committed pieces hold all rows together."""
        committed = run(bench, FIRST, sample(bench.splits))
        assert sum(one.rows for one in committed.objects) == 100 * len(bench.splits)

    def test_a_commit_can_be_repeated(self, bench: WriterBench) -> None:
        """The same receipts again change nothing."""
        data = sample(bench.splits)
        with bench.writer() as writer:
            receipts = prepare_all(writer, Output("orders", SCHEMA, bench.splits, FIRST), data)
            assert writer.commit(receipts) == writer.commit(receipts)

    def test_begin_can_be_repeated_and_close_too(self, bench: WriterBench) -> None:
        """Both are harmless the second time."""
        writer = bench.writer()
        output = Output("orders", SCHEMA, bench.splits, FIRST)
        writer.begin(output)
        writer.begin(output)
        writer.close()
        writer.close()

    def test_abort_can_come_at_any_time_and_twice(self, bench: WriterBench) -> None:
        """Before the first row, between rows, after the last one."""
        data = sample(bench.splits)
        with bench.writer() as writer:
            writer.begin(Output("orders", SCHEMA, bench.splits, FIRST))
            for count, split in enumerate(bench.splits):
                opened = writer.open(split)
                for batch in data[split][:count]:
                    opened.write(batch)
                opened.abort()
                opened.abort()

    def test_a_stopped_job_writes_no_more(self, bench: WriterBench) -> None:
        """Somebody asked to stop: the next rows are refused."""
        data = sample(bench.splits)
        with bench.cancelled_writer() as writer:
            writer.begin(Output("orders", SCHEMA, bench.splits, FIRST))
            opened = writer.open(bench.splits[0])
            with pytest.raises(CancelledError):
                opened.write(data[bench.splits[0]][0])
            opened.abort()


class VisibleWriterSuite(WriterSuite):
    """Inherit, and override ``bench`` with a :class:`VisibleWriterBench` whose target is empty."""

    @pytest.fixture
    def bench(self) -> VisibleWriterBench:
        """Return the bench of the writer under test."""
        raise NotImplementedError("override the fixture 'bench'")

    def test_nothing_is_visible_before_the_commit(self, bench: VisibleWriterBench) -> None:
        """Prepared splits are durable, but nobody sees them."""
        data = sample(bench.splits)
        with bench.writer() as writer:
            prepare_all(writer, Output("orders", SCHEMA, bench.splits, FIRST), data)
            assert bench.visible() == {}

    def test_a_commit_shows_the_whole_window_in_order(self, bench: VisibleWriterBench) -> None:
        """What was written reads back, value for value."""
        data = sample(bench.splits)
        committed = run(bench, FIRST, data)
        assert bench.rows(committed) == expected_rows(data)
        assert {one.name for one in committed.objects} <= set(bench.visible())
        assert list(bench.hidden()) == []

    def test_abort_leaves_nothing(self, bench: VisibleWriterBench) -> None:
        """Neither to see nor to pay for."""
        data = sample(bench.splits)
        with bench.writer() as writer:
            receipts = prepare_all(writer, Output("orders", SCHEMA, bench.splits, FIRST), data)
            writer.abort(receipts)
        assert (bench.visible(), list(bench.hidden())) == ({}, [])

    def test_a_second_run_gives_the_same_bytes_under_the_same_names(self, bench: VisibleWriterBench) -> None:
        """As a retry, a clear and a backfill do."""
        data = sample(bench.splits)
        first = run(bench, FIRST, data)
        before = bench.visible()
        assert run(bench, FIRST, data) == first
        assert bench.visible() == before
        assert list(bench.hidden()) == []

    def test_names_do_not_depend_on_what_ran_before(self, bench: VisibleWriterBench) -> None:
        """An empty target and one that was used give the same names."""
        data = sample(bench.splits)
        names = [one.name for one in run(bench, FIRST, data).objects]
        bench.reset()
        assert [one.name for one in run(bench, FIRST, data).objects] == names

    def test_a_window_without_rows_is_committed_too(self, bench: VisibleWriterBench) -> None:
        """Readers can tell it from a window that never ran."""
        committed = run(bench, FIRST, sample(bench.splits, rows=0))
        assert sum(one.rows for one in committed.objects) == 0
        assert committed.manifest in bench.visible()
        assert run(bench, FIRST, sample(bench.splits, rows=0)) == committed

    def test_rejected_records_are_listed(self, bench: VisibleWriterBench) -> None:
        """In a list that a later run without any removes."""
        data = sample(bench.splits)
        with bench.writer() as writer:
            receipts = prepare_all(writer, Output("orders", SCHEMA, bench.splits, FIRST), data)
            committed = writer.commit(receipts, [Rejected("shard 7", "not a number", "amount", "x")])
        assert b"not a number" in bench.visible()[committed.error_list]
        assert run(bench, FIRST, data).error_list == ""
        assert committed.error_list not in bench.visible()

    @pytest.mark.parametrize("action", ["drop_before", "lost_reply", "error"])
    def test_one_failure_at_any_request_is_survived(self, bench: VisibleWriterBench, action: str) -> None:
        """A request that fails once is tried again, and nothing happens twice."""
        data = sample(bench.splits)
        committed, healthy, count = self._measured(bench, data)
        for request in range(count):
            bench.reset()
            bench.fail(action, request, 1)
            assert run(bench, FIRST, data) == committed, f"{action} at request {request}"
            assert bench.visible() == healthy, f"{action} at request {request}"
            assert list(bench.hidden()) == [], f"{action} at request {request}"

    @pytest.mark.parametrize("action", ["drop_before", "lost_reply"])
    def test_a_run_killed_at_any_request_is_healed_by_the_next(
        self, bench: VisibleWriterBench, action: str
    ) -> None:
        """A killed run aborts nothing; the same window from scratch ends in the same state."""
        data = sample(bench.splits)
        committed, healthy, count = self._measured(bench, data)
        for request in range(count):
            bench.reset()
            bench.fail(action, request, -1)
            with pytest.raises(SyncError):
                self._killed(bench, data)
            bench.heal()
            assert run(bench, FIRST, data) == committed, f"{action} at request {request}"
            assert bench.visible() == healthy, f"{action} at request {request}"
            assert list(bench.hidden()) == [], f"{action} at request {request}"

    def _measured(
        self, bench: VisibleWriterBench, data: Mapping[str, Sequence[pa.RecordBatch]]
    ) -> tuple[Committed, dict[str, bytes], int]:
        before = bench.requests()
        committed = run(bench, FIRST, data)
        count = bench.requests() - before
        return committed, bench.visible(), count

    @staticmethod
    def _killed(bench: VisibleWriterBench, data: Mapping[str, Sequence[pa.RecordBatch]]) -> None:
        with bench.writer() as writer:  # closing reaches nothing: every request fails by now
            writer.commit(prepare_all(writer, Output("orders", SCHEMA, tuple(data), FIRST), data))
