"""S3's way of speaking the protocol of object stores: addresses, signatures, errors."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_sync.clients.objects.answers import error_fields, retry_after
from airflow_provider_sync.clients.objects.data import Dialect, Unsigned
from airflow_provider_sync.clients.s3.errors import translate
from airflow_provider_sync.clients.s3.settings import S3Settings
from airflow_provider_sync.clients.s3.signer import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    quote_path,
    quote_query,
    sign,
)
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import NotFoundError, SyncError

__all__ = ["S3Dialect"]


class S3Dialect(Dialect):
    """The answer to HEAD has neither body nor code, so that any 404 says that the object is not there."""

    plus_is_space = True
    range_headers: Mapping[str, str] = {}
    absent = NotFoundError

    place: S3Settings

    def __init__(self, settings: S3Settings) -> None:
        self.place = settings

    def sign(self, request: Unsigned, *, has_body: bool, now: float) -> str:
        """Sign, the host with the rest; the payload is not hashed: Content-MD5 protects it where it matters."""
        settings, bucket, key = self.place, request.bucket, request.key
        request.headers["host"] = settings.authority_of(bucket)
        path = quote_path(f"/{bucket}/{key}" if settings.path_style else f"/{key}")
        query = quote_query(request.params)
        sign(
            request.method,
            path,
            query,
            request.headers,
            settings.credentials(),
            region=settings.region,
            payload=UNSIGNED_PAYLOAD if has_body else EMPTY_PAYLOAD,
            now=now,
        )
        return f"{path}?{query}" if query else path

    def error(self, answer: Answer, operation: str) -> SyncError:
        """Translate."""
        code, message, request_id = error_fields(answer.body, answer.headers.get("x-amz-request-id", ""))
        return translate(
            answer.status,
            code,
            message,
            operation=operation,
            request_id=request_id,
            retry_after=retry_after(answer.headers),
        )
