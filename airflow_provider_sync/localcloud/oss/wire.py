"""What a request says: bucket, key and parameters, from either URL style; and dates as OSS writes them.

The bucket comes from the host (``bucket.oss.localhost``, ``bucket.oss-cn-hangzhou.aliyuncs.com``,
``bucket.127.0.0.1.nip.io``) or, when the host names none, from the first segment of the path. The real
service refuses path style; the SDKs use it for IP endpoints. A request in absolute form, as sent to an HTTP
proxy, is taken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from multidict import CIMultiDictProxy

from airflow_provider_sync.localcloud.http import Request
from airflow_provider_sync.localcloud.oss.errors import OssError

__all__ = ["Addressing", "Call", "http_date", "is_number", "iso_date", "parse_http_date"]

_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_NUMBER = re.compile(r"[0-9]{1,18}")
_ENDPOINTS = (
    r"localhost",
    r"oss(?:-[a-z0-9-]+)?\.(?:localhost|aliyuncs\.com)",
    r"[a-z]{2}-[a-z0-9-]+\.oss\.aliyuncs\.com",
    rf"{_IPV4}\.(?:nip\.io|sslip\.io|nip)",
)


@dataclass(slots=True)
class Call:
    """One request, understood. ``key`` is empty for a bucket, ``bucket`` for the service as a whole."""

    method: str
    bucket: str
    key: str
    params: dict[str, str]
    headers: CIMultiDictProxy[str]
    body: bytes
    path_style: bool
    operation: str = ""

    @property
    def subject(self) -> str:
        """What faults and denials match: ``bucket/key``, or the bucket alone."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    def header(self, name: str) -> str:
        """Return the header, or an empty text."""
        return self.headers.get(name, "").strip()

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole-number parameter within its bounds; InvalidArgument otherwise."""
        text = self.params.get(name, "")
        if not text:
            return default
        if not is_number(text) or not low <= int(text) <= high:
            raise OssError.invalid_argument(
                name, text, f"Argument {name} must be an integer of {low} to {high}."
            )
        return int(text)


def is_number(text: str) -> bool:
    """Tell whether the text is a whole number of at most 18 digits (more are not worth converting)."""
    return _NUMBER.fullmatch(text) is not None


class Addressing:
    """Tells bucket and key; ``domains`` are more host names whose sub-domains are buckets."""

    def __init__(self, domains: Iterable[str] = (), *, refuse_path_style: bool = False) -> None:
        endpoint = "|".join((*map(re.escape, domains), *_ENDPOINTS))
        self._endpoint = re.compile(rf"(?:{endpoint})", re.IGNORECASE)
        self._virtual = re.compile(rf"([a-z0-9][a-z0-9-]+)\.(?:{endpoint})", re.IGNORECASE)
        self._refuse_path_style = refuse_path_style
        self._known: dict[str, str] = {}

    def parse(self, request: Request) -> Call:
        """Return the call a request stands for; SecondLevelDomainForbidden for a refused path style."""
        host = request.headers.get("Host", "")
        path = request.path
        if not path.startswith("/") and "://" in path:
            host, _, rest = path.partition("://")[2].partition("/")
            path = f"/{rest}"
        bucket = self._known.get(host)
        if bucket is None:
            bucket = self._known[host] = self._bucket_of(host)
        key = path[1:]
        path_style = not bucket
        if path_style:
            bucket, _, key = key.partition("/")
            bucket = unquote(bucket)
            if bucket and self._refuse_path_style:
                message = (
                    "The bucket you are attempting to access must be addressed using OSS third level domain."
                )
                raise OssError(403, "SecondLevelDomainForbidden", message)
        params = _parse_query(request.query) if request.query else {}
        return Call(request.method, bucket, _text(key), params, request.headers, request.body, path_style)

    def _bucket_of(self, host: str) -> str:
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        if self._endpoint.fullmatch(name):
            return ""
        match = self._virtual.fullmatch(name)
        return match.group(1).lower() if match else ""


def _text(key: str) -> str:
    if "%" not in key and key.isascii():
        return key
    try:
        return unquote(key, errors="strict")
    except UnicodeDecodeError as error:
        raise OssError(400, "InvalidObjectName", "The specified object is not valid.") from error


def _parse_query(query: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            params[unquote_plus(name)] = unquote_plus(value)
    return params


def http_date(seconds: float) -> str:
    """``Fri, 02 Jan 2026 03:04:05 GMT``."""
    return _http_date(int(seconds))


def iso_date(seconds: float) -> str:
    """``2026-01-02T03:04:05.000Z``: the service's listings have no milliseconds."""
    return _iso_date(int(seconds))


@lru_cache(maxsize=4096)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


@lru_cache(maxsize=4096)
def _iso_date(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def parse_http_date(text: str) -> float | None:
    """Return the seconds since the epoch, or None for a text that is not a date."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
