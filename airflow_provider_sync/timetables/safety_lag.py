"""A cron schedule that stays behind the clock, so that late changes are in before their window is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pendulum
from airflow._shared.timezones.timezone import parse_timezone
from airflow.serialization.encoders import encode_timezone
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import DateTime
from pendulum.tz.timezone import FixedTimezone, Timezone

from airflow_provider_sync.errors import ConfigError

__all__ = ["SafetyLagTimetable"]

_PROBE = timedelta(minutes=15)
_DEFAULT_LAG = timedelta(minutes=5)


class SafetyLagTimetable(CronTriggerTimetable):
    """Run at each tick of ``cron``; the data interval is the window to read, ``lag`` behind the tick.

    With ``*/5 * * * *`` and a lag of 5 minutes, the run at 10:10 has the data interval [10:00, 10:05): what
    the grid shows, what templates see and what is read are one and the same.

    ``width`` is the length of the window. By default it is the time since the previous tick, so that windows
    tile the time line whatever the expression and the time zone do (a night of 23 or 25 hours included); an
    explicit width that differs from the distance of the ticks makes windows overlap or leave gaps.

    The interval's start is the run's logical date; ``start_date``, ``end_date`` and a backfill's range select
    runs by it: the first window is the first one that starts at ``start_date`` or later. (By tick, Airflow would
    create runs that begin before ``start_date``, and let them succeed without running any task.) A manual run
    with a logical date gets the window of the last tick before it.
    """

    def __init__(
        self,
        cron: str = "*/5 * * * *",
        *,
        timezone: str | Timezone | FixedTimezone = "UTC",
        lag: timedelta = _DEFAULT_LAG,
        width: timedelta | None = None,
    ) -> None:
        if lag < timedelta(0):
            raise ConfigError("timetable.lag", lag, allowed="zero or more")
        if width is not None and width <= timedelta(0):
            raise ConfigError("timetable.width", width, allowed="more than zero, or none for tick to tick")
        super().__init__(cron, timezone=timezone)
        self._lag = lag
        self._width = width

    @property
    def lag(self) -> timedelta:
        """How far a window's end stays behind the tick."""
        return self._lag

    def window_at(self, tick: DateTime) -> DataInterval:
        """Return the window of the run at ``tick``, which must be a moment of the cron expression."""
        end = tick - self._lag
        start = end - self._width if self._width is not None else self._tick_before(tick) - self._lag
        return DataInterval(start, end)

    def window_before(self, moment: datetime) -> DataInterval:
        """Return the window of the last tick at or before ``moment``."""
        return self.window_at(self._align_to_prev(pendulum.instance(moment)))

    def windows_between(self, start: datetime, end: datetime) -> list[DataInterval]:
        """Return the windows that lie in [start, end), oldest first; the first one is cut off at ``start``.

        ``end`` must be an end of a window: what a run finds open between its job's progress and itself.
        """
        windows = []
        first = pendulum.instance(start)
        tick = pendulum.instance(end) + self._lag
        while (window := self.window_at(tick)).end > first:
            windows.append(DataInterval(max(window.start, first), window.end))
            tick = self._tick_before(tick)
        return windows[::-1]

    def _tick_before(self, tick: DateTime) -> DateTime:
        """Return the tick whose next one is ``tick``.

        Airflow's own step back is not the inverse of its step forward where clocks change: before 03:30 on a
        night without 02:30 it finds 02:30, which is 03:30 again. So go back far enough, then forward.
        """
        earlier, probe = self._get_prev(tick), tick
        while earlier >= tick:
            probe -= _PROBE
            earlier = self._get_prev(probe)
        while earlier < (later := self._get_next(earlier)) < tick:
            earlier = later
        return earlier

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Give a manual run the last window that was due."""
        return self.window_before(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Find the next tick and its window."""
        last = last_automated_data_interval
        if last is not None:
            last = DataInterval.exact(last.end + self._lag)  # back to the tick it came from
        by_tick = TimeRestriction(restriction.earliest, None, restriction.catchup)
        while info := super().next_dagrun_info(last_automated_data_interval=last, restriction=by_tick):
            window = self.window_at(info.run_after)
            if restriction.latest is not None and window.start > restriction.latest:
                return None
            if restriction.earliest is None or window.start >= restriction.earliest:
                return DagRunInfo(run_after=info.run_after, data_interval=window)
            last = DataInterval.exact(info.run_after)
        return None

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON data, the input of :meth:`deserialize`."""
        return {
            "cron": self._expression,
            "timezone": encode_timezone(self._timezone),
            "lag": self._lag.total_seconds(),
            "width": None if self._width is None else self._width.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SafetyLagTimetable:
        """Build from what :meth:`serialize` returned."""
        width = data["width"]
        return cls(
            data["cron"],
            timezone=cast("Timezone", parse_timezone(data["timezone"])),
            lag=timedelta(seconds=data["lag"]),
            width=None if width is None else timedelta(seconds=width),
        )

    @property
    def summary(self) -> str:
        """Show the expression and the lag in Airflow's list of DAGs."""
        return f"{super().summary}, lag {_short(self._lag)}"


def _short(delta: timedelta) -> str:
    minutes, seconds = divmod(delta.total_seconds(), 60)
    return f"{minutes:g} min" if not seconds else f"{delta.total_seconds():g} s"
