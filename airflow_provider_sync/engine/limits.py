"""How fast and how many bad records: shared by all threads of a task."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.record import Rejected
from airflow_provider_sync.errors import ErrorLimitExceededError
from airflow_provider_sync.spec.job import Limits

__all__ = ["ErrorLimit", "RateLimit"]

_KEPT = 10_000
_SHOWN = 3
_NAP = 0.25


class RateLimit:
    """At most so many bytes and records per second over all threads; None is unbounded.

    Debt-based: a batch passes at once and what it exceeds is paid for before the next one, so that a batch
    larger than a second's allowance still passes. Waits in short naps, to notice a stop.
    """

    def __init__(self, limits: Limits, environment: Environment) -> None:
        self._environment = environment
        self._rates = (limits.bytes_per_second, limits.records_per_second)
        self._lock = threading.Lock()
        self._free_at = environment.clock()

    def take(self, nbytes: int, records: int) -> None:
        """Wait until earlier batches are paid for, then book this one."""
        rates = self._rates
        if rates == (None, None):
            return
        cost = max(amount / rate for amount, rate in zip((nbytes, records), rates, strict=True) if rate)
        with self._lock:
            now = self._environment.clock()
            start = max(self._free_at, now)
            self._free_at = start + cost
        while (left := start - self._environment.clock()) > 0:
            self._environment.check_cancelled()
            self._environment.sleep(min(left, _NAP))


class ErrorLimit:
    """Counts rejected records against ``error_records`` at once, ``error_ratio`` at the end.

    Keeps the first 10,000 for the error list and counts the rest.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self.count = 0
        self.kept: list[Rejected] = []

    def add(self, rejected: Sequence[Rejected], count: int | None = None) -> None:
        """Count; raise :class:`ErrorLimitExceededError` when the count is over the limit.

        ``count`` is how many there were where ``rejected`` holds only the first of them.
        """
        if not rejected:
            return
        with self._lock:
            self.count += len(rejected) if count is None else count
            self.kept.extend(rejected[: _KEPT - len(self.kept)])
        allowed = self._limits.error_records
        if allowed is not None and self.count > allowed:
            raise ErrorLimitExceededError(
                f"limits.error_records: {self.count} rejected, {allowed} allowed; {self._examples()}"
            )

    def finish(self, read: int) -> None:
        """Check the ratio over all ``read`` records."""
        allowed = self._limits.error_ratio
        if allowed is not None and read and self.count / read > allowed:
            raise ErrorLimitExceededError(
                f"limits.error_ratio: {self.count} of {read} rejected, {allowed:g} allowed; {self._examples()}"
            )

    def _examples(self) -> str:
        shown = [f"{one.where} {one.column or 'record'}: {one.reason}" for one in self.kept[:_SHOWN]]
        return f"first: {'; '.join(shown)}"
