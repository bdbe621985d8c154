"""CRC-64/XZ, the checksum that OSS sends with every object and part.

Polynomial 0x42F0E1EBA9EA3693, reflected, initial value and final xor all ones; the header's value is an
unsigned decimal (documented).
"""

from __future__ import annotations

from functools import lru_cache

from fastcrc import crc64 as _fastcrc

__all__ = ["combine", "crc64"]

_BITS = 64
_REFLECTED = 0xC96C5795D7870F42


def crc64(data: bytes | bytearray | memoryview, initial: int = 0) -> int:
    """Return the CRC of what ``initial`` stands for followed by ``data``."""
    result: int = _fastcrc.xz(data, initial)
    return result


def combine(first: int, second: int, second_length: int) -> int:
    """Return the CRC of A followed by B from the CRC of A, the CRC of B and the length of B in bytes.

    Costs a few matrix applications (about a microsecond each), one per set bit of the length.
    """
    bit = 0
    while second_length >> bit:
        if (second_length >> bit) & 1:
            first = _apply(_zeros(bit), first)
        bit += 1
    return first ^ second


@lru_cache(maxsize=_BITS)
def _zeros(power: int) -> tuple[int, ...]:
    """Return the operator that feeds ``2**power`` zero bytes: the image of each of the 64 bits."""
    if power > 0:
        matrix = _zeros(power - 1)
        return _square(matrix)
    one_bit = (_REFLECTED, *(1 << bit for bit in range(_BITS - 1)))
    return _square(_square(_square(one_bit)))


def _square(matrix: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_apply(matrix, column) for column in matrix)


def _apply(matrix: tuple[int, ...], vector: int) -> int:
    result = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            result ^= column
        vector >>= 1
    return result
