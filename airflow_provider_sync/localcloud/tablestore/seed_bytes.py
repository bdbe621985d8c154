"""The arithmetic of seeded records, for arrays of records at once: random values, key bytes, checksums.

CRC-8 and the pure part of CRC-32 are linear, so a byte's share in a checksum depends only on the byte and on how
many bytes follow it; a record's checksum is the xor of its template's and of the shares of what varies.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from fastcrc import crc8

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb

__all__ = [
    "KEY_DIGITS",
    "Array",
    "bytes_of",
    "contribution",
    "crc32",
    "follow_table",
    "key_bytes",
    "mix",
    "random_bytes",
]

Array = Any  # numpy arrays; their dtypes are told where they are made
KEY_DIGITS = 12
_U64 = np.uint64


def key_bytes(kind: int, keys: Array) -> Array:
    """Return each key number as the varying bytes of a key value: decimal digits, i64, or eight bytes."""
    if kind == pb.INTEGER:
        return bytes_of(keys)
    if kind == pb.BLOB:
        return bytes_of(keys)[:, ::-1]
    powers = 10 ** np.arange(KEY_DIGITS - 1, -1, -1, dtype=np.int64)
    return (keys[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def random_bytes(kind: int, width: int, mixed: Array, salt: int) -> Array:
    """Return the varying bytes of a value: (n, width) uint8; ``mixed`` is a random uint64 of each record."""
    number = mixed * _U64(salt << 1 | 1)
    number ^= number >> _U64(32)
    if kind == pb.INTEGER:
        return bytes_of((number >> _U64(24)).astype(np.int64))
    if kind == pb.DOUBLE:
        return bytes_of((number >> _U64(40)).astype(np.float64) / 100)
    if kind == pb.BOOLEAN:
        return (number & _U64(1)).astype(np.uint8)[:, None]
    octets = bytes_of(number)
    if kind == pb.STRING:
        nibbles = np.stack([octets & 15, octets >> 4], axis=2).reshape(len(octets), -1)
        return _HEX[nibbles[:, :width]]
    return octets[:, :width]


_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def bytes_of(numbers: Array) -> Array:
    """Return the little-endian bytes of an array: (n, item size) uint8."""
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(len(numbers), -1)


def mix(index: Array, salt: int) -> Array:
    """Return a well-mixed uint64 for each index (splitmix64)."""
    x = index.astype(_U64) + _U64((salt * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    x = (x ^ (x >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> _U64(27))) * _U64(0x94D049BB133111EB)
    return x ^ (x >> _U64(31))


@cache
def follow_table(zeros: int) -> Array:
    """Return, for each byte, its share in a CRC-8 when ``zeros`` bytes follow it."""
    first = np.array([crc8.smbus(bytes((byte,))) for byte in range(256)], dtype=np.uint8)
    table = first
    for _ in range(zeros):
        table = first[table]
    return table


@cache
def _follow_pair_table(zeros: int) -> Array:
    """Return the same for each pair of bytes, the first one in the low half."""
    low, high = follow_table(zeros + 1), follow_table(zeros)
    return (high[:, None] ^ low[None, :]).reshape(-1)


def contribution(data: Array, after: int) -> Array:
    """Return the share of these bytes, one row per record, in a CRC-8 with ``after`` more bytes behind them."""
    width = data.shape[1]
    total = np.zeros(len(data), dtype=np.uint8)
    paired = width // 2 * 2
    if paired:
        pairs = np.ascontiguousarray(data[:, :paired]).view("<u2")
        for column in range(paired // 2):
            total ^= _follow_pair_table(after + width - 2 - 2 * column).take(pairs[:, column])
    if paired < width:
        total ^= follow_table(after)[data[:, -1]]
    return total


@cache
def _crc32_table() -> Array:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0xEDB88320), table >> 1)
    return table


def crc32(data: Array) -> Array:
    """Return zlib's CRC-32 of each row."""
    crc = np.full(len(data), 0xFFFFFFFF, dtype=np.uint32)
    for column in range(data.shape[1]):
        crc = _crc32_table()[(crc ^ data[:, column]) & 0xFF] ^ (crc >> 8)
    return crc ^ np.uint32(0xFFFFFFFF)
