"""Operations on buckets and the service, and deleting many objects at once."""

from __future__ import annotations

from airflow_provider_sync.localcloud.http import Response
from airflow_provider_sync.localcloud.oss import answers, objects, xml
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Bucket, Cloud
from airflow_provider_sync.localcloud.oss.rules import (
    BUCKET_ACLS,
    STORAGE_CLASSES,
    check_bucket_name,
    check_tags,
    one_of,
)
from airflow_provider_sync.localcloud.oss.wire import Call, iso_date

__all__ = ["HANDLERS", "create_bucket"]

_REDUNDANCIES = ("LRS", "ZRS")
_PAGE = 100
_PAGE_MAX = 1_000


def create_bucket(cloud: Cloud, name: str) -> Bucket:
    """Return the bucket, made now unless it is there."""
    check_bucket_name(name)
    bucket = cloud.buckets.get(name)
    if bucket is None:
        bucket = Bucket(name, cloud.clock.now())
        cloud.save_bucket(bucket)
    return bucket


def put_bucket(cloud: Cloud, call: Call) -> Response:
    """PutBucket: one's own bucket again is no error; its ACL is set if one is sent."""
    check_bucket_name(call.bucket)
    storage_class, redundancy = xml.parse_create_bucket(call.body)
    acl = one_of("x-oss-acl", call.header("x-oss-acl") or "private", BUCKET_ACLS)
    if storage_class:
        one_of("StorageClass", storage_class, STORAGE_CLASSES)
    if redundancy:
        one_of("DataRedundancyType", redundancy, _REDUNDANCIES)
    known = call.bucket in cloud.buckets
    bucket = create_bucket(cloud, call.bucket)
    if not known:
        bucket.storage_class = storage_class or bucket.storage_class
        bucket.redundancy = redundancy or bucket.redundancy
    if not known or call.header("x-oss-acl"):
        bucket.acl = acl
    cloud.save_bucket(bucket)
    return Response(200, {"Location": f"/{bucket.name}"})


def delete_bucket(cloud: Cloud, call: Call) -> Response:
    """DeleteBucket: refused while there is a version, or an upload in progress."""
    bucket = cloud.bucket(call.bucket)
    if bucket.objects or bucket.uploads:
        message = "The bucket has objects. Please delete them first."
        if not bucket.objects:
            message = "The bucket has multipart uploads. Please abort them first."
        raise OssError(
            409, "BucketNotEmpty", message, ec="0015-00000301", details={"BucketName": bucket.name}
        )
    cloud.drop_bucket(bucket)
    return Response(204)


def list_buckets(cloud: Cloud, call: Call) -> Response:
    """ListBuckets."""
    prefix, marker = call.params.get("prefix", ""), call.params.get("marker", "")
    most = call.number("max-keys", _PAGE, 1, _PAGE_MAX)
    names = sorted(name for name in cloud.buckets if name.startswith(prefix) and name > marker)
    page = names[:most]
    truncated = len(names) > most
    children: list[xml.Node] = [
        ("Prefix", prefix),
        ("Marker", marker),
        ("MaxKeys", most),
        ("IsTruncated", truncated),
        *([("NextMarker", page[-1])] if truncated else []),
        answers.owner_node(),
        ("Buckets", [("Bucket", _described(cloud, cloud.buckets[name])) for name in page]),
    ]
    return answers.of_xml(("ListAllMyBucketsResult", children))


def get_info(cloud: Cloud, call: Call) -> Response:
    """GetBucketInfo."""
    bucket = cloud.bucket(call.bucket)
    more: list[xml.Node] = [
        ("DataRedundancyType", bucket.redundancy),
        *([("Versioning", bucket.versioning)] if bucket.versioning else []),
        answers.owner_node(),
        ("AccessControlList", [("Grant", bucket.acl)]),
    ]
    return answers.of_xml(("BucketInfo", [("Bucket", [*_described(cloud, bucket), *more])]))


def _described(cloud: Cloud, bucket: Bucket) -> list[xml.Node]:
    location = cloud.location
    return [
        ("Name", bucket.name),
        ("Location", location),
        ("Region", location.removeprefix("oss-")),
        ("CreationDate", iso_date(bucket.created)),
        ("ExtranetEndpoint", f"{location}.aliyuncs.com"),
        ("IntranetEndpoint", f"{location}-internal.aliyuncs.com"),
        ("StorageClass", bucket.storage_class),
    ]


def get_location(cloud: Cloud, call: Call) -> Response:
    """GetBucketLocation."""
    cloud.bucket(call.bucket)
    return answers.of_xml(("LocationConstraint", cloud.location))


def get_acl(cloud: Cloud, call: Call) -> Response:
    """GetBucketAcl."""
    return answers.of_xml(answers.acl_node(cloud.bucket(call.bucket).acl))


