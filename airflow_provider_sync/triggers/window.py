"""Waits until a window may be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.triggers._settle import settle

__all__ = ["WindowSafeTrigger"]

_LONGEST_SLEEP = timedelta(minutes=1)


class WindowSafeTrigger(BaseTrigger):
    """Fire once the clock has reached ``window_end`` plus ``delay`` seconds.

    ``window_end`` is an aware datetime or its ISO text. The event's payload is the moment as ISO text; it comes ten
    seconds after the trigger's start at the earliest, because the task goes back to a worker.
    ``end_from_trigger`` ends the task as a success right here, without a worker.
    """

    def __init__(
        self, window_end: datetime | str, delay: float = 0.0, *, end_from_trigger: bool = False
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.window_end = window_end
        self.delay = delay
        self.end_from_trigger = end_from_trigger

    @property
    def moment(self) -> datetime:
        """When to fire, in UTC; read late, because Airflow may render ``window_end`` after building."""
        end = self.window_end
        if isinstance(end, str):
            try:
                end = datetime.fromisoformat(end)
            except ValueError:
                raise ConfigError("window_end", end, allowed="an ISO 8601 date and time") from None
        if end.tzinfo is None:
            raise ConfigError("window_end", end.isoformat(), reason="a time without a time zone")
        return (end + timedelta(seconds=self.delay)).astimezone(UTC)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it from again."""
        end = self.window_end
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "window_end": end if isinstance(end, str) else end.isoformat(),
                "delay": self.delay,
                "end_from_trigger": self.end_from_trigger,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep in short steps, because the clock may be set while we wait."""
        moment = self.moment
        if not self.end_from_trigger:
            await settle()
        while (left := moment - datetime.now(UTC)) > timedelta(0):  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(min(left, _LONGEST_SLEEP).total_seconds())
        if self.end_from_trigger:
            yield TaskSuccessEvent()
        else:
            yield TriggerEvent(moment.isoformat())
