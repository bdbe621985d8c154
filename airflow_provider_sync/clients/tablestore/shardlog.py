"""One shard's log between two cuts.

For a time T, ``cut(T)`` is the first position, in log order, of a record whose time is T or later. The window
``[start, end)`` of a shard is what lies between ``cut(start)`` and ``cut(end)``, wherever the records' clocks
went in between: cuts grow with T, so that neighbouring windows share no record and leave none out.

A cut that an earlier run has fixed is a :class:`Mark`. It wins over a new search, because only it knows where
the log ended when an idle shard was read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.columns import CellTable, parse_records
from airflow_provider_sync.clients.tablestore.descriptions import StreamPage
from airflow_provider_sync.clients.tablestore.errors import TrimmedError
from airflow_provider_sync.clients.tablestore.plainbuffer import decode_stream_record
from airflow_provider_sync.clients.tablestore.rows import SequenceInfo
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import CorruptDataError, DataLossError, TransientError
from airflow_provider_sync.spec.window import Window

__all__ = ["SHARD_END", "TRIM_HORIZON", "Mark", "ShardLog", "Slice"]

TRIM_HORIZON = "TRIM_HORIZON"
SHARD_END = "SHARD_END"
"""The words DataX stores instead of an iterator: the beginning of a shard, and behind its last record."""

_EMPTY_PAGES = 10  # whether empty pages occur before a tail is not known; so many in a row are taken as one
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """A cut in one shard's log.

    ``at`` is an iterator to read on from, or one of the two words. ``last`` is the record just before it where
    known: it finds the place again when retention has overtaken the iterator. ``sent`` counts the records of
    the window that ended here.
    """

    at: str
    last: SequenceInfo | None = None
    sent: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"at": self.at, "last": None if self.last is None else list(self.last), "sent": self.sent}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mark:
        """Return the inverse of :meth:`to_json`."""
        last = data["last"]
        return cls(data["at"], None if last is None else SequenceInfo(*last), data["sent"])


@dataclass(frozen=True, slots=True)
class Slice:
    """Records of one page that belong to the window: cells and actions side by side."""

    cells: CellTable
    actions: list[int]
    nbytes: int


@dataclass(slots=True)
class ShardLog:
    """Reads one shard for one window; :meth:`slices` once, then ``end`` says where the window ends in it.

    ``lower`` and ``upper`` are fixed marks or None. ``retained_from`` (ms) is the oldest time that retention
    still guarantees; ``margin`` (ms) how much earlier than wanted a search by time starts.
    """

    client: TablestoreClient
    stream_id: str
    shard_id: str
    window: Window
    lower: Mark | None
    upper: Mark | None
    environment: Environment
    retained_from: int
    margin: int
    table_name: str | None = None
    tolerate_loss: bool = False
    counters: Counter[str] = field(default_factory=Counter)
    end: Mark | None = None
    started_at_end: bool = False
    _last: SequenceInfo | None = None
    _sent: int = 0
    _ahead: Future[StreamPage] | None = None

    def slices(self) -> Iterator[Slice]:
        """Yield the window's records page by page, in log order."""
        if self.lower is not None and self.lower.at == SHARD_END:
            self.started_at_end = True
            self.end = Mark(SHARD_END, self.lower.last)
            return
        if self.upper is not None and self.upper.at == TRIM_HORIZON:
            self.end = self.upper
            return
        self._last = self.lower.last if self.lower else None
        with ThreadPoolExecutor(1, "ahead") as pool:
            yield from self._read(self._stop_rule(), pool)
        if self.upper is not None:
            self.end = self.upper
        if self.end is None:
            raise RuntimeError(f"shard {self.shard_id}: reading stopped without an end")

    def _read(self, stop: _Stop, pool: ThreadPoolExecutor) -> Iterator[Slice]:
        iterator, skip = self._start()
        empty = 0
        while self.upper is None or iterator != self.upper.at:
            self.environment.check_cancelled()
            page, iterator, skip = self._page(iterator, skip)
            self._fetch_ahead(page, iterator, stop, pool)
            empty = 0 if page.records else empty + 1
            if page.records:
                cells = parse_records(page.records)
                self._watch_clock(cells)
                first = skip.first_kept(cells) if skip else 0
                last = stop.first_beyond(cells, first)
                if first < cells.count:
                    skip = None
                if last:
                    self._last = _sequence(cells, last - 1)
                if last > first:
                    self._sent += last - first
                    nbytes = sum(map(len, page.records[first:last]))
                    yield Slice(cells.slice(first, last), page.actions[first:last], nbytes)
                if last < cells.count:
                    self._end_before(iterator, last)
                    return
            if page.next_iterator is None:
                self.started_at_end = skip is not None
                self.end = Mark(SHARD_END, self._last, self._sent)
                return
            if page.records and page.next_iterator == iterator:
                raise CorruptDataError(f"shard {self.shard_id}: a page with records leads back to itself")
            at_tail = page.may_more is False or page.next_iterator == iterator
            iterator = page.next_iterator
            if at_tail or empty >= _EMPTY_PAGES:
                self.end = Mark(iterator, self._last, self._sent)
                return

    def _start(self) -> tuple[str, _Skip | None]:
        if self.lower is None:
            return self._seek(), _Skip(self.window.start, None)
        if self.lower.at == TRIM_HORIZON:
            return self.client.get_shard_iterator(self.stream_id, self.shard_id), None
        return self.lower.at, None

    def _seek(self) -> str:
        earlier = max(self.window.start - self.margin, 0) * 1000
        return self.client.get_shard_iterator(self.stream_id, self.shard_id, earlier)

    def _page(self, iterator: str, skip: _Skip | None) -> tuple[StreamPage, str, _Skip | None]:
        """Return a page, the iterator that gave it, and what to leave out of it."""
        try:
            return self._fetch(iterator), iterator, skip
        except TrimmedError as error:
            # An idle shard's iterator ages although nothing behind it is gone: what retention still guarantees
            # is found again by time. Records older than that are lost for good.
            if self.window.start < self.retained_from and not self.tolerate_loss:
                raise DataLossError(
                    f"shard {self.shard_id} of stream {self.stream_id}: records from "
                    f"{self.window.start_time.isoformat()} on may be gone, retention has passed them; "
                    "set onDataLoss to 'continue' to go on without them"
                ) from error
            self.counters["iterators_found_again"] += 1
            log.warning("shard %s: the stored iterator is trimmed, seeking by time again", self.shard_id)
        again = self._seek()
        if again == iterator:
            raise TransientError(f"shard {self.shard_id}: a new iterator is trimmed at once; try again")
        # What is in a shard that held nothing before its mark came after, whatever time it carries.
        was_empty = self._last is None and self.lower is not None
        again_from = None if was_empty else _Skip(self.window.start, self._last)
        return self.client.get_stream_records(again, table_name=self.table_name), again, again_from

    def _fetch(self, iterator: str) -> StreamPage:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead.result()
        return self.client.get_stream_records(iterator, table_name=self.table_name)

    def _fetch_ahead(self, page: StreamPage, iterator: str, stop: _Stop, pool: ThreadPoolExecutor) -> None:
        """Fetch the next page while this one is decoded, if it will be asked for.

        It will not be where the last record is beyond the window, so that a window's end costs no extra read
        (save where clocks stepped back right there).
        """
        following = page.next_iterator
        if not page.records or page.may_more is False or following in (None, iterator):
            return
        if self.upper is not None and following == self.upper.at:
            return
        try:
            _, _, last = decode_stream_record(page.records[-1])
        except CorruptDataError:
            return  # decoding the page tells what is wrong with it
        if not stop.is_beyond(last):
            self._ahead = pool.submit(self.client.get_stream_records, following, table_name=self.table_name)

    def _stop_rule(self) -> _Stop:
        """Say which record is the first beyond the window: the one behind a fixed mark, else the first in time."""
        upper = self.upper
        if upper is None:
            return _Stop(time=self.window.end)
        if upper.at == SHARD_END:
            return _Stop()
        try:
            page = self.client.get_stream_records(upper.at, limit=1, table_name=self.table_name)
        except TrimmedError:
            return _Stop(after=upper.last) if upper.last else _Stop(time=self.window.end)
        if page.records:
            return _Stop(at=_sequence(parse_records(page.records), 0))
        return _Stop(after=upper.last)

    def _end_before(self, page_iterator: str, index: int) -> None:
        """Fix the end just before record ``index`` of a page: read that page again, only so far."""
        if self.upper is not None:
            return
        at = page_iterator
        if index:
            page = self.client.get_stream_records(page_iterator, limit=index, table_name=self.table_name)
            if len(page.records) != index or page.next_iterator is None:
                raise TransientError(
                    f"shard {self.shard_id}: {index} records of a page were {len(page.records)} the second time"
                )
            at = page.next_iterator
        self.end = Mark(at, self._last, self._sent)

    def _watch_clock(self, cells: CellTable) -> None:
        """Count clock steps that a search by time could not bridge: fixed marks still hold, new seeks may not."""
        times = cells.time_us
        back = int((times[:-1] - times[1:]).max(initial=0)) // 1000
        if back > self.margin:
            self.counters["clock_steps_beyond_margin"] += 1
            log.warning(
                "shard %s: record times step back by %d s, more than the %d s a search looks back",
                self.shard_id,
                back // 1000,
                self.margin // 1000,
            )


