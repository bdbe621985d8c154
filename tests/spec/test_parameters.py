from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.parameters import evaluate_parameters, substitute, time_zone

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
MOMENT = datetime(2026, 3, 31, 0, 5, 7, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$[yyyymmddhh24miss-10/24/60]", "20260330235507"),
        ("$[yyyymmddhh24miss-5/24/60]", "20260331000007"),
        ("$[yyyymmddhh24miss]", "20260331000507"),
        ("$[hh24miss]", "000507"),
        ("$[hh24miss-1/24]", "230507"),
        ("$[hh24-1/24]", "23"),
        ("$[yyyymmdd]", "20260331"),
        ("$[yyyymmdd-1]", "20260330"),
        ("$[yyyymmdd-7*2]", "20260317"),
        ("$[yyyymmdd+1]", "20260401"),
        ("$[yyyy-mm-dd]", "2026-03-31"),
        ("$[yyyy-mm-dd-1]", "2026-03-30"),
        ("$[yyyy-mm-dd hh24:mi:ss - 1/24]", "2026-03-30 23:05:07"),
        ("$[yyyy/mm/dd]", "2026/03/31"),
        ("$[ss]", "07"),
        ("$[yyyymmddhh24miss-1/86400]", "20260331000506"),
        ("$[add_months(yyyymmdd,-1)]", "20260228"),
        ("$[add_months(yyyymmdd, 12*-1)]", None),
        ("$[add_months(yyyymmdd,-12*2)]", "20240331"),
        ("$[add_months(yyyymm,11)]", "202702"),
        ("$[add_months(yyyymmdd,-25)]", "20240229"),
        ("${bdp.system.bizdate}", "20260330"),
        ("${bdp.system.cyctime}", "20260331000507"),
        ("${bizdate}", "20260330"),
        ("$bizdate", "20260330"),
        ("$cyctime", "20260331000507"),
        ("${gmtdate}", "20260331"),
        ("${yyyymmdd}", "20260330"),
        ("${yyyymmdd-1}", "20260329"),
        ("${yyyymmdd+7*1}", "20260406"),
        ("${yyyy-mm-dd}", "2026-03-30"),
        ("${yyyymm-1}", "202602"),
        ("${yyyy-1}", "2025"),
        ("${yyyy+1}", "2027"),
        ("ds=$[yyyymmdd]/hour=$[hh24]", "ds=20260331/hour=00"),
        ("plain text, 5 $ and $unknown", "plain text, 5 $ and $unknown"),
        ("", ""),
    ],
)
def test_expressions_have_the_documented_values(text: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(ConfigError):
            evaluate_parameters({"x": text}, MOMENT)
    else:
        assert evaluate_parameters({"x": text}, MOMENT) == {"x": value}


@pytest.mark.parametrize(
    "text",
    [
        "$[yyyyMMdd]",
        "$[yymmdd]",
        "$[hh:mi]",
        "$[]",
        "$[-1]",
        "$[yyyymmdd-1-1]",
        "$[yyyymmdd-1.5]",
        "$[yyyymmdd*2]",
        "$[yyyymmdd-n]",
        "$[yyyymm-1]",
        "$[yyyymmddhh24miss-1/7]",
        "$[yyyymmdd-1/0]",
        "$[yyyymmdd-999999999]",
        "$[add_months(yyyymmdd)]",
        "$[add_months(yyyymmdd,-1/2)]",
        "$[add_months(yyyymmdd,99999*9)]",
        "$[add_months(yyyymmdd,-1)-1]",
        "$[last_day(yyyymmdd)]",
        "${hh24miss}",
        "${yyyymmddhh24-1/24}",
        "${yyyymmdd-1/2}",
        "${bdp.system.unknown}",
        "${}",
    ],
)
def test_other_expressions_are_refused_with_the_fields_path(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^writer\.object: "):
        substitute({"writer": {"object": text}}, {}, MOMENT)


_SECONDS = st.integers(min_value=-(10**7), max_value=10**7)
_MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1))  # noqa: DTZ001


