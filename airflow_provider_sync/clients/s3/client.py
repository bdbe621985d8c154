"""Typed S3 calls, retried and checked."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence

from airflow_provider_sync.clients.objects.answers import (
    child_text,
    etag_of,
    local_name,
    xml_of,
)
from airflow_provider_sync.clients.objects.client import ObjectClient, complete_body
from airflow_provider_sync.clients.objects.data import DataPlane, SkewClock
from airflow_provider_sync.clients.objects.errors import NoSuchUploadError
from airflow_provider_sync.clients.objects.model import Part, Stored
from airflow_provider_sync.clients.s3.dialect import S3Dialect
from airflow_provider_sync.clients.s3.settings import S3Settings
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["S3Client"]

_Buffer = bytes | bytearray | memoryview


class S3Client(ObjectClient):
    """A client for one service; safe for threads.

    Bodies that are written are
    protected by Content-MD5, which the service checks (documented; its own CRC-64 has another polynomial than
    OSS's). Methods raise the errors of :mod:`airflow_provider_sync.clients.s3.errors`.
    """

    def __init__(
        self,
        connection: ConnectionInfo,
        *,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
        pool_size: int = 32,
    ) -> None:
        dialect = S3Dialect(S3Settings.of(connection))
        super().__init__(DataPlane(dialect, SkewClock(clock), pool_size), retry or RetryPolicy())

    def get_tagging(self, bucket: str, key: str) -> dict[str, str]:
        """Return an object's tags."""
        operation = f"get tags of {bucket}/{key}"
        reply = self._try("GET", bucket, key, operation=operation, params={"tagging": ""})
        root = xml_of(reply.body, operation)
        return {
            child_text(tag, "Key"): child_text(tag, "Value")
            for tag in root.iter()
            if local_name(tag) == "Tag"
        }

    def public_grants(self, bucket: str, key: str) -> frozenset[str]:
        """Return what everybody may do with an object: of ``READ``, ``WRITE``, ``FULL_CONTROL``."""
        operation = f"get acl of {bucket}/{key}"
        reply = self._try("GET", bucket, key, operation=operation, params={"acl": ""})
        root = xml_of(reply.body, operation)
        return frozenset(
            child_text(grant, "Permission")
            for grant in root.iter()
            if local_name(grant) == "Grant"
            and any((part.text or "").endswith("/global/AllUsers") for part in grant.iter())
        )

    def put(
        self,
        bucket: str,
        key: str,
        body: _Buffer,
        *,
        headers: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """Store an object whole; with ``forbid_overwrite`` one that is there raises PreconditionFailedError."""
        sent = {**(headers or {}), "content-md5": _md5(body)}
        if forbid_overwrite:
            sent["if-none-match"] = "*"
        reply = self._try("PUT", bucket, key, operation=f"put {bucket}/{key}", headers=sent, body=body)
        return _written(reply)

    def upload_part(self, bucket: str, key: str, upload_id: str, number: int, body: _Buffer) -> Part:
        """Send one part (1 to 10,000); ``crc64`` of the result is 0: S3 has none that is comparable."""
        reply = self._try(
            "PUT",
            bucket,
            key,
            operation=f"upload part {number} of {bucket}/{key}",
            params={"partNumber": str(number), "uploadId": upload_id},
            headers={"content-md5": _md5(body)},
            body=body,
        )
        return Part(number, etag_of(reply), len(body), 0)

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        *,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """Make an upload visible as one object.

        The service may answer 200 with an error inside (documented), which is raised. If the upload is gone and
        the object has the parts' size and an ETag of that many parts, an earlier call did it.
        """
        operation = f"complete upload of {bucket}/{key}"
        body = complete_body((part.number, part.etag) for part in parts)
        tries = 0

        def once() -> Stored:
            nonlocal tries
            tries += 1
            try:
                reply = self._data.request(
                    "POST",
                    bucket,
                    key,
                    operation=operation,
                    params={"uploadId": upload_id},
                    headers={"if-none-match": "*"} if forbid_overwrite else None,
                    body=body,
                )
            except NoSuchUploadError:
                found = self.head_answer(bucket, key) if tries > 1 else None
                if found is None or not _is_result(found, parts):
                    raise
                return _written(found)
            root = xml_of(reply.body, operation)
            if local_name(root) == "Error":
                raise self._data.dialect.error(Answer(500, reply.headers, reply.body), operation)
            return Stored(child_text(root, "ETag").strip('"'), None)

        return self._retry.call(once, what=operation)


def _md5(body: _Buffer) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")


def _written(reply: Answer) -> Stored:
    return Stored(etag_of(reply), None)


def _is_result(found: Answer, parts: Sequence[Part]) -> bool:
    size = int(found.headers.get("content-length", "-1"))
    return size == sum(part.size for part in parts) and etag_of(found).endswith(f"-{len(parts)}")
