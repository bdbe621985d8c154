"""Time windows: half-open, in UTC, exact to the millisecond."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_sync.errors import ConfigError

__all__ = ["Window", "to_millis"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_millis(moment: datetime) -> int:
    """Milliseconds since the Unix epoch of an aware datetime (exact integer arithmetic)."""
    if moment.tzinfo is None:
        raise ConfigError("window", moment.isoformat(), reason="a time without a time zone")
    # Not by subtraction: Airflow's times are pendulum's, whose differences do not divide by a timedelta.
    return calendar.timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The half-open interval ``[start, end)`` in milliseconds since the Unix epoch."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ConfigError(
                "window", (self.start, self.end), reason="start must be before end", cure="swap or widen it"
            )

    @classmethod
    def between(cls, start: datetime, end: datetime) -> Window:
        """Build a window from two aware datetimes."""
        return cls(to_millis(start), to_millis(end))

    @property
    def width(self) -> int:
        """Length in milliseconds."""
        return self.end - self.start

    @property
    def start_time(self) -> datetime:
        """``start`` as an aware datetime in UTC."""
        return _EPOCH + timedelta(milliseconds=self.start)

    @property
    def end_time(self) -> datetime:
        """``end`` as an aware datetime in UTC."""
        return _EPOCH + timedelta(milliseconds=self.end)

    @property
    def label(self) -> str:
        """Name-safe text, ``20261120T100000Z_20261120T100500Z``; sorts by time if the edges are whole seconds.

        Edges inside a second carry three more digits.
        """
        return f"{_stamp(self.start_time)}_{_stamp(self.end_time)}"

    def split(self, width: int) -> Iterator[Window]:
        """Cut into consecutive windows of ``width`` milliseconds; the last one may be shorter."""
        start = self.start
        while start < self.end:
            yield Window(start, min(start + width, self.end))
            start += width

    def to_json(self) -> dict[str, int]:
        """Return ``{"start": ms, "end": ms}``."""
        return {"start": self.start, "end": self.end}

    def __str__(self) -> str:
        return f"[{self.start_time.isoformat()}, {self.end_time.isoformat()})"


def _stamp(moment: datetime) -> str:
    text = moment.strftime("%Y%m%dT%H%M%S")
    millis = moment.microsecond // 1000
    return f"{text}{millis:03d}Z" if millis else f"{text}Z"