@given(_MOMENTS, _SECONDS)
def test_offsets_in_seconds_are_elapsed_time(moment: datetime, seconds: int) -> None:
    base = moment.replace(microsecond=0, tzinfo=UTC).astimezone(NEW_YORK)
    text = f"$[yyyymmddhh24miss{seconds:+d}/24/3600]"
    if seconds % 86_400:
        expected = (base.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(NEW_YORK)
        assert evaluate_parameters({"x": text}, base)["x"] == f"{expected:%Y%m%d%H%M%S}"


@given(_MOMENTS, st.integers(min_value=-5000, max_value=5000))
def test_whole_days_keep_the_time_of_day(moment: datetime, days: int) -> None:
    base = moment.replace(microsecond=0, tzinfo=NEW_YORK)
    expected = moment + timedelta(days=days)
    assert evaluate_parameters({"x": f"$[yyyymmddhh24miss{days:+d}]"}, base) == {
        "x": f"{expected:%Y%m%d%H%M%S}"
    }


@given(_MOMENTS, st.integers(min_value=-300, max_value=300))
def test_months_move_the_calendar_and_stay_in_their_month(moment: datetime, months: int) -> None:
    value = evaluate_parameters({"x": f"$[add_months(yyyymmdd,{months})]"}, moment.replace(tzinfo=SHANGHAI))[
        "x"
    ]
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:])
    assert (year - moment.year) * 12 + month - moment.month == months
    assert day <= moment.day
    after = datetime(year, month, day) + timedelta(days=1)  # noqa: DTZ001
    assert day == moment.day or after.month != month


def test_a_name_is_replaced_by_its_value_wherever_a_text_is() -> None:
    data = {"a": "${x}-${x}", "b": [{"c": "$x!"}, 1, None, True, 1.5], "${x}": "kept key"}
    assert substitute(data, {"x": "v"}, None) == {
        "a": "v-v",
        "b": [{"c": "v!"}, 1, None, True, 1.5],
        "${x}": "kept key",
    }


def test_a_value_is_not_looked_at_again() -> None:
    assert substitute("${x}", {"x": "${y} $[yyyy]"}, MOMENT) == "${y} $[yyyy]"


def test_a_given_parameter_wins_over_a_built_in_name() -> None:
    assert substitute("${bizdate} $bizdate", {"bizdate": "mine"}, MOMENT) == "mine mine"


def test_an_unknown_name_is_refused_with_path_and_known_names() -> None:
    with pytest.raises(ConfigError) as caught:
        substitute({"steps": [{"parameter": {"object": "${dat}"}}]}, {"date": "1", "start": "2"}, MOMENT)
    text = str(caught.value)
    assert text.startswith("steps[0].parameter.object: unknown parameter ${dat}; allowed: ")
    assert "${date}" in text
    assert "${start}" in text
    assert "${bdp.system.bizdate}" in text


def test_the_time_zone_of_the_moment_decides() -> None:
    moment = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
    assert evaluate_parameters({"x": "$[yyyymmddhh24]"}, moment) == {"x": "2026112018"}
    assert evaluate_parameters({"x": "$[yyyymmddhh24]"}, moment.astimezone(SHANGHAI)) == {"x": "2026112102"}
    assert evaluate_parameters({"x": "$bizdate"}, moment.astimezone(SHANGHAI)) == {"x": "20261120"}


def test_minutes_before_a_clock_change_are_elapsed_minutes() -> None:
    moment = datetime(2026, 3, 8, 3, 5, tzinfo=NEW_YORK)  # the hour from 02:00 is missing that night
    assert evaluate_parameters({"x": "$[yyyymmddhh24mi-10/24/60]"}, moment) == {"x": "202603080155"}


@pytest.mark.parametrize("text", ["$[yyyymmdd]", "${bizdate}", "$cyctime", "${yyyymmdd-1}"])
def test_an_expression_without_a_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^parameters\.x: .* needs the time of the run"):
        evaluate_parameters({"x": text}, None)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="without a time zone"):
        evaluate_parameters({"x": "$[yyyy]"}, datetime(2026, 1, 1))  # noqa: DTZ001


def test_integers_are_values_and_other_things_are_not() -> None:
    assert evaluate_parameters({"x": 1795211863415}, None) == {"x": "1795211863415"}
    for value in (True, None, 1.5, ["a"]):
        with pytest.raises(ConfigError, match=r"^parameters\.x: "):
            evaluate_parameters({"x": value}, None)


@pytest.mark.parametrize("name", ["Mars/Phobos", "", "../etc/passwd", "Asia/Shanghai\x00", "UTC+8"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^timezone: unknown time zone, got .*Asia/Shanghai"):
        time_zone(name)
