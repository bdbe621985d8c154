"""Signed S3 requests over pooled connections."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from airflow_provider_sync.clients.oss.http import Reply, SkewClock
from airflow_provider_sync.clients.s3.errors import ClockSkewError, translate
from airflow_provider_sync.clients.s3.settings import S3Settings
from airflow_provider_sync.clients.s3.signer import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    quote_path,
    quote_query,
    sign,
)
from airflow_provider_sync.clients.wire import Answer, HttpPool, WireError

__all__ = ["Buffer", "DataPlane", "Reply", "SkewClock", "parse_error"]

Buffer = bytes | bytearray | memoryview
_ERROR_STATUS = 300


@dataclass(slots=True)
class DataPlane:
    """Sends one request at a time per thread; ``pool_size`` connections to each host are kept open."""

    settings: S3Settings
    clock: SkewClock
    pool_size: int = 32
    _pools: dict[str, HttpPool] = field(default_factory=dict)
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
        body: Buffer | None = None,
    ) -> Reply:
        """Send once (once more if the service says that the clock is wrong) and return a 2xx answer.

        ``headers`` has lower-case names; ``operation`` is named in errors. Anything but 2xx raises what it
        stands for.
        """
        for last in (False, True):
            raw = self._send(
                method,
                bucket,
                key,
                params=params or {},
                headers=headers or {},
                body=body,
                operation=operation,
            )
            if raw.status < _ERROR_STATUS:
                return Reply(raw.status, raw.headers, raw.body)
            code, message, request_id = parse_error(raw.body, raw.headers)
            error = translate(
                raw.status,
                code,
                message,
                operation=operation,
                request_id=request_id,
                retry_after=_seconds(raw.headers.get("retry-after")),
            )
            skewed = isinstance(error, ClockSkewError) and self.clock.learn(raw.headers.get("date", ""))
            if last or not skewed:
                raise error
        raise AssertionError("unreachable: the second pass returns or raises")

    def close(self) -> None:
        """Close idle connections; the instance can still be used."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        body: Buffer | None,
        operation: str,
    ) -> Answer:
        settings = self.settings
        sent = {**headers, "host": settings.authority_of(bucket)}
        path = quote_path(f"/{bucket}/{key}" if settings.path_style else f"/{key}")
        query = quote_query(params)
        sign(
            method,
            path,
            query,
            sent,
            settings.credentials(),
            region=settings.region,
            payload=UNSIGNED_PAYLOAD if body is not None else EMPTY_PAYLOAD,
            now=self.clock.now(),
        )
        try:
            return self._pool(settings.host_of(bucket)).request(
                method, f"{path}?{query}" if query else path, sent, body
            )
        except WireError as error:
            raise WireError(f"{operation}: {error}") from error

    def _pool(self, host: str) -> HttpPool:
        pool = self._pools.get(host)
        if pool is not None:
            return pool
        settings = self.settings
        with self._lock:
            if host not in self._pools:
                self._pools[host] = HttpPool(
                    host,
                    settings.port,
                    https=settings.scheme == "https",
                    size=self.pool_size,
                    timeout=settings.timeout,
                )
            return self._pools[host]


def parse_error(body: bytes, headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return code, message and request id of an error answer, empty where it does not say (HEAD never does)."""
    request_id = headers.get("x-amz-request-id", "")
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
