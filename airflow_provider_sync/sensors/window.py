"""A gate before tasks of your own that read the same window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import StartTriggerArgs

__all__ = ["WindowSafeSensor"]

_DEFAULT_DELAY = timedelta(minutes=5)


class WindowSafeSensor(BaseOperator):
    """Succeed once the clock has passed the end of the run's window by ``delay``.

    The wait begins and ends in the triggerer: no worker is used at all. ``window_end`` is rendered; its
    default needs a run with a data interval (a manual run without logical date has none: pass another).
    :class:`~airflow_provider_sync.operators.sync.SyncOperator` waits by itself; this is for other tasks.
    """

    template_fields: Sequence[str] = ("window_end",)
    start_from_trigger: bool = True
    start_trigger_args: ClassVar[StartTriggerArgs] = StartTriggerArgs(  # type: ignore[misc]
        trigger_cls="airflow_provider_sync.triggers.window.WindowSafeTrigger",
        next_method="done",
    )

    def __init__(
        self,
        *,
        window_end: datetime | str = "{{ data_interval_end.isoformat() }}",
        delay: timedelta = _DEFAULT_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_end = window_end if isinstance(window_end, str) else window_end.isoformat()
        self.delay = delay
        self.start_trigger_args = replace(  # type: ignore[misc]
            type(self).start_trigger_args,
            trigger_kwargs={
                "window_end": self.window_end,
                "delay": delay.total_seconds(),
                "end_from_trigger": True,
            },
        )

    def execute(self, context: Context) -> NoReturn:
        """Wait in the triggerer, for executions that begin on a worker (``dag.test()``)."""
        from airflow_provider_sync.triggers.window import WindowSafeTrigger  # noqa: PLC0415 - not for parsing

        del context
        self.defer(
            trigger=WindowSafeTrigger(self.window_end, self.delay.total_seconds(), end_from_trigger=True),
            method_name="done",
        )

    def done(self, context: Context, event: Any = None) -> None:
        """Have nothing left to do."""
