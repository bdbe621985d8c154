import json
import threading

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.engine.chain import Chain, due_windows, prune_boundaries, run_chain, watermark
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.job import (
    PlannedWindow,
    SplitResult,
    commit_window,
    copy_split,
    plan_window,
    run_window,
)
from airflow_provider_sync.errors import (
    CancelledError,
    CheckpointConflictError,
    ErrorLimitExceededError,
    TransientError,
)
from airflow_provider_sync.spec.window import Window
from tests.engine.parts import SCHEMA, ListWriter, LogReader, make_job

LOGS = [[(t, t) for t in range(0, 100, 2)], [(t, 1000 + t) for t in range(1, 100, 2)]]


def failing(*steps: str, error: Exception | None = None):
    """Fail at the steps named, one after the other, once each."""
    left = list(steps)

    def fail(step: str) -> None:
        if left and step == left[0]:
            left.pop(0)
            raise error or TransientError(f"broken at {step}")

    return fail


def test_a_window_holds_its_rows_in_split_order():
    writer = ListWriter()
    report = run_window(make_job(LogReader(LOGS), writer), Window(10, 16))
    assert list(writer.visible.values()) == [[10, 12, 14, 1011, 1013, 1015]]
    assert (report.tally.read, report.tally.written, report.splits) == (6, 6, 2)
    assert json.loads(json.dumps(report.to_json()))["window"]["from"] == "1970-01-01T00:00:00.010000+00:00"


@pytest.mark.parametrize("step", ["begin", "write", "prepare", "commit"])
def test_a_failure_at_any_step_leaves_nothing_visible_and_a_retry_completes(step):
    writer = ListWriter(fail=failing(step))
    job = make_job(LogReader(LOGS), writer, concurrent=2)
    with pytest.raises(TransientError, match=f"broken at {step}"):
        run_chain(job, Window(10, 16))
    assert writer.visible == {}
    assert watermark(job.store, "job") == 10  # it has begun, and is not over
    run_chain(job, Window(10, 16))
    assert list(writer.visible.values()) == [[10, 12, 14, 1011, 1013, 1015]]
    assert watermark(job.store, "job") == 16
    if step != "commit":
        assert writer.prepared == {}


def test_the_window_end_is_fixed_before_the_commit_and_not_the_watermark():
    writer = ListWriter(fail=failing("commit"))
    job = make_job(LogReader(LOGS), writer)
    with pytest.raises(TransientError):
        run_chain(job, Window(10, 16))
    assert watermark(job.store, "job") == 10
    assert job.store.load("job@16").state == {"at": [8, 8]}


def test_a_record_that_comes_late_belongs_to_the_next_window_for_good():
    logs = [[(11, 11)]]
    writer = ListWriter()
    job = make_job(LogReader(logs), writer)
    run_window(job, Window(10, 15))
    logs[0].append((12, 12))  # a clock that stepped back, after the window was read
    run_window(job, Window(15, 20))
    run_window(job, Window(10, 15))
    assert sorted(writer.visible.values()) == [[11], [12]]


def test_a_run_whose_end_was_fixed_by_another_reads_again_up_to_there():
    writer = ListWriter()
    reader = LogReader([[(11, 11), (12, 12)]])
    job = make_job(reader, writer)
    planned = plan_window(job, Window(10, 15))
    results = [copy_split(job, planned, split) for split in planned.plan.splits]
    job.store.save("job@15", {"at": [1]}, expect=0)
    with pytest.raises(TransientError, match="job@15: another run fixed the end"):
        commit_window(job, planned, results)
    assert (writer.visible, writer.prepared) == ({}, {})
    run_window(job, Window(10, 15))
    assert list(writer.visible.values()) == [[11]]


