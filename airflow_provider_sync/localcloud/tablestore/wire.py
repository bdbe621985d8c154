"""The HTTP side of the protocol: request headers verified, answers signed.

Signature v2 is HMAC-SHA1 with the secret; v4 is HMAC-SHA256 with a key derived from secret, date and region, and
is used when its header is there. An answer is signed by HMAC-SHA1 in both schemes, with the key of the request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from airflow_provider_sync.localcloud.http import Request, Response
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid
from airflow_provider_sync.localcloud.tablestore.messages import message

__all__ = ["Caller", "authenticate", "encode_error", "request_signature", "respond", "response_signature"]

_REQUIRED = (
    "x-ots-date",
    "x-ots-apiversion",
    "x-ots-accesskeyid",
    "x-ots-instancename",
    "x-ots-contentmd5",
)
_SIGNATURES = ("x-ots-signature", "x-ots-signaturev4")
_API_VERSION = "2015-12-31"
_SKEW = timedelta(minutes=15)
_MAX_BODY = 5 * 1024 * 1024
_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,9}))?Z")


@dataclass(slots=True)
class Caller:
    """Who asks: the instance asked, the access key, and the key that answers are signed with."""

    instance: str
    access_key_id: str
    signing_key: bytes


def authenticate(
    request: Request, access_keys: Mapping[str, str], sts_tokens: Mapping[str, str], now: float
) -> Caller:
    """Check a request's headers, body digest, clock and signature; ``now`` is in seconds since the epoch."""
    if request.method != "POST":
        raise ServiceError("OTSMethodNotAllowed")
    if len(request.body) > _MAX_BODY:
        raise ServiceError("OTSRequestBodyTooLarge")
    headers = _checked_headers(request, now)
    v4 = "x-ots-signaturev4" in headers
    key_id = headers["x-ots-accesskeyid"]
    secret = access_keys.get(key_id)
    if secret is None:
        raise _denied("The AccessKeyID does not exist.")
    if sts_tokens.get(key_id, headers.get("x-ots-ststoken")) != headers.get("x-ots-ststoken"):
        raise _denied("The security token is invalid.")  # text invented
    key = secret.encode()
    if v4:
        key = _v4_key(secret, headers["x-ots-signdate"], headers["x-ots-signregion"])
    sent = headers["x-ots-signaturev4" if v4 else "x-ots-signature"]
    expected = request_signature(request.path, request.query, headers, key, v4=v4)
    if not hmac.compare_digest(sent.encode(), expected.encode()):
        raise _denied("Signature mismatch.")
    return Caller(headers["x-ots-instancename"], key_id, key)


def _checked_headers(request: Request, now: float) -> dict[str, str]:
    """Return the protocol's headers, names in lower case, once all but the signature is right."""
    headers = {k.lower(): v.strip() for k, v in request.headers.items() if k.lower().startswith("x-ots-")}
    v4 = "x-ots-signaturev4" in headers
    needed = _REQUIRED + (("x-ots-signdate", "x-ots-signregion") if v4 else ("x-ots-signature",))
    for name in needed:
        if name not in headers:
            raise invalid(f"Missing header: {name}.")
    if headers["x-ots-apiversion"] != _API_VERSION:
        raise invalid(f"Invalid API version: {headers['x-ots-apiversion']}.")
    _check_date(headers["x-ots-date"], now)
    if headers["x-ots-contentmd5"] != _md5(request.body):
        raise _denied("Mismatch between MD5 value of request body and x-ots-contentmd5 in header.")
    return headers


def request_signature(path: str, query: str, headers: Mapping[str, str], key: bytes, *, v4: bool) -> str:
    """Return the signature of a request; ``headers`` have lower-case names, ``key`` is that of the scheme."""
    text = f"{path}\nPOST\n{query}\n{_canonical(headers)}"
    if v4:
        text += "ots"
    return _sign(key, text, "sha256" if v4 else "sha1")


def response_signature(path: str, headers: Mapping[str, str], key: bytes) -> str:
    """Return the signature of an answer; ``path`` is that of the request."""
    return _sign(key, _canonical(headers) + path, "sha1")


def respond(path: str, status: int, body: bytes, caller: Caller | None, now: float) -> Response:
    """Return an answer with all headers that the SDKs ask for, signed if the caller is known."""
    headers = {
        "x-ots-contentmd5": _md5(body),
        "x-ots-contenttype": "protocol buffer",
        "x-ots-date": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "x-ots-requestid": str(uuid.uuid4()),
    }
    if caller is not None:
        signature = response_signature(path, headers, caller.signing_key)
        headers["Authorization"] = f"OTS {caller.access_key_id}:{signature}"
    return Response(status, headers, body)


def encode_error(error: ServiceError) -> bytes:
    """Return the body of an error answer."""
    return bytes(message("Error", code=error.code, message=error.message).SerializeToString())


@lru_cache(maxsize=256)
def _v4_key(secret: str, date: str, region: str) -> bytes:
    key = f"aliyun_v4{secret}".encode()
    for part in (date, region, "ots", "aliyun_v4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return base64.b64encode(key)


def _canonical(headers: Mapping[str, str]) -> str:
    signed = sorted(n for n in headers if n.startswith("x-ots-") and n not in _SIGNATURES)
    return "".join(f"{name}:{headers[name]}\n" for name in signed)


def _sign(key: bytes, text: str, digest: str) -> str:
    return base64.b64encode(hmac.digest(key, text.encode(), digest)).decode()


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _check_date(text: str, now: float) -> None:
    found = _DATE.fullmatch(text)
    if found is None:
        raise invalid(f"Invalid date format: {text}.")
    try:
        sent = datetime.fromisoformat(f"{found[1]}+00:00")
    except ValueError as error:
        raise invalid(f"Invalid date format: {text}.") from error
    if abs(datetime.fromtimestamp(now, UTC) - sent) > _SKEW:
        raise _denied(f"Mismatch between system time and x-ots-date: {text}.")


def _denied(text: str) -> ServiceError:
    return ServiceError("OTSAuthFailed", text)
