"""Streams: shards, their lineage, and positions in them."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from fastcrc import crc8

from airflow_provider_sync.localcloud.tablestore.errors import invalid
from airflow_provider_sync.localcloud.tablestore.log import Log

__all__ = ["HASHES", "Position", "Shard", "Stream", "decode_iterator", "encode_iterator"]

HASHES = 1 << 32
_WORDS = struct.Struct("<qiiiq")
_LAST_WORD = 0x7FFFFFFFFFFFFFFF


class Position(NamedTuple):
    """A place in a shard's log: before the record at ``offset``, after ``blanks`` inserted empty pages.

    ``era`` tells places at the end of an idle log apart: it rises when everything before the end is trimmed, so
    that a tail iterator which is older than that is refused although no record was written since.
    """

    offset: int
    era: int
    blanks: int = 0


_START = Position(0, 0)


@dataclass(slots=True)
class Shard:
    """One shard. ``ranges`` are the half-open ranges of key hashes it owns; times are microseconds."""

    id: str
    created_us: int
    ranges: list[tuple[int, int]]
    parent_id: str = ""
    sibling_id: str = ""
    closed: bool = False
    retired: bool = False
    epoch: int = 0
    shift_us: int = 0
    last_ts_us: int = 0
    era: int = 0
    emptied_us: int = 0
    floor: Position = _START
    blanks: dict[int, int] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    def owns(self, key_hash: int) -> bool:
        """Tell whether keys of this hash go to this shard (while it is open)."""
        return any(low <= key_hash < high for low, high in self.ranges)

    def next_ts_us(self, now_us: int) -> int:
        """Return the time of a commit made now: never equal to an earlier one of the same epoch."""
        return max(self.last_ts_us + 1, now_us + self.shift_us)

    def tail(self) -> Position:
        """Return the place where the next record will be."""
        return Position(len(self.log), self.era)

    def position(self, offset: int) -> Position:
        """Return the place before the record at ``offset``, or the first retained one if that is trimmed."""
        return max(Position(offset, self.era), self.floor)

    def trim(self, offset: int, now_us: int) -> None:
        """Forget the records before ``offset``; at the end of the log also every iterator handed out so far."""
        if offset >= len(self.log):
            self.era += 1
            self.emptied_us = now_us
            self.floor = Position(len(self.log), self.era)
        else:
            self.floor = max(self.floor, Position(offset, 0))

    def expired(self, horizon_us: int) -> int | None:
        """Return the offset up to which records are older than ``horizon_us``, or None if nothing is new.

        A log without a record, a trim or its own creation since the horizon is wholly expired: the tail
        iterator of an idle shard dies with the retention time.
        """
        offset = self.log.first_at_or_after(horizon_us)
        if offset < len(self.log):
            return offset if offset > self.floor.offset else None
        if self.floor.offset < len(self.log):
            return len(self.log)
        idle_since = max(self.log.last_ts_us or 0, self.created_us, self.emptied_us)
        return len(self.log) if idle_since < horizon_us else None

    def is_trimmed(self, position: Position) -> bool:
        """Tell whether an iterator at this place is behind the horizon."""
        return (position.offset, position.era) < (self.floor.offset, self.floor.era)


@dataclass(slots=True)
class Stream:
    """The change log of one table, from when its stream was switched on until it is switched off."""

    id: str
    table_name: str
    created_us: int
    hours: int
    origin_columns: list[str] = field(default_factory=list)
    shards: dict[str, Shard] = field(default_factory=dict)

    def open_shards(self) -> list[Shard]:
        """Return the shards that take writes."""
        return [shard for shard in self.shards.values() if not shard.closed]

    def shard_for(self, key_hash: int) -> Shard:
        """Return the open shard that takes keys of this hash."""
        return next(shard for shard in self.shards.values() if not shard.closed and shard.owns(key_hash))

    def horizon_us(self, now_us: int) -> int:
        """Return the time before which records are gone."""
        return now_us - self.hours * 3_600_000_000


def encode_iterator(stream_id: str, shard_id: str, position: Position) -> str:
    """Encode a place in a shard.

    The layout is that of the one published iterator: stream id, shard id and five words (i64, i32, i32, i32,
    i64), each of the three behind one length byte, then CRC-8/SMBUS over all of it, in base64. The meaning of
    the words is not known; here they are offset, empty pages, 1, era, and the highest i64.
    """
    stream, shard = stream_id.encode(), shard_id.encode()
    if len(stream) > 255 or len(shard) > 255:  # noqa: PLR2004 - one length byte
        raise invalid(f"Invalid stream id: {stream_id}")
    words = _WORDS.pack(position.offset, position.blanks, 1, position.era, _LAST_WORD)
    data = b"".join(bytes((len(part),)) + part for part in (stream, shard, words))
    return base64.b64encode(data + bytes((crc8.smbus(data),))).decode()


def decode_iterator(text: str) -> tuple[str, str, Position]:
    """Return stream id, shard id and place; anything damaged is ``OTSParameterInvalid`` (text invented)."""
    try:
        data = base64.b64decode(text, validate=True)
        stream_end = 1 + data[0]
        shard_end = stream_end + 1 + data[stream_end]
        stream, shard = data[1:stream_end].decode(), data[stream_end + 1 : shard_end].decode()
        offset, blanks, _, era, _ = _WORDS.unpack(data[shard_end + 1 : -1])
    except (binascii.Error, ValueError, IndexError, struct.error) as error:
        raise invalid("Invalid shard iterator.") from error
    if crc8.smbus(data[:-1]) != data[-1]:
        raise invalid("Invalid shard iterator.")
    return stream, shard, Position(offset, era, blanks)