def test_steps_survive_the_way_through_json():
    writer = ListWriter()
    job = make_job(LogReader(LOGS), writer)
    planned = PlannedWindow.from_json(json.loads(json.dumps(plan_window(job, Window(10, 16)).to_json())))
    assert planned.plan.schema == SCHEMA
    results = [
        SplitResult.from_json(json.loads(json.dumps(copy_split(job, planned, split).to_json())))
        for split in planned.plan.splits
    ]
    commit_window(job, planned, results)
    assert list(writer.visible.values()) == [[10, 12, 14, 1011, 1013, 1015]]


def test_results_of_other_splits_are_not_committed():
    job = make_job(LogReader(LOGS), ListWriter())
    planned = plan_window(job, Window(10, 16))
    with pytest.raises(RuntimeError, match=r"results of \[\]"):
        commit_window(job, planned, [])


def test_the_source_hears_of_a_window_only_after_its_commit():
    reader = LogReader(LOGS)
    job = make_job(reader, ListWriter(fail=failing("commit")))
    with pytest.raises(TransientError):
        run_window(job, Window(10, 16))
    assert reader.acknowledged == []
    run_window(job, Window(10, 16))
    assert reader.acknowledged == [(16, {"at": [8, 8]})]


def test_one_bad_split_stops_the_others_and_leaves_nothing():
    writer = ListWriter(refuse=lambda n: n == 1011)
    with pytest.raises(ErrorLimitExceededError, match="1 rejected, 0 allowed; first: n=1011 record: refused"):
        run_window(make_job(LogReader(LOGS), writer, concurrent=2), Window(0, 100))
    assert (writer.visible, writer.prepared) == ({}, {})


def test_rejected_rows_within_the_limit_reach_the_error_list():
    writer = ListWriter(refuse=lambda n: n == 1011)
    report = run_window(make_job(LogReader(LOGS), writer, error_records=1), Window(10, 16))
    assert [one.where for one in writer.error_list] == ["n=1011"]
    assert (report.tally.read, report.tally.written, report.tally.rejected) == (6, 5, 1)


def test_the_error_ratio_is_checked_over_the_whole_window():
    writer = ListWriter(refuse=lambda n: n == 10)  # the very first row: 100 % of what was read by then
    job = make_job(LogReader(LOGS), writer, error_records=None, error_ratio=0.2)
    assert run_window(job, Window(10, 16)).tally.rejected == 1
    job = make_job(LogReader(LOGS), ListWriter(refuse=lambda n: n < 14), error_records=None, error_ratio=0.2)
    with pytest.raises(ErrorLimitExceededError, match=r"error_ratio: 2 of 6 rejected, 0\.2 allowed"):
        run_window(job, Window(10, 16))


def test_a_stopped_job_commits_nothing():
    stop = threading.Event()
    stop.set()
    writer = ListWriter()
    with pytest.raises(CancelledError):
        run_window(make_job(LogReader(LOGS), writer, environment=Environment(cancelled=stop)), Window(10, 16))
    assert (writer.visible, writer.prepared) == ({}, {})


