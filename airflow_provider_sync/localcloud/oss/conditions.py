"""Conditional headers and ranges.

Both behaviours of ranges are documented: by default anything outside the object is answered with 200 and the
whole object; with ``x-oss-range-behavior: standard`` as HTTP says, 206 clipped or 416. That a malformed range
and several ranges are ignored is one of the answers the documentation leaves open.
"""

from __future__ import annotations

import re

from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Version
from airflow_provider_sync.localcloud.oss.wire import Call, parse_http_date

__all__ = ["check_copy_source", "check_read", "copy_range", "requested_range"]

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def check_read(call: Call, version: Version) -> bool:
    """Tell whether a read goes on; False is 304 Not Modified. PreconditionFailed where a condition fails."""
    headers = call.headers
    return not _fails(
        version,
        match=headers.get("If-Match"),
        none_match=headers.get("If-None-Match"),
        modified_since=headers.get("If-Modified-Since"),
        unmodified_since=headers.get("If-Unmodified-Since"),
    )


def check_copy_source(call: Call, version: Version) -> None:
    """Refuse a copy whose source does not meet the conditions: 412, or 304 as documented."""
    headers = call.headers
    if _fails(
        version,
        match=headers.get("x-oss-copy-source-if-match"),
        none_match=headers.get("x-oss-copy-source-if-none-match"),
        modified_since=headers.get("x-oss-copy-source-if-modified-since"),
        unmodified_since=headers.get("x-oss-copy-source-if-unmodified-since"),
    ):
        raise OssError(304, "NotModified", "Not Modified")


def _fails(
    version: Version,
    *,
    match: str | None,
    none_match: str | None,
    modified_since: str | None,
    unmodified_since: str | None,
) -> bool:
    """Tell whether the answer is 304; raise for 412."""
    if match is not None and not _same(match, version.etag):
        raise OssError.precondition_failed("If-Match")
    modified = int(version.modified)
    if unmodified_since is not None:
        limit = parse_http_date(unmodified_since)
        if limit is not None and limit < modified:
            raise OssError.precondition_failed("If-Unmodified-Since")
    if none_match is not None and _same(none_match, version.etag):
        return True
    if modified_since is None:
        return False
    since = parse_http_date(modified_since)
    return since is not None and since >= modified


def _same(text: str, etag: str) -> bool:
    return any(item.strip().strip('"').upper() in (etag, "*") for item in text.split(","))


def requested_range(call: Call, size: int) -> tuple[int, int] | None:
    """Return start and stop of the part of the object to send, None for the whole; InvalidRange."""
    match = _RANGE.fullmatch(call.header("Range"))
    if match is None or match[1] == match[2] == "":
        return None
    if match[1]:
        start = int(match[1])
        stop = int(match[2]) + 1 if match[2] else max(size, start + 1)
        if stop <= start:
            return None
    else:
        start, stop = size - int(match[2]), size
    if 0 <= start < stop <= size:
        return start, stop
    if call.header("x-oss-range-behavior").lower() != "standard":
        return None
    start, stop = max(start, 0), min(stop, size)
    if start >= stop:
        raise OssError(416, "InvalidRange", "The requested range cannot be satisfied")
    return start, stop


def copy_range(call: Call, size: int) -> tuple[int, int]:
    """Return start and stop of ``x-oss-copy-source-range``, the whole source without one."""
    text = call.header("x-oss-copy-source-range")
    if not text:
        return 0, size
    match = _RANGE.fullmatch(text)
    if match is None or not match[1]:
        raise OssError.invalid_argument(
            "x-oss-copy-source-range", text, "The range must be bytes=first-last."
        )
    start, stop = int(match[1]), int(match[2]) + 1 if match[2] else size
    if not start < stop <= size:
        raise OssError(416, "InvalidRange", "The requested range cannot be satisfied")
    return start, stop
