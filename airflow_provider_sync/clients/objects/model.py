"""What object stores say about what was written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Part", "Stored"]


@dataclass(frozen=True, slots=True)
class Part:
    """An uploaded part, as Complete needs it; ``crc64`` is of the bytes that were sent."""

    number: int
    etag: str
    size: int
    crc64: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a write says about the object; ``crc64`` is of the whole object, None where the service has none.

    ``next_position`` is where the next append goes; None if it was none.
    """

    etag: str
    crc64: int | None
    next_position: int | None = None