def test_a_transform_may_change_rows_and_schema():
    def doubled(rows: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_pydict({"n": [2 * n for n in rows.column("n").to_pylist()]}, schema=SCHEMA)

    writer = ListWriter()
    job = make_job(LogReader(LOGS), writer)
    job = type(job)(**{**vars(job), "transform": doubled})
    run_window(job, Window(10, 13))
    assert list(writer.visible.values()) == [[20, 24, 2022]]


def test_a_failed_window_is_completed_by_the_next_run_on_its_own():
    writer = ListWriter()
    job = make_job(LogReader(LOGS), writer)
    run_chain(job, Window(0, 5))
    writer.fail = failing("commit", "commit")
    for own in (Window(5, 10), Window(10, 15)):
        with pytest.raises(TransientError):
            run_chain(job, own)
    assert watermark(job.store, "job") == 5
    reports = run_chain(job, Window(15, 20))
    assert [(r.window.start, r.window.end) for r in reports] == [(5, 10), (10, 15), (15, 20)]
    assert sorted(n for rows in writer.visible.values() for n in rows) == sorted(
        [*range(0, 20, 2), *range(1001, 1020, 2)]
    )
    assert watermark(job.store, "job") == 20


def test_the_very_first_window_is_completed_by_the_next_run_when_its_own_failed_for_good():
    writer = ListWriter()
    job = make_job(LogReader(LOGS), writer)
    writer.fail = failing("commit")
    with pytest.raises(TransientError):
        run_chain(job, Window(0, 5))
    reports = run_chain(job, Window(5, 10))
    assert [(r.window.start, r.window.end) for r in reports] == [(0, 5), (5, 10)]
    assert watermark(job.store, "job") == 10


def test_a_repeated_window_never_moves_the_watermark_back():
    job = make_job(LogReader(LOGS), ListWriter())
    run_chain(job, Window(0, 5))
    run_chain(job, Window(5, 10))
    run_chain(job, Window(0, 5))
    assert watermark(job.store, "job") == 10


def test_a_backfill_redoes_its_own_window_and_leaves_the_watermark():
    writer = ListWriter()
    job = make_job(LogReader(LOGS), writer)
    run_chain(job, Window(0, 5))
    run_chain(job, Window(20, 25), Chain(heal=False, advance=False))
    assert (watermark(job.store, "job"), len(writer.visible)) == (5, 2)


def test_a_gap_is_not_jumped_by_the_watermark():
    job = make_job(LogReader(LOGS), ListWriter())
    run_chain(job, Window(0, 5))
    run_chain(job, Window(20, 25), Chain(heal=False))
    assert watermark(job.store, "job") == 5


def test_the_slower_of_two_runs_stops_with_both_generations_named():
    writer = ListWriter()
    job = make_job(LogReader(LOGS), writer)
    run_chain(job, Window(0, 5))

    def overtaken(step: str) -> None:
        if step == "commit":
            writer.fail = lambda _: None
            run_chain(job, Window(5, 10))

    writer.fail = overtaken
    with pytest.raises(CheckpointConflictError, match=r"job.*(2.*3|3.*2)"):
        run_chain(job, Window(5, 10))
    assert watermark(job.store, "job") == 10


def test_old_boundaries_are_pruned():
    job = make_job(LogReader(LOGS), ListWriter())
    for start in range(0, 30, 5):
        run_chain(job, Window(start, start + 5))
    assert prune_boundaries(job.store, "job", 20) == 3
    assert sorted(job.store.keys("job@")) == ["job@20", "job@25", "job@30"]


def test_boundaries_of_a_month_ago_go_when_a_day_ends():
    day = 86_400_000
    job = make_job(LogReader([[]]), ListWriter())
    for end in (day, 2 * day, 32 * day, 33 * day):
        run_chain(job, Window(end - 5, end), Chain(heal=False))
        job.store.delete("job")  # as if the windows between had been run too
    assert sorted(job.store.keys("job@")) == [f"job@{n * day}" for n in (2, 32, 33)]


@given(st.integers(0, 1000), st.integers(1, 50), st.integers(1, 50), st.integers(1, 20))
def test_due_windows_tile_what_is_missing(mark, gap, own, width):
    windows = due_windows(mark, Window(mark + gap, mark + gap + own), width)
    edges = [mark, *[w.end for w in windows]]
    assert [w.start for w in windows] == edges[:-1]
    assert edges[-1] == mark + gap + own
    assert all(w.width <= width for w in windows[:-1])


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 9))
def test_windows_share_nothing_and_leave_nothing_out(times, width):
    times.sort()
    writer = ListWriter()
    job = make_job(LogReader([[(t * 1000, i) for i, t in enumerate(times)]]), writer)
    for window in Window(0, 61_000).split(width * 1000):
        run_chain(job, window)
    assert [n for label in sorted(writer.visible) for n in writer.visible[label]] == list(range(len(times)))
