"""What names, metadata and tags may be, and what an object gets from the headers of the request that makes it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Limits, Version
from airflow_provider_sync.localcloud.oss.wire import Call

__all__ = [
    "check_bucket_name",
    "check_digest",
    "check_key",
    "check_tags",
    "described",
    "encryption",
    "one_of",
    "parse_tags",
    "user_meta",
]

STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
OBJECT_ACLS = ("default", "private", "public-read", "public-read-write")
BUCKET_ACLS = ("private", "public-read", "public-read-write")
ENCRYPTIONS = ("AES256", "KMS", "SM4")
_STANDARD = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Expires",
)
_SSE = (
    "x-oss-server-side-encryption",
    "x-oss-server-side-data-encryption",
    "x-oss-server-side-encryption-key-id",
)
_META = "x-oss-meta-"
_BUCKET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_META_KEY = re.compile(r"[a-z0-9-]+")
_TAG = re.compile(r"[\w +\-=.:/]*")
_TAG_KEY_MAX = 128
_TAG_VALUE_MAX = 256


def check_bucket_name(name: str) -> None:
    """Refuse a name that is not 3 to 63 of ``a-z 0-9 -`` or that starts or ends with ``-``."""
    if not _BUCKET_NAME.fullmatch(name):
        raise OssError(
            400, "InvalidBucketName", "The specified bucket is not valid.", details={"BucketName": name}
        )


def check_key(key: str, limits: Limits) -> None:
    """Refuse a key of too many bytes, or one that starts with a slash or a backslash."""
    if (
        key[0] in "/\\"
        or len(key) > limits.key_bytes
        or (not key.isascii() and _bytes(key) > limits.key_bytes)
    ):
        raise OssError(
            400, "InvalidObjectName", "The specified object is not valid.", details={"ObjectName": key}
        )


def check_digest(call: Call, digest: bytes = b"") -> None:
    """Refuse a body that is not the one whose Content-MD5 was sent. ``digest`` is its MD5 if already known."""
    sent = call.header("Content-MD5")
    if not sent:
        return
    try:
        expected = base64.b64decode(sent, validate=True)
    except binascii.Error:
        expected = b""
    if expected != (digest or hashlib.md5(call.body, usedforsecurity=False).digest()):
        message = "The Content-MD5 you specified did not match what we received."
        raise OssError(400, "InvalidDigest", message, details={"Content-MD5": sent})


def one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    """Return the value if it is allowed; InvalidArgument otherwise."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise OssError.invalid_argument(name, value, f"{name} must be one of {', '.join(allowed)}.")
    return value


def user_meta(call: Call, limits: Limits) -> dict[str, str]:
    """Return the user metadata without its prefix, names in lower case; too much or a bad name is refused."""
    meta: dict[str, str] = {}
    total = 0
    for name, value in call.headers.items():
        lower = name.lower()
        if not lower.startswith(_META):
            continue
        short = lower[len(_META) :]
        if not _META_KEY.fullmatch(short):
            message = "A user metadata name may have letters, digits and hyphens."
            raise OssError.invalid_argument(name, value, message, ec="0011-00000002")
        meta[short] = value
        total += len(short) + _bytes(value)
    if total > limits.meta_bytes:
        message = (
            f"Your metadata headers exceed the maximum allowed metadata size of {limits.meta_bytes} bytes."
        )
        raise OssError(400, "MetadataTooLarge", message)
    return meta


def parse_tags(text: str, limits: Limits) -> dict[str, str]:
    """Return the tags of an ``x-oss-tagging`` header (``a=1&b=2``, URL-encoded)."""
    pairs = []
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return check_tags(pairs, limits.tags)


def check_tags(pairs: Iterable[tuple[str, str]], most: int) -> dict[str, str]:
    """Return the tags as a dictionary. The limits are documented; the code ``InvalidTag`` is not."""
    tags: dict[str, str] = {}
    for name, value in pairs:
        if not 0 < len(name) <= _TAG_KEY_MAX or len(value) > _TAG_VALUE_MAX:
            raise OssError(400, "InvalidTag", "A tag key has 1 to 128 characters, a tag value at most 256.")
        if not _TAG.fullmatch(name) or not _TAG.fullmatch(value):
            message = "A tag may have letters, digits, blanks and + - = . _ : /"
            raise OssError(400, "InvalidTag", message, details={"TagKey": name})
        if name in tags:
            raise OssError(400, "InvalidTag", "Tag keys must be unique.", details={"TagKey": name})
        tags[name] = value
    if len(tags) > most:
        raise OssError(400, "InvalidTag", f"There may be at most {most} tags.")
    return tags


def described(call: Call, version: Version, limits: Limits, default_class: str) -> Version:
    """Fill ``version`` with what the request's headers say besides the content, and return it."""
    headers = call.headers
    kept = {"Content-Type": headers.get("Content-Type", "") or "application/octet-stream"}
    for name in _STANDARD:
        if name in headers:
            kept[name] = headers[name]
    version.headers = kept
    version.storage_class = one_of(
        "x-oss-storage-class", headers.get("x-oss-storage-class", default_class), STORAGE_CLASSES
    )
    version.meta = user_meta(call, limits)
    version.tags = parse_tags(headers["x-oss-tagging"], limits) if "x-oss-tagging" in headers else {}
    version.sse = encryption(call)
    version.acl = one_of("x-oss-object-acl", headers.get("x-oss-object-acl", "default"), OBJECT_ACLS)
    return version


def encryption(call: Call) -> dict[str, str]:
    """Return the server-side encryption headers, to be echoed; nothing is encrypted here."""
    sse = {name: call.headers[name] for name in _SSE if name in call.headers}
    if _SSE[0] in sse:
        one_of(_SSE[0], sse[_SSE[0]], ENCRYPTIONS)
    return sse


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
