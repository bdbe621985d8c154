"""The rules of objects: find, put, append, copy, delete, restore, links."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import NoReturn
from urllib.parse import unquote

from airflow_provider_sync.localcloud.oss.checksum import combine, crc64
from airflow_provider_sync.localcloud.oss.conditions import check_copy_source
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import NULL_VERSION, Bucket, Cloud, Version
from airflow_provider_sync.localcloud.oss.rules import check_key, described, encryption, one_of
from airflow_provider_sync.localcloud.oss.storage import Segment, read_all
from airflow_provider_sync.localcloud.oss.wire import Call

__all__ = [
    "append",
    "check_overwrite",
    "check_room",
    "content",
    "copy",
    "copy_source",
    "delete",
    "find",
    "followed",
    "link",
    "new_version",
    "opaque_etag",
    "put",
    "readable",
]

_TAIL_BYTES = 1024 * 1024
_ARCHIVED = ("Archive", "ColdArchive", "DeepColdArchive")


def new_version(cloud: Cloud, bucket: Bucket, kind: str = "Normal") -> Version:
    """Return an empty version with the id that a write to this bucket gets now."""
    version_id = cloud.new_id() if bucket.versioning == "Enabled" else NULL_VERSION
    return Version(version_id, cloud.next_sequence(), cloud.clock.now(), kind)


def find(bucket: Bucket, key: str, version_id: str = "") -> Version:
    """Return the version a read means; the documented refusals for delete markers and for what is not there."""
    if not version_id:
        version = bucket.current(key)
        if version is None:
            raise OssError.no_such_key(key)
        if version.marker:
            headers = {"x-oss-delete-marker": "true", "x-oss-version-id": version.version_id}
            raise OssError.no_such_key(key, headers)
        return version
    for version in bucket.objects.get(key, ()):
        if version.version_id == version_id:
            if version.marker:
                headers = {"Allow": "DELETE", "x-oss-delete-marker": "true", "x-oss-version-id": version_id}
                message = "The specified method is not allowed against this resource."
                raise OssError(405, "MethodNotAllowed", message, headers=headers)
            return version
    raise OssError.no_such_version(key, version_id)


def readable(cloud: Cloud, version: Version) -> None:
    """Refuse the content of an archived object that was not restored."""
    restored = version.restored_until is not None and version.restored_until > cloud.clock.now()
    if version.storage_class in _ARCHIVED and not restored:
        message = "The operation is not valid for the object's state"
        raise OssError(403, "InvalidObjectState", message)


def check_overwrite(call: Call, bucket: Bucket, key: str, *, completing: bool = False) -> None:
    """Apply ``x-oss-forbid-overwrite``, which has no effect once versioning was ever switched on."""
    if call.header("x-oss-forbid-overwrite").lower() != "true" or bucket.versioning:
        return
    if bucket.current(key) is not None:
        raise OssError.file_already_exists(completing=completing)


def check_room(cloud: Cloud, bucket: Bucket, size: int) -> None:
    """Refuse more bytes than one request may bring, or than the test knob ``quota`` leaves."""
    if size > cloud.limits.put_max:
        message = "Your proposed upload exceeds the maximum allowed object size."
        raise OssError(400, "EntityTooLarge", message, details={"MaxSizeAllowed": str(cloud.limits.put_max)})
    if bucket.quota is not None:
        pending = sum(part.size for upload in bucket.uploads.values() for part in upload.parts.values())
        if bucket.used + pending + size > bucket.quota:
            raise OssError.quota_exceeded(bucket.name, bucket.quota)


def opaque_etag(crc: int, size: int) -> str:
    """Return the ETag of anything but a put object: the same for the same content, and no MD5."""
    return f"{crc:016X}{size:016X}"


def put(cloud: Cloud, bucket: Bucket, call: Call, digest: bytes) -> Version:
    """Store a whole object; ``digest`` is the MD5 of the body."""
    check_key(call.key, cloud.limits)
    check_overwrite(call, bucket, call.key)
    check_room(cloud, bucket, len(call.body))
    version = described(call, new_version(cloud, bucket), cloud.limits, bucket.storage_class)
    version.segments = (cloud.storage.write(call.body),) if call.body else ()
    version.size = len(call.body)
    version.crc = crc64(call.body)
    version.etag = digest.hex().upper()
    version.headers["Content-MD5"] = base64.b64encode(digest).decode()
    cloud.add_version(bucket, call.key, version)
    return version


def append(cloud: Cloud, bucket: Bucket, call: Call, position: int) -> Version:
    """Append to an appendable object, or create one at position 0.

    That position 0 creates a version over a delete marker, with a null id as every appendable one has, is
    invented.
    """
    check_key(call.key, cloud.limits)
    old = bucket.current(call.key)
    exists = old is not None and not old.marker
    if old is not None and exists and old.kind != "Appendable":
        message = "The object is not appendable"
        raise OssError(409, "ObjectNotAppendable", message, ec="0026-00000017", details={"Key": call.key})
    length = old.size if old is not None and exists else 0
    if position != length:
        headers = {"x-oss-next-append-position": str(length)}
        if old is not None and exists and old.crc is not None:
            headers["x-oss-hash-crc64ecma"] = str(old.crc)
        message = "Position is not equal to file length"
        raise OssError(409, "PositionNotEqualToLength", message, ec="0026-00000016", headers=headers)
    check_room(cloud, bucket, len(call.body))
    if length + len(call.body) > cloud.limits.put_max:
        check_room(cloud, bucket, cloud.limits.put_max + 1)
    if old is None or not exists:
        version = described(
            call, new_version(cloud, bucket, "Appendable"), cloud.limits, bucket.storage_class
        )
        version.version_id = NULL_VERSION
        version.segments = (cloud.storage.write(call.body),) if call.body else ()
        version.size = len(call.body)
        version.crc = crc64(call.body)
        version.etag = opaque_etag(version.crc, version.size)
        cloud.add_version(bucket, call.key, version)
        return version
    crc = combine(old.crc or 0, crc64(call.body), len(call.body))
    version = replace(
        old,
        sequence=cloud.next_sequence(),
        modified=cloud.clock.now(),
        segments=_extended(cloud, old.segments, call.body),
        size=length + len(call.body),
        crc=crc,
        etag=opaque_etag(crc, length + len(call.body)),
    )
    cloud.replace_content(bucket, call.key, old, version)
    return version


def _extended(cloud: Cloud, segments: tuple[Segment, ...], data: bytes) -> tuple[Segment, ...]:
    """Return the segments with ``data`` at the end; a short last one is rewritten, so that they stay few."""
    storage = cloud.storage
    if not data:
        storage.retain(segments)
        return segments
    kept = segments
    if segments and segments[-1].size < _TAIL_BYTES:
        kept = segments[:-1]
        data = b"".join((storage.read(segments[-1], 0, segments[-1].size), data))
    storage.retain(kept)
    return (*kept, storage.write(data))


def copy_source(cloud: Cloud, call: Call) -> tuple[Bucket, str, Version]:
    """Return what ``x-oss-copy-source`` names, its conditions checked."""
    value = call.header("x-oss-copy-source")
    path, _, query = value.partition("?")
    name, _, key = unquote(path).removeprefix("/").partition("/")
    if not name or not key:
        raise OssError.invalid_argument(
            "x-oss-copy-source", value, "Copy source must be /bucket/key, URL-encoded."
        )
    version_id = query.removeprefix("versionId=") if query.startswith("versionId=") else ""
    bucket = cloud.bucket(name)
    version = find(bucket, key, version_id)
    readable(cloud, version)
    check_copy_source(call, version)
    return bucket, key, version


def copy(cloud: Cloud, bucket: Bucket, call: Call) -> tuple[Version, Version]:
    """Copy an object; returns source and copy. Content is shared, checksum and ETag stay.

    That the copy of a multipart object keeps its kind, and that of an appendable one becomes a normal one, is
    invented.
    """
    check_key(call.key, cloud.limits)
    source_bucket, source_key, source = copy_source(cloud, call)
    same_bucket = source_bucket is bucket
    metadata = one_of(
        "x-oss-metadata-directive", call.header("x-oss-metadata-directive").upper() or "COPY", _DIRECTIVES
    )
    tagging = one_of(
        "x-oss-tagging-directive", call.header("x-oss-tagging-directive").upper() or "COPY", _DIRECTIVES
    )
    if source.kind == "Appendable" and source_bucket.versioning:
        message = "An appendable object cannot be copied in a bucket with versioning."
        raise OssError(400, "OperationNotSupported", message)
    check_overwrite(call, bucket, call.key)
    if not same_bucket:
        check_room(cloud, bucket, source.size)
    if same_bucket and source_key == call.key and not bucket.versioning and source.kind == "Symlink":
        _not_supported("a link cannot be copied onto itself")
    fresh = described(call, new_version(cloud, bucket), cloud.limits, bucket.storage_class)
    kind = "Normal" if source.kind == "Appendable" else source.kind
    version = replace(
        fresh,
        kind=kind,
        segments=source.segments,
        size=source.size,
        etag=source.etag,
        crc=source.crc,
        target=source.target,
        sse=encryption(call),
    )
    if metadata == "COPY":
        version.headers, version.meta = dict(source.headers), dict(source.meta)
    elif "Content-MD5" in source.headers:
        version.headers["Content-MD5"] = source.headers["Content-MD5"]
    if tagging == "COPY":
        version.tags = dict(source.tags)
    cloud.storage.retain(version.segments)
    cloud.add_version(bucket, call.key, version)
    return source, version


_DIRECTIVES = ("COPY", "REPLACE")


def _not_supported(reason: str) -> NoReturn:
    raise OssError(400, "OperationNotSupported", f"The operation is not supported: {reason}.")


def delete(cloud: Cloud, bucket: Bucket, key: str, version_id: str = "") -> Version | None:
    """Delete an object or one version; returns the marker that was made or removed, if one was."""
    versions = bucket.objects.get(key, [])
    if version_id:
        for version in versions:
            if version.version_id == version_id:
                cloud.remove_version(bucket, key, version)
                return version if version.marker else None
        return None
    if not bucket.versioning:
        for version in list(versions):
            cloud.remove_version(bucket, key, version)
        return None
    marker = new_version(cloud, bucket)
    marker.marker = True
    cloud.add_version(bucket, key, marker)
    return marker


def link(cloud: Cloud, bucket: Bucket, call: Call) -> Version:
    """Make a symbolic link; its target need not exist."""
    check_key(call.key, cloud.limits)
    target = unquote(call.header("x-oss-symlink-target"))
    if not target:
        raise OssError.invalid_argument("x-oss-symlink-target", "", "A link needs a target.")
    check_overwrite(call, bucket, call.key)
    version = described(call, new_version(cloud, bucket, "Symlink"), cloud.limits, bucket.storage_class)
    version.target = target
    version.etag = hashlib.md5(target.encode(), usedforsecurity=False).hexdigest().upper()
    version.crc = None
    cloud.add_version(bucket, call.key, version)
    return version


def followed(bucket: Bucket, version: Version) -> Version:
    """Return the object behind a link, or the version itself; a link to a link is refused, as documented."""
    if version.kind != "Symlink":
        return version
    target = bucket.current(version.target)
    if target is None or target.marker:
        message = "The symlink target object does not exist"
        raise OssError(404, "SymlinkTargetNotExist", message)
    if target.kind == "Symlink":
        raise OssError(400, "InvalidTargetType", "The symlink's target object type is invalid.")
    return target


def content(cloud: Cloud, version: Version, start: int, stop: int) -> bytes | memoryview:
    """Return a range of a version's content."""
    return read_all(cloud.storage, version.segments, start, stop) if stop > start else b""