@dataclass(frozen=True, slots=True)
class _Skip:
    """What to leave out after a search by time: up to a known record, else up to the first one of a time."""

    start: int
    last: SequenceInfo | None

    def first_kept(self, cells: CellTable) -> int:
        """Return the index of the first record to keep, the page's count if there is none."""
        if self.last is not None:
            return _first(_after(cells, 0, self.last))
        return _first(cells.time_us // 1000 >= self.start)


@dataclass(frozen=True, slots=True)
class _Stop:
    """What ends a window: the record ``at``, any record ``after`` one, or the first one of a ``time`` (ms)."""

    at: SequenceInfo | None = None
    after: SequenceInfo | None = None
    time: int | None = None

    def is_beyond(self, place: SequenceInfo) -> bool:
        """Tell whether a record at this place ends the window."""
        if self.at is not None:
            return place >= self.at
        if self.after is not None:
            return place > self.after
        return self.time is not None and place.timestamp // 1000 >= self.time

    def first_beyond(self, cells: CellTable, first: int) -> int:
        """Return the index of the first record beyond the window, the page's count if all belong to it."""
        if self.at is not None:
            beyond = _after(cells, first, self.at, inclusive=True)
        elif self.after is not None:
            beyond = _after(cells, first, self.after)
        elif self.time is not None:
            beyond = cells.time_us[first:] // 1000 >= self.time
        else:
            return cells.count
        return first + _first(beyond)


def _first(hits: NDArray[np.bool_]) -> int:
    return int(hits.argmax()) if hits.any() else len(hits)


def _sequence(cells: CellTable, index: int) -> SequenceInfo:
    return SequenceInfo(int(cells.epoch[index]), int(cells.time_us[index]), int(cells.row_index[index]))


def _after(
    cells: CellTable, first: int, place: SequenceInfo, *, inclusive: bool = False
) -> NDArray[np.bool_]:
    """Compare by (epoch, time, row index): the order inside a shard, also where clocks step back."""
    epoch, time_us, row = cells.epoch[first:], cells.time_us[first:], cells.row_index[first:]
    row_beyond = row >= place.row_index if inclusive else row > place.row_index
    same_time = (time_us == place.timestamp) & row_beyond
    beyond: NDArray[np.bool_] = (epoch > place.epoch) | (
        (epoch == place.epoch) & ((time_us > place.timestamp) | same_time)
    )
    return beyond
