"""Which operation a request is, by method, level and sub-resource, and what runs it.

A sub-resource that is not served is refused, never ignored: taking ``PUT /key?something`` for a PutObject would
overwrite the object. A parameter that nothing documents is ignored on reads if it has a value, and refused
otherwise; where the real service draws that line is unknown.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_sync.localcloud.http import Response
from airflow_provider_sync.localcloud.oss import (
    bucket_routes,
    listing_routes,
    multipart_routes,
    object_routes,
)
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Cloud
from airflow_provider_sync.localcloud.oss.wire import Call

__all__ = ["identify", "run"]

_SERVICE = {("GET", ""): "ListBuckets"}
_BUCKET = {
    ("GET", ""): "ListObjects",
    ("GET", "bucketInfo"): "GetBucketInfo",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "acl"): "GetBucketAcl",
    ("GET", "stat"): "GetBucketStat",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "tagging"): "GetBucketTags",
    ("GET", "uploads"): "ListMultipartUploads",
    ("PUT", ""): "PutBucket",
    ("PUT", "acl"): "PutBucketAcl",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("PUT", "tagging"): "PutBucketTags",
    ("DELETE", ""): "DeleteBucket",
    ("DELETE", "tagging"): "DeleteBucketTags",
    ("POST", "delete"): "DeleteMultipleObjects",
}
_OBJECT = {
    ("GET", ""): "GetObject",
    ("GET", "acl"): "GetObjectACL",
    ("GET", "tagging"): "GetObjectTagging",
    ("GET", "symlink"): "GetSymlink",
    ("GET", "uploadId"): "ListParts",
    ("HEAD", ""): "HeadObject",
    ("HEAD", "objectMeta"): "GetObjectMeta",
    ("PUT", ""): "PutObject",
    ("PUT", "acl"): "PutObjectACL",
    ("PUT", "tagging"): "PutObjectTagging",
    ("PUT", "symlink"): "PutSymlink",
    ("PUT", "uploadId"): "UploadPart",
    ("POST", "append"): "AppendObject",
    ("POST", "uploads"): "InitiateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("POST", "restore"): "RestoreObject",
    ("DELETE", ""): "DeleteObject",
    ("DELETE", "tagging"): "DeleteObjectTagging",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}
_PLAIN_NAMES = """
    Expires OSSAccessKeyId Signature continuation-token delimiter encoding-type fetch-owner key-marker list-type
    marker max-keys max-parts max-uploads part-number-marker partNumber position prefix security-token sequential
    start-after upload-id-marker version-id-marker versionId x-oss-additional-headers x-oss-credential x-oss-date
    x-oss-expires x-oss-request-payer x-oss-security-token x-oss-signature x-oss-signature-version
    x-oss-traffic-limit
"""
_PLAIN = frozenset(_PLAIN_NAMES.split())
_UNSERVED_NAMES = """
    accessMonitor accessPoint asyncFetch bucketArchiveDirectRead callback callback-var cname comp cors encryption
    httpsConfig inventory lifecycle live logging metaQuery policy policyStatus publicAccessBlock qosInfo qosRequester
    redundancyTransition referer replication requestPayment requesterQosInfo resourceGroup resourcePool seal select
    style transferAcceleration vod website worm x-oss-async-process x-oss-process x-oss-rename
"""
_UNSERVED = frozenset(_UNSERVED_NAMES.split())

_HANDLERS: dict[str, Callable[[Cloud, Call], Response]] = {
    **object_routes.HANDLERS,
    **multipart_routes.HANDLERS,
    **bucket_routes.HANDLERS,
    **listing_routes.HANDLERS,
}


def identify(call: Call) -> str:
    """Return the operation's name as the API documents it; NotImplemented or MethodNotAllowed otherwise."""
    table = _OBJECT if call.key else _BUCKET if call.bucket else _SERVICE
    selector = _selector(call, {name for _, name in table}) if call.params else ""
    operation = table.get((call.method, selector))
    if operation is None:
        if selector:
            raise OssError.not_implemented(selector)
        message = "The specified method is not allowed against this resource."
        raise OssError(405, "MethodNotAllowed", message, details={"Method": call.method})
    if "x-oss-copy-source" in call.headers:
        operation = _COPIES.get(operation, operation)
    elif operation == "ListObjects" and call.params.get("list-type") == "2":
        operation = "ListObjectsV2"
    if "x-oss-callback" in call.headers:
        raise OssError.not_implemented("x-oss-callback")
    if operation in ("PutObject", "CopyObject") and (
        "partNumber" in call.params or "position" in call.params
    ):
        raise OssError.invalid_argument(
            "uploadId", "", "A part number or a position does not go with PutObject."
        )
    return operation


def _selector(call: Call, served: set[str]) -> str:
    found = ""
    for name, value in call.params.items():
        if name in _PLAIN or name.startswith("response-"):
            continue
        known = name in served
        if not known and name not in _UNSERVED and value and call.method in ("GET", "HEAD"):
            continue
        if not known or found:
            raise OssError.not_implemented(name)
        found = name
    return found


def run(cloud: Cloud, call: Call, digest: bytes) -> Response:
    """Run the operation of the call; ``digest`` is the MD5 of the body of a PutObject."""
    if call.operation == "PutObject":
        return object_routes.put_object(cloud, call, digest)
    return _HANDLERS[call.operation](cloud, call)
