"""What is known about an object, wherever it is. Keys are relative to the source's or target's prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_provider_sync.clients.objects.model import Part, Stored

__all__ = ["Attributes", "Content", "ObjectInfo", "Part", "Prepared", "Stored"]

UNKNOWN_SIZE = -1


class ObjectInfo(NamedTuple):
    """One line of a listing, or a HEAD.

    ``size`` is in bytes, -1 where only reading tells (HTTP lists). ``etag`` pins the content: asking for it
    with another content there is refused; empty where the source has none. ``modified`` is in seconds since
    the Unix epoch, 0 if unknown. ``locator`` says where the bytes are if the key does not (HTTP lists).
    """

    key: str
    size: int
    etag: str
    modified: float
    storage_class: str = ""
    crc64: int | None = None
    locator: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an object has beside its bytes.

    ``headers`` has lower-case names of ``content-type``, ``cache-control``, ``content-disposition``,
    ``content-encoding``, ``content-language`` and ``expires``; ``metadata`` has names without the service's
    prefix. ``acl`` is ``private``, ``public-read``, ``public-read-write`` or empty (not asked for, or the
    bucket's). ``storage_class`` is in the words of the source.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    acl: str = ""
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Attributes in a target's own words: ``headers`` to send, and what could not be carried over, in prose."""

    headers: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were read, and what the same answer says about the whole object."""

    body: bytes | memoryview
    info: ObjectInfo
    attributes: Attributes
