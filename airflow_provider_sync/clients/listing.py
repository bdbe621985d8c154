"""One page of an object listing: S3 and OSS answer ``list-type=2`` with the same XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree as ET

from airflow_provider_sync.errors import TransientError

__all__ = ["ListedObject", "ListingPage", "parse_listing"]


class ListedObject(NamedTuple):
    """One object; ``modified`` in seconds since the Unix epoch, ``etag`` without quotes."""

    key: str
    size: int
    etag: str
    modified: float
    storage_class: str


@dataclass(frozen=True, slots=True)
class ListingPage:
    """``token`` continues the listing, empty on the last page; ``prefixes`` are those of a delimiter."""

    objects: list[ListedObject]
    prefixes: list[str]
    token: str


def parse_listing(body: bytes, operation: str, *, plus_is_space: bool) -> ListingPage:
    """Read a page; keys are decoded if the answer says that it encoded them.

    ``plus_is_space``: S3 writes a blank as ``+`` (as botocore decodes it), OSS as ``%20`` (as oss2 does).
    An answer that is cut, or not a listing, raises :class:`TransientError`.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - today's expat refuses entity bombs
        space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
        decode = _decoder(root.findtext(f"{space}EncodingType"), plus_is_space=plus_is_space)
        key, size, etag, modified, kind = (
            f"{space}{name}" for name in ("Key", "Size", "ETag", "LastModified", "StorageClass")
        )
        objects = []
        for one in root.iterfind(f"{space}Contents"):
            found = {child.tag: child.text or "" for child in one}
            objects.append(
                ListedObject(
                    decode(found[key]),
                    int(found[size]),
                    found.get(etag, "").strip('"'),
                    datetime.fromisoformat(found[modified]).timestamp(),
                    found.get(kind, ""),
                )
            )
        prefixes = [
            decode(one.findtext(f"{space}Prefix") or "") for one in root.iterfind(f"{space}CommonPrefixes")
        ]
        truncated = root.findtext(f"{space}IsTruncated")
        if truncated is None:
            raise TransientError(f"{operation}: the answer does not say whether it is truncated")
        token = root.findtext(f"{space}NextContinuationToken") or ""
    except (ET.ParseError, KeyError, ValueError) as error:
        raise TransientError(f"{operation}: the answer is no listing: {error!r}") from error
    if truncated.strip().lower() != "true":
        return ListingPage(objects, prefixes, "")
    if not token:
        raise TransientError(f"{operation}: the answer is truncated and has no token to go on with")
    return ListingPage(objects, prefixes, decode(token))


def _decoder(encoding: str | None, *, plus_is_space: bool) -> Callable[[str], str]:
    if encoding != "url":
        return str
    return unquote_plus if plus_is_space else unquote
