"""A bound on the bytes that all threads of a task hold at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = ["ByteBudget"]


class ByteBudget:
    """At most ``limit`` bytes at once; what alone is more waits for all and then goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait for room, hold it for the block."""
        self.take(size)
        try:
            yield
        finally:
            self.give(size)

    def take(self, size: int) -> None:
        """Wait for room."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + size <= self._limit)
            self._used += size

    def give(self, size: int) -> None:
        """Give room back."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()
