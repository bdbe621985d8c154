"""Signed requests over pooled connections: the data plane.

One request costs about 0.2 ms of CPU, so that many threads can share one instance.
"""

from __future__ import annotations

import base64
import binascii
import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

import urllib3

from airflow_provider_sync.clients.oss.errors import ClockSkewError, translate
from airflow_provider_sync.clients.oss.settings import OssSettings
from airflow_provider_sync.clients.oss.signer import Unsigned, quote_key, quote_query, sign_v1, sign_v4
from airflow_provider_sync.errors import SyncError, TransientError

__all__ = ["Body", "DataPlane", "Reply", "SkewClock", "parse_error"]

Body = bytes | bytearray | memoryview | io.BufferedIOBase | None
_ERROR_STATUS = 300
_SEND_BYTES = 256 * 1024  # of a file at once


class SkewClock:
    """The time to sign with: this machine's, shifted once the service has said that it is wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._clock() + self._offset

    def learn(self, date: str) -> bool:
        """Take the service's ``Date`` header as the time; false if it is not readable."""
        try:
            moment = parsedate_to_datetime(date)
        except ValueError:
            return False
        self._offset = moment.timestamp() - self._clock()
        return True


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; header names ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class DataPlane:
    """Sends one request at a time per thread; ``pool_size`` connections to each host are kept open."""

    settings: OssSettings
    clock: SkewClock
    pool_size: int = 32
    _pools: dict[str, urllib3.HTTPConnectionPool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        operation: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> Reply:
        """Send once (once more if the service says that the clock is wrong) and return a 2xx answer.

        ``headers`` has lower-case names; ``operation`` is named in errors. A file as ``body`` is sent from its
        current position and needs ``content-length``. Anything but 2xx raises what it stands for.
        """
        start = body.tell() if isinstance(body, io.BufferedIOBase) else 0
        try:
            return self._send(
                Unsigned(method, bucket, key, params or {}, dict(headers or {})), body, operation
            )
        except _SkewedError as skewed:
            if not self.clock.learn(skewed.date):
                raise skewed.error from None
        if isinstance(body, io.BufferedIOBase):
            body.seek(start)
        try:
            return self._send(
                Unsigned(method, bucket, key, params or {}, dict(headers or {})), body, operation
            )
        except _SkewedError as skewed:
            raise skewed.error from None

    def close(self) -> None:
        """Close idle connections; the instance can still be used."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _send(self, request: Unsigned, body: Body, operation: str) -> Reply:
        settings = self.settings
        credentials, now = settings.credentials(), self.clock.now()
        if settings.signature_v1:
            sign_v1(request, credentials, now=now)
        else:
            sign_v4(request, credentials, region=settings.region, now=now)
        path = f"/{quote_key(request.key)}"
        if settings.path_style:
            path = f"/{request.bucket}{path}"
        query = quote_query(request.params)
        content: Any = body  # urllib3 takes any buffer, its annotations only bytes
        try:
            raw = self._pool(request.bucket).urlopen(
                request.method,
                f"{path}?{query}" if query else path,
                body=content,
                headers=request.headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"{operation}: no answer: {type(error).__name__}: {error}") from error
        reply = Reply(raw.status, raw.headers, raw.data)
        if reply.status < _ERROR_STATUS:
            return reply
        raise self._error(reply, operation)

    def _error(self, raw: Reply, operation: str) -> Exception:
        code, message, request_id = parse_error(raw.body, raw.headers)
        error = translate(
            raw.status,
            code,
            message,
            operation=operation,
            request_id=request_id,
            retry_after=_seconds(raw.headers.get("retry-after")),
            position=_integer(raw.headers.get("x-oss-next-append-position")),
        )
        if isinstance(error, ClockSkewError):
            return _SkewedError(error, raw.headers.get("date", ""))
        return error

    def _pool(self, bucket: str) -> urllib3.HTTPConnectionPool:
        settings = self.settings
        host = settings.host if settings.path_style else f"{bucket}.{settings.host}"
        pool = self._pools.get(host)
        if pool is not None:
            return pool
        with self._lock:
            if host not in self._pools:
                kind = (
                    urllib3.HTTPSConnectionPool if settings.scheme == "https" else urllib3.HTTPConnectionPool
                )
                self._pools[host] = kind(
                    host,
                    settings.port,
                    maxsize=self.pool_size,
                    block=True,
                    timeout=settings.timeout,
                    blocksize=_SEND_BYTES,
                )
            return self._pools[host]


class _SkewedError(Exception):
    def __init__(self, error: SyncError, date: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.date = date


def parse_error(body: bytes, headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return code, message and request id of an error answer, empty where it does not say.

    The answer to HEAD has no body: the same XML comes base64-encoded in ``x-oss-err`` (documented).
    """
    request_id = headers.get("x-oss-request-id", "")
    if not body and "x-oss-err" in headers:
        try:
            body = base64.b64decode(headers["x-oss-err"])
        except binascii.Error:
            body = b""
    try:
        root = ET.fromstring(body)  # noqa: S314 - today's expat refuses entity bombs
    except ET.ParseError:
        return "", body[:200].decode("utf-8", "replace"), request_id
    return (
        root.findtext("Code") or "",
        root.findtext("Message") or "",
        root.findtext("RequestId") or request_id,
    )


def _seconds(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None  # an HTTP date: the policy's own wait will do


def _integer(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
