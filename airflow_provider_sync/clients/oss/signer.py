"""Signatures of OSS requests: V4 (``OSS4-HMAC-SHA256``), and V1 for whoever still needs it.

V4 is the default because the service closed V1 to new accounts and buckets in 2025 (documented). The rules
are those of the vendor's SDKs: the canonical path has the bucket in it whatever the wire path is, ``/`` stays
in the path and becomes ``%2F`` in the query, the payload is never hashed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import quote

from airflow_provider_sync.clients.objects.data import Unsigned
from airflow_provider_sync.clients.oss.settings import OssSettings
from airflow_provider_sync.spec.connection import Credentials

__all__ = ["quote_key", "quote_query", "sign", "sign_v1", "sign_v4"]

_ALGORITHM = "OSS4-HMAC-SHA256"
_PAYLOAD = "UNSIGNED-PAYLOAD"
_TERMINATOR = "aliyun_v4_request"
_SIGNED_BESIDE_OSS = frozenset({"content-type", "content-md5"})
# what makes a V1 signature, as the vendor's SDKs list it; all other parameters are not signed
_V1_NAMES = (
    "acl append bucketInfo callback callback-var comp continuation-token cors delete encryption lifecycle "
    "location logging objectMeta partNumber policy position referer replication response-cache-control "
    "response-content-disposition response-content-encoding response-content-language response-content-type "
    "response-expires restore security-token sequential stat symlink tagging uploadId uploads versionId "
    "versioning versions website worm x-oss-process x-oss-request-payer x-oss-traffic-limit"
)
_V1_PARAMETERS = frozenset(_V1_NAMES.split())


def quote_key(key: str) -> str:
    """Percent-encode an object key as UTF-8, keeping ``/``."""
    return quote(key, safe="/~")


def quote_query(params: Mapping[str, str]) -> str:
    """Return the query string in canonical form: sorted, ``/`` encoded, no ``=`` after a name without value."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in params.items())
    return "&".join(f"{name}={value}" if value else name for name, value in pairs)


@lru_cache(maxsize=16)
def _signing_key(secret: str, date: str, region: str) -> bytes:
    key = f"aliyun_v4{secret}".encode()
    for part in (date, region, "oss", _TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=4)
def _date_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def sign(request: Unsigned, settings: OssSettings, *, now: float) -> None:
    """Sign with the settings' current credentials, by the version that they ask for."""
    if settings.signature_v1:
        sign_v1(request, settings.credentials(), now=now)
    else:
        sign_v4(request, settings.credentials(), region=settings.region, now=now)


def sign_v4(request: Unsigned, credentials: Credentials, *, region: str, now: float) -> None:
    """Add date, payload, token and ``Authorization`` to the headers; ``now`` is in seconds since the epoch."""
    headers, bucket = request.headers, request.bucket
    date_time = _date_time(int(now))
    date = date_time[:8]
    headers["x-oss-date"] = date_time
    headers["x-oss-content-sha256"] = _PAYLOAD
    if credentials.security_token:
        headers["x-oss-security-token"] = credentials.security_token.reveal()
    signed = sorted(
        (name, value)
        for name, value in headers.items()
        if name.startswith("x-oss-") or name in _SIGNED_BESIDE_OSS
    )
    canonical = "\n".join(
        [
            request.method,
            f"/{bucket}/{quote_key(request.key)}" if bucket else "/",
            quote_query(request.params),
            "".join(f"{name}:{value.strip()}\n" for name, value in signed),
            "",
            _PAYLOAD,
        ]
    )
    scope = f"{date}/{region}/oss/{_TERMINATOR}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signing_key = _signing_key(credentials.access_key_secret.reveal(), date, region)
    signature = hmac.digest(
        signing_key, f"{_ALGORITHM}\n{date_time}\n{scope}\n{digest}".encode(), "sha256"
    ).hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope},Signature={signature}"
    )


def sign_v1(request: Unsigned, credentials: Credentials, *, now: float) -> None:
    """Add date, token and ``Authorization`` of the old scheme (HMAC-SHA1) to the headers."""
    headers = request.headers
    headers["date"] = formatdate(now, usegmt=True)
    if credentials.security_token:
        headers["x-oss-security-token"] = credentials.security_token.reveal()
    oss_headers = "".join(
        f"{name}:{value.strip()}\n" for name, value in sorted(headers.items()) if name.startswith("x-oss-")
    )
    resource = f"/{request.bucket}/{request.key}" if request.bucket else "/"
    signed = sorted((name, value) for name, value in request.params.items() if name in _V1_PARAMETERS)
    if signed:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    text = "\n".join(
        [
            request.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            headers["date"],
            oss_headers + resource,
        ]
    )
    digest = hmac.digest(credentials.access_key_secret.reveal().encode(), text.encode(), "sha1")
    headers["authorization"] = f"OSS {credentials.access_key_id}:{base64.b64encode(digest).decode('ascii')}"
