"""Verifies who sent a request: signatures V1 and V4, in the header and in the query, and STS tokens.

Everything is rebuilt from the decoded request, never from the client's own encoding: the SDKs disagree on
``/`` and blanks on the wire and agree on what they sign. Which parameters V1 signs is the union of what the
two vendor SDKs sign. The window of 15 minutes for the clock and the V4 scheme are documented; so is that new
buckets refuse V1, but not with which answer: the one here is invented.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.wire import Call, is_number, parse_http_date

__all__ = ["Credential", "Verifier", "canonical_request_v4", "sign_v1", "sign_v4", "string_to_sign_v1"]

_ALGORITHM = "OSS4-HMAC-SHA256"
_TERMINATOR = "aliyun_v4_request"
_PRODUCTS = ("oss", "oss-cloudbox")
_SKEW_SECONDS = 15 * 60
_MAX_EXPIRES_SECONDS = 7 * 24 * 3600
_SIGNED_PARAMS_V1_NAMES = """
    accessPoint accessPointPolicy acl append asyncFetch bucketArchiveDirectRead bucketInfo callback callback-var
    cloudboxes cname comp continuation-token cors delete encryption endTime group httpsConfig inventory inventoryId
    lifecycle link live location logging metaQuery objectInfo objectMeta partNumber policy position
    publicAccessBlock qos qosInfo qosRequester redundancyTransition referer regionList replication
    replicationLocation replicationProgress requestPayment requesterQosInfo resourceGroup resourcePool
    resourcePoolBuckets resourcePoolInfo response-cache-control response-content-disposition
    response-content-encoding response-content-language response-content-type response-expires restore
    security-token sequential startTime stat status style styleName symlink tagging transferAcceleration uploadId
    uploads versionId versioning versions vod website worm wormExtend wormId x-oss-ac-forward-allow
    x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-access-point-name x-oss-async-process
    x-oss-process x-oss-redundancy-transition-taskid x-oss-request-payer x-oss-target-redundancy-type
    x-oss-traffic-limit x-oss-write-get-object-response
