"""Scheduling parameters as DataWorks writes them: names, date expressions, and the window they make.

========================================  =====================================================================
``${name}``, ``$name``                    the value of a parameter; ``$name`` stays as it is if nobody gave one
``${bdp.system.cyctime}``, ``${cyctime}``  the run's time, ``yyyymmddhh24miss``
``${bdp.system.bizdate}``, ``${bizdate}``  the day before the run's, ``yyyymmdd``
``${gmtdate}``                            the run's day, ``yyyymmdd``
``$[yyyymmddhh24miss-10/24/60]``          the run's time less 10/24/60 days (10 minutes), in that format
``$[add_months(yyyymmdd,-1)]``            the run's time less one month
``${yyyymmdd-1}``                         the day before the run's (bizdate), less one more day
``${yyyymm-1}``, ``${yyyy-1}``            its month less one month, its year less one year
========================================  =====================================================================

A format is made of ``yyyy mm dd hh24 mi ss`` and the separators ``- / : . _`` and blank; ``${…}`` knows dates
only. An offset is a number of days: a product or quotient of integers. These forms are the documented ones;
any other is refused, not guessed at. Whole days and months move the calendar (a month's end stays in its
month: 31 March less one month is 28 or 29 February), parts of days are elapsed time; the two differ only where
clocks change. Everything is evaluated in the time zone of the given moment, never in the machine's.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_sync.errors import ConfigError

__all__ = ["evaluate_parameters", "substitute", "time_zone"]

_FIELD = "yyyy|mm|dd|hh24|mi|ss"
_FORMAT = rf"(?:(?:{_FIELD})|[-/:._ ])*(?:{_FIELD})"
_TERM = r"[+-]\s*\d{1,9}(?:\s*[*/]\s*\d{1,9})*"
_OFFSET_FORM = re.compile(rf"\s*(?P<format>{_FORMAT})\s*(?P<offset>{_TERM})?\s*")
_MONTHS_FORM = re.compile(
    rf"\s*add_months\(\s*(?P<format>{_FORMAT})\s*,\s*(?P<months>[+-]?\s*\d{{1,5}}(?:\s*\*\s*\d{{1,5}})*)\s*\)\s*"
)
_REFERENCE = re.compile(r"\$\{(?P<name>[^{}]*)\}|\$\[(?P<expression>[^\[\]]*)\]|\$(?P<bare>[A-Za-z_]\w*)")
_ALLOWED = (
    "$[yyyymmddhh24miss-10/24/60] (days), $[add_months(yyyymmdd,-1)], ${yyyymmdd-1}, ${yyyymm-1}, ${yyyy-1}, "
    "with yyyy mm dd hh24 mi ss and the separators - / : . _ and blank"
)
_BUILT_IN = ("bdp.system.bizdate", "bdp.system.cyctime", "bizdate", "cyctime", "gmtdate")


def time_zone(name: str, path: str = "timezone") -> ZoneInfo:
    """Return the IANA time zone ``name``; ``path`` names the field in :class:`ConfigError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            path, name, reason="unknown time zone", allowed="IANA names such as 'UTC' or 'Asia/Shanghai'"
        ) from None


def evaluate_parameters(parameters: Mapping[str, Any], moment: datetime | None) -> dict[str, str]:
    """Return the parameters of a schedule (``start_time = $[yyyymmddhh24miss-10/24/60]``) with their values.

    ``moment`` is the run's time, aware and in the job's time zone; None is enough if no value needs it.
    Values may hold built-in names and date expressions, not other parameters.
    """
    values = {}
    for name, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigError(f"parameters.{name}", value, allowed="a text or an integer")
        values[name] = _substitute_text(str(value), {}, moment, f"parameters.{name}")
    return values


def substitute(data: Any, values: Mapping[str, str], moment: datetime | None, path: str = "") -> Any:
    """Return a copy of JSON ``data`` in which every text has its references replaced.

    ``values`` are evaluated parameters and win over built-in names; they are inserted as they are, not looked
    at again. An unknown ``${name}`` is a :class:`ConfigError` that names the field's path (under ``path``)
    and the known names.
    """
    if isinstance(data, str):
        return _substitute_text(data, values, moment, path)
    if isinstance(data, Mapping):
        prefix = f"{path}." if path else ""
        return {key: substitute(value, values, moment, f"{prefix}{key}") for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [substitute(value, values, moment, f"{path}[{i}]") for i, value in enumerate(data)]
    return data


def _substitute_text(text: str, values: Mapping[str, str], moment: datetime | None, path: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match["expression"] is not None:
            return _run_expression(match["expression"], _needed(moment, path, match[0]), path)
        bare = match["bare"]
        name = bare if bare is not None else match["name"].strip()
        if name in values:
            return values[name]
        if name in _BUILT_IN:
            return _built_in(name, _needed(moment, path, match[0]))
        if bare is not None:
            return match[0]
        if (form := _OFFSET_FORM.fullmatch(name)) is not None:
            return _business_expression(form, _needed(moment, path, match[0]), path)
        raise ConfigError(
            path,
            reason=f"unknown parameter ${{{name}}}",
            allowed=_listed([*values, *_BUILT_IN]),
            cure="give it a value in the job's parameters",
        )

    return _REFERENCE.sub(replace, text)


def _needed(moment: datetime | None, path: str, reference: str) -> datetime:
    if moment is None:
        raise ConfigError(path, reason=f"{reference} needs the time of the run, and this run has none")
    if moment.tzinfo is None:
        raise ConfigError("moment", moment.isoformat(), reason="a time without a time zone")
    return moment


def _built_in(name: str, moment: datetime) -> str:
    if name.endswith("bizdate"):
        return _format("yyyymmdd", _plus_days(moment, -1))
    return _format("yyyymmdd" if name == "gmtdate" else "yyyymmddhh24miss", moment)


def _run_expression(text: str, moment: datetime, path: str) -> str:
    shown = f"$[{text}]"
    if (form := _MONTHS_FORM.fullmatch(text)) is not None:
        months = _number(form["months"], shown, path)
        return _format(form["format"], _moved(_plus_months, moment, int(months), shown, path))
    if (form := _OFFSET_FORM.fullmatch(text)) is None:
        raise ConfigError(path, shown, reason="not a date expression", allowed=_ALLOWED)
    if form["offset"] is None:
        return _format(form["format"], moment)
    if set(re.findall(_FIELD, form["format"])) <= {"yyyy", "mm"}:
        # An offset is in days, which nobody means here; the documented form for months is add_months.
        cure = f"write $[add_months({form['format']},n)]"
        raise ConfigError(path, shown, reason="an offset in days on a format without days", cure=cure)
    days = _number(form["offset"], shown, path)
    return _format(form["format"], _moved(_plus_days, moment, days, shown, path))


def _business_expression(form: re.Match[str], moment: datetime, path: str) -> str:
    shown = f"${{{form[0]}}}"
    used = set(re.findall(_FIELD, form["format"]))
    if not used <= {"yyyy", "mm", "dd"}:
        cure = f"for the time of the run write $[{form[0]}]"
        raise ConfigError(path, shown, reason="${…} expressions know dates only", cure=cure)
    day = _plus_days(moment, -1)
    if form["offset"] is None:
        return _format(form["format"], day)
    number = _number(form["offset"], shown, path)
    if number.denominator != 1:
        raise ConfigError(path, shown, allowed="a whole number of days, months or years")
    if "dd" in used:
        return _format(form["format"], _moved(_plus_days, day, number, shown, path))
    months = int(number) * (1 if "mm" in used else 12)
    return _format(form["format"], _moved(_plus_months, day, months, shown, path))


def _number(text: str, shown: str, path: str) -> Fraction:
    parts = re.findall(r"[+\-*/]|\d+", text)
    sign = -1 if parts[0] == "-" else 1
    if parts[0] in "+-":
        parts = parts[1:]
    number = Fraction(sign * int(parts[0]))
    for operator, operand in zip(parts[1::2], parts[2::2], strict=True):
        if operator == "*":
            number *= int(operand)
        elif int(operand) == 0:
            raise ConfigError(path, shown, reason="division by zero")
        else:
            number /= int(operand)
    return number


def _moved(move: Any, moment: datetime, by: Any, shown: str, path: str) -> datetime:
    try:
        moved: datetime = move(moment, by)
    except (OverflowError, ValueError) as error:
        raise ConfigError(path, shown, reason=str(error), allowed="a result in the years 1 to 9999") from None
    return moved


def _plus_days(moment: datetime, days: Fraction | int) -> datetime:
    if Fraction(days).denominator == 1:
        return moment + timedelta(days=int(days))  # aware arithmetic in one zone is calendar arithmetic
    seconds = Fraction(days) * 86_400
    if seconds.denominator != 1:
        raise ValueError("the offset is not a whole number of seconds")
    return (moment.astimezone(UTC) + timedelta(seconds=int(seconds))).astimezone(moment.tzinfo)


def _plus_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= years <= 9999:  # noqa: PLR2004 - the calendar's own range
        raise OverflowError("date value out of range")
    last = calendar.monthrange(years, month + 1)[1]
    return moment.replace(year=years, month=month + 1, day=min(moment.day, last), fold=0)


def _format(pattern: str, moment: datetime) -> str:
    parts = {
        "yyyy": f"{moment.year:04d}",
        "mm": f"{moment.month:02d}",
        "dd": f"{moment.day:02d}",
        "hh24": f"{moment.hour:02d}",
        "mi": f"{moment.minute:02d}",
        "ss": f"{moment.second:02d}",
    }
    return re.sub(_FIELD, lambda match: parts[match[0]], pattern)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"${{{name}}}" for name in sorted(set(names)))
