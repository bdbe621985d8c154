"""How metadata, tags, ACLs and storage classes of one service are said in another's words.

OSS takes letters, digits and ``-`` in names of metadata, 8 KB of them in all, 10 tags of letters, digits,
blanks and ``+-=._:/`` (documented); S3 also takes ``_`` in names and ``@`` in tags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from airflow_provider_sync.migration.errors import MetadataCollisionError
from airflow_provider_sync.migration.objects import Attributes, Prepared

__all__ = ["CONTENT_HEADERS", "content_headers", "metadata_of", "to_oss", "to_s3"]

CONTENT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
# OSS has two classes below Archive; Glacier's instant retrieval is nearest to IA, which needs no restore either
_TO_OSS = {
    "STANDARD": "Standard",
    "REDUCED_REDUNDANCY": "Standard",
    "INTELLIGENT_TIERING": "Standard",
    "EXPRESS_ONEZONE": "Standard",
    "STANDARD_IA": "IA",
    "ONEZONE_IA": "IA",
    "GLACIER_IR": "IA",
    "GLACIER": "Archive",
    "DEEP_ARCHIVE": "ColdArchive",
}
_TO_S3 = {
    "Standard": "STANDARD",
    "IA": "STANDARD_IA",
    "Archive": "GLACIER_IR",
    "ColdArchive": "GLACIER",
    "DeepColdArchive": "DEEP_ARCHIVE",
}
_ACLS = frozenset({"private", "public-read", "public-read-write"})
_OSS_NAME = re.compile(r"[a-z0-9-]+")
_OSS_TAG = re.compile(r"[A-Za-z0-9+\-=._:/ ]*")
_S3_TAG = re.compile(r"[\w+\-=._:/@ ]*")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_METADATA_BYTES = {"oss": 8 * 1024, "s3": 2 * 1024}
_TAGS, _TAG_KEY, _TAG_VALUE = 10, 128, 256


def content_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Pick the headers that describe the content out of an answer's."""
    return {name: headers[name] for name in CONTENT_HEADERS if headers.get(name)}


def metadata_of(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Pick the metadata out of an answer's headers; names come without ``prefix``, in lower case."""
    return {
        name.lower().removeprefix(prefix): value
        for name, value in headers.items()
        if name.lower().startswith(prefix)
    }


def to_oss(attributes: Attributes) -> Prepared:
    """Say attributes in OSS's words.

    Metadata: ``_`` in a name becomes ``-``; two names that become one raise
    :class:`MetadataCollisionError`. Tags: ``@`` becomes ``_``. What is still not allowed, is not printable
    ASCII, or exceeds 8 KB of metadata or 10 tags is left out and said.
    """
    lost: list[str] = []
    headers = _metadata(attributes, "x-oss-meta-", "oss", lost)
    mapped: dict[str, str] = {}
    for key, value in sorted(attributes.tags.items()):
        if key.replace("@", "_") in mapped:
            lost.append(f"tag {key!r}: another tag became {key.replace('@', '_')!r}")
        else:
            mapped[key.replace("@", "_")] = value.replace("@", "_")
    tags = _tags(mapped, _OSS_TAG, lost)
    if tags:
        headers["x-oss-tagging"] = tags
    if attributes.acl in _ACLS:
        headers["x-oss-object-acl"] = attributes.acl
    kind = attributes.storage_class
    if kind in _TO_OSS or kind in _TO_S3:
        headers["x-oss-storage-class"] = _TO_OSS.get(kind, kind)
    elif kind:
        lost.append(f"storage class {kind!r}: no counterpart, the bucket's default is used")
    return Prepared(headers, tuple(lost))


def to_s3(attributes: Attributes) -> Prepared:
    """Say attributes in S3's words; what is not allowed or too long (2 KB of metadata) is left out and said."""
    lost: list[str] = []
    headers = _metadata(attributes, "x-amz-meta-", "s3", lost)
    tags = _tags(attributes.tags, _S3_TAG, lost)
    if tags:
        headers["x-amz-tagging"] = tags
    if attributes.acl in _ACLS:
        headers["x-amz-acl"] = attributes.acl
    kind = attributes.storage_class
    if kind in _TO_OSS or kind in _TO_S3:
        headers["x-amz-storage-class"] = _TO_S3.get(kind, kind)
    elif kind:
        lost.append(f"storage class {kind!r}: no counterpart, the bucket's default is used")
    return Prepared(headers, tuple(lost))


def _metadata(attributes: Attributes, prefix: str, service: str, lost: list[str]) -> dict[str, str]:
    headers = {}
    for name, value in attributes.headers.items():
        if _PRINTABLE.fullmatch(value):
            headers[name] = value
        else:
            lost.append(f"header {name}: not printable ascii")
    origin: dict[str, str] = {}
    room = _METADATA_BYTES[service]
    for name, value in sorted(attributes.metadata.items()):
        mapped = name.lower().replace("_", "-") if service == "oss" else name.lower()
        if mapped in origin:
            raise MetadataCollisionError(
                f"metadata {origin[mapped]!r} and {name!r} would both become {mapped!r}; rename one in the source"
            )
        origin[mapped] = name
        if service == "oss" and not _OSS_NAME.fullmatch(mapped):
            lost.append(f"metadata {name!r}: only letters, digits and - are allowed")
        elif not _PRINTABLE.fullmatch(value):
            lost.append(f"metadata {name!r}: not printable ascii")
        elif len(mapped) + len(value) > room:
            lost.append(f"metadata {name!r}: more than {_METADATA_BYTES[service]} bytes in all")
        else:
            room -= len(mapped) + len(value)
            headers[prefix + mapped] = value
    return headers


def _tags(tags: Mapping[str, str], allowed: re.Pattern[str], lost: list[str]) -> str:
    kept: dict[str, str] = {}
    for key, value in sorted(tags.items()):
        if len(kept) == _TAGS:
            lost.append(f"tag {key!r}: more than {_TAGS}")
        elif not key or len(key) > _TAG_KEY or len(value) > _TAG_VALUE:
            lost.append(f"tag {key!r}: a key has 1 to {_TAG_KEY} characters, a value up to {_TAG_VALUE}")
        elif not (allowed.fullmatch(key) and allowed.fullmatch(value)):
            lost.append(f"tag {key!r}: characters that are not allowed")
        else:
            kept[key] = value
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in kept.items())
