from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._window import RunWindow, resolve_window, windows_before
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

FIVE = timedelta(minutes=5)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-20T{text}+00:00")


def window(start: str, end: str) -> Window:
    return Window.between(moment(start), moment(end))


def context(
    *,
    kind: str = "scheduled",
    interval: tuple[str, str] | None = None,
    run_after: str = "10:13:42",
    conf: dict[str, Any] | None = None,
    timetable: Any = None,
) -> Any:
    made: dict[str, Any] = {
        "dag_run": SimpleNamespace(run_type=kind, run_after=moment(run_after), conf=conf or {}),
        "dag": SimpleNamespace(timetable=timetable),
        "params": {},
    }
    if interval:
        made |= {
            "data_interval_start": pendulum.instance(moment(interval[0])),
            "data_interval_end": pendulum.instance(moment(interval[1])),
        }
    return made


def resolve(made: Any, *, width: timedelta = FIVE, lag: timedelta = FIVE, zone: str = "UTC") -> RunWindow:
    return resolve_window(made, width=width, lag=lag, timezone=ZoneInfo(zone))


def test_the_data_interval_is_the_window() -> None:
    run = resolve(context(interval=("10:00:00", "10:05:00"), timetable=SafetyLagTimetable()))
    assert run == RunWindow(window("10:00:00", "10:05:00"), moment("10:10:00"))


def test_an_interval_of_another_timetable_ends_at_its_tick() -> None:
    run = resolve(context(interval=("10:05:00", "10:10:00")))
    assert run == RunWindow(window("10:05:00", "10:10:00"), moment("10:10:00"))


def test_an_empty_interval_of_a_plain_cron_is_no_window() -> None:
    run = resolve(context(interval=("10:10:00", "10:10:00"), run_after="10:10:00"))
    assert run == RunWindow(window("10:00:00", "10:05:00"), moment("10:10:00"))


def test_a_run_without_interval_gets_the_last_window_before_it() -> None:
    run = resolve(context(kind="manual"))
    assert run == RunWindow(window("10:00:00", "10:05:00"), moment("10:10:00"), manual=True)


def test_a_run_without_interval_asks_the_timetable_first() -> None:
    run = resolve(context(kind="manual", timetable=SafetyLagTimetable("0 * * * *", lag=timedelta(minutes=7))))
    assert run == RunWindow(window("08:53:00", "09:53:00"), moment("10:00:00"), manual=True)


def test_a_backfill_does_its_own_window_only() -> None:
    run = resolve(context(kind="backfill", interval=("10:00:00", "10:05:00"), timetable=SafetyLagTimetable()))
    assert run.own_only
    assert not run.named


@pytest.mark.parametrize(
    ("start", "end", "zone"),
    [
        ("2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z", "UTC"),
        ("2026-11-20T16:00:00", "2026-11-20T17:00:00", "Asia/Shanghai"),
        ("20261120160000", "20261120170000", "Asia/Shanghai"),
        (1795161600000, "1795165200000", "UTC"),
    ],
)
def test_a_named_window_wins(start: Any, end: Any, zone: str) -> None:
    made = context(conf={"start": start, "end": end}, interval=("10:00:00", "10:05:00"))
    run = resolve(made, zone=zone)
    assert run.window == window("08:00:00", "09:00:00")
    assert run.tick == moment("09:05:00")
    assert run.named
    assert run.own_only


def test_params_of_the_dag_name_a_window_too() -> None:
    made = context()
    made["params"] = {"start": "2026-11-20T08:00:00Z", "end": "2026-11-20T09:00:00Z"}
    assert resolve(made).window == window("08:00:00", "09:00:00")


@pytest.mark.parametrize(
    ("conf", "field"),
    [
        ({"start": "2026-11-20T08:00:00Z"}, "conf.end"),
        ({"end": "2026-11-20T08:00:00Z"}, "conf.start"),
        ({"start": "yesterday", "end": "2026-11-20T08:00:00Z"}, "conf.start"),
        ({"start": "2026-11-20T08:00:00Z", "end": "2026-11-20T08:00:00Z"}, "window"),
    ],
)
def test_a_named_window_that_is_none_is_refused(conf: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(context(conf=conf))
    assert caught.value.field == field


def test_open_windows_come_before_the_own_one() -> None:
    own = window("10:10:00", "10:15:00")
    mark = window("09:00:00", "10:03:00").end
    assert windows_before(context(), own, mark, FIVE) == [
        window("10:03:00", "10:08:00"),
        window("10:08:00", "10:10:00"),
        own,
    ]
    assert windows_before(context(timetable=SafetyLagTimetable()), own, mark, FIVE) == [
        window("10:03:00", "10:05:00"),
        window("10:05:00", "10:10:00"),
        own,
    ]


@pytest.mark.parametrize("mark", [None, "10:10:00", "10:15:00", "11:00:00"])
def test_without_a_gap_there_is_only_the_own_window(mark: str | None) -> None:
    own = window("10:10:00", "10:15:00")
    millis = None if mark is None else int(moment(mark).timestamp() * 1000)
    assert windows_before(context(), own, millis, FIVE) == [own]


def test_the_tick_of_an_earlier_window_is_as_far_behind() -> None:
    run = RunWindow(window("10:00:00", "10:05:00"), moment("10:10:00"))
    assert run.tick_of(window("09:50:00", "09:55:00")) == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
