"""Which window a run works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Context

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.window import Window, to_millis

__all__ = ["RunWindow", "resolve_window", "windows_before"]

_MILLIS_DIGITS = 13
_STAMP_DIGITS = 14


@dataclass(frozen=True, slots=True)
class RunWindow:
    """The window of a run, and the tick that scheduling parameters count from.

    ``named``: somebody asked for exactly this window. ``own_only`` runs (named ones and backfills) do exactly
    their window and leave the job's progress alone. ``manual``: started by hand.
    """

    window: Window
    tick: datetime
    named: bool = False
    manual: bool = False
    own_only: bool = False

    def tick_of(self, other: Window) -> datetime:
        """Return the tick at which ``other`` would have been due."""
        return self.tick + (other.end_time - self.window.end_time)


def resolve_window(context: Context, *, width: timedelta, lag: timedelta, timezone: ZoneInfo) -> RunWindow:
    """Find the window, first hit wins.

    1. ``start`` and ``end`` in the run's conf (or the DAG's params): ISO 8601, milliseconds since the epoch,
       or ``yyyyMMddHHmmss``; what lacks a zone is read in ``timezone``.
    2. The data interval, if the timetable gives one that is not empty.
    3. The window of the last tick before the run's ``run_after``: as the timetable cuts them, else the last
       multiple of ``width``, ``lag`` earlier. This is what a manual run without logical date gets.

    ``lag`` is how far a window's end stays behind its tick.
    """
    run = context["dag_run"]
    kind = {"manual": run.run_type == "manual", "own_only": run.run_type == "backfill"}
    named = _named(context, timezone)
    if named is not None:
        return RunWindow(named, named.end_time + lag, named=True, own_only=True)
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is not None and end is not None and start < end:
        window = Window.between(start, end)
        return RunWindow(window, window.end_time + _lag_of_interval(context), **kind)
    timetable = _timetable(context)
    if hasattr(timetable, "window_before"):
        interval = timetable.window_before(run.run_after)
        window = Window.between(interval.start, interval.end)
        return RunWindow(window, window.end_time + timetable.lag, **kind)
    tick = _floor(run.run_after, width)
    return RunWindow(Window.between(tick - lag - width, tick - lag), tick, **kind)


def windows_before(context: Context, own: Window, mark: int | None, width: timedelta) -> list[Window]:
    """Return the windows from ``mark`` (ms) to ``own``, oldest first, ending with ``own``.

    They are cut as the timetable would have cut them, or by ``width``.
    """
    if mark is None or mark >= own.start:
        return [own]
    gap = Window(mark, own.start)
    timetable = _timetable(context)
    if hasattr(timetable, "windows_between"):
        intervals = timetable.windows_between(gap.start_time, gap.end_time)
        before = [Window.between(one.start, one.end) for one in intervals]
    else:
        before = list(gap.split(width // timedelta(milliseconds=1)))
    return [*before, own]


def _lag_of_interval(context: Context) -> timedelta:
    lag = getattr(_timetable(context), "lag", None)
    return lag if isinstance(lag, timedelta) else timedelta(0)


def _timetable(context: Context) -> Any:
    return getattr(context.get("dag"), "timetable", None)


def _named(context: Context, timezone: ZoneInfo) -> Window | None:
    conf: Mapping[str, Any] = context["dag_run"].conf or {}
    params: Mapping[str, Any] = context.get("params") or {}
    start, end = (conf.get(name, params.get(name)) for name in ("start", "end"))
    if start in (None, "") and end in (None, ""):
        return None
    for name, value in (("start", start), ("end", end)):
        if value in (None, ""):
            raise ConfigError(f"conf.{name}", reason="missing", cure="give start and end, or neither")
    return Window(_millis(start, "conf.start", timezone), _millis(end, "conf.end", timezone))


def _millis(value: Any, path: str, timezone: ZoneInfo) -> int:
    text = str(value).strip()
    try:
        if text.isdecimal() and len(text) == _MILLIS_DIGITS:
            return int(text)
        if text.isdecimal() and len(text) == _STAMP_DIGITS:
            moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=timezone)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            path, value, allowed="ISO 8601, milliseconds since the epoch, or yyyyMMddHHmmss"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone)
    return to_millis(moment)


def _floor(moment: datetime, width: timedelta) -> datetime:
    step = width // timedelta(milliseconds=1)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=to_millis(moment) // step * step)
