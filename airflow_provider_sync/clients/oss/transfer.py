"""What object migration needs of OSS beyond the common client: copies inside the service, and ACLs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from airflow_provider_sync.clients.objects.answers import first_text
from airflow_provider_sync.clients.objects.client import complete_body
from airflow_provider_sync.clients.objects.errors import NoSuchUploadError
from airflow_provider_sync.clients.oss.client import OssClient
from airflow_provider_sync.clients.wire import Answer

__all__ = ["OssTransferClient"]


class OssTransferClient(OssClient):
    """An :class:`OssClient` that also lets the service copy."""

    @property
    def place(self) -> str:
        """The endpoint: buckets of one place can copy from each other."""
        return self._settings.endpoint

    def copy(
        self,
        bucket: str,
        key: str,
        source_bucket: str,
        source_key: str,
        *,
        if_match: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Copy an object inside the service and return the new ETag.

        Same region only; across buckets at most 5 GB, 1 GB advised (documented). Metadata and tags go along
        unless ``headers`` has directives.
        """
        sent = {
            **(headers or {}),
            **_copy_source(source_bucket, source_key, if_match),
        }
        operation = f"copy {source_bucket}/{source_key} to {bucket}/{key}"
        return _etag(self._try("PUT", bucket, key, operation=operation, headers=sent), operation)

    def copy_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        *,
        number: int,
        source: tuple[str, str, str],
        byte_range: tuple[int, int],
    ) -> str:
        """Copy bytes ``[start, end)`` of ``(bucket, key, etag)`` into a part and return its ETag."""
        source_bucket, source_key, if_match = source
        start, end = byte_range
        sent = {
            "x-oss-copy-source-range": f"bytes={start}-{end - 1}",
            **_copy_source(source_bucket, source_key, if_match),
        }
        operation = f"copy part {number} of {source_bucket}/{source_key} to {bucket}/{key}"
        params = {"partNumber": str(number), "uploadId": upload_id}
        return _etag(
            self._try("PUT", bucket, key, operation=operation, params=params, headers=sent), operation
        )

    def complete_copied(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[tuple[int, str]],
        *,
        forbid_overwrite: bool = False,
    ) -> None:
        """Make an upload of copied parts (number, ETag) visible; nobody here has seen their bytes."""
        body = complete_body(parts)
        operation = f"complete upload of {bucket}/{key}"
        headers = {"x-oss-forbid-overwrite": "true"} if forbid_overwrite else {}
        params = {"uploadId": upload_id}
        tries = 0

        def once() -> None:
            nonlocal tries
            tries += 1
            try:
                self._data.request(
                    "POST", bucket, key, operation=operation, params=params, headers=headers, body=body
                )
            except NoSuchUploadError:
                if tries == 1:
                    raise  # a later try may follow a reply that was lost; who calls compares the object

        self._retry.call(once, what=operation)

    def get_acl(self, bucket: str, key: str) -> str:
        """Return ``default``, ``private``, ``public-read`` or ``public-read-write``."""
        operation = f"get acl of {bucket}/{key}"
        reply = self._try("GET", bucket, key, operation=operation, params={"acl": ""})
        return first_text(reply.body, "Grant", operation)


def _copy_source(bucket: str, key: str, if_match: str) -> dict[str, str]:
    headers = {"x-oss-copy-source": f"/{bucket}/{quote(key, safe='/~')}"}
    if if_match:
        headers["x-oss-copy-source-if-match"] = f'"{if_match}"'
    return headers


def _etag(reply: Answer, operation: str) -> str:
    return first_text(reply.body, "ETag", operation).strip('"')
