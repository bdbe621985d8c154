"""How often the API may be asked: two documented classes of rates, kept on our side before the service refuses.

Documented, for each region, operation and account: the three operations on subtasks 100 times a second, all others
120 times in 60 seconds. A bucket that holds b and refills at r lets at most b + 60 r through in any 60 seconds, so
the defaults keep below the limits. Other processes of the account are not known here: when the service throttles all
the same, everybody in this process pauses, so that many processes together find the rate instead of running out of
tries.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping

__all__ = ["SUBTASK_OPERATIONS", "Quotas", "TokenBucket"]

SUBTASK_OPERATIONS = frozenset({"CreateDataFlowSubTask", "DescribeDataFlowSubTasks", "CancelDataFlowSubTask"})
_SUBTASK_RATE, _SUBTASK_BURST = 80.0, 20
_OTHER_RATE, _OTHER_BURST = 100.0 / 60.0, 20
_SUBTASK_PAUSE, _OTHER_PAUSE = (
    (0.5, 1.5),
    (2.0, 6.0),
)  # seconds, from and to: the service counts by second and minute


class TokenBucket:
    """At most ``burst`` calls at once and ``rate`` calls a second over time; shared by threads."""

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        # When the bucket is full again, if nobody takes from it: one number says all.
        self._full_at = clock()

    def take(self) -> float:
        """Wait for a turn; return the seconds waited. Turns are given in the order of asking."""
        with self._lock:
            now = self._clock()
            self._full_at = max(self._full_at, now) + 1.0 / self._rate
            wait = self._full_at - now - self._burst / self._rate
        if wait <= 0:
            return 0.0
        self._sleep(wait)
        return wait

    def pause(self, seconds: float) -> None:
        """Give no turn for so long, except to those who have theirs; pauses do not add up."""
        with self._lock:
            earliest = self._clock() + seconds + (self._burst - 1) / self._rate
            self._full_at = max(self._full_at, earliest)


class Quotas:
    """A bucket for each operation. ``shared`` gives one set for the whole process and user."""

    _shared: Mapping[str, Quotas] = {}
    _shared_lock = threading.Lock()

    def __init__(
        self,
        *,
        subtask_rate: float = _SUBTASK_RATE,
        subtask_burst: int = _SUBTASK_BURST,
        other_rate: float = _OTHER_RATE,
        other_burst: int = _OTHER_BURST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self._of_subtasks = (subtask_rate, subtask_burst)
        self._of_others = (other_rate, other_burst)
        self._clock = clock
        self._sleep = sleep
        self._chance = chance or random.Random()
        self._buckets: dict[str, TokenBucket] = {}
        self._lock = threading.Lock()

    @classmethod
    def shared(cls, key: str) -> Quotas:
        """Return the process's quotas of one user at one endpoint."""
        with cls._shared_lock:
            found = cls._shared.get(key)
            if found is None:
                found = cls()
                cls._shared = {**cls._shared, key: found}
            return found

    def take(self, operation: str) -> float:
        """Wait until an operation may be asked; return the seconds waited."""
        return self._bucket(operation).take()

    def slow_down(self, operation: str) -> None:
        """Pause an operation, because the service was asked too often without saying for how long."""
        least, most = _SUBTASK_PAUSE if operation in SUBTASK_OPERATIONS else _OTHER_PAUSE
        self._bucket(operation).pause(self._chance.uniform(least, most))

    def _bucket(self, operation: str) -> TokenBucket:
        with self._lock:
            bucket = self._buckets.get(operation)
            if bucket is None:
                rate, burst = self._of_subtasks if operation in SUBTASK_OPERATIONS else self._of_others
                bucket = TokenBucket(rate, burst, clock=self._clock, sleep=self._sleep)
                self._buckets[operation] = bucket
            return bucket
