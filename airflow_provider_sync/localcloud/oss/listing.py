"""Listings in the order of UTF-8 bytes: objects, versions, uploads.

A common prefix counts towards the page, as documented. Where the page ends in a common prefix, the marker is
that prefix and the next page starts behind everything it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_provider_sync.localcloud.oss.model import Bucket, Upload, Version

__all__ = ["ObjectPage", "UploadPage", "VersionPage", "list_objects", "list_uploads", "list_versions"]

_LAST_CODE_POINT = 0x10FFFF


@dataclass(slots=True)
class ObjectPage:
    """One page of objects; ``marker`` is the last key or prefix in it."""

    contents: list[tuple[str, Version]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    marker: str = ""


@dataclass(slots=True)
class VersionPage:
    """One page of versions, newest first under each key."""

    entries: list[tuple[str, Version, bool]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    key_marker: str = ""
    version_marker: str = ""


@dataclass(slots=True)
class UploadPage:
    """One page of uploads in progress, by key and then by the time they were started."""

    uploads: list[Upload] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    key_marker: str = ""
    upload_marker: str = ""


def list_objects(bucket: Bucket, *, prefix: str, delimiter: str, after: str, most: int) -> ObjectPage:
    """Return up to ``most`` objects and common prefixes behind ``after``."""
    page = ObjectPage()
    objects = bucket.objects
    for group, key in _keys(bucket, prefix, delimiter, after):
        version = objects[key][-1]
        if version.marker and not group:
            continue
        if group and version.marker and not _any_live(bucket, group):
            continue
        if len(page.contents) + len(page.prefixes) == most:
            page.truncated = True
            return page
        if group:
            page.prefixes.append(group)
        else:
            page.contents.append((key, version))
        page.marker = group or key
    return page


def list_versions(
    bucket: Bucket, *, prefix: str, delimiter: str, key_marker: str, version_marker: str, most: int
) -> VersionPage:
    """Return up to ``most`` versions, delete markers and common prefixes behind the two markers."""
    page = VersionPage()
    entries = _versions(bucket, prefix, delimiter, key_marker, version_marker)
    for count, (key, version, group) in enumerate(entries):
        if count == most:
            page.truncated = True
            return page
        if group or version is None:
            page.prefixes.append(group)
            page.key_marker, page.version_marker = group, ""
        else:
            page.entries.append((key, version, version is bucket.objects[key][-1]))
            page.key_marker, page.version_marker = key, version.version_id
    return page


def list_uploads(
    bucket: Bucket, *, prefix: str, delimiter: str, key_marker: str, upload_marker: str, most: int
) -> UploadPage:
    """Return up to ``most`` uploads and common prefixes behind the two markers (the second with the first only)."""
    page = UploadPage()
    ordered = sorted(bucket.uploads.values(), key=lambda upload: (upload.key, upload.upload_id))
    seen = ""
    for upload in ordered:
        key = upload.key
        if not key.startswith(prefix) or not _behind(upload, key_marker, upload_marker):
            continue
        group = _group(key, prefix, delimiter)
        if group and (group == seen or group <= key_marker):
            continue
        if len(page.uploads) + len(page.prefixes) == most:
            page.truncated = True
            return page
        if group:
            seen = group
            page.prefixes.append(group)
            page.key_marker, page.upload_marker = group, ""
        else:
            page.uploads.append(upload)
            page.key_marker, page.upload_marker = key, upload.upload_id
    return page


def _behind(upload: Upload, key_marker: str, upload_marker: str) -> bool:
    if upload_marker:
        return (upload.key, upload.upload_id) > (key_marker, upload_marker)
    return upload.key > key_marker


def _keys(bucket: Bucket, prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, str]]:
    """Yield (common prefix or empty, key) behind ``after``; of the keys of a common prefix only the first."""
    begin = prefix
    skip_equal = False
    if after >= prefix:
        begin, skip_equal = after, bool(after)
        group = _group(after, prefix, delimiter) if after.startswith(prefix) else ""
        if group == after and group:
            begin, skip_equal = _behind_all(group), False
    while True:
        jump = ""
        for key in bucket.index.iterate(begin, after=skip_equal):
            if not key.startswith(prefix):
                return
            group = _group(key, prefix, delimiter)
            yield group, key
            if group:
                jump = _behind_all(group)
                break
        if not jump:
            return
        begin, skip_equal = jump, False


def _versions(
    bucket: Bucket, prefix: str, delimiter: str, key_marker: str, version_marker: str
) -> Iterator[tuple[str, Version | None, str]]:
    if version_marker and key_marker.startswith(prefix) and not _group(key_marker, prefix, delimiter):
        older = reversed(bucket.objects.get(key_marker, ()))
        for version in older:
            if version.version_id == version_marker:
                break
        for version in older:
            yield key_marker, version, ""
    for group, key in _keys(bucket, prefix, delimiter, key_marker):
        if group:
            yield key, None, group
        else:
            for version in reversed(bucket.objects[key]):
                yield key, version, ""


def _group(key: str, prefix: str, delimiter: str) -> str:
    if not delimiter:
        return ""
    at = key.find(delimiter, len(prefix))
    return key[: at + len(delimiter)] if at >= 0 else ""


def _behind_all(group: str) -> str:
    """Return the least text behind everything that starts with ``group``."""
    head = group.rstrip(chr(_LAST_CODE_POINT))
    return head[:-1] + chr(ord(head[-1]) + 1) if head else group + chr(_LAST_CODE_POINT)


def _any_live(bucket: Bucket, group: str) -> bool:
    for key in bucket.index.iterate(group):
        if not key.startswith(group):
            return False
        if not bucket.objects[key][-1].marker:
            return True
    return False
