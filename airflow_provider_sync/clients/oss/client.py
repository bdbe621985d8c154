"""The one interface to OSS: data plane and control plane behind typed methods, retried and checked.

Every body that is sent or received whole is compared with the service's CRC-64; a difference is tried again
like a network failure. A write whose reply was lost is resolved by asking what is there.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from airflow_provider_sync.clients.objects.answers import etag_of
from airflow_provider_sync.clients.objects.client import ObjectClient, complete_body
from airflow_provider_sync.clients.objects.data import DataPlane, SkewClock
from airflow_provider_sync.clients.objects.errors import (
    ChecksumError,
    NoSuchKeyError,
    NoSuchUploadError,
    ObjectExistsError,
)
from airflow_provider_sync.clients.objects.model import Part, Stored
from airflow_provider_sync.clients.oss.control import ControlPlane
from airflow_provider_sync.clients.oss.crc import combine, crc64
from airflow_provider_sync.clients.oss.dialect import OssDialect
from airflow_provider_sync.clients.oss.errors import AppendPositionError
from airflow_provider_sync.clients.oss.model import BucketInfo, Listed, ObjectInfo, Upload
from airflow_provider_sync.clients.oss.settings import OssSettings
from airflow_provider_sync.clients.wire import Answer, Body
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import CorruptDataError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["OssClient"]

_META = "x-oss-meta-"
_FORBID = {"x-oss-forbid-overwrite": "true"}


class OssClient(ObjectClient):
    """A client for one service; safe for threads, each of which should own at most one request at a time.

    ``headers`` of writing methods are sent as they are (lower-case names, ``x-oss-meta-…`` included). Methods
    raise the errors of :mod:`airflow_provider_sync.clients.oss.errors` and of the package's tree.
    """

    def __init__(
        self,
        connection: ConnectionInfo,
        *,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
        pool_size: int = 32,
    ) -> None:
        self._settings = OssSettings.of(connection)
        skewed = SkewClock(clock)
        super().__init__(DataPlane(OssDialect(self._settings), skewed, pool_size), retry or RetryPolicy())
        self._control = ControlPlane(self._settings, skewed, self._retry)

    # ── objects ──────────────────────────────────────────────────────────────────────────────────────────

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | bytearray | memoryview,
        *,
        headers: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """Store an object whole.

        With ``forbid_overwrite`` an object that is there raises :class:`ObjectExistsError`, unless it appeared
        through an earlier try of this very call whose reply was lost.
        """
        sent = {**(headers or {}), **(_FORBID if forbid_overwrite else {})}
        checksum = crc64(body)
        tries = 0

        def once() -> Stored:
            nonlocal tries
            tries += 1
            operation = f"put {bucket}/{key}"
            try:
                reply = self._data.request("PUT", bucket, key, operation=operation, headers=sent, body=body)
            except ObjectExistsError:
                found = self._look(bucket, key) if tries > 1 else None
                if found is None or (found.size, found.crc64) != (len(body), checksum):
                    raise
                return Stored(found.etag, found.crc64)
            return _checked(reply, checksum, operation)

        return self._retry.call(once, what=f"put {bucket}/{key}")

    def get(self, bucket: str, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """Return the content, None if there is no such object; ``[start, end)`` in bytes picks a part.

        A range must lie inside the object; the whole object is checked by CRC-64, a part is not (the service
        sends the checksum of the whole, documented).
        """
        operation = f"get {bucket}/{key}"
        headers = {}
        if start is not None and end is not None:
            headers = {"range": f"bytes={start}-{end - 1}", "x-oss-range-behavior": "standard"}

        def once() -> bytes | None:
            try:
                reply = self._data.request("GET", bucket, key, operation=operation, headers=headers)
            except NoSuchKeyError:
                return None
            if not headers:
                _checked(reply, crc64(reply.body), operation)
            elif start is not None and end is not None and len(reply.body) != end - start:
                raise CorruptDataError(f"{operation}: asked for {end - start} bytes, got {len(reply.body)}")
            return reply.body

        return self._retry.call(once, what=operation)

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return what is known about an object, None if there is none."""
        return self._retry.call(lambda: self._look(bucket, key), what=f"head {bucket}/{key}")

    def append(
        self,
        bucket: str,
        key: str,
        body: Body,
        *,
        size: int,
        checksum: int,
        position: int,
        base: int,
        headers: Mapping[str, str] | None = None,
    ) -> Stored:
        """Append ``body`` (bytes, or a seekable file at its start) at ``position``, exactly once.

        ``base`` is the CRC-64 of what is there, ``checksum`` that of the body, ``size`` its length. After a
        lost reply the object's length and checksum decide whether the tail is there. Somebody else's tail at
        that position raises :class:`AppendPositionError`.
        """
        operation = f"append to {bucket}/{key} at {position}"
        whole = combine(base, checksum, size)
        sent = {**(headers or {}), "content-length": str(size)}
        params = {"append": "", "position": str(position)}
        tries = 0

        def once() -> Stored:
            nonlocal tries
            tries += 1
            if isinstance(body, io.BufferedIOBase):
                body.seek(0)
            try:
                reply = self._data.request(
                    "POST", bucket, key, operation=operation, params=params, headers=sent, body=body
                )
            except AppendPositionError:
                found = self._look(bucket, key) if tries > 1 else None
                if found is None or (found.size, found.crc64) != (position + size, whole):
                    raise
                return Stored(found.etag, found.crc64, found.size)
            stored = _stored(reply)
            if stored.crc64 is not None and stored.crc64 != whole:
                raise CorruptDataError(
                    f"{operation}: the object's crc-64 is {stored.crc64}, expected {whole}: "
                    "somebody else changed it, or the body was damaged on the way"
                )
            return stored

        return self._retry.call(once, what=operation)

    # ── multipart uploads ────────────────────────────────────────────────────────────────────────────────

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: bytes | bytearray | memoryview
    ) -> Part:
        """Send one part (1 to 10,000); the same number again replaces it."""
        operation = f"upload part {number} of {bucket}/{key}"
        params = {"partNumber": str(number), "uploadId": upload_id}
        checksum = crc64(body)

        def once() -> Part:
            reply = self._data.request("PUT", bucket, key, operation=operation, params=params, body=body)
            return Part(number, _checked(reply, checksum, operation).etag, len(body), checksum)

        return self._retry.call(once, what=operation)

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        *,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """Make an upload visible as one object, checked by the parts' combined CRC-64.

        If the upload is gone and the object has the parts' size and checksum, an earlier call did it.
        """
        operation = f"complete upload of {bucket}/{key}"
        size, checksum = 0, 0
        for part in parts:
            size += part.size
            checksum = combine(checksum, part.crc64, part.size)
        body = complete_body((part.number, part.etag) for part in parts)

        def once() -> Stored:
            try:
                reply = self._data.request(
                    "POST",
                    bucket,
                    key,
                    operation=operation,
                    params={"uploadId": upload_id},
                    headers=_FORBID if forbid_overwrite else None,
                    body=body,
                )
            except NoSuchUploadError:
                found = self._look(bucket, key)
                if found is None or (found.size, found.crc64) != (size, checksum):
                    raise
                return Stored(found.etag, found.crc64)
            stored = _stored(reply)
            if stored.crc64 is not None and stored.crc64 != checksum:
                raise CorruptDataError(
                    f"{operation}: the object's crc-64 is {stored.crc64}, expected {checksum}"
                )
            return stored

        return self._retry.call(once, what=operation)

    # ── control calls ────────────────────────────────────────────────────────────────────────────────────

    def list_buckets(self) -> Iterator[str]:
        """Yield the names of all buckets that the credentials may list."""
        return self._control.list_buckets()

    def bucket_info(self, bucket: str) -> BucketInfo:
        """Return the bucket's properties; no such bucket raises."""
        return self._control.bucket_info(bucket)

    def list_objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        """Yield all objects below ``prefix``, in order of their UTF-8 bytes."""
        return self._control.list_objects(bucket, prefix)

    def list_uploads(self, bucket: str, prefix: str = "") -> Iterator[Upload]:
        """Yield all unfinished multipart uploads below ``prefix``."""
        return self._control.list_uploads(bucket, prefix)

    def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects by name, 1,000 a request."""
        self._control.delete_many(bucket, keys)

    def get_tagging(self, bucket: str, key: str) -> dict[str, str]:
        """Return an object's tags."""
        return self._control.get_tagging(bucket, key)

    def put_tagging(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replace an object's tags."""
        self._control.put_tagging(bucket, key, tags)

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, bucket: str, key: str) -> ObjectInfo | None:
        answer = self._head(bucket, key, f"head {bucket}/{key}")
        if answer is None:
            return None
        headers = answer.headers
        checksum = headers.get("x-oss-hash-crc64ecma")
        return ObjectInfo(
            key=key,
            size=int(headers.get("content-length", "0")),
            etag=etag_of(answer),
            crc64=int(checksum) if checksum is not None else None,
            kind=headers.get("x-oss-object-type", ""),
            last_modified=headers.get("last-modified", ""),
            metadata={
                name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)
            },
        )


def _stored(reply: Answer) -> Stored:
    checksum = reply.headers.get("x-oss-hash-crc64ecma")
    position = reply.headers.get("x-oss-next-append-position")
    return Stored(
        etag=etag_of(reply),
        crc64=int(checksum) if checksum is not None else None,
        next_position=int(position) if position is not None else None,
    )


def _checked(reply: Answer, checksum: int, operation: str) -> Stored:
    stored = _stored(reply)
    if stored.crc64 is not None and stored.crc64 != checksum:
        raise ChecksumError(f"{operation}: the service's crc-64 is {stored.crc64}, ours {checksum}")
    return stored
