from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.window import Window, to_millis

TEN = 1795168800000


def test_milliseconds_are_exact() -> None:
    assert to_millis(datetime(2026, 11, 20, 10, 0, tzinfo=UTC)) == TEN
    assert to_millis(datetime(2026, 11, 20, 18, 0, tzinfo=timezone(timedelta(hours=8)))) == TEN
    assert to_millis(datetime(2026, 11, 20, 10, 0, 0, 1999, tzinfo=UTC)) == TEN + 1
    assert to_millis(datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)) == -1


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="without a time zone"):
        to_millis(datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize(("start", "end"), [(TEN, TEN), (TEN + 1, TEN)])
def test_a_window_must_have_a_width(start: int, end: int) -> None:
    with pytest.raises(ConfigError, match="start must be before end"):
        Window(start, end)


def test_a_window_shows_its_times() -> None:
    window = Window.between(datetime(2026, 11, 20, 10, tzinfo=UTC), datetime(2026, 11, 20, 10, 5, tzinfo=UTC))
    assert window == Window(TEN, TEN + 300_000)
    assert window.width == 300_000
    assert window.start_time == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert window.end_time == datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
    assert window.label == "20261120T100000Z_20261120T100500Z"
    assert Window(TEN + 1, TEN + 300_000).label == "20261120T100000001Z_20261120T100500Z"
    assert str(window) == "[2026-11-20T10:00:00+00:00, 2026-11-20T10:05:00+00:00)"
    assert window.to_json() == {"start": TEN, "end": TEN + 300_000}


@given(st.integers(0, 10**12), st.integers(1, 10**7), st.integers(1, 10**6))
def test_parts_tile_the_window(start: int, width: int, part: int) -> None:
    part = max(part, width // 200 + 1)
    parts = list(Window(start, start + width).split(part))
    assert parts[0].start == start
    assert parts[-1].end == start + width
    assert all(left.end == right.start for left, right in itertools.pairwise(parts))
    assert all(one.width == part for one in parts[:-1])
    assert parts[-1].width <= part


@given(st.lists(st.integers(946684800000, 4102444800000), min_size=2, max_size=2, unique=True))
def test_labels_of_second_aligned_windows_sort_by_time(starts: list[int]) -> None:
    early, late = (Window(moment // 1000 * 1000, moment // 1000 * 1000 + 1000) for moment in sorted(starts))
    assert early.label <= late.label


def test_airflows_own_times_are_as_good_as_pythons() -> None:
    moment = pendulum.datetime(2026, 11, 20, 18, 5, 0, 123456, tz="Asia/Shanghai")
    assert to_millis(moment) == to_millis(datetime(2026, 11, 20, 10, 5, 0, 123456, tzinfo=UTC))
