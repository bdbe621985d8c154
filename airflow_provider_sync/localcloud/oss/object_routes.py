"""Operations on one object: headers in, headers and bytes out."""

from __future__ import annotations

from urllib.parse import quote

from airflow_provider_sync.localcloud.http import Response
from airflow_provider_sync.localcloud.oss import answers, objects, xml
from airflow_provider_sync.localcloud.oss.conditions import check_read, requested_range
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Bucket, Cloud, Version
from airflow_provider_sync.localcloud.oss.rules import OBJECT_ACLS, check_tags, one_of
from airflow_provider_sync.localcloud.oss.wire import Call, http_date, iso_date

__all__ = ["HANDLERS", "put_object", "version_headers"]

_RESTORE_SECONDS = 24 * 3600
_OVERRIDES = (
    "response-content-type",
    "response-content-language",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-expires",
)


def version_headers(bucket: Bucket, version: Version) -> dict[str, str]:
    """Return the version id header, which only buckets that ever had versioning send."""
    return {"x-oss-version-id": version.version_id} if bucket.versioning else {}


def put_object(cloud: Cloud, call: Call, digest: bytes) -> Response:
    """PutObject."""
    bucket = cloud.bucket(call.bucket)
    version = objects.put(cloud, bucket, call, digest)
    headers = {
        "ETag": f'"{version.etag}"',
        "x-oss-hash-crc64ecma": str(version.crc),
        "Content-MD5": version.headers["Content-MD5"],
        **version.sse,
        **version_headers(bucket, version),
    }
    return Response(200, headers)


def append_object(cloud: Cloud, call: Call) -> Response:
    """AppendObject."""
    bucket = cloud.bucket(call.bucket)
    if not call.params.get("position"):
        raise OssError.invalid_argument("position", "", "The position is missing.")
    position = call.number("position", 0, 0, 1 << 62)
    version = objects.append(cloud, bucket, call, position)
    headers = {
        "ETag": f'"{version.etag}"',
        "x-oss-hash-crc64ecma": str(version.crc),
        "x-oss-next-append-position": str(version.size),
        **version.sse,
        **version_headers(bucket, version),
    }
    return Response(200, headers)


def get_object(cloud: Cloud, call: Call) -> Response:
    """GetObject."""
    bucket, version = _found(cloud, call)
    target = objects.followed(bucket, version)
    objects.readable(cloud, target)
    headers = _object_headers(bucket, version, target)
    if not check_read(call, target):
        return Response(304, _bare(headers))
    for name in _OVERRIDES:
        if name in call.params:
            headers[name.removeprefix("response-").title()] = call.params[name]
    span = requested_range(call, target.size)
    start, stop = span or (0, target.size)
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{target.size}"
    return Response(206 if span else 200, headers, objects.content(cloud, target, start, stop))


def head_object(cloud: Cloud, call: Call) -> Response:
    """HeadObject. A link is followed, as GetObject does."""
    bucket, version = _found(cloud, call)
    target = objects.followed(bucket, version)
    headers = _object_headers(bucket, version, target)
    if not check_read(call, target):
        return Response(304, _bare(headers))
    return Response(200, headers, content_length=target.size)


def get_object_meta(cloud: Cloud, call: Call) -> Response:
    """GetObjectMeta: ETag, length and time, of a link itself."""
    bucket, version = _found(cloud, call)
    headers = {
        "ETag": f'"{version.etag}"',
        "Last-Modified": http_date(version.modified),
        **_crc(version),
        **version_headers(bucket, version),
    }
    return Response(200, headers, content_length=version.size)


def delete_object(cloud: Cloud, call: Call) -> Response:
    """DeleteObject: 204 whether or not there was one."""
    bucket = cloud.bucket(call.bucket)
    version_id = call.params.get("versionId", "")
    marker = objects.delete(cloud, bucket, call.key, version_id)
    headers: dict[str, str] = {}
    if marker is not None:
        headers = {"x-oss-delete-marker": "true", "x-oss-version-id": marker.version_id}
    elif version_id:
        headers = {"x-oss-version-id": version_id}
    return Response(204, headers)


def copy_object(cloud: Cloud, call: Call) -> Response:
    """CopyObject."""
    bucket = cloud.bucket(call.bucket)
    source, version = objects.copy(cloud, bucket, call)
    headers = {
        "ETag": f'"{version.etag}"',
        **_crc(version),
        **version.sse,
        **version_headers(bucket, version),
    }
    if source.version_id != "null":
        headers["x-oss-copy-source-version-id"] = source.version_id
    result: xml.Node = (
        "CopyObjectResult",
        [("ETag", f'"{version.etag}"'), ("LastModified", iso_date(version.modified))],
    )
    return answers.of_xml(result, headers)


