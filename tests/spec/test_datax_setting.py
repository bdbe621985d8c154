from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.datax_setting import channels_from_core, limits_from_setting
from airflow_provider_sync.spec.job import Limits

MB = 1_048_576


@pytest.mark.parametrize(
    ("speed", "limits"),
    [
        ({}, (1, None, None)),
        ({"concurrent": "3"}, (3, None, None)),
        ({"channel": 5}, (5, None, None)),
        ({"concurrent": 3, "channel": 5}, (3, None, None)),
        ({"concurrent": "", "channel": 5.0}, (5, None, None)),
        ({"mbps": "1"}, (1, MB, None)),
        ({"mbps": 0.5}, (1, MB // 2, None)),
        ({"mbps": "10", "throttle": "true"}, (1, 10 * MB, None)),
        ({"mbps": "10", "throttle": False}, (1, None, None)),
        ({"throttle": False}, (1, None, None)),
        ({"mbps": "-1"}, (1, None, None)),
        ({"byte": 1000, "record": "20"}, (1, 1000, 20)),
        ({"byte": 0, "record": -1}, (1, None, None)),
        ({"byte": 1000, "mbps": 1}, (1, 1000, None)),
        ({"byte": 1000, "mbps": 1, "throttle": False}, (1, 1000, None)),
    ],
)
def test_speed_becomes_limits(speed: dict[str, Any], limits: tuple[int, int | None, int | None]) -> None:
    got = limits_from_setting({"speed": speed, "errorLimit": {"record": 0}}, "setting", [])
    assert got == Limits(
        concurrent=limits[0], bytes_per_second=limits[1], records_per_second=limits[2], error_records=0
    )


@pytest.mark.parametrize(
    ("setting", "records", "ratio", "notes"),
    [
        ({"errorLimit": {"record": "0"}}, 0, None, 0),
        ({"errorLimit": {"record": 7}}, 7, None, 0),
        ({"errorLimit": {"percentage": "0.02"}}, None, 0.02, 0),
        ({"errorLimit": {"record": "", "percentage": 1}}, None, 1.0, 0),
        ({"errorLimit": {"record": 1, "percentage": 0.02}}, 1, None, 1),
        ({"errorLimit": {"record": ""}}, None, None, 1),
        ({"errorLimit": {}}, None, None, 1),
        ({}, None, None, 1),
    ],
)
def test_the_error_limit_is_datax_own(
    setting: dict[str, Any], records: int | None, ratio: float | None, notes: int
) -> None:
    found: list[str] = []
    limits = limits_from_setting(setting, "setting", found)
    assert (limits.error_records, limits.error_ratio) == (records, ratio)
    assert len(found) == notes


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"speed": {"concurrent": 0}}, r"^s\.speed\.concurrent: got 0; allowed: 1 or more"),
        ({"speed": {"channel": -1}}, r"^s\.speed\.channel: got -1"),
        ({"speed": {"channel": "many"}}, r"^s\.speed\.channel: got 'many'; allowed: an integer"),
        ({"speed": {"channel": 1.5}}, r"^s\.speed\.channel: got 1\.5; allowed: an integer"),
        ({"speed": {"channel": True}}, r"^s\.speed\.channel: got True"),
        ({"speed": {"mbps": "fast"}}, r"^s\.speed\.mbps: got 'fast'; allowed: a number"),
        ({"speed": {"mbps": "nan"}}, r"^s\.speed\.mbps: "),
        ({"speed": {"mbps": "inf"}}, r"^s\.speed\.mbps: "),
        ({"speed": {"throttle": True}}, r"^s\.speed\.mbps: missing"),
        ({"speed": {"throttle": "yes"}}, r"^s\.speed\.throttle: got 'yes'; allowed: true or false"),
        ({"speed": []}, r"^s\.speed: list instead of an object"),
        ({"speed": {"bytes": 1}}, r"^s\.speed\.bytes: unknown key; allowed: byte, channel, concurrent"),
        (
            {"errorLimit": {"records": 1}},
            r"^s\.errorLimit\.records: unknown key; allowed: percentage, record",
        ),
        ({"errorLimit": {"record": -1}}, r"^s\.errorLimit\.record: got -1"),
        ({"errorLimit": {"percentage": 2}}, r"^s\.errorLimit\.percentage: got 2; allowed: 0 to 1"),
        ({"errorlimit": {}}, r"^s\.errorlimit: unknown key; allowed: errorLimit, "),
        ({"dryRun": True}, r"^s\.dryRun: unknown key"),
    ],
)
def test_other_settings_are_refused_by_path(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        limits_from_setting(setting, "s", [])


@pytest.mark.parametrize(
    ("speed", "core", "channels"),
    [
        ({"byte": 10_485_760}, {"byte": MB}, 10),
        ({"byte": 10_485_760, "record": "3000"}, {"byte": MB, "record": 1000}, 3),
        ({"byte": 100}, {"byte": MB}, 1),
        ({"record": 3000}, {"record": 1000, "byte": -1}, 3),
        ({"byte": 0}, {"byte": MB}, None),
        ({}, {"byte": MB}, None),
        ({"byte": MB}, {}, None),
    ],
)
def test_channels_follow_from_limits_per_job_and_per_channel(
    speed: dict[str, Any], core: dict[str, Any], channels: int | None
) -> None:
    whole = {"transport": {"channel": {"speed": core}}}
    assert channels_from_core({"speed": speed}, whole, "core", []) == channels


def test_channels_from_core_win_over_the_channel_setting() -> None:
    assert limits_from_setting({"speed": {"channel": 9}}, "s", [], channels=2).concurrent == 2
