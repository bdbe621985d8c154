from __future__ import annotations

import itertools
from datetime import timedelta

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from hypothesis import given, settings
from hypothesis import strategies as st
from pendulum import DateTime

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable


def at(text: str) -> DateTime:
    moment = pendulum.parse(text)
    assert isinstance(moment, DateTime)
    return moment


def runs(
    timetable: SafetyLagTimetable, start: DateTime, count: int, *, latest: DateTime | None = None
) -> list[DagRunInfo]:
    restriction = TimeRestriction(earliest=start, latest=latest, catchup=True)
    found: list[DagRunInfo] = []
    last: DataInterval | None = None
    while len(found) < count:
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if info is None:
            break
        found.append(info)
        last = info.data_interval
    return found


def test_the_run_at_ten_past_ten_has_the_window_from_ten_to_five_past() -> None:
    (info,) = runs(SafetyLagTimetable(), at("2026-11-20T10:00:00Z"), 1)
    assert info.run_after == at("2026-11-20T10:10:00Z")
    assert info.data_interval == DataInterval(at("2026-11-20T10:00:00Z"), at("2026-11-20T10:05:00Z"))
    assert info.logical_date == at("2026-11-20T10:00:00Z")


def test_runs_follow_each_other_tick_by_tick() -> None:
    found = runs(SafetyLagTimetable(lag=timedelta(minutes=7)), at("2026-11-20T10:01:00Z"), 3)
    assert [info.run_after.minute for info in found] == [15, 20, 25]
    assert [info.data_interval.start.minute for info in found] == [3, 8, 13]


def test_the_first_window_never_starts_before_the_start_date() -> None:
    """Airflow creates no task for a run whose logical date lies before it: the run would succeed for nothing."""
    start = at("2026-11-20T10:00:00Z")
    for width in (None, timedelta(hours=1)):
        found = runs(SafetyLagTimetable(width=width), start, 3)
        assert [info.logical_date >= start for info in found] == [True] * 3
    assert found[0].data_interval.start == start


def test_an_explicit_width_is_kept() -> None:
    (info,) = runs(SafetyLagTimetable(width=timedelta(hours=1)), at("2026-11-20T09:05:00Z"), 1)
    assert info.data_interval == DataInterval(at("2026-11-20T09:05:00Z"), at("2026-11-20T10:05:00Z"))


def test_no_run_after_the_end_date() -> None:
    found = runs(SafetyLagTimetable(), at("2026-11-20T10:00:00Z"), 10, latest=at("2026-11-20T10:07:00Z"))
    assert [info.data_interval.start.minute for info in found] == [0, 5]


def test_without_catchup_only_the_last_tick_is_run() -> None:
    timetable = SafetyLagTimetable()
    info = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval(at("2020-01-01T00:00:00Z"), at("2020-01-01T00:05:00Z")),
        restriction=TimeRestriction(earliest=at("2020-01-01T00:00:00Z"), latest=None, catchup=False),
    )
    assert info is not None
    age = pendulum.now("UTC") - info.run_after
    assert timedelta(0) <= age < timedelta(minutes=5, seconds=5)


def test_a_manual_run_gets_the_last_window_that_was_due() -> None:
    interval = SafetyLagTimetable().infer_manual_data_interval(run_after=at("2026-11-20T10:13:42Z"))
    assert interval == DataInterval(at("2026-11-20T10:00:00Z"), at("2026-11-20T10:05:00Z"))


def test_it_survives_airflows_own_serialization() -> None:
    timetable = SafetyLagTimetable(
        "0 */2 * * *", timezone="Asia/Shanghai", lag=timedelta(seconds=90), width=timedelta(hours=2)
    )
    again = decode_timetable(encode_timetable(timetable))
    assert isinstance(again, SafetyLagTimetable)
    assert again.serialize() == {
        "cron": "0 */2 * * *",
        "timezone": "Asia/Shanghai",
        "lag": 90.0,
        "width": 7200.0,
    }
    start = at("2026-11-20T00:00:00Z")
    assert runs(again, start, 5) == runs(timetable, start, 5)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"lag": timedelta(seconds=-1)}, "timetable.lag"), ({"width": timedelta(0)}, "timetable.width")],
)
def test_what_makes_no_window_is_refused(arguments: dict[str, timedelta], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SafetyLagTimetable(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"], ids=["spring", "autumn"])
@pytest.mark.parametrize("cron", ["*/5 * * * *", "30 2 * * *", "0 * * * *", "15 */6 * * *"])
def test_windows_tile_through_the_nights_when_clocks_change(day: str, cron: str) -> None:
    timetable = SafetyLagTimetable(cron, timezone="Europe/Berlin")
    found = runs(timetable, at(f"{day}T00:00:00Z").subtract(days=2), 40)
    for before, after in itertools.pairwise(found):
        assert before.data_interval.end == after.data_interval.start


CRONS = st.sampled_from(
    ["*/5 * * * *", "*/7 * * * *", "3,17,42 * * * *", "0 */3 * * *", "30 1 * * *", "30 2 * * *", "0 0 1 * *"]
)
ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])


@settings(max_examples=150, deadline=None)
@given(
    cron=CRONS,
    zone=ZONES,
    lag=st.integers(0, 3 * 3600),
    start=st.datetimes(min_value=pendulum.naive(2024, 1, 1), max_value=pendulum.naive(2028, 1, 1)),
)
def test_windows_always_tile_and_lie_behind_their_tick(
    cron: str, zone: str, lag: int, start: DateTime
) -> None:
    timetable = SafetyLagTimetable(cron, timezone=zone, lag=timedelta(seconds=lag))
    found = runs(timetable, pendulum.instance(start, tz="UTC"), 12)
    for info in found:
        assert info.data_interval.start < info.data_interval.end == info.run_after - timedelta(seconds=lag)
    for before, after in itertools.pairwise(found):
        assert before.data_interval.end == after.data_interval.start


@settings(max_examples=60, deadline=None)
@given(cron=CRONS, zone=ZONES, lag=st.integers(0, 7200), gap=st.integers(0, 11))
def test_open_windows_are_the_ones_the_schedule_made(cron: str, zone: str, lag: int, gap: int) -> None:
    timetable = SafetyLagTimetable(cron, timezone=zone, lag=timedelta(seconds=lag))
    intervals = [info.data_interval for info in runs(timetable, at("2026-03-27T00:00:00Z"), 12)]
    own = intervals[-1]
    assert timetable.windows_between(intervals[gap].start, own.end) == intervals[gap:]


def test_a_window_that_is_half_done_is_cut_off() -> None:
    timetable = SafetyLagTimetable()
    found = timetable.windows_between(at("2026-11-20T09:58:00Z"), at("2026-11-20T10:05:00Z"))
    assert found == [
        DataInterval(at("2026-11-20T09:58:00Z"), at("2026-11-20T10:00:00Z")),
        DataInterval(at("2026-11-20T10:00:00Z"), at("2026-11-20T10:05:00Z")),
    ]


def test_a_backfill_of_an_hour_creates_the_twelve_windows_of_that_hour() -> None:
    dag = DAG("backfilled", schedule=SafetyLagTimetable(), start_date=at("2026-01-01T00:00:00Z"))
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    infos = list(again.iter_dagrun_infos_between(at("2026-11-20T10:00:00Z"), at("2026-11-20T10:55:00Z")))
    assert [info.data_interval.start.minute for info in infos] == list(range(0, 60, 5))
    assert infos[0].run_after == at("2026-11-20T10:10:00Z")
    assert infos[-1].data_interval.end == at("2026-11-20T11:00:00Z")
