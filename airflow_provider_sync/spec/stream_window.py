"""The window that an ``otsstream`` job file asks for, in one of DataX's three forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.parameters import time_zone
from airflow_provider_sync.spec.window import Window, to_millis

__all__ = ["WINDOW_KEYS", "window_from_parameters"]

_PAIRS = (("startTimestampMillis", "endTimestampMillis"), ("startTimeString", "endTimeString"))
_DATE = "date"
WINDOW_KEYS = frozenset({key for pair in _PAIRS for key in pair} | {_DATE})
"""The parameters that say which window to read; they are no parameters of the reader itself."""

_MILLIS = re.compile(r"[0-9]{13}")
_CLOCK = re.compile(r"[0-9]{14}")
_DAY = re.compile(r"[0-9]{8}")


def window_from_parameters(
    parameter: Mapping[str, Any], timezone: str, path: str = "reader.parameter"
) -> Window | None:
    """Return the window of an ``otsstream`` job's parameters, None when they name none.

    Exactly one of these, both ends given (an empty text counts as absent):

    * ``startTimestampMillis`` and ``endTimestampMillis``: milliseconds since the Unix epoch, or
      ``yyyyMMddHHmmss``, because the documented schedule puts ``$[yyyymmddhh24miss-10/24/60]`` there. The number
      of digits tells: 13 are milliseconds (the years 2001 to 2286), 14 are a clock time (as milliseconds they
      would lie after 2286).
    * ``startTimeString`` and ``endTimeString``: ``yyyyMMddHHmmss``.
    * ``date``: ``yyyyMMdd``, from that midnight to the next. DataX adds 24 hours instead, which leaves gaps or
      overlaps on the days that clocks change.

    Clock times are in ``timezone`` (DataX: the default zone of whatever machine runs it). One that the zone
    has twice or not at all, when clocks change, is refused.
    """
    given = {key: value for key in sorted(WINDOW_KEYS) if (value := parameter.get(key)) not in (None, "")}
    if not given:
        return None
    forms = [pair for pair in _PAIRS if given.keys() & set(pair)]
    if len(forms) + (_DATE in given) != 1:
        raise ConfigError(
            path,
            reason=f"the window is given more than once: {', '.join(given)}",
            allowed="a start and an end, or a date",
            cure="remove all but one form",
        )
    zone = time_zone(timezone)
    if not forms:
        return _day(given[_DATE], zone, f"{path}.{_DATE}")
    start_key, end_key = forms[0]
    for key in forms[0]:
        if key not in given:
            raise ConfigError(f"{path}.{key}", reason="missing", cure="a window needs its start and its end")
    parse = _millis_or_clock if forms[0] is _PAIRS[0] else _clock
    start = parse(given[start_key], zone, f"{path}.{start_key}")
    end = parse(given[end_key], zone, f"{path}.{end_key}")
    if start >= end:
        raise ConfigError(
            f"{path}.{end_key}",
            given[end_key],
            reason=f"not after {start_key} {given[start_key]!r}",
            cure="swap or widen the window",
        )
    return Window(start, end)


def _millis_or_clock(value: Any, zone: ZoneInfo, path: str) -> int:
    text = _digits(value)
    if _MILLIS.fullmatch(text):
        return int(text)
    if _CLOCK.fullmatch(text):
        return _clock(text, zone, path)
    raise ConfigError(
        path, value, allowed="13 digits (milliseconds since 1970) or 14 digits (yyyyMMddHHmmss)"
    )


def _clock(value: Any, zone: ZoneInfo, path: str) -> int:
    text = _digits(value)
    if not _CLOCK.fullmatch(text):
        raise ConfigError(path, value, allowed="14 digits: yyyyMMddHHmmss")
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ConfigError(path, value, reason="no such time", allowed="yyyyMMddHHmmss") from None
    return _in_zone(moment, zone, value, path)


def _day(value: Any, zone: ZoneInfo, path: str) -> Window:
    text = _digits(value)
    if not _DAY.fullmatch(text):
        raise ConfigError(path, value, allowed="8 digits: yyyyMMdd")
    try:
        midnight = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - the zone follows
        next_midnight = midnight + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ConfigError(path, value, reason="no such day", allowed="yyyyMMdd") from None
    return Window(_in_zone(midnight, zone, value, path), _in_zone(next_midnight, zone, value, path))


def _digits(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _in_zone(clock: datetime, zone: ZoneInfo, value: Any, path: str) -> int:
    early, late = (to_millis(clock.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if early != late:
        # Where clocks go forward the first reading lies after the second; where they go back it is the other way.
        reason = (
            f"clocks change then in {zone.key}, and that time is there {'twice' if early < late else 'never'}"
        )
        raise ConfigError(path, value, reason=reason, cure="give it as milliseconds since 1970")
    return early
