"""What DataX and DataWorks say about speed and errors, as :class:`Limits`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.job import Limits

__all__ = ["channels_from_core", "limits_from_setting"]

_MEGABYTE = 1024 * 1024
_HOSTED = {"jvmOption", "executeMode", "extend", "locale"}
_SPEED = {"concurrent", "channel", "byte", "record", "throttle", "mbps", "dmu"}


def limits_from_setting(
    setting: Mapping[str, Any], path: str, notes: list[str], *, channels: int | None = None
) -> Limits:
    """Return the limits in a ``setting`` object; ``path`` names it in errors, ``notes`` takes what is ignored.

    Numbers may be texts. ``speed.concurrent`` (DataWorks) or ``speed.channel`` (DataX) is how many splits run
    at once; ``channels`` wins over both, as in DataX. ``speed.byte`` and ``speed.record`` per second, and
    ``speed.mbps`` (1 is 1,048,576 bytes per second; not with ``throttle: false``), bound the whole job; zero
    and less are no limit. ``errorLimit.record`` is how many records may be rejected: empty or absent is any
    number; ``errorLimit.percentage`` (0 to 1) counts only without it.
    """
    for key in setting:
        if key in _HOSTED:
            notes.append(f"{path}.{key}: a setting of the hosted service, ignored")
        elif key not in {"speed", "errorLimit"}:
            allowed = ", ".join(sorted({"speed", "errorLimit"} | _HOSTED))
            raise ConfigError(f"{path}.{key}", reason="unknown key", allowed=allowed)
    speed = _object(setting, "speed", path, _SPEED)
    if "dmu" in speed:
        notes.append(f"{path}.speed.dmu: a resource of the hosted service, ignored")
    concurrent = channels
    for key in ("concurrent", "channel"):
        value = _number(speed, key, f"{path}.speed", integer=True)
        if value is not None and value < 1:
            raise ConfigError(f"{path}.speed.{key}", speed[key], allowed="1 or more")
        if value is not None and concurrent is None:
            concurrent = int(value)
    errors, ratio = _error_limit(setting, path, notes)
    return Limits(
        concurrent=concurrent or 1,
        bytes_per_second=_bytes_per_second(speed, f"{path}.speed", notes),
        records_per_second=_positive(_number(speed, "record", f"{path}.speed", integer=True)),
        error_records=errors,
        error_ratio=ratio,
    )


def channels_from_core(
    setting: Mapping[str, Any], core: Mapping[str, Any], path: str, notes: list[str]
) -> int | None:
    """Return how many channels DataX would run for limits given both per job and per channel, None without.

    It divides ``job.setting.speed.byte`` by ``core.transport.channel.speed.byte``, likewise for ``record``,
    and takes the smaller (at least 1). The rest of ``core`` tunes DataX's own machinery: noted and ignored.
    """
    inner: Any = core
    for key in ("transport", "channel", "speed"):
        others = sorted(set(inner) - {key})
        notes.extend(f"{path}.{other}: tunes DataX itself, ignored" for other in others)
        if key not in inner:
            return None
        inner = inner[key]
        path = f"{path}.{key}"
        if not isinstance(inner, Mapping):
            raise ConfigError(path, reason=f"{type(inner).__name__} instead of an object")
    speed = setting.get("speed")
    if not isinstance(speed, Mapping):
        return None
    counts = []
    for key in ("byte", "record"):
        each = _positive(_number(inner, key, path, integer=True))
        whole = _positive(_number(speed, key, "job.setting.speed", integer=True))
        if each is not None and whole is not None:
            counts.append(max(1, whole // each))
        elif each is not None:
            notes.append(f"{path}.{key}: a limit per channel without one for the job, ignored")
    return min(counts, default=None)


def _bytes_per_second(speed: Mapping[str, Any], path: str, notes: list[str]) -> int | None:
    byte = _positive(_number(speed, "byte", path, integer=True))
    throttle = _flag(speed, "throttle", path)
    mbps = _number(speed, "mbps", path)
    if throttle is False:
        if mbps is not None:
            notes.append(f"{path}.mbps: ignored, because throttle is false")
        return byte
    if throttle and mbps is None:
        raise ConfigError(f"{path}.mbps", reason="missing", cure="give a limit, or set throttle to false")
    from_mbps = _positive(None if mbps is None else mbps * _MEGABYTE)
    both = [limit for limit in (byte, from_mbps) if limit is not None]
    return min(both, default=None)


def _error_limit(setting: Mapping[str, Any], path: str, notes: list[str]) -> tuple[int | None, float | None]:
    limit = _object(setting, "errorLimit", path, {"record", "percentage"})
    path = f"{path}.errorLimit"
    record = _number(limit, "record", path, integer=True)
    percentage = _number(limit, "percentage", path)
    if percentage is not None and not 0 <= percentage <= 1:
        raise ConfigError(f"{path}.percentage", limit["percentage"], allowed="0 to 1")
    if record is not None and record < 0:
        raise ConfigError(f"{path}.record", limit["record"], allowed="0 or more, or empty for any number")
    if record is None and percentage is None:
        notes.append(f"{path}: none, so that any number of rejected records is let through, as in DataX")
    if record is not None and percentage is not None:
        notes.append(f"{path}.percentage: ignored, because record is given, as in DataX")
        percentage = None
    return (None if record is None else int(record)), (None if percentage is None else float(percentage))


def _object(parent: Mapping[str, Any], key: str, path: str, known: set[str]) -> Mapping[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}.{key}", reason=f"{type(value).__name__} instead of an object")
    for name in value:
        if name not in known:
            raise ConfigError(f"{path}.{key}.{name}", reason="unknown key", allowed=", ".join(sorted(known)))
    return value


def _number(parent: Mapping[str, Any], key: str, path: str, *, integer: bool = False) -> float | None:
    value = parent.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    allowed = "an integer" if integer else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{path}.{key}", value, allowed=allowed)
    try:
        return int(value) if integer and isinstance(value, str) else _finite(value, integer=integer)
    except (ValueError, OverflowError):
        raise ConfigError(f"{path}.{key}", value, allowed=allowed) from None


def _finite(value: float | str, *, integer: bool) -> float:
    number = value if isinstance(value, int) else float(value)
    if not math.isfinite(number) or (integer and number != int(number)):
        raise ValueError
    return int(number) if integer else number


def _positive(value: float | None) -> int | None:
    return int(value) if value is not None and value > 0 else None


def _flag(parent: Mapping[str, Any], key: str, path: str) -> bool | None:
    value = parent.get(key)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ConfigError(f"{path}.{key}", value, allowed="true or false")
