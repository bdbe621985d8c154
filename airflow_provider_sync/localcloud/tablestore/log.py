"""A shard's log: an append-only list of records that are ready to be sent.

A record is kept as the protobuf field it is in a GetStreamRecord answer (tag, length, StreamRecord), so a page
is a join of ready bytes. Records lie in segments: written ones are kept as they are, seeded ones are computed
when they are read.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Log", "Page", "Segment", "WrittenSegment", "length_prefixed", "stream_record"]


@dataclass(slots=True)
class Page:
    """Consecutive records: their bytes in order, how many they are, how long they are together."""

    chunks: list[bytes | memoryview]
    count: int
    size: int


class Segment(Protocol):
    """A run of records; indexes count from its own first one, times are microseconds."""

    def __len__(self) -> int: ...

    def page(self, index: int, rows: int, size: int) -> Page:
        """Return at least one record from ``index`` on: at most ``rows``, and ``size`` bytes if several."""

    def first_at_or_after(self, ts_us: int) -> int:
        """Return the first index whose record has that time or a later one; the length if none has."""

    @property
    def last_ts_us(self) -> int:
        """The time of the last record."""


class WrittenSegment:
    """Records that were written one by one."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._ends = array("Q")  # bytes up to and including each record
        self._highs = array("q")  # highest time up to each record: searchable although times can step back
        self._last_ts_us = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def last_ts_us(self) -> int:
        """The time of the last record."""
        return self._last_ts_us

    def append(self, record: bytes, ts_us: int) -> None:
        """Add one encoded record."""
        self._ends.append((self._ends[-1] if self._ends else 0) + len(record))
        self._highs.append(max(self._highs[-1], ts_us) if self._highs else ts_us)
        self._records.append(record)
        self._last_ts_us = ts_us

    def page(self, index: int, rows: int, size: int) -> Page:
        """Return the ready records."""
        before = self._ends[index - 1] if index else 0
        stop = min(index + rows, len(self._records))
        stop = max(bisect_right(self._ends, before + size, index, stop), index + 1)
        return Page(list(self._records[index:stop]), stop - index, self._ends[stop - 1] - before)

    def first_at_or_after(self, ts_us: int) -> int:
        """Search by the highest time so far, which never steps back."""
        return bisect_left(self._highs, ts_us)


class Log:
    """All records of a shard; offsets count from the first one ever written and never change."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._starts: list[int] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def last_ts_us(self) -> int | None:
        """The time of the last record; None while there is none."""
        return self._segments[-1].last_ts_us if self._segments else None

    def append(self, record: bytes, ts_us: int) -> None:
        """Add one record."""
        last = self._segments[-1] if self._segments else None
        if not isinstance(last, WrittenSegment):
            last = WrittenSegment()
            self._attach(last)
        last.append(record, ts_us)
        self._length += 1

    def extend(self, segment: Segment) -> None:
        """Add a whole segment, which must not change afterwards."""
        self._attach(segment)
        self._length += len(segment)

    def page(self, offset: int, rows: int, size: int) -> Page:
        """Return the records from ``offset`` on, within both caps; at least one unless the log ends there."""
        page = Page([], 0, 0)
        while page.count < rows and page.size < size and offset + page.count < self._length:
            at = bisect_right(self._starts, offset + page.count) - 1
            part = self._segments[at].page(
                offset + page.count - self._starts[at], rows - page.count, size - page.size
            )
            if page.count and page.size + part.size > size:
                break  # a segment gives one record whatever its size; it fits only into a page of its own
            page.chunks += part.chunks
            page.count += part.count
            page.size += part.size
        return page

    def first_at_or_after(self, ts_us: int) -> int:
        """Return the first offset in log order whose record has that time or a later one."""
        for start, segment in zip(self._starts, self._segments, strict=True):
            index = segment.first_at_or_after(ts_us)
            if index < len(segment):
                return start + index
        return self._length

    def records(self, offset: int, count: int) -> Iterator[bytes]:
        """Yield the StreamRecord messages from ``offset`` on, without tag and length."""
        for at in range(offset, min(offset + count, self._length)):
            field = b"".join(self.page(at, 1, 1).chunks)
            yield field[_prefix_length(field) :]

    def _attach(self, segment: Segment) -> None:
        self._segments.append(segment)
        self._starts.append(self._length)


def length_prefixed(tag: int, data: bytes) -> bytes:
    """Return a protobuf field of wire type 2: tag byte, length as a varint, data."""
    head = bytearray((tag,))
    length = len(data)
    while length > 0x7F:  # noqa: PLR2004 - seven bits a byte
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + data


def stream_record(action: int, row: bytes, origin: bytes | None = None) -> bytes:
    """Encode a record as field 1 of a GetStreamRecord answer."""
    body = bytes((0x08, action)) + length_prefixed(0x12, row)
    if origin is not None:
        body += length_prefixed(0x1A, origin)
    return length_prefixed(0x0A, body)


def _prefix_length(field: bytes) -> int:
    at = 1
    while field[at] & 0x80:
        at += 1
    return at + 1
