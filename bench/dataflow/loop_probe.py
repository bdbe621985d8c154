"""Measures, inside the triggerer, for how long its event loop is kept from running."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = ["LoopProbe", "LoopProbeTrigger"]

_STEP = 0.01
_THREADS = Path("/proc/self/task")


class LoopProbeTrigger(BaseTrigger):
    """Sleep in small steps beside the triggers under test, and note every sleep that took too long.

    Each file ``folder/<pid>-<start>.json`` holds ``{"sleeps": how many, "late": [[Unix time, ms late, ms without a
    processor], …]}``; ``late`` has those that were more than 20 ms late. The last number is how long the loop's
    thread, or another of the process that may have held the interpreter, could have run but the kernel had given the
    processors to others (``schedstat``): a busy machine, not a blocked loop. What remains is code in the loop,
    blocking calls, and threads that kept the interpreter. It ends when ``folder/stop`` exists.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its argument."""
        return "dataflow.loop_probe.LoopProbeTrigger", {"folder": self.folder}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Measure until told to stop."""
        folder = Path(self.folder)
        file = folder / f"{os.getpid()}-{time.time():.3f}.json"
        late: list[tuple[float, float, float]] = []
        sleeps = 0
        written = time.monotonic()
        while not (time.monotonic() - written > 1 and (folder / "stop").exists()):
            queued, before = _queued_ms(), time.perf_counter()
            await asyncio.sleep(_STEP)
            sleeps += 1
            delay = (time.perf_counter() - before - _STEP) * 1000
            if delay > 20:
                most = max(ms - queued.get(thread, 0.0) for thread, ms in _queued_ms().items())
                late.append((time.time(), round(delay, 1), round(most, 1)))
            if time.monotonic() - written > 1:
                file.write_text(json.dumps({"sleeps": sleeps, "late": late}))
                written = time.monotonic()
        file.write_text(json.dumps({"sleeps": sleeps, "late": late}))
        yield TriggerEvent(None)


def _queued_ms() -> dict[str, float]:
    """Return how long each thread of this process has waited for a processor so far."""
    found = {}
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # it has ended
            found[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e6
    return found


class LoopProbe(BaseOperator):
    """Runs the probe beside the tasks of a DAG run."""

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def execute(self, context: Context) -> None:
        """Wait in the triggerer."""
        del context
        self.defer(trigger=LoopProbeTrigger(self.folder), method_name="done")

    def done(self, context: Context, event: Any = None) -> None:
        """Have nothing left to do."""
