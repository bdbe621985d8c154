"""Signature V4 of S3 requests (``AWS4-HMAC-SHA256``).

Unlike OSS's, the canonical path is the wire path (the bucket is in it only with path style), ``=`` stays
after a parameter without a value, and every header that is sent is signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from airflow_provider_sync.spec.connection import Credentials

__all__ = ["EMPTY_PAYLOAD", "UNSIGNED_PAYLOAD", "quote_path", "quote_query", "sign"]

EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"


def quote_path(path: str) -> str:
    """Percent-encode a path as UTF-8, keeping ``/``."""
    return quote(path, safe="/~")


def quote_query(params: Mapping[str, str]) -> str:
    """Return the query string in canonical form: sorted, ``/`` encoded, ``=`` after every name."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in params.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


@lru_cache(maxsize=16)
def _signing_key(secret: str, date: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, "s3", _TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    credentials: Credentials,
    *,
    region: str,
    payload: str,
    now: float,
) -> None:
    """Add date, payload, token and ``authorization`` to ``headers`` (lower-case names, ``host`` among them).

    ``path`` and ``query`` are as sent, made by :func:`quote_path` and :func:`quote_query`; ``payload`` is the
    body's SHA-256 in hex, or ``UNSIGNED-PAYLOAD``; ``now`` is in seconds since the Unix epoch.
    """
    date_time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    date = date_time[:8]
    headers["x-amz-date"] = date_time
    headers["x-amz-content-sha256"] = payload
    if credentials.security_token:
        headers["x-amz-security-token"] = credentials.security_token.reveal()
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload}"
    scope = f"{date}/{region}/s3/{_TERMINATOR}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = _signing_key(credentials.access_key_secret.reveal(), date, region)
    signature = hmac.digest(key, f"{_ALGORITHM}\n{date_time}\n{scope}\n{digest}".encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope},SignedHeaders={signed},Signature={signature}"
    )
