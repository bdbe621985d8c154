"""CRC-64/XZ: of bytes, and of two strings in a row from the checksums of each."""

from __future__ import annotations

from functools import lru_cache

from fastcrc import crc64 as _crc64

__all__ = ["combine", "crc64"]

_POLYNOMIAL = 0xC96C5795D7870F42
_BITS = 64
_BITS_PER_BYTE_LOG2 = 3


def crc64(data: bytes | memoryview, initial: int = 0) -> int:
    """Return the checksum of ``data``, going on from ``initial``."""
    return int(_crc64.xz(data, initial))


def combine(first: int, second: int, length: int) -> int:
    """Return the checksum of A+B from that of A, that of B, and the length of B in bytes."""
    return _apply(_zeros(length), first) ^ second


@lru_cache(maxsize=256)
def _zeros(length: int) -> tuple[int, ...]:
    """Return what ``length`` zero bytes do to a checksum, as the images of its 64 bits."""
    result = tuple(1 << bit for bit in range(_BITS))
    power = (_POLYNOMIAL, *(1 << bit for bit in range(_BITS - 1)))
    for _ in range(_BITS_PER_BYTE_LOG2):
        power = _square(power)
    while length:
        if length & 1:
            result = tuple(_apply(power, row) for row in result)
        length >>= 1
        if length:
            power = _square(power)
    return result


def _square(matrix: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_apply(matrix, row) for row in matrix)


def _apply(matrix: tuple[int, ...], vector: int) -> int:
    total = 0
    bit = 0
    while vector:
        if vector & 1:
            total ^= matrix[bit]
        vector >>= 1
        bit += 1
    return total
