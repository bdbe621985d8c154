"""Text to bytes in any of Python's encodings, as one stream with one byte order mark."""

from __future__ import annotations

import codecs

import pyarrow as pa

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.values import text_bytes

__all__ = ["TextEncoding"]

_UTF8 = "utf-8"


class TextEncoding:
    """One object's encoding; UTF-8 costs nothing, others go through Python's incremental encoder."""

    def __init__(self, name: str) -> None:
        try:
            codec = codecs.lookup(name)
            mark = "".encode(name)
        except (LookupError, TypeError, ValueError):
            raise ConfigError(
                "writer.parameter.encoding", name, allowed="a text encoding such as UTF-8, GBK, UTF-16"
            ) from None
        self._name = codec.name
        self._encoder = codecs.getincrementalencoder(name)()
        self.mark = self._encoder.encode("") or mark  # the byte order mark, once; empty for most encodings

    def encode(self, text: str) -> bytes:
        """Encode more text; :class:`UnicodeEncodeError` leaves the stream as it was."""
        state = self._encoder.getstate()
        try:
            return self._encoder.encode(text)
        except UnicodeEncodeError:
            self._encoder.setstate(state)
            raise

    def encode_lines(self, lines: pa.StringArray) -> bytes:
        """Encode whole lines, joined."""
        data = text_bytes(lines)
        return data if self._name == _UTF8 else self.encode(data.decode(_UTF8))

    def unencodable(self, lines: pa.StringArray) -> pa.BooleanArray:
        """Return a mask of the lines that this encoding has no bytes for; slow, for after a failure."""
        return pa.array([not self._can_encode(line) for line in lines.to_pylist()], pa.bool_())

    def finish(self) -> bytes:
        """Return what a stateful encoding needs at the end."""
        return b"" if self._name == _UTF8 else self._encoder.encode("", final=True)

    def _can_encode(self, line: str) -> bool:
        try:
            line.encode(self._name)
        except UnicodeEncodeError:
            return False
        return True
