"""The three listings of a bucket's objects as XML."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from airflow_provider_sync.localcloud.http import Response
from airflow_provider_sync.localcloud.oss import answers, listing, xml
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Cloud
from airflow_provider_sync.localcloud.oss.wire import Call, iso_date

__all__ = ["HANDLERS"]

_OWNER = f"<Owner><ID>{answers.OWNER}</ID><DisplayName>{answers.OWNER}</DisplayName></Owner>"
_PAGE = 100
_PAGE_MAX = 1_000


def list_v1(cloud: Cloud, call: Call) -> Response:
    """ListObjects: pages by marker."""
    bucket = cloud.bucket(call.bucket)
    params = call.params
    prefix, delimiter, marker = (
        params.get("prefix", ""),
        params.get("delimiter", ""),
        params.get("marker", ""),
    )
    most = call.number("max-keys", _PAGE, 1, _PAGE_MAX)
    encode = answers.encoder(call)
    page = listing.list_objects(bucket, prefix=prefix, delimiter=delimiter, after=marker, most=most)
    children: list[xml.Node] = [
        ("Name", bucket.name),
        ("Prefix", encode(prefix)),
        ("Marker", encode(marker)),
        ("MaxKeys", most),
        ("Delimiter", encode(delimiter)),
        *answers.encoding(call),
        ("IsTruncated", page.truncated),
        *([("NextMarker", encode(page.marker))] if page.truncated else []),
    ]
    children.extend(_contents(page, encode, owner=True))
    return answers.of_xml(("ListBucketResult", children))


def list_v2(cloud: Cloud, call: Call) -> Response:
    """ListObjectsV2: pages by a token, which is the last key in base64 (its form is opaque to clients)."""
    bucket = cloud.bucket(call.bucket)
    params = call.params
    prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
    start, token = params.get("start-after", ""), params.get("continuation-token", "")
    most = call.number("max-keys", _PAGE, 1, _PAGE_MAX)
    encode = answers.encoder(call)
    after = _read_token(token) if token else start
    page = listing.list_objects(bucket, prefix=prefix, delimiter=delimiter, after=after, most=most)
    children: list[xml.Node] = [
        ("Name", bucket.name),
        ("Prefix", encode(prefix)),
        ("StartAfter", encode(start)),
        ("ContinuationToken", encode(token)),
        ("MaxKeys", most),
        ("Delimiter", encode(delimiter)),
        *answers.encoding(call),
        ("IsTruncated", page.truncated),
        *([("NextContinuationToken", encode(_token(page.marker)))] if page.truncated else []),
        ("KeyCount", len(page.contents) + len(page.prefixes)),
    ]
    children.extend(_contents(page, encode, owner=params.get("fetch-owner", "").lower() == "true"))
    return answers.of_xml(("ListBucketResult", children))


def list_versions(cloud: Cloud, call: Call) -> Response:
    """ListObjectVersions."""
    bucket = cloud.bucket(call.bucket)
    params = call.params
    prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
    key_marker, version_marker = params.get("key-marker", ""), params.get("version-id-marker", "")
    if version_marker and not key_marker:
        message = "A version-id marker cannot be specified without a key marker."
        raise OssError.invalid_argument("version-id-marker", version_marker, message)
    most = call.number("max-keys", _PAGE, 1, _PAGE_MAX)
    encode = answers.encoder(call)
    page = listing.list_versions(
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        key_marker=key_marker,
        version_marker=version_marker,
        most=most,
    )
    children: list[xml.Node] = [
        ("Name", bucket.name),
        ("Prefix", encode(prefix)),
        ("KeyMarker", encode(key_marker)),
        ("VersionIdMarker", version_marker),
        ("MaxKeys", most),
        ("Delimiter", encode(delimiter)),
        *answers.encoding(call),
        ("IsTruncated", page.truncated),
    ]
    if page.truncated:
        children += [
            ("NextKeyMarker", encode(page.key_marker)),
            ("NextVersionIdMarker", page.version_marker),
        ]
    for key, version, latest in page.entries:
        fields: list[xml.Node] = [
            ("Key", encode(key)),
            ("VersionId", version.version_id),
            ("IsLatest", latest),
            ("LastModified", iso_date(version.modified)),
        ]
        if version.marker:
            children.append(("DeleteMarker", [*fields, answers.owner_node()]))
        else:
            more: list[xml.Node] = [
                ("ETag", f'"{version.etag}"'),
                ("Type", version.kind),
                ("Size", version.size),
                ("StorageClass", version.storage_class),
                answers.owner_node(),
            ]
            children.append(("Version", [*fields, *more]))
    children.extend(_prefixes(page.prefixes, encode))
    return answers.of_xml(("ListVersionsResult", children))


def _contents(page: listing.ObjectPage, encode: Callable[[str], str], *, owner: bool) -> list[xml.Node]:
    owners = _OWNER if owner else ""
    nodes: list[xml.Node] = [
        (
            "Contents",
            xml.Rendered(
                f"<Key>{xml.escaped(encode(key))}</Key><LastModified>{iso_date(version.modified)}</LastModified>"
                f'<ETag>"{version.etag}"</ETag><Type>{version.kind}</Type><Size>{version.size}</Size>'
                f"<StorageClass>{version.storage_class}</StorageClass>{owners}"
            ),
        )
        for key, version in page.contents
    ]
    return nodes + _prefixes(page.prefixes, encode)


def _prefixes(prefixes: list[str], encode: Callable[[str], str]) -> list[xml.Node]:
    return [("CommonPrefixes", [("Prefix", encode(prefix))]) for prefix in prefixes]


def _token(marker: str) -> str:
    return base64.b64encode(marker.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        message = "The continuation token is invalid."
        raise OssError.invalid_argument("continuation-token", token, message) from error


HANDLERS = {
    "ListObjects": list_v1,
    "ListObjectsV2": list_v2,
    "ListObjectVersions": list_versions,
}
