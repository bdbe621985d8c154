"""What a source and a target of objects must do; one file per implementation, each safe for threads.

Keys are relative to the prefix that the source or target was opened with, so that a key is the same on both
sides. Listings are in order of the keys' UTF-8 bytes, which is the order of Python's text comparison.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_sync.migration.objects import Attributes, Content, ObjectInfo, Part, Prepared, Stored

__all__ = ["PartLimits", "Source", "Target"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PartLimits:
    """How an object may be cut: in bytes; ``largest_put`` is what one request may carry."""

    smallest: int = 100 * 1024
    most: int = 10_000
    largest_put: int = 5 * 1024 * MIB


class Source(ABC):
    """Where objects come from."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The source as a URL, without secrets, with the prefix."""

    @abstractmethod
    def check(self) -> None:
        """Raise what would stop every object: a missing bucket or folder, refused credentials."""

    @abstractmethod
    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield all objects with keys greater than ``after`` (all without it), in order."""

    def rejected(self) -> Iterator[tuple[str, str]]:
        """Yield (name, reason) of what a listing met and could not yield; asked once, after it."""
        yield from ()

    def boundaries(self, depth: int, limit: int) -> Sequence[str]:
        """Return up to ``limit`` keys, in order, that cut the listing into pieces worth listing side by side."""
        del depth, limit
        return ()

    @abstractmethod
    def head(self, item: ObjectInfo) -> ObjectInfo | None:
        """Return what is at an item's place now, None if there is nothing."""

    @abstractmethod
    def get(self, item: ObjectInfo, start: int | None = None, end: int | None = None) -> Content:
        """Read an object whole, or its bytes ``[start, end)``.

        Raises :class:`SourceChangedError` if it is not the item's version, :class:`SourceGoneError` if it is
        not there. Bytes that fail the source's own checksum raise :class:`TransientError` after some tries.
        """

    @abstractmethod
    def attributes(self, item: ObjectInfo) -> Attributes:
        """Return the attributes of an item that is read in pieces; same errors as :meth:`get`."""

    def ranges(self, item: ObjectInfo) -> bool:
        """Tell whether an item can be read by ranges; if not, :meth:`stream` reads it."""
        del item
        return True

    def stream(self, item: ObjectInfo, piece: int) -> Iterator[bytes]:
        """Yield an object's bytes from the start in pieces of ``piece`` bytes, the last may be shorter."""
        del item, piece
        raise NotImplementedError(f"{self.name} is read by ranges")

    def close(self) -> None:
        """Release connections; may be called twice."""


class Target(ABC):
    """Where objects go.

    ``exclusive`` tells whether ``only_new`` is enforced by the target itself, so that two writers cannot both
    succeed; where it is not, it is a check before the write.
    """

    exclusive = True
    limits = PartLimits()

    @property
    @abstractmethod
    def name(self) -> str:
        """The target as a URL, without secrets, with the prefix."""

    @abstractmethod
    def check(self) -> None:
        """Raise what would stop every object: a missing bucket or folder, refused credentials."""

    @abstractmethod
    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield all objects with keys greater than ``after`` (all without it), in order."""

    @abstractmethod
    def refusal(self, key: str) -> str:
        """Return why the target cannot hold an object of this name, empty if it can."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo | None:
        """Return what is there, None if there is nothing."""

    @abstractmethod
    def prepare(self, attributes: Attributes) -> Prepared:
        """Say attributes in the target's words; raises :class:`MetadataCollisionError`."""

    @abstractmethod
    def put(
        self, key: str, body: bytes | memoryview, prepared: Prepared, *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Write an object whole, checked by the target's own checksum.

        With ``only_new`` an object that is there raises :class:`TargetConflictError`. ``item`` is what it is a
        copy of.
        """

    @abstractmethod
    def begin(self, key: str, size: int, prepared: Prepared) -> str:
        """Start an object that is written in parts and return the upload's name; nothing is visible yet."""

    def uploads(self, key: str) -> Sequence[str]:
        """Return the names of unfinished uploads of an object, whoever began them; none where nobody can tell."""
        del key
        return ()

    @abstractmethod
    def put_part(self, key: str, upload: str, number: int, offset: int, body: bytes | memoryview) -> Part:
        """Write part ``number`` (from 1), whose first byte is at ``offset`` of the object."""

    @abstractmethod
    def complete(
        self, key: str, upload: str, parts: Sequence[Part], *, item: ObjectInfo, only_new: bool
    ) -> Stored:
        """Make the object visible, checked by size and by the parts' checksums."""

    @abstractmethod
    def abort(self, key: str, upload: str) -> None:
        """Throw an upload away; fine if it is gone."""

    @abstractmethod
    def read(self, key: str, start: int, end: int) -> bytes:
        """Return bytes ``[start, end)`` of an object, for verification."""

    def copies_from(self, source: Source) -> bool:
        """Tell whether :meth:`copy` can move objects of this source without their bytes passing through here."""
        del source
        return False

    def copy(self, source: Source, item: ObjectInfo, *, only_new: bool) -> Stored:
        """Let the service copy an item with its attributes, if it is still the item's version."""
        del item, only_new
        raise NotImplementedError(f"{self.name} does not copy from {source.name}")

    def close(self) -> None:
        """Release connections; may be called twice."""
