"""Signatures of Tablestore requests (v2 and v4) and of the answers to them.

Both schemes are documented by the vendor and were observed with its SDKs: v2 is HMAC-SHA1 with the secret; v4
is HMAC-SHA256 with a key derived from secret, day and region, and needs the region. The answer is signed with
HMAC-SHA1 in both, under the secret (v2) or the derived key (v4).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from airflow_provider_sync.errors import AccessDeniedError
from airflow_provider_sync.spec.connection import Credentials

__all__ = ["SignedHeaders", "Signer", "derive_v4_key"]

_API_VERSION = "2015-12-31"
_OTS = "x-ots-"


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """Headers of one request, and the key that its answer must be signed with."""

    headers: dict[str, str]
    answer_key: bytes = field(repr=False)


class Signer:
    """Signs requests to one instance: v4 when the region is known, else v2; ``credentials`` are asked for each."""

    def __init__(self, instance: str, credentials: Callable[[], Credentials], *, region: str = "") -> None:
        self.instance = instance
        self.region = region
        self._credentials = credentials

    def sign(self, path: str, body: bytes, now: float) -> SignedHeaders:
        """Return the headers of a request; ``now`` is seconds since the epoch and goes into the date."""
        credentials = self._credentials()
        secret = credentials.access_key_secret.reveal()
        moment = datetime.fromtimestamp(now, UTC)
        headers = {
            "x-ots-accesskeyid": credentials.access_key_id,
            "x-ots-apiversion": _API_VERSION,
            "x-ots-contentmd5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
            "x-ots-date": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "x-ots-instancename": self.instance,
        }
        if credentials.security_token:
            headers["x-ots-ststoken"] = credentials.security_token.reveal()
        if not self.region:
            headers["x-ots-signature"] = _mac(secret.encode(), _request_text(path, headers), "sha1")
            return SignedHeaders(headers, secret.encode())
        day = f"{moment:%Y%m%d}"
        headers["x-ots-signdate"] = day
        headers["x-ots-signregion"] = self.region
        key = derive_v4_key(secret, day, self.region)
        headers["x-ots-signaturev4"] = _mac(key, _request_text(path, headers) + "ots", "sha256")
        return SignedHeaders(headers, key)

    def check_answer(self, path: str, headers: Mapping[str, str], key: bytes) -> None:
        """Raise :class:`AccessDeniedError` unless the answer carries the signature that ``key`` gives.

        An answer that is not signed comes from something that does not know the secret: a proxy, a captive
        portal, another service on that address.
        """
        given = headers.get("authorization", "").rpartition(":")[2].strip()
        own = {name.lower(): value for name, value in headers.items() if name.lower().startswith(_OTS)}
        expected = _mac(key, _header_lines(own) + path, "sha1")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise AccessDeniedError(
                f"the answer to {path.lstrip('/')} is {'wrongly signed' if given else 'not signed'}: whatever "
                "answers at connection.endpoint does not know the secret of this access key"
            )


@lru_cache(maxsize=16)
def derive_v4_key(secret: str, day: str, region: str) -> bytes:
    """Return the v4 signing key for a UTC day (``YYYYMMDD``): a base64 text whose characters are the key."""
    key = f"aliyun_v4{secret}".encode()
    for part in (day, region, "ots", "aliyun_v4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return base64.b64encode(key)


def _request_text(path: str, headers: Mapping[str, str]) -> str:
    return f"{path}\nPOST\n\n{_header_lines(headers)}"


def _header_lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))


def _mac(key: bytes, text: str, algorithm: str) -> str:
    return base64.b64encode(hmac.digest(key, text.encode(), algorithm)).decode()
