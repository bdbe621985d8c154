"""Multipart operations: parameters in, XML out."""

from __future__ import annotations

from urllib.parse import quote

from airflow_provider_sync.localcloud.http import Response
from airflow_provider_sync.localcloud.oss import answers, listing, multipart, xml
from airflow_provider_sync.localcloud.oss.model import Cloud
from airflow_provider_sync.localcloud.oss.wire import Call, iso_date

__all__ = ["HANDLERS"]

_PAGE = 1_000


def initiate(cloud: Cloud, call: Call) -> Response:
    """InitiateMultipartUpload."""
    upload = multipart.initiate(cloud, cloud.bucket(call.bucket), call)
    encode = answers.encoder(call)
    children: list[xml.Node] = [
        ("Bucket", call.bucket),
        ("Key", encode(call.key)),
        ("UploadId", upload.upload_id),
        *answers.encoding(call),
    ]
    return answers.of_xml(("InitiateMultipartUploadResult", children), upload.template.sse)


def upload_part(cloud: Cloud, call: Call) -> Response:
    """UploadPart."""
    part = multipart.put_part(cloud, cloud.bucket(call.bucket), call)
    return Response(200, {"ETag": f'"{part.etag}"', "x-oss-hash-crc64ecma": str(part.crc)})


def upload_part_copy(cloud: Cloud, call: Call) -> Response:
    """UploadPartCopy."""
    part = multipart.copy_part(cloud, cloud.bucket(call.bucket), call)
    children: list[xml.Node] = [("LastModified", iso_date(part.modified)), ("ETag", f'"{part.etag}"')]
    return answers.of_xml(
        ("CopyPartResult", children), {"ETag": f'"{part.etag}"', "x-oss-hash-crc64ecma": str(part.crc)}
    )


def complete(cloud: Cloud, call: Call) -> Response:
    """CompleteMultipartUpload."""
    bucket = cloud.bucket(call.bucket)
    upload, version_id = multipart.complete(cloud, bucket, call)
    version = upload.template
    encode = answers.encoder(call)
    children: list[xml.Node] = [
        *answers.encoding(call),
        ("Location", f"http://{call.header('Host')}/{quote(call.key)}"),
        ("Bucket", call.bucket),
        ("Key", encode(call.key)),
        ("ETag", f'"{version.etag}"'),
    ]
    headers = {"ETag": f'"{version.etag}"', "x-oss-hash-crc64ecma": str(version.crc), **version.sse}
    if bucket.versioning:
        headers["x-oss-version-id"] = version_id
    return answers.of_xml(("CompleteMultipartUploadResult", children), headers)


def abort(cloud: Cloud, call: Call) -> Response:
    """AbortMultipartUpload."""
    bucket = cloud.bucket(call.bucket)
    cloud.drop_upload(bucket, multipart.upload_of(bucket, call))
    return Response(204)


def list_parts(cloud: Cloud, call: Call) -> Response:
    """ListParts."""
    bucket = cloud.bucket(call.bucket)
    upload = multipart.upload_of(bucket, call)
    most = call.number("max-parts", _PAGE, 1, _PAGE)
    marker = call.number("part-number-marker", 0, 0, cloud.limits.part_numbers)
    numbers = sorted(number for number in upload.parts if number > marker)
    page = numbers[:most]
    encode = answers.encoder(call)
    children: list[xml.Node] = [
        *answers.encoding(call),
        ("Bucket", call.bucket),
        ("Key", encode(call.key)),
        ("UploadId", upload.upload_id),
        ("StorageClass", upload.template.storage_class),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", page[-1] if page else marker),
        ("MaxParts", most),
        ("IsTruncated", len(numbers) > most),
    ]
    for number in page:
        part = upload.parts[number]
        fields: list[xml.Node] = [
            ("PartNumber", number),
            ("LastModified", iso_date(part.modified)),
            ("ETag", f'"{part.etag}"'),
            ("HashCrc64ecma", str(part.crc)),
            ("Size", part.size),
        ]
        children.append(("Part", fields))
    return answers.of_xml(("ListPartsResult", children), {})


def list_uploads(cloud: Cloud, call: Call) -> Response:
    """ListMultipartUploads."""
    bucket = cloud.bucket(call.bucket)
    params = call.params
    most = call.number("max-uploads", _PAGE, 1, _PAGE)
    prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
    key_marker = params.get("key-marker", "")
    upload_marker = params.get("upload-id-marker", "") if key_marker else ""
    page = listing.list_uploads(
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        key_marker=key_marker,
        upload_marker=upload_marker,
        most=most,
    )
    encode = answers.encoder(call)
    children: list[xml.Node] = [
        *answers.encoding(call),
        ("Bucket", call.bucket),
        ("KeyMarker", encode(key_marker)),
        ("UploadIdMarker", upload_marker),
        ("NextKeyMarker", encode(page.key_marker) if page.truncated else ""),
        ("NextUploadIdMarker", page.upload_marker if page.truncated else ""),
        ("Delimiter", encode(delimiter)),
        ("Prefix", encode(prefix)),
        ("MaxUploads", most),
        ("IsTruncated", page.truncated),
    ]
    for upload in page.uploads:
        fields: list[xml.Node] = [
            ("Key", encode(upload.key)),
            ("UploadId", upload.upload_id),
            ("StorageClass", upload.template.storage_class),
            ("Initiated", iso_date(upload.initiated)),
        ]
        children.append(("Upload", fields))
    children.extend(("CommonPrefixes", [("Prefix", encode(group))]) for group in page.prefixes)
    return answers.of_xml(("ListMultipartUploadsResult", children), {})


HANDLERS = {
    "InitiateMultipartUpload": initiate,
    "UploadPart": upload_part,
    "UploadPartCopy": upload_part_copy,
    "CompleteMultipartUpload": complete,
    "AbortMultipartUpload": abort,
    "ListParts": list_parts,
    "ListMultipartUploads": list_uploads,
}
