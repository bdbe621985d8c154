"""Timestamps to text by a Java ``SimpleDateFormat`` pattern and a time zone, a column at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sync.errors import ConfigError

__all__ = ["DEFAULT_PATTERN", "DateStyle"]

DEFAULT_PATTERN = "yyyy-MM-dd HH:mm:ss"
_FIXED_ZONE = re.compile(r"^(?:GMT|UTC)?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?$")
_TOKENS = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+")
_FIRST, _LAST = -62_167_219_200, 253_402_300_799  # years 0000 to 9999, in seconds since the Unix epoch
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_SECONDS_A_DAY, _QUARTER = 86_400, 900
_CHANGES = 1 << 40  # stands for "not the same all day"
_EARLIEST, _LATEST = -62_135_510_400, 253_402_214_399  # a day inside what datetime can hold
_UTC = {"UTC", "Etc/UTC", "GMT", "Z"}

# Where a field of fixed width stands in "2026-01-02 03:04:05.123456".
_SLICES = {
    "yyyy": (0, 4),
    "yy": (2, 4),
    "MM": (5, 7),
    "dd": (8, 10),
    "HH": (11, 13),
    "mm": (14, 16),
    "ss": (17, 19),
    "SSS": (20, 23),
    "SSSSSS": (20, 26),
}
_MONTH_NAMES = "January February March April May June July August September October November December"
_DAY_NAMES = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_MONTHS, _DAYS = _MONTH_NAMES.split(), _DAY_NAMES.split()
_ALLOWED = "yyyy yy MM M MMM MMMM dd d HH H hh h mm m ss s SSS SSSSSS a E EEEE Z X XX XXX and 'quoted text'"
_Part = Callable[[pa.Array, pa.Array], pa.Array]


@dataclass(frozen=True)
class DateStyle:
    """How points in time are written.

    Letters mean what they mean in Java's ``SimpleDateFormat`` (English names), except that ``SSSSSS`` is
    microseconds, as in newer Java, and not milliseconds with zeros in front. Digits below the pattern's
    smallest unit are cut off, never rounded. ``timezone`` is a zone of the tz database or an offset
    (``+08:00``, ``GMT+8``). Values without a zone (naive timestamps, dates) are written as they stand.
    """

    pattern: str = DEFAULT_PATTERN
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        for token in self._tokens:
            if _is_field(token) and token not in _SLICES and token not in _PARTS:
                raise ConfigError("writer.parameter.dateFormat", self.pattern, allowed=_ALLOWED)
        if self.pattern.count("'") % 2:
            raise ConfigError("writer.parameter.dateFormat", self.pattern, reason="a quote is not closed")
        if self._fixed_offset is None:
            try:
                ZoneInfo(self.timezone)
            except (ValueError, OSError, LookupError):
                raise ConfigError(
                    "writer.parameter.timezone",
                    self.timezone,
                    allowed="a zone such as 'Asia/Shanghai' or an offset such as '+08:00'",
                ) from None

    @cached_property
    def alphabet(self) -> frozenset[str] | None:
        """Every character that can occur in the text; None where names of months and days may."""
        if any(token in _PARTS and token not in _NUMERIC_PARTS for token in self._tokens):
            return None
        literal = "".join(_unquoted(token) for token in self._tokens if token not in _SLICES)
        return frozenset(f"0123456789+-:Z{literal}")

    def render(self, column: pa.Array) -> pa.StringArray:
        """Write timestamps or dates; nulls stay null. Values must be in range (see :meth:`refused`)."""
        seconds, fraction = self._local(column)
        iso = pa.array(seconds).cast(pa.timestamp("s"))
        if self.pattern == DEFAULT_PATTERN:
            text = iso.cast(pa.string())
        elif all(token in _SLICES or not _is_field(token) for token in self._tokens):
            text = self._render_fixed(iso, fraction)
        else:
            text = self._render_parts(iso, fraction, column)
        return (
            text
            if column.null_count == 0
            else pc.if_else(column.is_valid(), text, pa.scalar(None, pa.string()))
        )

    def refused(self, column: pa.Array) -> pa.BooleanArray | None:
        """Return a mask of the values whose year is not 0000 to 9999, None if there are none."""
        seconds, _ = self._local(column)
        if len(seconds) == 0 or (seconds.min() >= _FIRST and seconds.max() <= _LAST):
            return None
        return pa.array((seconds < _FIRST) | (seconds > _LAST))

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return tuple(match[0] for match in _TOKENS.finditer(self.pattern))

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def _days(self) -> dict[int, int]:
        return {}

    @cached_property
    def _fixed_offset(self) -> int | None:
        if self.timezone in _UTC:
            return 0
        match = _FIXED_ZONE.match(self.timezone)
        if match is None:
            return None
        seconds = int(match["hours"]) * 3600 + int(match["minutes"] or 0) * 60
        return -seconds if match["sign"] == "-" else seconds

    def _local(self, column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Wall clock as whole seconds since 1970 and microseconds; nulls are 0."""
        kind = column.type
        if pa.types.is_date(kind):
            days = column.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
            seconds = days.astype(np.int64) * _SECONDS_A_DAY
            return seconds, np.zeros(len(seconds), np.int64)
        scale = _PER_SECOND[kind.unit]
        ticks = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        seconds = np.floor_divide(ticks, scale)
        fraction = (ticks - seconds * scale) * 1_000_000 // scale
        return (seconds if kind.tz is None else seconds + self._shift(seconds)), fraction

    def _shift(self, seconds: np.ndarray) -> np.ndarray | int:
        """Seconds east of UTC at these moments: one lookup per day, or per quarter hour where a day has two.

        Python's zones are asked and not Arrow's, which forget daylight saving after 2037.
        """
        if self._fixed_offset is not None:
            return self._fixed_offset
        days, place = np.unique(np.floor_divide(seconds, _SECONDS_A_DAY), return_inverse=True)
        shift = np.array([self._shift_of_day(int(day)) for day in days], np.int64)[place]
        changing = shift == _CHANGES
        if changing.any():
            quarters, place = np.unique(np.floor_divide(seconds[changing], _QUARTER), return_inverse=True)
            shift[changing] = np.array([self._shift_at(int(one) * _QUARTER) for one in quarters], np.int64)[
                place
            ]
        return shift

    def _shift_of_day(self, day: int) -> int:
        if day not in self._days:
            first, last = (self._shift_at(day * _SECONDS_A_DAY + at) for at in (0, _SECONDS_A_DAY - 1))
            self._days[day] = first if first == last else _CHANGES
        return self._days[day]

    def _shift_at(self, seconds: int) -> int:
        moment = datetime.fromtimestamp(min(max(seconds, _EARLIEST), _LATEST), UTC)
        offset = moment.astimezone(self._zone).utcoffset()
        return 0 if offset is None else offset // timedelta(seconds=1)

    def _render_fixed(self, iso: pa.Array, fraction: np.ndarray) -> pa.StringArray:
        digits = _digits(iso, fraction)
        pieces: list[np.ndarray] = []
        for token in self._tokens:
            if token in _SLICES:
                start, end = _SLICES[token]
                pieces.append(digits[:, start:end])
            else:
                literal = np.frombuffer(_unquoted(token).encode(), np.uint8)
                pieces.append(np.broadcast_to(literal, (len(digits), len(literal))))
        return _strings(np.concatenate(pieces, axis=1))

    def _render_parts(self, iso: pa.Array, fraction: np.ndarray, column: pa.Array) -> pa.StringArray:
        digits = _digits(iso, fraction)
        pieces: list[pa.Array | pa.Scalar] = []
        for token in self._tokens:
            if token in _SLICES:
                start, end = _SLICES[token]
                pieces.append(_strings(digits[:, start:end]))
            elif token in _PARTS:
                pieces.append(_PARTS[token](iso, self._offsets(iso, column)))
            else:
                pieces.append(pa.scalar(_unquoted(token)))
        return pc.binary_join_element_wise(*pieces, "")

    def _offsets(self, iso: pa.Array, column: pa.Array) -> pa.Array:
        """Minutes east of UTC for every value; 0 where the column has no zone."""
        if getattr(column.type, "tz", None) is None:
            return pa.array(np.zeros(len(iso), np.int64))
        utc = np.floor_divide(
            column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), _PER_SECOND[column.type.unit]
        )
        local = iso.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return pa.array(np.floor_divide(local - utc, 60))


