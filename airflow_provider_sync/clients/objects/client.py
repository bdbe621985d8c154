"""The calls that every object store answers alike: pages of listings, objects, ranges, uploads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

from airflow_provider_sync.clients.listing import ListingPage, parse_listing
from airflow_provider_sync.clients.objects.answers import first_text
from airflow_provider_sync.clients.objects.data import DataPlane
from airflow_provider_sync.clients.objects.errors import NoSuchUploadError
from airflow_provider_sync.clients.wire import Answer, Body
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import TransientError

__all__ = ["ObjectClient", "complete_body"]

_PAGE = 1000


class ObjectClient:
    """The calls that every service answers alike; what differs beyond the dialect is the subclass's."""

    def __init__(self, data: DataPlane, retry: RetryPolicy) -> None:
        self._data = data
        self._retry = retry

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
        plus_is_space = self._data.dialect.plus_is_space

        def once() -> ListingPage:
            answer = self._data.request("GET", bucket, operation=operation, params=params)
            return parse_listing(answer.body, operation, plus_is_space=plus_is_space)

        return self._retry.call(once, what=operation)

    def fetch(
        self,
        bucket: str,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str = "",
    ) -> Answer:
        """Return an object, or its bytes ``[start, end)``, with its headers.

        ``if_match``: an ETag without quotes; another version raises PreconditionFailedError. An answer that is
        not the asked range raises :class:`TransientError`; the range is judged by Content-Range, because some
        servers send it with status 200 (observed).
        """
        operation = f"get {bucket}/{key}"
        headers: dict[str, str] = {}
        if if_match:
            headers["if-match"] = f'"{if_match}"'
        asked = ""
        if start is not None and end is not None:
            asked = f"{start}-{end - 1}"
            headers |= {"range": f"bytes={asked}", **self._data.dialect.range_headers}

        def once() -> Answer:
            answer = self._data.request("GET", bucket, key, operation=operation, headers=headers)
            told = answer.headers.get("content-range", "")
            if asked and not told.startswith(f"bytes {asked}/"):
                raise TransientError(f"{operation}: asked for bytes {asked}, got {told or 'everything'}")
            return answer

        return self._retry.call(once, what=operation)

    def head_answer(self, bucket: str, key: str) -> Answer | None:
        """Return all headers of an object, None if there is none."""
        operation = f"head {bucket}/{key}"
        return self._retry.call(lambda: self._head(bucket, key, operation), what=operation)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; fine if it is not there."""
        self._try("DELETE", bucket, key, operation=f"delete {bucket}/{key}")

    def initiate(self, bucket: str, key: str, *, headers: Mapping[str, str] | None = None) -> str:
        """Start a multipart upload and return its id; a lost reply leaves an upload that only a listing shows."""
        operation = f"start upload of {bucket}/{key}"
        answer = self._try("POST", bucket, key, operation=operation, params={"uploads": ""}, headers=headers)
        return first_text(answer.body, "UploadId", operation)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Throw an upload and its parts away; fine if it is gone."""
        operation = f"abort upload of {bucket}/{key}"
        try:
            self._try("DELETE", bucket, key, operation=operation, params={"uploadId": upload_id})
        except NoSuchUploadError:
            return

    def close(self) -> None:
        """Close idle connections; may be called twice."""
        self._data.close()

    def _head(self, bucket: str, key: str, operation: str) -> Answer | None:
        try:
            return self._data.request("HEAD", bucket, key, operation=operation)
        except self._data.dialect.absent:
            return None

    def _try(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        operation: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> Answer:
        return self._retry.call(
            lambda: self._data.request(
                method, bucket, key, operation=operation, params=params, headers=headers, body=body
            ),
            what=operation,
        )


def complete_body(parts: Iterable[tuple[int, str]]) -> bytes:
    """Return the request that completes a multipart upload of parts (number, ETag without quotes)."""
    listing = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(etag)}&quot;</ETag></Part>"
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{listing}</CompleteMultipartUpload>".encode()
