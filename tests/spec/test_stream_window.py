from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.stream_window import window_from_parameters
from airflow_provider_sync.spec.window import Window

# 2026-11-20 10:00 UTC = 18:00 in Shanghai
TEN = 1795168800000
FIVE_MINUTES = 300_000


@pytest.mark.parametrize(
    ("parameter", "timezone"),
    [
        ({"startTimestampMillis": TEN, "endTimestampMillis": TEN + FIVE_MINUTES}, "Asia/Shanghai"),
        ({"startTimestampMillis": "1795168800000", "endTimestampMillis": " 1795169100000 "}, "America/New_York"),
        ({"startTimestampMillis": "20261120180000", "endTimestampMillis": "20261120180500"}, "Asia/Shanghai"),
        ({"startTimestampMillis": 20261120180000, "endTimestampMillis": "20261120180500"}, "Asia/Shanghai"),
        ({"startTimestampMillis": "20261120100000", "endTimestampMillis": "20261120100500"}, "UTC"),
        ({"startTimestampMillis": TEN, "endTimestampMillis": "20261120180500"}, "Asia/Shanghai"),
        ({"startTimeString": "20261120180000", "endTimeString": "20261120180500"}, "Asia/Shanghai"),
        ({"startTimeString": "20261120050000", "endTimeString": "20261120050500"}, "America/New_York"),
        (
            {"startTimeString": "20261120100000", "endTimeString": "20261120100500", "date": "",
             "startTimestampMillis": "", "endTimestampMillis": None},
            "UTC",
        ),
    ],
)  # fmt: skip
def test_every_form_of_a_window_is_read(parameter: dict[str, Any], timezone: str) -> None:
    assert window_from_parameters(parameter, timezone) == Window(TEN, TEN + FIVE_MINUTES)


def test_a_date_is_the_day_in_its_zone() -> None:
    # 2026-11-20 00:00 in Shanghai is 2026-11-19 16:00 UTC.
    assert window_from_parameters({"date": "20261120"}, "Asia/Shanghai") == Window(
        1795104000000, 1795190400000
    )


def test_days_tile_when_clocks_change() -> None:
    # New York: 2026-03-08 has 23 hours, 2026-11-01 has 25.
    for days, hours in (
        (("20260307", "20260308", "20260309"), 23),
        (("20261031", "20261101", "20261102"), 25),
    ):
        before, changed, after = (window_from_parameters({"date": day}, "America/New_York") for day in days)
        assert before is not None
        assert changed is not None
        assert after is not None
        assert (before.end, changed.end) == (changed.start, after.start)
        assert changed.width == hours * 3_600_000


@pytest.mark.parametrize("parameter", [{}, {"dataTable": "t"}, {"date": "", "startTimestampMillis": ""}])
def test_no_window_is_none(parameter: dict[str, Any]) -> None:
    assert window_from_parameters(parameter, "UTC") is None


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"startTimestampMillis": TEN}, r"^p\.endTimestampMillis: missing"),
        ({"endTimestampMillis": TEN, "startTimestampMillis": ""}, r"^p\.startTimestampMillis: missing"),
        ({"startTimeString": "20261120180000"}, r"^p\.endTimeString: missing"),
        (
            {"startTimestampMillis": TEN, "endTimestampMillis": TEN, "date": "20261120"},
            r"^p: the window is given more than once: date, endTimestampMillis, startTimestampMillis;",
        ),
        (
            {"startTimestampMillis": TEN, "endTimeString": "20261120180000"},
            r"^p: the window is given more than once",
        ),
        ({"startTimestampMillis": TEN, "endTimestampMillis": TEN}, r"^p\.endTimestampMillis: not after"),
        ({"startTimestampMillis": TEN, "endTimestampMillis": TEN - 1}, r"^p\.endTimestampMillis: not after"),
        (
            {"startTimestampMillis": 1795168800, "endTimestampMillis": TEN},
            r"^p\.startTimestampMillis: .*13 digits",
        ),
        ({"startTimestampMillis": "${start_time}", "endTimestampMillis": TEN}, r"^p\.startTimestampMillis: "),
        ({"startTimestampMillis": True, "endTimestampMillis": TEN}, r"^p\.startTimestampMillis: "),
        ({"startTimestampMillis": 1.5, "endTimestampMillis": TEN}, r"^p\.startTimestampMillis: "),
        ({"startTimestampMillis": "-795168800000", "endTimestampMillis": TEN}, r"^p\.startTimestampMillis: "),
        ({"startTimestampMillis": "１７９５１６８８０００００", "endTimestampMillis": TEN}, r"^p\.startT"),  # noqa: RUF001
        ({"startTimestampMillis": "20261320180000", "endTimestampMillis": TEN}, r"no such time"),
        ({"startTimeString": "20260229000000", "endTimeString": "20260301000000"}, r"no such time"),
        (
            {"startTimeString": "1795168800000", "endTimeString": "20260301000000"},
            r"^p\.startTimeString: .*14 digits",
        ),
        ({"date": "yyyyMMdd"}, r"^p\.date: got 'yyyyMMdd'; allowed: 8 digits"),
        ({"date": "20260229"}, r"^p\.date: no such day"),
        ({"date": "99991231"}, r"^p\.date: no such day"),
        ({"date": "2026-11-20"}, r"^p\.date: "),
    ],
)
def test_other_windows_are_refused_with_the_path(parameter: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        window_from_parameters(parameter, "Asia/Shanghai", "p")


@pytest.mark.parametrize(
    ("clock", "reason"), [("20261101013000", "there twice"), ("20260308023000", "there never")]
)
def test_a_clock_time_that_is_not_one_moment_is_refused(clock: str, reason: str) -> None:
    parameter = {"startTimeString": clock, "endTimeString": "20261201000000"}
    with pytest.raises(
        ConfigError, match=rf"startTimeString: clocks change then in America/New_York.*{reason}"
    ):
        window_from_parameters(parameter, "America/New_York")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^timezone: unknown time zone"):
        window_from_parameters({"date": "20261120"}, "Peking")