def _is_field(token: str) -> bool:
    return token[0].isascii() and token[0].isalpha()


def _unquoted(token: str) -> str:
    if not token.startswith("'"):
        return token
    return token[1:-1].replace("''", "'") or "'"


def _digits(iso: pa.Array, fraction: np.ndarray) -> np.ndarray:
    """Return the characters of ``2026-01-02 03:04:05.123456`` as rows of bytes."""
    text = pa.array(
        iso.cast(pa.int64()).to_numpy(zero_copy_only=False) * 1_000_000 + fraction, pa.int64()
    ).cast(pa.timestamp("us"))
    data = text.cast(pa.string())
    return np.frombuffer(data.buffers()[2] or b"", np.uint8, count=26 * len(data)).reshape(len(data), 26)


def _strings(rows: np.ndarray) -> pa.StringArray:
    """Turn equally long rows of bytes into a column of text."""
    count, width = rows.shape
    offsets = (
        np.arange(0, (count + 1) * width, width, dtype=np.int32) if width else np.zeros(count + 1, np.int32)
    )
    data = np.ascontiguousarray(rows)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))


def _number(name: str) -> _Part:
    function = getattr(pc, name)
    return lambda iso, _: function(iso).cast(pa.string())


def _names(values: list[str], name: str, first: int) -> _Part:
    table, function = pa.array(values), getattr(pc, name)
    return lambda iso, _: table.take(pc.subtract(function(iso), first))