def put_acl(cloud: Cloud, call: Call) -> Response:
    """PutBucketAcl."""
    bucket = cloud.bucket(call.bucket)
    bucket.acl = one_of("x-oss-acl", call.header("x-oss-acl"), BUCKET_ACLS)
    cloud.save_bucket(bucket)
    return Response(200)


def get_stat(cloud: Cloud, call: Call) -> Response:
    """GetBucketStat: as of now, where the real service is about an hour late."""
    bucket = cloud.bucket(call.bucket)
    stored: dict[str, tuple[int, int]] = {}
    markers = 0
    for versions in bucket.objects.values():
        for version in versions:
            count, size = stored.get(version.storage_class, (0, 0))
            stored[version.storage_class] = (count + (not version.marker), size + version.size)
            markers += version.marker
    standard, rare = stored.get("Standard", (0, 0)), stored.get("IA", (0, 0))
    children: list[xml.Node] = [
        ("Storage", bucket.used),
        ("ObjectCount", sum(count for count, _ in stored.values())),
        ("MultipartUploadCount", len(bucket.uploads)),
        ("MultipartPartCount", sum(len(upload.parts) for upload in bucket.uploads.values())),
        ("LastModifiedTime", int(cloud.clock.now())),
        ("StandardStorage", standard[1]),
        ("StandardObjectCount", standard[0]),
        ("InfrequentAccessStorage", rare[1]),
        ("InfrequentAccessObjectCount", rare[0]),
        ("DeleteMarkerCount", markers),
    ]
    return answers.of_xml(("BucketStat", children))


def put_versioning(cloud: Cloud, call: Call) -> Response:
    """PutBucketVersioning."""
    bucket = cloud.bucket(call.bucket)
    bucket.versioning = xml.parse_versioning(call.body)
    cloud.save_bucket(bucket)
    return Response(200)


def get_versioning(cloud: Cloud, call: Call) -> Response:
    """GetBucketVersioning: without a status if it was never set."""
    bucket = cloud.bucket(call.bucket)
    status: list[xml.Node] = [("Status", bucket.versioning)] if bucket.versioning else []
    return answers.of_xml(("VersioningConfiguration", status))


def put_tagging(cloud: Cloud, call: Call) -> Response:
    """PutBucketTags."""
    bucket = cloud.bucket(call.bucket)
    bucket.tags = check_tags(xml.parse_tagging(call.body), cloud.limits.bucket_tags)
    cloud.save_bucket(bucket)
    return Response(200)


def get_tagging(cloud: Cloud, call: Call) -> Response:
    """GetBucketTags: an empty set if there are none."""
    return answers.of_xml(answers.tagging_node(cloud.bucket(call.bucket).tags))


def delete_tagging(cloud: Cloud, call: Call) -> Response:
    """DeleteBucketTags: all of them, or those named in the parameter (``tagging=a,b``)."""
    bucket = cloud.bucket(call.bucket)
    named = call.params.get("tagging", "")
    gone = set(named.split(",")) if named else set(bucket.tags)
    bucket.tags = {name: value for name, value in bucket.tags.items() if name not in gone}
    cloud.save_bucket(bucket)
    return Response(204)


def delete_multiple(cloud: Cloud, call: Call) -> Response:
    """DeleteMultipleObjects: each key is answered as deleted, whether or not there was one."""
    bucket = cloud.bucket(call.bucket)
    if not call.header("Content-MD5"):
        raise OssError.invalid_argument("Content-MD5", "", "Content-MD5 is missing.")
    quiet, wanted = xml.parse_delete(call.body)
    if not wanted:
        raise OssError.malformed_xml("Delete has no Object")
    if len(wanted) > cloud.limits.delete_keys:
        raise OssError(
            400,
            "MalformedXML",
            f"At most {cloud.limits.delete_keys} objects can be deleted at once.",
            ec="0016-00000609",
        )
    encode = answers.encoder(call)
    children: list[xml.Node] = [*answers.encoding(call)]
    for key, version_id in wanted:
        marker = objects.delete(cloud, bucket, key, version_id)
        fields: list[xml.Node] = [("Key", encode(key))]
        if version_id:
            fields.append(("VersionId", version_id))
        if marker is not None:
            fields += [("DeleteMarker", True), ("DeleteMarkerVersionId", marker.version_id)]
        children.append(("Deleted", fields))
    return Response(200) if quiet else answers.of_xml(("DeleteResult", children))


HANDLERS = {
    "ListBuckets": list_buckets,
    "PutBucket": put_bucket,
    "DeleteBucket": delete_bucket,
    "GetBucketInfo": get_info,
    "GetBucketLocation": get_location,
    "GetBucketAcl": get_acl,
    "PutBucketAcl": put_acl,
    "GetBucketStat": get_stat,
    "PutBucketVersioning": put_versioning,
    "GetBucketVersioning": get_versioning,
    "PutBucketTags": put_tagging,
    "GetBucketTags": get_tagging,
    "DeleteBucketTags": delete_tagging,
    "DeleteMultipleObjects": delete_multiple,
}
