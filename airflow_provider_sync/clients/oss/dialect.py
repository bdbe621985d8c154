"""OSS's way of speaking the protocol of object stores: addresses, signatures, errors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from airflow_provider_sync.clients.objects.answers import error_fields, retry_after
from airflow_provider_sync.clients.objects.data import Dialect, Unsigned
from airflow_provider_sync.clients.objects.errors import NoSuchKeyError
from airflow_provider_sync.clients.oss.errors import translate
from airflow_provider_sync.clients.oss.settings import OssSettings
from airflow_provider_sync.clients.oss.signer import quote_key, quote_query, sign
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import SyncError

__all__ = ["OssDialect"]


class OssDialect(Dialect):
    """Without its own header a range that is outside the object is answered by all of it (documented)."""

    plus_is_space = False
    range_headers: Mapping[str, str] = {"x-oss-range-behavior": "standard"}
    absent = NoSuchKeyError

    place: OssSettings

    def __init__(self, settings: OssSettings) -> None:
        self.place = settings

    def sign(self, request: Unsigned, *, has_body: bool, now: float) -> str:
        """Sign; the payload is never hashed."""
        del has_body
        sign(request, self.place, now=now)
        path = f"/{quote_key(request.key)}"
        if self.place.path_style:
            path = f"/{request.bucket}{path}"
        query = quote_query(request.params)
        return f"{path}?{query}" if query else path

    def error(self, answer: Answer, operation: str) -> SyncError:
        """Translate; HEAD has no body: the same XML comes base64-encoded in ``x-oss-err`` (documented)."""
        headers, body = answer.headers, answer.body
        if not body and "x-oss-err" in headers:
            try:
                body = base64.b64decode(headers["x-oss-err"])
            except binascii.Error:
                body = b""
        code, message, request_id = error_fields(body, headers.get("x-oss-request-id", ""))
        position = headers.get("x-oss-next-append-position", "")
        return translate(
            answer.status,
            code,
            message,
            operation=operation,
            request_id=request_id,
            retry_after=retry_after(headers),
            position=int(position) if position.isdigit() else None,
        )