def _hour12(iso: pa.Array, _: pa.Array) -> pa.Array:
    hour = pc.hour(iso).to_numpy(zero_copy_only=False)
    return pa.array((hour + 11) % 12 + 1)


def _half(iso: pa.Array, _: pa.Array) -> pa.Array:
    return pc.if_else(pc.less(pc.hour(iso), 12), "AM", "PM")


def _zone(separator: str, zero: str, *, minutes: bool = True) -> _Part:
    def part(_: pa.Array, offsets: pa.Array) -> pa.Array:
        known = {}
        for value in offsets.unique().to_pylist():
            hours, rest = divmod(abs(value), 60)
            sign = "-" if value < 0 else "+"
            text = f"{sign}{hours:02d}{separator}{rest:02d}" if minutes else f"{sign}{hours:02d}"
            known[value] = zero if value == 0 and zero else text
        keys = pa.array(list(known), pa.int64())
        return pa.array(list(known.values())).take(pc.index_in(offsets, keys))

    return part


def _padded(function: _Part) -> _Part:
    return lambda iso, offsets: pc.utf8_lpad(function(iso, offsets).cast(pa.string()), 2, "0")


_NUMERIC_PARTS: dict[str, _Part] = {
    "M": _number("month"),
    "d": _number("day"),
    "H": _number("hour"),
    "m": _number("minute"),
    "s": _number("second"),
    "h": lambda iso, offsets: _hour12(iso, offsets).cast(pa.string()),
    "hh": _padded(_hour12),
    "Z": _zone("", ""),
    "X": _zone("", "Z", minutes=False),
    "XX": _zone("", "Z"),
    "XXX": _zone(":", "Z"),
}
_PARTS: dict[str, _Part] = {
    **_NUMERIC_PARTS,
    "MMM": _names([name[:3] for name in _MONTHS], "month", 1),
    "MMMM": _names(_MONTHS, "month", 1),
    "E": _names([name[:3] for name in _DAYS], "day_of_week", 0),
    "EEEE": _names(_DAYS, "day_of_week", 0),
    "a": _half,
}
