"""CRC-8/SMBUS of many byte ranges at once, eight bytes a step.

A range is a polynomial over GF(2), most significant bit first, and its checksum that polynomial times x^8 modulo
P = x^8 + x^2 + x + 1. Squaring x^8 = x^2 + x + 1 three times gives x^64 = x^16 + x^8 + 1 modulo P: what has been
read is carried over the next eight bytes by shifts, without a table, as 64 bits that are congruent to it. Only
at the end they are reduced to eight. Zeros before the first byte change nothing, so a range is read in words
that end where it ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fastcrc import crc8
from numpy.typing import NDArray

__all__ = ["CRC8", "append_words", "checksums_of", "range_word", "range_words"]

_LONG = 256  # from here on one call per range is cheaper than stepping through it

_Ints = NDArray[np.int64]
_Words = NDArray[np.uint64]
_Bytes = NDArray[np.uint8]

CRC8: _Bytes = np.array([crc8.smbus(bytes((one,))) for one in range(256)], np.uint8)
"""The checksum of one byte; of the next one: ``CRC8[before ^ byte]``."""


def range_words(buffer: _Bytes, words: NDArray[Any], start: _Ints, length: _Ints, before: _Bytes) -> _Words:
    """Return 64 bits for each range of ``length`` (at least 1) bytes from ``start``.

    ``before`` is the checksum of what precedes a range. ``words`` is ``buffer`` seen as a little-endian unsigned
    word at every offset; up to seven bytes before a range are looked at.
    """
    count = (length + 7) >> 3
    count[length > _LONG] = 1
    order = np.argsort(-count.astype(np.int16), kind="stable")
    count, at = count[order], (start + length)[order]
    first = np.minimum(length[order] - 8 * (count - 1), 8)  # bytes in the first word
    at -= 8 * count
    result: _Words = words[at].byteswap()
    result &= _LOW_BYTES[first]
    result ^= before[order].astype(np.uint64) << (8 * (first - 1)).astype(np.uint64)
    steps = int(count[0]) if len(count) else 0
    for active in np.searchsorted(-count, -np.arange(1, steps)).tolist():  # how many have another word
        part = result[:active]
        _carry(part)
        at = at[:active]
        at += 8
        part ^= words[at].byteswap()
    back = np.empty_like(result)
    back[order] = result
    for one in np.flatnonzero(length > _LONG).tolist():
        back[one] = range_word(buffer[start[one] : start[one] + length[one]].tobytes(), int(before[one]))
    return back


def range_word(data: bytes, before: int = 0) -> int:
    """Return a number that is congruent to ``data``, which must not be empty, after a checksum of ``before``."""
    return int(crc8.smbus(data[:-1], before)) ^ data[-1]


def append_words(running: _Words, numbers: _Ints) -> _Words:
    """Return 64 bits each for what ``running`` stands for, followed by the eight bytes of a little-endian number."""
    result = running.copy()
    _carry(result)
    result ^= numbers.view(np.uint64).byteswap()
    return result


def checksums_of(running: _Words) -> _Bytes:
    """Return the checksum of what the 64 bits stand for."""
    parts = running.astype("<u8", copy=False).view("<u2").reshape(-1, 4)
    crc: _Bytes = _REDUCE[0].take(parts[:, 0])
    for index in (1, 2, 3):
        crc ^= _REDUCE[index].take(parts[:, index])
    return crc


def _carry(running: _Words) -> None:
    """Multiply by x^64, in place; what leaves at the top comes back by the same rule."""
    over = running >> np.uint64(48)
    over ^= running >> np.uint64(56)
    running ^= over
    more = running << np.uint64(8)
    more ^= running << np.uint64(16)
    running ^= more


def _reduction_tables() -> list[_Bytes]:
    pairs = np.arange(65536)
    tables = [CRC8[CRC8[pairs >> 8] ^ (pairs & 0xFF).astype(np.uint8)]]
    for _ in range(3):
        tables.append(CRC8[CRC8[tables[-1]]])  # two more bytes behind them
    return tables


_REDUCE = _reduction_tables()
_LOW_BYTES: _Words = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
