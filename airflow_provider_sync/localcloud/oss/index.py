"""Keys in the order of their UTF-8 bytes, cheap to add to, to remove from and to start reading anywhere.

Code point order, which is how Python compares text, is the order of the UTF-8 bytes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

__all__ = ["KeyIndex"]

_CHUNK = 2_000


class KeyIndex:
    """A sorted set of text, kept as a list of short sorted lists."""

    def __init__(self) -> None:
        self._chunks: list[list[str]] = []
        self._lasts: list[str] = []

    def add(self, key: str) -> None:
        """Add a key that is not there yet."""
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        if len(chunk) > _CHUNK:
            half = len(chunk) // 2
            self._chunks.insert(at + 1, chunk[half:])
            self._lasts.insert(at, chunk[half - 1])
            del chunk[half:]
            at += 1
        self._lasts[at] = self._chunks[at][-1]

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        at = bisect_left(self._lasts, key)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._lasts[at]

    def iterate(self, start: str, *, after: bool = False) -> Iterator[str]:
        """Yield the keys from ``start`` on, or those after it. The set must not change meanwhile."""
        at = bisect_left(self._lasts, start)
        if at == len(self._chunks):
            return
        chunk = self._chunks[at]
        begin = (bisect_right if after else bisect_left)(chunk, start)
        yield from chunk[begin:] if begin else chunk
        for later in range(at + 1, len(self._chunks)):
            yield from self._chunks[later]