"""
_SIGNED_PARAMS_V1 = frozenset(_SIGNED_PARAMS_V1_NAMES.split())
_V4_FIELD = re.compile(r"\s*(Credential|AdditionalHeaders|Signature)=([^,\s]*)\s*")


@dataclass(slots=True)
class Credential:
    """A secret; temporary ones also have the token that must come with them, and the time they end."""

    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: float | None = None


@dataclass(slots=True)
class _Claim:
    """What a request says about its own signature."""

    key_id: str
    signature: str
    token: str
    date: float
    expires: float | None
    scope: tuple[str, str, str] = ("", "", "")
    timestamp: str = ""
    additional: tuple[str, ...] = ()


class Verifier:
    """Checks requests against credentials by access key id.

    ``region``: the only one that V4 signatures may name (any if empty). ``reject_v1``: behave like a bucket
    created today.
    """

    def __init__(
        self, credentials: Mapping[str, Credential], *, region: str = "", reject_v1: bool = False
    ) -> None:
        self.credentials = dict(credentials)
        self._region = region
        self._reject_v1 = reject_v1

    def verify(self, call: Call, now: float) -> str:
        """Return the access key id that signed the call, empty for an anonymous one; OssError if it is wrong."""
        authorization = call.headers.get("Authorization", "")
        if authorization.startswith(_ALGORITHM):
            return self._verify_v4(call, _claim_v4_header(call, authorization), now)
        if authorization.startswith("OSS "):
            return self._verify_v1(call, _claim_v1_header(call, authorization), now)
        if authorization:
            raise OssError.invalid_argument("Authorization", "", "The Authorization header is invalid.")
        if "x-oss-signature" in call.params:
            return self._verify_v4(call, _claim_v4_query(call), now)
        if "Signature" in call.params or "OSSAccessKeyId" in call.params:
            return self._verify_v1(call, _claim_v1_query(call), now)
        return ""

    def _verify_v4(self, call: Call, claim: _Claim, now: float) -> str:
        day, region, product = claim.scope
        if day != claim.timestamp[:8] or product not in _PRODUCTS:
            raise OssError.invalid_argument(
                "Credential", "/".join(claim.scope), "The credential scope is invalid."
            )
        if self._region and region != self._region:
            message = f"The region in the credential scope is not {self._region}."
            raise OssError.invalid_argument("Credential", region, message)
        secret = self._secret(claim, now)
        canonical = canonical_request_v4(call, claim.additional)
        scope = f"{day}/{region}/{product}/{_TERMINATOR}"
        to_sign = f"{_ALGORITHM}\n{claim.timestamp}\n{scope}\n{_sha256(canonical)}"
        expected = sign_v4(secret, day, region, product, to_sign)
        if not hmac.compare_digest(expected.encode(), claim.signature.lower().encode()):
            raise _mismatch(claim, to_sign, {"CanonicalRequest": canonical})
        return claim.key_id

    def _verify_v1(self, call: Call, claim: _Claim, now: float) -> str:
        if self._reject_v1:
            raise OssError.access_denied(
                "Signature version 1 is not accepted by this bucket.", ec="0002-00000080"
            )
        secret = self._secret(claim, now)
        date = claim.timestamp
        first = string_to_sign_v1(call, date)
        candidates = [first]
        if call.bucket and not call.key and call.path_style:
            candidates.append(string_to_sign_v1(call, date, slash=False))
        if not any(
            hmac.compare_digest(sign_v1(secret, text).encode(), claim.signature.encode())
            for text in candidates
        ):
            raise _mismatch(claim, first, {})
        return claim.key_id

    def _secret(self, claim: _Claim, now: float) -> str:
        credential = self.credentials.get(claim.key_id)
        if credential is None:
            message = "The OSS Access Key Id you provided does not exist in our records."
            details = {"OSSAccessKeyId": claim.key_id}
            raise OssError(403, "InvalidAccessKeyId", message, ec="0002-00000902", details=details)
        if claim.expires is not None:
            if now > claim.expires:
                raise OssError.access_denied("Request has expired.", ec="0002-00000069")
        elif abs(now - claim.date) > _SKEW_SECONDS:
            message = "The difference between the request time and the current time is too large."
            raise OssError(403, "RequestTimeTooSkewed", message, ec="0002-00000504")
        if credential.token and credential.expires is not None and now > credential.expires:
            raise OssError(403, "SecurityTokenExpired", "The security token you provided has expired.")
        if not hmac.compare_digest(credential.token.encode(), claim.token.encode()):
            raise OssError(403, "InvalidSecurityToken", "The security token you provided is invalid.")
        return credential.secret


def _claim_v4_header(call: Call, authorization: str) -> _Claim:
    fields: dict[str, str] = {}
    for part in authorization[len(_ALGORITHM) :].split(","):
        match = _V4_FIELD.fullmatch(part)
        if match is None:
            raise OssError.invalid_argument("Authorization", "", "The Authorization header is malformed.")
        fields[match[1]] = match[2]
    timestamp = call.header("x-oss-date")
    token = call.header("x-oss-security-token")
    return _claim_v4(
        fields.get("Credential", ""),
        fields.get("AdditionalHeaders", ""),
        fields.get("Signature", ""),
        timestamp,
        token,
    )


def _claim_v4_query(call: Call) -> _Claim:
    params = call.params
    timestamp = params.get("x-oss-date", "")
    if params.get("x-oss-signature-version") != _ALGORITHM:
        raise OssError.invalid_argument("x-oss-signature-version", "", f"It must be {_ALGORITHM}.")
    claim = _claim_v4(
        params.get("x-oss-credential", ""),
        params.get("x-oss-additional-headers", ""),
        params["x-oss-signature"],
        timestamp,
        params.get("x-oss-security-token", ""),
    )
    lifetime = params.get("x-oss-expires", "")
    if not is_number(lifetime) or not 0 < int(lifetime) <= _MAX_EXPIRES_SECONDS:
        raise OssError.invalid_argument("x-oss-expires", lifetime, "It must be 1 to 604800 seconds.")
    claim.expires = claim.date + int(lifetime)
    return claim


def _claim_v4(credential: str, additional: str, signature: str, timestamp: str, token: str) -> _Claim:
    parts = credential.split("/")
    try:
        key_id, day, region, product, terminator = parts
        date = _seconds(timestamp)
    except ValueError as error:
        raise OssError.invalid_argument(
            "x-oss-date", timestamp, "Credential or date is malformed."
        ) from error
    if terminator != _TERMINATOR:
        raise OssError.invalid_argument("Credential", terminator, f"It must end in {_TERMINATOR}.")
    names = tuple(sorted({name.strip().lower() for name in additional.split(";") if name.strip()}))
    return _Claim(key_id, signature, token, date, None, (day, region, product), timestamp, names)


@lru_cache(maxsize=256)
def _seconds(timestamp: str) -> float:
    return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _claim_v1_header(call: Call, authorization: str) -> _Claim:
    key_id, colon, signature = authorization[len("OSS ") :].strip().partition(":")
    if not colon:
        raise OssError.invalid_argument("Authorization", "", "The Authorization header is malformed.")
    text = call.header("x-oss-date") or call.header("Date")
    date = parse_http_date(text)
    if date is None:
        message = "OSS authentication requires a valid Date."
        raise OssError.access_denied(message, ec="0002-00000502")
    token = call.header("x-oss-security-token") or call.header("security-token")
    return _Claim(key_id, signature, token, date, None, timestamp=text)


def _claim_v1_query(call: Call) -> _Claim:
    params = call.params
    text = params.get("Expires", "")
    if not is_number(text):
        raise OssError.invalid_argument("Expires", text, "It must be a time in seconds.")
    token = params.get("security-token", "")
    return _Claim(
        params.get("OSSAccessKeyId", ""), params.get("Signature", ""), token, 0.0, float(text), timestamp=text
    )


def canonical_request_v4(call: Call, additional: Iterable[str]) -> str:
    """Return the canonical request of V4; ``additional`` are lower-case names in order."""
    uri = f"/{call.bucket}/{quote(call.key, safe='/')}" if call.bucket else "/"
    query = ""
    if call.params:
        pairs = sorted(
            (quote(name, safe=""), quote(value, safe=""))
            for name, value in call.params.items()
            if name != "x-oss-signature"
        )
        query = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    names = tuple(additional)
    signed = []
    for name, value in call.headers.items():
        lower = name.lower()
        if lower.startswith("x-oss-") or lower in ("content-type", "content-md5") or lower in names:
            signed.append((lower, value.strip()))
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(signed))
    payload = call.headers.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
    return f"{call.method}\n{uri}\n{query}\n{lines}\n{';'.join(names)}\n{payload}"


def sign_v4(secret: str, day: str, region: str, product: str, to_sign: str) -> str:
    """Return the hex signature of V4."""
    return hmac.digest(_signing_key(secret, day, region, product), to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=256)
def _signing_key(secret: str, day: str, region: str, product: str) -> bytes:
    key = f"aliyun_v4{secret}".encode()
    for step in (day, region, product, _TERMINATOR):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def string_to_sign_v1(call: Call, date: str, *, slash: bool = True) -> str:
    """Return the text that V1 signs. ``slash`` False: without the one after a bucket, as some clients sign."""
    resource = f"/{call.bucket}/{call.key}" if call.bucket else "/"
    if not slash:
        resource = resource.rstrip("/")
    signed = sorted((name, value) for name, value in call.params.items() if name in _SIGNED_PARAMS_V1)
    if signed:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    headers = ((name.lower(), value.strip()) for name, value in call.headers.items())
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers) if name.startswith("x-oss-"))
    md5 = call.headers.get("Content-MD5", "")
    kind = call.headers.get("Content-Type", "")
    return f"{call.method}\n{md5}\n{kind}\n{date}\n{lines}{resource}"


def sign_v1(secret: str, to_sign: str) -> str:
    """Return the base64 signature of V1."""
    return base64.b64encode(hmac.digest(secret.encode(), to_sign.encode(), "sha1")).decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _mismatch(claim: _Claim, to_sign: str, more: Mapping[str, str]) -> OssError:
    message = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )
    details = {
        "OSSAccessKeyId": claim.key_id,
        "SignatureProvided": claim.signature,
        "StringToSign": to_sign,
        **more,
    }
    return OssError(403, "SignatureDoesNotMatch", message, ec="0002-00000040", details=details)
