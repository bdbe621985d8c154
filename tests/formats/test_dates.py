"""Date patterns judged by Python's datetime."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.dates import DateStyle

MOMENT = datetime(2026, 3, 9, 4, 5, 6, 78_901, tzinfo=UTC)


def render(style: DateStyle, *values: object, kind: pa.DataType | None = None) -> list[str | None]:
    result: list[str | None] = style.render(pa.array(values, kind or pa.timestamp("us", "UTC"))).to_pylist()
    return result


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd HH:mm:ss", "2026-03-09 04:05:06"),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2026-03-09 04:05:06.078"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2026-03-09T04:05:06.078901Z"),
        ("yyyyMMddHHmmss", "20260309040506"),
        ("d.M.yy H:m:s", "9.3.26 4:5:6"),
        ("E, dd MMM yyyy hh:mm a", "Mon, 09 Mar 2026 04:05 AM"),
        ("EEEE MMMM d h 'o''clock' Z", "Monday March 9 4 o'clock +0000"),
        ("''yyyy年", "'2026年"),
        ("X XX XXX", "Z Z Z"),
    ],
)
def test_patterns_mean_what_java_means(pattern: str, text: str) -> None:
    assert render(DateStyle(pattern), MOMENT, None) == [text, None]


def test_the_zone_moves_timestamps_but_not_naive_values_and_dates() -> None:
    style = DateStyle("yyyy-MM-dd HH:mm XXX", "Asia/Shanghai")
    assert render(style, MOMENT) == ["2026-03-09 12:05 +08:00"]
    assert render(style, MOMENT.replace(tzinfo=None), kind=pa.timestamp("ms")) == ["2026-03-09 04:05 Z"]
    assert render(DateStyle("yyyy-MM-dd HH", "Asia/Shanghai"), date(2026, 3, 9), kind=pa.date32()) == [
        "2026-03-09 00"
    ]


@pytest.mark.parametrize("zone", ["+05:30", "GMT+5:30", "UTC+0530"])
def test_fixed_offsets_are_zones(zone: str) -> None:
    assert render(DateStyle("HH:mm XXX", zone), MOMENT) == ["09:35 +05:30"]


def test_offsets_follow_daylight_saving() -> None:
    style = DateStyle("HH:mm Z", "Europe/Berlin")
    winter, summer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    assert render(style, winter, summer) == ["01:00 +0100", "02:00 +0200"]


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - made aware below
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "-03:00"]),
    st.sampled_from(["s", "ms", "us"]),
)
def test_any_moment_agrees_with_pythons_datetime(moment: datetime, name: str, unit: str) -> None:
    zone = timezone(timedelta(hours=-3)) if name == "-03:00" else ZoneInfo(name)
    moment = moment.replace(tzinfo=UTC)
    if unit != "us":
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000 if unit == "ms" else 0)
    local = moment.astimezone(zone)
    if local.utcoffset() is not None and local.utcoffset().total_seconds() % 60:  # type: ignore[union-attr]
        return  # local mean time of long ago: offsets of whole minutes cannot show it
    kind = pa.timestamp(unit, "UTC")
    expected = local.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    expected = f"{local.year:04d}{expected[expected.index('-') :]}"
    assert render(DateStyle("yyyy-MM-dd HH:mm:ss.SSSSSS", name), moment, kind=kind) == [expected]
    assert render(DateStyle("yyyy-MM-dd HH:mm:ss", name), moment, kind=kind) == [expected[:19]]
    assert render(DateStyle("d HH.mm", name), moment, kind=kind) == [f"{local.day} {local:%H.%M}"]


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd'T", "YYYY", "ww", "SSSS", "yyyyy"])
def test_unknown_letters_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="dateFormat"):
        DateStyle(pattern)


@pytest.mark.parametrize("zone", ["Mars/Base", "+8 hours", "../UTC", ""])
def test_unknown_zones_are_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match="timezone"):
        DateStyle(timezone=zone)
