"""The bounded pipe between the thread that reads a split and the one that writes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from airflow_provider_sync.engine.record import RecordBatch

__all__ = ["Channel", "ChannelClosedError"]


class ChannelClosedError(Exception):
    """The other side went away; whoever sees this just stops."""


class Channel:
    """Holds at most ``max_records`` records or ``max_bytes`` bytes, but always room for one batch.

    The reading side calls :meth:`put`, then :meth:`finish`; the writing side iterates. Either may
    :meth:`close` it: a waiting :meth:`put` then raises :class:`ChannelClosedError`, so that neither side can
    wait for one that is gone. An error given to :meth:`finish` is raised where the batches are taken.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._batches: deque[RecordBatch] = deque()
        self._records = 0
        self._bytes = 0
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, batch: RecordBatch) -> None:
        """Add a batch; wait while the channel is full."""
        with self._changed:
            while not self._closed and self._batches and self._is_full(batch):
                self._changed.wait()
            if self._closed:
                raise ChannelClosedError
            self._batches.append(batch)
            self._records += batch.rows.num_rows
            self._bytes += batch.nbytes
            self._changed.notify_all()

    def finish(self, error: BaseException | None = None) -> None:
        """Say that nothing follows; ``error`` is raised on the other side once the rest is taken."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Say that nobody takes batches any more."""
        with self._changed:
            self._closed = True
            self._batches.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[RecordBatch]:
        while True:
            with self._changed:
                while not self._batches and not self._finished and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                if not self._batches:
                    if self._error is not None:
                        raise self._error
                    return
                batch = self._batches.popleft()
                self._records -= batch.rows.num_rows
                self._bytes -= batch.nbytes
                self._changed.notify_all()
            yield batch

    def _is_full(self, batch: RecordBatch) -> bool:
        return (
            self._records + batch.rows.num_rows > self._max_records
            or self._bytes + batch.nbytes > self._max_bytes
        )
