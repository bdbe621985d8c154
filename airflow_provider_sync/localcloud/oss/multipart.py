"""The rules of multipart uploads: nothing is visible before Complete, and Complete is one step."""

from __future__ import annotations

import hashlib

from airflow_provider_sync.localcloud.oss.checksum import combine, crc64
from airflow_provider_sync.localcloud.oss.conditions import copy_range
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Bucket, Cloud, Part, Upload
from airflow_provider_sync.localcloud.oss.objects import (
    check_overwrite,
    check_room,
    content,
    copy_source,
    new_version,
    opaque_etag,
)
from airflow_provider_sync.localcloud.oss.rules import check_key, described
from airflow_provider_sync.localcloud.oss.wire import Call
from airflow_provider_sync.localcloud.oss.xml import parse_complete

__all__ = ["complete", "copy_part", "initiate", "put_part", "upload_of"]


def initiate(cloud: Cloud, bucket: Bucket, call: Call) -> Upload:
    """Start an upload; an existing object stays as it is."""
    check_key(call.key, cloud.limits)
    check_overwrite(call, bucket, call.key)
    template = described(call, new_version(cloud, bucket, "Multipart"), cloud.limits, bucket.storage_class)
    upload = Upload(cloud.new_id(), call.key, cloud.clock.now(), template)
    cloud.save_upload(bucket, upload)
    return upload


def upload_of(bucket: Bucket, call: Call) -> Upload:
    """Return the upload that ``uploadId`` and the key name; NoSuchUpload."""
    upload_id = call.params.get("uploadId", "")
    upload = bucket.uploads.get(upload_id)
    if upload is None or upload.key != call.key:
        raise OssError.no_such_upload(upload_id)
    return upload


def put_part(cloud: Cloud, bucket: Bucket, call: Call) -> Part:
    """Keep the body as a part; the same number again replaces it."""
    number = _part_number(cloud, call)
    upload = upload_of(bucket, call)
    check_room(cloud, bucket, len(call.body))
    return _save(cloud, bucket, upload, number, call.body)


def copy_part(cloud: Cloud, bucket: Bucket, call: Call) -> Part:
    """Keep a range of another object as a part."""
    number = _part_number(cloud, call)
    upload = upload_of(bucket, call)
    _, _, source = copy_source(cloud, call)
    start, stop = copy_range(call, source.size)
    check_room(cloud, bucket, stop - start)
    return _save(cloud, bucket, upload, number, bytes(content(cloud, source, start, stop)))


def _part_number(cloud: Cloud, call: Call) -> int:
    if not call.params.get("partNumber"):
        raise OssError.invalid_argument("partNumber", "", "Part number is missing.")
    return call.number("partNumber", 0, 1, cloud.limits.part_numbers)


def _save(cloud: Cloud, bucket: Bucket, upload: Upload, number: int, data: bytes) -> Part:
    crc = crc64(data)
    segments = (cloud.storage.write(data),) if data else ()
    part = Part(number, opaque_etag(crc, len(data)), len(data), crc, cloud.clock.now(), segments)
    cloud.save_part(bucket, upload, part)
    return part


def complete(cloud: Cloud, bucket: Bucket, call: Call) -> tuple[Upload, str]:
    """Make the object out of the parts listed, or of all of them; returns the upload and the version id.

    An empty list makes an empty object, as clients rely on. The combined checksum is in the template's ``crc``.
    """
    upload = upload_of(bucket, call)
    parts = _chosen(cloud, upload, call)
    for part in parts[:-1]:
        if part.size < cloud.limits.part_min:
            message = "Your proposed upload smaller than the minimum allowed size"
            details = {
                "MinSizeAllowed": str(cloud.limits.part_min),
                "ProposedSize": str(part.size),
                "PartNumber": str(part.number),
                "ETag": f'"{part.etag}"',
            }
            raise OssError(400, "EntityTooSmall", message, ec="0042-00000213", details=details)
    check_overwrite(call, bucket, call.key, completing=True)
    version = upload.template
    fresh = new_version(cloud, bucket)
    version.version_id, version.sequence, version.modified = fresh.version_id, fresh.sequence, fresh.modified
    crc = 0
    for part in parts:
        crc = combine(crc, part.crc, part.size)
    version.crc = crc
    version.size = sum(part.size for part in parts)
    version.segments = tuple(segment for part in parts for segment in part.segments)
    joined = hashlib.md5("".join(part.etag for part in parts).encode(), usedforsecurity=False).hexdigest()
    version.etag = f"{joined.upper()}-{len(parts)}"
    cloud.storage.retain(version.segments)
    cloud.add_version(bucket, call.key, version)
    cloud.drop_upload(bucket, upload)
    return upload, version.version_id


def _chosen(cloud: Cloud, upload: Upload, call: Call) -> list[Part]:
    if call.header("x-oss-complete-all").lower() == "yes":
        if call.body:
            message = "x-oss-complete-all does not go with a list of parts."
            raise OssError.invalid_argument("x-oss-complete-all", "yes", message)
        return [upload.parts[number] for number in sorted(upload.parts)]
    if not call.body:
        raise OssError.malformed_xml("the list of parts is missing")
    parts = []
    previous = 0
    for number, etag in parse_complete(call.body):
        if not 1 <= number <= cloud.limits.part_numbers:
            raise OssError.invalid_argument("PartNumber", str(number), "Part number must be 1 to 10000.")
        if number <= previous:
            message = "The list of parts was not in ascending order. Parts list must specified in order by part number."
            raise OssError(400, "InvalidPartOrder", message, ec="0042-00000209")
        previous = number
        part = upload.parts.get(number)
        if part is None or part.etag != etag.upper():
            message = (
                "One or more of the specified parts could not be found or the specified entity tag "
                "might not have matched the part's entity tag."
            )
            details = {"PartNumber": str(number), "ETag": etag}
            raise OssError(400, "InvalidPart", message, ec="0042-00000204", details=details)
        parts.append(part)
    return parts