def put_tagging(cloud: Cloud, call: Call) -> Response:
    """PutObjectTagging: replaces all tags, keeps the time of the object."""
    bucket, version = _found(cloud, call)
    version.tags = check_tags(xml.parse_tagging(call.body), cloud.limits.tags)
    cloud.changed_version(bucket, call.key, version)
    return Response(200, version_headers(bucket, version))


def get_tagging(cloud: Cloud, call: Call) -> Response:
    """GetObjectTagging."""
    bucket, version = _found(cloud, call)
    return answers.of_xml(answers.tagging_node(version.tags), version_headers(bucket, version))


def delete_tagging(cloud: Cloud, call: Call) -> Response:
    """DeleteObjectTagging."""
    bucket, version = _found(cloud, call)
    version.tags = {}
    cloud.changed_version(bucket, call.key, version)
    return Response(204, version_headers(bucket, version))


def put_acl(cloud: Cloud, call: Call) -> Response:
    """PutObjectACL."""
    bucket, version = _found(cloud, call)
    version.acl = one_of("x-oss-object-acl", call.header("x-oss-object-acl"), OBJECT_ACLS)
    cloud.changed_version(bucket, call.key, version)
    return Response(200, version_headers(bucket, version))


def get_acl(cloud: Cloud, call: Call) -> Response:
    """GetObjectACL."""
    bucket, version = _found(cloud, call)
    return answers.of_xml(answers.acl_node(version.acl), version_headers(bucket, version))


def put_symlink(cloud: Cloud, call: Call) -> Response:
    """PutSymlink."""
    bucket = cloud.bucket(call.bucket)
    version = objects.link(cloud, bucket, call)
    return Response(200, {"ETag": f'"{version.etag}"', **version_headers(bucket, version)})


def get_symlink(cloud: Cloud, call: Call) -> Response:
    """GetSymlink: the target, in a header."""
    bucket, version = _found(cloud, call)
    if version.kind != "Symlink":
        raise OssError(400, "NotSymlink", "The object is not symlink")
    headers = {
        "x-oss-symlink-target": quote(version.target, safe=""),
        "ETag": f'"{version.etag}"',
        "Last-Modified": http_date(version.modified),
        **version_headers(bucket, version),
    }
    return Response(200, headers)


def restore_object(cloud: Cloud, call: Call) -> Response:
    """RestoreObject: for a day, and at once, which is invented; the real service takes minutes to hours."""
    bucket, version = _found(cloud, call)
    if version.storage_class in ("Standard", "IA"):
        raise OssError(400, "OperationNotSupported", "The operation is not supported for this resource")
    already = version.restored_until is not None and version.restored_until > cloud.clock.now()
    version.restored_until = cloud.clock.now() + _RESTORE_SECONDS
    cloud.changed_version(bucket, call.key, version)
    return Response(200 if already else 202, version_headers(bucket, version))


def _found(cloud: Cloud, call: Call) -> tuple[Bucket, Version]:
    bucket = cloud.bucket(call.bucket)
    return bucket, objects.find(bucket, call.key, call.params.get("versionId", ""))


def _object_headers(bucket: Bucket, version: Version, target: Version) -> dict[str, str]:
    headers = {
        **target.headers,
        "ETag": f'"{target.etag}"',
        "Last-Modified": http_date(target.modified),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": version.kind,
        "x-oss-storage-class": target.storage_class,
        **_crc(target),
        **target.sse,
    }
    if target.kind == "Appendable":
        headers["x-oss-next-append-position"] = str(target.size)
    if target.tags:
        headers["x-oss-tagging-count"] = str(len(target.tags))
    if target.restored_until is not None:
        headers["x-oss-restore"] = (
            f'ongoing-request="false", expiry-date="{http_date(target.restored_until)}"'
        )
    for name, value in target.meta.items():
        headers[f"x-oss-meta-{name}"] = value
    if bucket.versioning:
        headers["x-oss-version-id"] = version.version_id
    return headers


def _bare(headers: dict[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in ("ETag", "Last-Modified") if name in headers}


def _crc(version: Version) -> dict[str, str]:
    return {} if version.crc is None else {"x-oss-hash-crc64ecma": str(version.crc)}


HANDLERS = {
    "GetObject": get_object,
    "HeadObject": head_object,
    "GetObjectMeta": get_object_meta,
    "DeleteObject": delete_object,
    "CopyObject": copy_object,
    "AppendObject": append_object,
    "PutObjectTagging": put_tagging,
    "GetObjectTagging": get_tagging,
    "DeleteObjectTagging": delete_tagging,
    "PutObjectACL": put_acl,
    "GetObjectACL": get_acl,
    "PutSymlink": put_symlink,
    "GetSymlink": get_symlink,
    "RestoreObject": restore_object,
}
