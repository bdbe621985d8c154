"""Control calls through the vendor's SDK ``oss2``, signed by our own signer.

``oss2`` is imported on first use (it costs half a second). It signs V1 by default and never corrects a wrong
clock, therefore it is given a signer; its own CRC, a core's worth of work, is off.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

from airflow_provider_sync.clients.objects.answers import retry_after
from airflow_provider_sync.clients.objects.data import SkewClock, Unsigned
from airflow_provider_sync.clients.objects.errors import ClockSkewError
from airflow_provider_sync.clients.oss.errors import translate
from airflow_provider_sync.clients.oss.model import BucketInfo, Listed, Upload
from airflow_provider_sync.clients.oss.settings import OssSettings
from airflow_provider_sync.clients.oss.signer import sign
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import PermanentError, TransientError

__all__ = ["ControlPlane"]

T = TypeVar("T")
_PAGE = 1000
_REQUEST_ERROR = -2  # oss2's own status for a network failure; its others below zero are refusals


class ControlPlane:
    """Listings, bucket properties, batch deletes and tags; every call is tried again by ``retry``."""

    def __init__(self, settings: OssSettings, clock: SkewClock, retry: RetryPolicy) -> None:
        self._settings = settings
        self._clock = clock
        self._retry = retry
        self._buckets: dict[str, Any] = {}

    def list_buckets(self) -> Iterator[str]:
        """Yield the names of all buckets that the credentials may list."""
        marker = ""
        while True:
            page = self._call("list buckets", functools.partial(self._list_buckets, marker))
            yield from (one.name for one in page.buckets)
            if not page.is_truncated:
                return
            marker = page.next_marker

    def bucket_info(self, bucket: str) -> BucketInfo:
        """Return the bucket's properties."""
        found = self._call(f"get info of bucket {bucket}", lambda: self._bucket(bucket).get_bucket_info())
        return BucketInfo(
            found.name, found.location or "", found.storage_class or "", found.versioning_status or ""
        )

    def list_objects(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Yield all objects whose key starts with ``prefix``, in order of their UTF-8 bytes."""
        token = ""
        while True:
            page = self._call(
                f"list {bucket}/{prefix}",
                functools.partial(
                    lambda after: self._bucket(bucket).list_objects_v2(
                        prefix=prefix, continuation_token=after, max_keys=_PAGE
                    ),
                    token,
                ),
            )
            for one in page.object_list:
                yield Listed(one.key, one.size, one.etag, one.last_modified, one.storage_class)
            if not page.is_truncated:
                return
            token = page.next_continuation_token

    def list_uploads(self, bucket: str, prefix: str) -> Iterator[Upload]:
        """Yield all unfinished multipart uploads whose key starts with ``prefix``."""
        key_marker = id_marker = ""
        while True:
            page = self._call(
                f"list uploads of {bucket}/{prefix}",
                functools.partial(
                    lambda key, upload: self._bucket(bucket).list_multipart_uploads(
                        prefix=prefix, key_marker=key, upload_id_marker=upload, max_uploads=_PAGE
                    ),
                    key_marker,
                    id_marker,
                ),
            )
            for one in page.upload_list:
                yield Upload(one.key, one.upload_id, _seconds(one.initiation_date))
            if not page.is_truncated:
                return
            key_marker, id_marker = page.next_key_marker, page.next_upload_id_marker

    def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects, 1,000 a request; keys that are not there are fine."""
        for start in range(0, len(keys), _PAGE):
            chunk = list(keys[start : start + _PAGE])
            self._call(
                f"delete {len(chunk)} objects of {bucket}",
                functools.partial(lambda some: self._bucket(bucket).batch_delete_objects(some), chunk),
            )

    def get_tagging(self, bucket: str, key: str) -> dict[str, str]:
        """Return an object's tags."""
        found = self._call(
            f"get tags of {bucket}/{key}", lambda: self._bucket(bucket).get_object_tagging(key)
        )
        return dict(found.tag_set.tagging_rule)

    def put_tagging(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replace an object's tags."""
        from oss2.models import Tagging, TaggingRule  # noqa: PLC0415 - slow to import

        rule = TaggingRule()
        for name, value in tags.items():
            rule.add(name, value)
        self._call(
            f"set tags of {bucket}/{key}",
            lambda: self._bucket(bucket).put_object_tagging(key, Tagging(rule)),
        )

    def _list_buckets(self, marker: str) -> Any:
        import oss2  # noqa: PLC0415 - slow to import

        settings = self._settings
        service = oss2.Service(
            _Signer(settings, self._clock),
            settings.endpoint,
            region=settings.region or None,
            is_path_style=settings.path_style,
            connect_timeout=settings.timeout,
        )
        return service.list_buckets(marker=marker, max_keys=_PAGE)

    def _bucket(self, name: str) -> Any:
        import oss2  # noqa: PLC0415 - slow to import

        if name not in self._buckets:
            settings = self._settings
            self._buckets[name] = oss2.Bucket(
                _Signer(settings, self._clock),
                settings.endpoint,
                name,
                region=settings.region or None,
                is_path_style=settings.path_style,
                enable_crc=False,
                connect_timeout=settings.timeout,
            )
        return self._buckets[name]

    def _call(self, operation: str, function: Callable[[], T]) -> T:
        from oss2.exceptions import OssError  # noqa: PLC0415 - slow to import
        from requests import RequestException  # noqa: PLC0415 - comes with oss2

        def once() -> T:
            try:
                return function()
            except OssError as error:
                raise _translated(error, operation) from error
            except (RequestException, ET.ParseError) as error:
                # oss2 wraps neither a body that breaks off nor the parser's complaint about its half
                raise TransientError(
                    f"{operation}: the answer broke off: {type(error).__name__}: {error}"
                ) from error

        def corrected() -> T:
            try:
                return once()
            except ClockSkewError as error:
                cause: Any = error.__cause__
                if not self._clock.learn(cause.headers.get("date", "")):
                    raise
                return once()

        return self._retry.call(corrected, what=operation)


class _Signer:
    """What oss2 calls to sign; the rest of its auth interface is for presigned URLs."""

    def __init__(self, settings: OssSettings, clock: SkewClock) -> None:
        self._settings = settings
        self._clock = clock

    def auth_version(self) -> str:
        return "v1" if self._settings.signature_v1 else "v4"

    def _sign_request(self, request: Any, bucket: str, key: str) -> None:
        headers = {name.lower(): str(value) for name, value in request.headers.items() if value is not None}
        params = {name: str(value) for name, value in request.params.items()}
        sign(Unsigned(request.method, bucket, key, params, headers), self._settings, now=self._clock.now())
        request.headers.update(headers)


def _translated(error: Any, operation: str) -> Exception:
    if error.status == _REQUEST_ERROR:
        return TransientError(f"{operation}: no answer: {error.body}")
    if error.status < 0:
        return PermanentError(f"{operation}: refused by the client: {error.body}")
    return translate(
        error.status,
        error.code,
        error.message,
        operation=operation,
        request_id=error.request_id,
        retry_after=retry_after(error.headers),
    )


def _seconds(moment: Any) -> int:
    return moment if isinstance(moment, int) else int(datetime.fromisoformat(str(moment)).timestamp())
