"""Trying again: only for transient errors, with jitter, up to a number of tries and a deadline."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from airflow_provider_sync.errors import CancelledError, ThrottledError, TransientError

__all__ = ["RetryPolicy"]

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Full jitter: the n-th wait is random in ``[0, min(cap, base * 2**n)]`` seconds.

    A :class:`ThrottledError` waits at least its ``retry_after``. The last error is raised as it is, so that
    Airflow's own retry has it. ``cancelled`` is looked at between tries.
    """

    attempts: int = 10
    deadline: float = 120.0
    base: float = 0.1
    cap: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: random.Random = field(default_factory=random.Random)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def call(self, function: Callable[[], T], *, what: str) -> T:
        """Call ``function`` until it returns or must not be tried again; ``what`` is named in the log."""
        started = self.clock()
        attempt = 0
        while True:
            attempt += 1
            try:
                return function()
            except TransientError as error:
                wait = self.random.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))
                if isinstance(error, ThrottledError) and error.retry_after is not None:
                    wait = max(wait, error.retry_after)
                if attempt >= self.attempts or self.clock() - started + wait > self.deadline:
                    raise
                if self.cancelled.is_set():
                    raise CancelledError(f"stopped while trying again: {what}") from error
                log.info(
                    "%s: try %d of %d failed, again in %.2f s: %s", what, attempt, self.attempts, wait, error
                )
                self.sleep(wait)
