"""The protocol: ``POST /`` with every parameter in the query, signed with ACS3-HMAC-SHA256, answered in JSON.

The operation and the version are headers, nested parameters are flat (``Filters.1.Key``), truth is ``True`` or
``true``. The SDKs escape the query differently, so it is decoded and escaped anew before its signature is checked
(observed with both the sync and the async client).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote_plus

from airflow_provider_sync.localcloud.http import Request, Response
from airflow_provider_sync.localcloud.nas.errors import NasError

__all__ = ["Call", "Verifier", "parse", "refusal", "success"]

_VERSION = "2017-06-26"
_AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 +Credential=([^,]+), *SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})"
)
_MUST_SIGN = frozenset({"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-version"})
_NONCES = 100_000
_FILTERS = 20
_NUMBER = re.compile(r"[0-9]{1,19}")
_BAD_REQUEST, _NOT_FOUND = 400, 404


@dataclass(slots=True)
class Call:
    """One request, understood: the operation and its parameters, still flat."""

    action: str
    params: dict[str, str]

    def text(self, name: str) -> str:
        """Return a parameter, or an empty text."""
        return self.params.get(name, "")

    def required(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.text(name)
        if not value:
            raise NasError.missing(name)
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value, written in any case; false when absent."""
        value = self.text(name).lower()
        if value not in {"", "true", "false"}:
            raise NasError.invalid(name, "true or false is expected")
        return value == "true"

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number within its bounds."""
        text = self.text(name)
        if not text:
            return default
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise NasError.invalid(name, f"an integer from {low} to {high} is expected")
        return int(text)

    def filters(self) -> list[tuple[str, str]]:
        """Return the filters as (key, value), in their order."""
        found = []
        for number in range(1, _FILTERS + 1):
            key = self.text(f"Filters.{number}.Key")
            if not key:
                break
            found.append((key, self.text(f"Filters.{number}.Value")))
        return found


def parse(request: Request) -> Call:
    """Return the call a request stands for, not yet verified."""
    if request.method != "POST":
        raise NasError(_BAD_REQUEST, "UnsupportedHTTPMethod", "This http method is not supported.")
    version = request.headers.get("x-acs-version", "")
    if version != _VERSION:
        raise NasError(_NOT_FOUND, "InvalidVersion", "Specified parameter Version is not valid.")
    params: dict[str, str] = {}
    for pair in request.query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            try:
                params[unquote_plus(name, errors="strict")] = unquote_plus(value, errors="strict")
            except UnicodeDecodeError:
                raise NasError.illegal_characters() from None
    return Call(request.headers.get("x-acs-action", ""), params)


class Verifier:
    """Checks who asks. ``keys`` is the secret by key id, ``tokens`` the token of those that are temporary.

    ``max_skew`` is how far, in seconds, the date of a request may be from the service's clock.
    """

    def __init__(self, keys: Mapping[str, str], tokens: Mapping[str, str], max_skew: float = 900.0) -> None:
        self.keys = dict(keys)
        self.tokens = dict(tokens)
        self.max_skew = max_skew
        self._nonces: OrderedDict[str, None] = OrderedDict()

    def verify(self, request: Request, call: Call, now: float) -> None:
        """Refuse a request that is not signed, not by a known key, too old, or sent before."""
        headers = request.headers
        match = _AUTHORIZATION.fullmatch(headers.get("Authorization", "").strip())
        if match is None:
            raise NasError(_BAD_REQUEST, "MissingAuthorization", "The request is not signed as expected.")
        key_id, names, signature = match.groups()
        if key_id not in self.keys:
            raise NasError(_NOT_FOUND, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        self._check_token(key_id, headers.get("x-acs-security-token", ""))
        digest = hashlib.sha256(request.body).hexdigest()
        if headers.get("x-acs-content-sha256") != digest or not set(names.split(";")) >= _MUST_SIGN:
            raise _mismatch("")
        canonical = _canonical(request, call, names, digest)
        text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        expected = hmac.new(self.keys[key_id].encode(), text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise _mismatch(text)
        self._check_date(headers.get("x-acs-date", ""), now)
        self._check_nonce(headers.get("x-acs-signature-nonce", ""))

    def _check_token(self, key_id: str, token: str) -> None:
        if self.tokens.get(key_id, "") != token:
            message = "Specified SecurityToken is malformed."
            raise NasError(_BAD_REQUEST, "InvalidSecurityToken.Malformed", message)

    def _check_date(self, text: str, now: float) -> None:
        try:
            sent = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            message = "Specified time stamp or date value is not well formatted."
            raise NasError(_BAD_REQUEST, "InvalidTimeStamp.Format", message) from None
        if abs(sent - now) > self.max_skew:
            message = "Specified time stamp or date value is expired."
            raise NasError(_BAD_REQUEST, "InvalidTimeStamp.Expired", message)

    def _check_nonce(self, nonce: str) -> None:
        if not nonce or nonce in self._nonces:
            message = "Specified signature nonce was used already."
            raise NasError(_BAD_REQUEST, "SignatureNonceUsed", message)
        self._nonces[nonce] = None
        if len(self._nonces) > _NONCES:
            self._nonces.popitem(last=False)


def _canonical(request: Request, call: Call, names: str, digest: str) -> str:
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(call.params.items())
    )
    lines = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names.split(";"))
    return f"{request.method}\n{request.path}\n{query}\n{lines}\n{names}\n{digest}"


def _mismatch(text: str) -> NasError:
    message = f"Specified signature is not matched with our calculation. server string to sign is:{text}"
    return NasError(_BAD_REQUEST, "SignatureDoesNotMatch", message)


def success(request_id: str, data: Mapping[str, object]) -> Response:
    """Return an answer with the request id beside the data."""
    return _json(200, {"RequestId": request_id, **data}, request_id)


def refusal(request_id: str, host: str, error: NasError) -> Response:
    """Return a refusal. A message that begins with ``<`` goes out as the page of a gateway in between."""
    if error.message.startswith("<"):
        return Response(error.status, {"Content-Type": "text/html"}, error.message.encode())
    data = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://next.api.aliyun.com/troubleshoot?q={error.code}&product=NAS",
    }
    response = _json(error.status, data, request_id)
    if error.retry_after:
        wait = str(round(error.retry_after * 1000))
        response.headers = {**response.headers, "x-acs-retry-after": wait}
    return response


def _json(status: int, data: Mapping[str, object], request_id: str) -> Response:
    headers = {"Content-Type": "application/json;charset=utf-8", "x-acs-request-id": request_id}
    return Response(status, headers, json.dumps(data, ensure_ascii=False).encode())
