"""What sources and targets in S3 and OSS share: prefixes, listings, pieces of listings, answers."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Protocol

from airflow_provider_sync.clients.listing import ListingPage
from airflow_provider_sync.clients.objects.answers import etag_of
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import ConfigError, CorruptDataError
from airflow_provider_sync.migration.objects import ObjectInfo

__all__ = ["ListsPages", "boundaries", "check_prefix", "info_of", "list_objects"]

_SAMPLES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ListsPages(Protocol):
    """A client that lists."""

    def list_page(  # noqa: D102 - the clients' own docstrings tell
        self,
        bucket: str,
        prefix: str = "",
        *,
        start_after: str = "",
        token: str = "",
        delimiter: str = "",
        limit: int = 1000,
    ) -> ListingPage: ...


def check_prefix(path: str, prefix: str) -> str:
    """Return a prefix that can be cut off and put before keys; anything else raises ConfigError.

    A prefix is a folder: ``data`` would also take ``database/…`` and leave keys like ``base/…``.
    """
    if prefix.startswith(("/", "\\")):
        raise ConfigError(path, prefix, allowed="a prefix without a leading slash", cure="remove the slash")
    if prefix and not prefix.endswith("/"):
        raise ConfigError(path, prefix, allowed="a prefix that ends with /", cure=f"write {prefix + '/'!r}")
    return prefix


def list_objects(client: ListsPages, bucket: str, prefix: str, after: str | None) -> Iterator[ObjectInfo]:
    """Yield all objects below ``prefix`` with relative keys greater than ``after``, in order.

    An order that is not that of the keys' UTF-8 bytes raises :class:`CorruptDataError`: a merge of two
    listings would be wrong in silence.
    """
    cut = len(prefix)
    start_after = prefix + after if after else ""
    token = ""
    last = prefix + after if after is not None else None
    while True:
        page = client.list_page(bucket, prefix, start_after=start_after, token=token)
        for number, (key, size, etag, modified, storage_class) in enumerate(page.objects):
            if last is not None and key <= last:
                if key == last and (number or after == ""):
                    # listed twice, as servers over a file system do with what is just being replaced; or the
                    # object named like the prefix itself, because start-after cannot be empty
                    continue
                raise CorruptDataError(
                    f"list {bucket}/{prefix}: {key!r} after {last!r} is not in the order of utf-8 bytes"
                )
            last = key
            yield ObjectInfo(key[cut:], size, etag, modified, storage_class)
        if not page.token:
            return
        token = page.token


def boundaries(client: ListsPages, bucket: str, prefix: str, depth: int, limit: int) -> Sequence[str]:
    """Return up to ``limit`` relative keys that cut the listing: folders down to ``depth``, else first letters.

    Costs one page per folder above the depth, or about 60 one-key pages where there are no folders.
    """
    level = [prefix]
    found: list[str] = []
    for _ in range(depth):
        level = [below for folder in level for below in _folders(client, bucket, folder, limit)]
        if not level:
            break
        found = list(heapq.merge(found, level))
        if len(level) >= limit:
            break
    cut = len(prefix)
    keys = [one[cut:] for one in found]
    if len(keys) < 2:  # noqa: PLR2004 - one folder cuts nothing
        folder = found[-1] if found else prefix
        keys = _letters(client, bucket, folder, cut)
    step = -(-len(keys) // limit) or 1
    return keys[::step]


def _folders(client: ListsPages, bucket: str, prefix: str, limit: int) -> Iterator[str]:
    token = ""
    count = 0
    while True:
        page = client.list_page(bucket, prefix, token=token, delimiter="/")
        yield from page.prefixes
        count += len(page.prefixes)
        # a folder full of objects is not worth paging through: its pieces come from first letters
        if not page.token or count >= limit or not page.prefixes:
            return
        token = page.token


def _letters(client: ListsPages, bucket: str, prefix: str, cut: int) -> list[str]:
    keys: list[str] = []
    last = ""
    for letter in _SAMPLES:
        probe = prefix + letter
        if probe <= last:
            continue  # the key found last is behind this letter already
        page = client.list_page(bucket, prefix, start_after=probe, limit=1)
        if not page.objects:
            break
        last = page.objects[0].key
        keys.append(probe[cut:])
    return keys


def info_of(answer: Answer, key: str, *, storage_class: str = "", crc64: int | None = None) -> ObjectInfo:
    """Read size, ETag and time out of the headers of a HEAD, or of a GET with or without a range."""
    headers = answer.headers
    total = headers.get("content-range", "").rpartition("/")[2]
    size = int(total) if total.isdigit() else int(headers.get("content-length") or len(answer.body))
    return ObjectInfo(
        key, size, etag_of(answer), _time(headers.get("last-modified", "")),
        storage_class, crc64,
    )  # fmt: skip


def _time(text: str) -> float:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return 0.0
