"""Typed S3 calls, retried and checked."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from airflow_provider_sync.clients.listing import ListingPage, parse_listing
from airflow_provider_sync.clients.oss.model import Part
from airflow_provider_sync.clients.s3.errors import NoSuchKeyError, NoSuchUploadError, translate
from airflow_provider_sync.clients.s3.http import Buffer, DataPlane, Reply, SkewClock, parse_error
from airflow_provider_sync.clients.s3.settings import Credentials, S3Settings
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import NotFoundError, TransientError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["S3Client", "Written"]

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Written:
    """What a write says about the object."""

    etag: str


class S3Client:
    """A client for one service; safe for threads.

    ``credentials`` is asked before every request and wins over the connection's. Bodies that are written are
    protected by Content-MD5, which the service checks (documented; its own CRC-64 has another polynomial than
    OSS's). Methods raise the errors of :mod:`airflow_provider_sync.clients.s3.errors`.
    """

    def __init__(
        self,
        connection: ConnectionInfo,
        *,
        credentials: Callable[[], Credentials] | None = None,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
        pool_size: int = 32,
    ) -> None:
        self._retry = retry or RetryPolicy()
        self._data = DataPlane(S3Settings.of(connection, credentials), SkewClock(clock), pool_size)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def list_page(
        self,
        bucket: str,
        prefix: str = "",
        *,
        start_after: str = "",
        token: str = "",
        delimiter: str = "",
        limit: int = _PAGE,
    ) -> ListingPage:
        """Return up to ``limit`` (at most 1,000) objects in order of their UTF-8 bytes."""
        params = {"list-type": "2", "max-keys": str(limit), "encoding-type": "url"}
        given = {
            "prefix": prefix,
            "start-after": start_after,
            "continuation-token": token,
            "delimiter": delimiter,
        }
        params.update({name: value for name, value in given.items() if value})
        operation = f"list {bucket}/{prefix}"

        def once() -> ListingPage:
            reply = self._data.request("GET", bucket, operation=operation, params=params)
            return parse_listing(reply.body, operation, plus_is_space=True)

        return self._retry.call(once, what=operation)

    def get(
        self,
        bucket: str,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str = "",
    ) -> Reply:
        """Return an object, or its bytes ``[start, end)``, with its headers.

        ``if_match``: an ETag without quotes; another version raises PreconditionFailedError. An answer that is
        not the asked range raises :class:`TransientError`; the range is judged by Content-Range, because some
        servers send it with status 200 (observed).
        """
        operation = f"get {bucket}/{key}"
        headers: dict[str, str] = {}
        if if_match:
            headers["if-match"] = f'"{if_match}"'
        ranged = start is not None and end is not None
        if ranged:
            headers["range"] = f"bytes={start}-{(end or 0) - 1}"

        def once() -> Reply:
            reply = self._data.request("GET", bucket, key, operation=operation, headers=headers)
            told = reply.headers.get("content-range", "")
            if ranged and not told.startswith(f"bytes {start}-{(end or 0) - 1}/"):
                raise TransientError(f"{operation}: asked for {headers['range']}, got {told or 'everything'}")
            return reply

        return self._retry.call(once, what=operation)

    def head(self, bucket: str, key: str) -> Reply | None:
        """Return an object's headers, None if there is none."""
        operation = f"head {bucket}/{key}"

        def once() -> Reply | None:
            try:
                return self._data.request("HEAD", bucket, key, operation=operation)
            except (NotFoundError, NoSuchKeyError):
                return None

        return self._retry.call(once, what=operation)

    def get_tagging(self, bucket: str, key: str) -> dict[str, str]:
        """Return an object's tags."""
        operation = f"get tags of {bucket}/{key}"
        reply = self._try("GET", bucket, key, operation=operation, params={"tagging": ""})
        root = _xml(reply.body, operation)
        return {_child(tag, "Key"): _child(tag, "Value") for tag in root.iter() if _name(tag) == "Tag"}

    def public_grants(self, bucket: str, key: str) -> frozenset[str]:
        """Return what everybody may do with an object: of ``READ``, ``WRITE``, ``FULL_CONTROL``."""
        operation = f"get acl of {bucket}/{key}"
        reply = self._try("GET", bucket, key, operation=operation, params={"acl": ""})
        root = _xml(reply.body, operation)
        return frozenset(
            _child(grant, "Permission")
            for grant in root.iter()
            if _name(grant) == "Grant"
            and any((part.text or "").endswith("/global/AllUsers") for part in grant.iter())
        )

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def put(
        self,
        bucket: str,
        key: str,
        body: Buffer,
        *,
        headers: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> Written:
        """Store an object whole; with ``forbid_overwrite`` one that is there raises PreconditionFailedError."""
        sent = {**(headers or {}), "content-md5": _md5(body)}
        if forbid_overwrite:
            sent["if-none-match"] = "*"
        reply = self._try("PUT", bucket, key, operation=f"put {bucket}/{key}", headers=sent, body=body)
        return _written(reply)

    def initiate(self, bucket: str, key: str, *, headers: Mapping[str, str] | None = None) -> str:
        """Start a multipart upload and return its id."""
        operation = f"start upload of {bucket}/{key}"
        reply = self._try(
            "POST", bucket, key, operation=operation, params={"uploads": ""}, headers=headers, body=b""
        )
        for one in _xml(reply.body, operation):
            if _name(one) == "UploadId" and one.text:
                return one.text
        raise TransientError(f"{operation}: the answer has no UploadId")

    def upload_part(self, bucket: str, key: str, upload_id: str, number: int, body: Buffer) -> Part:
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
        return Part(number, _written(reply).etag, len(body), 0)

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        *,
        forbid_overwrite: bool = False,
    ) -> Written:
        """Make an upload visible as one object.

        The service may answer 200 with an error inside (documented), which is raised. If the upload is gone and
        the object has the parts' size and an ETag of that many parts, an earlier call did it.
        """
        operation = f"complete upload of {bucket}/{key}"
        listing = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{escape(part.etag)}&quot;</ETag></Part>"
            for part in parts
        )
        body = f"<CompleteMultipartUpload>{listing}</CompleteMultipartUpload>".encode()
        tries = 0

        def once() -> Written:
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
                found = self.head(bucket, key) if tries > 1 else None
                if found is None or not _is_result(found, parts):
                    raise
                return _written(found)
            root = _xml(reply.body, operation)
            if _name(root) == "Error":
                code, message, request_id = parse_error(reply.body, reply.headers)
                raise translate(500, code, message, operation=operation, request_id=request_id)
            etag = next((one.text or "" for one in root if _name(one) == "ETag"), "")
            return Written(etag.strip('"'))

        return self._retry.call(once, what=operation)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Throw an upload and its parts away; fine if it is gone."""
        try:
            self._try(
                "DELETE",
                bucket,
                key,
                operation=f"abort upload of {bucket}/{key}",
                params={"uploadId": upload_id},
            )
        except NoSuchUploadError:
            return

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; fine if it is not there."""
        self._try("DELETE", bucket, key, operation=f"delete {bucket}/{key}")

    def close(self) -> None:
        """Close idle connections; may be called twice."""
        self._data.close()

    def _try(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        operation: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Buffer | None = None,
    ) -> Reply:
        return self._retry.call(
            lambda: self._data.request(
                method, bucket, key, operation=operation, params=params, headers=headers, body=body
            ),
            what=operation,
        )


def _md5(body: Buffer) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")


def _written(reply: Reply) -> Written:
    return Written(reply.headers.get("etag", "").strip('"'))


def _is_result(found: Reply, parts: Sequence[Part]) -> bool:
    size = int(found.headers.get("content-length", "-1"))
    return size == sum(part.size for part in parts) and _written(found).etag.endswith(f"-{len(parts)}")


def _xml(body: bytes, operation: str) -> ET.Element:
    try:
        return ET.fromstring(body)  # noqa: S314 - today's expat refuses entity bombs
    except ET.ParseError as error:
        raise TransientError(f"{operation}: the answer is not XML: {error}") from error


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: ET.Element, name: str) -> str:
    return next((one.text or "" for one in element if _name(one) == name), "")
