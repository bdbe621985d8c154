"""What sources and targets in a bucket have in common, whatever the service: they differ in what answers say."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from airflow_provider_sync.clients.objects.client import ObjectClient
from airflow_provider_sync.clients.objects.errors import NoSuchKeyError, PreconditionFailedError
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import ConfigError, CorruptDataError
from airflow_provider_sync.migration.bucket import boundaries, check_prefix, list_objects
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.errors import SourceChangedError, SourceGoneError
from airflow_provider_sync.migration.objects import Attributes, Content, ObjectInfo, Prepared

__all__ = ["BucketSource", "BucketTarget", "pinned"]

C = TypeVar("C", bound=ObjectClient)


class _InBucket(Generic[C]):
    """``bucket`` below ``prefix``; ``scheme`` is that of its URL, ``side`` is named in errors."""

    scheme: str
    side: str

    def __init__(self, client: C, bucket: str, prefix: str = "") -> None:
        if not bucket:
            raise ConfigError(f"{self.side}.bucket", bucket, reason="missing", cure="name the bucket")
        self.client = client
        self.bucket = bucket
        self.prefix = check_prefix(f"{self.side}.prefix", prefix)

    @property
    def name(self) -> str:
        """The place as a URL."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    def check(self) -> None:
        """Ask for one key."""
        self.client.list_page(self.bucket, self.prefix, limit=1)

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects, 1,000 a request."""
        return list_objects(self.client, self.bucket, self.prefix, after)

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    @abstractmethod
    def info(self, answer: Answer, key: str) -> ObjectInfo:
        """Read the headers of a HEAD or GET of ``key``."""

    def _look(self, key: str) -> ObjectInfo | None:
        answer = self.client.head_answer(self.bucket, self.prefix + key)
        return None if answer is None else self.info(answer, key)


class BucketSource(_InBucket[C], Source):
    """The objects of ``bucket`` below ``prefix``; ``acl`` costs a request per object."""

    side = "source"

    def __init__(
        self, client: C, bucket: str, prefix: str = "", *, tags: bool = True, acl: bool = False
    ) -> None:
        super().__init__(client, bucket, prefix)
        self._tags = tags
        self._acl = acl

    @abstractmethod
    def damage(self, answer: Answer, info: ObjectInfo) -> str:
        """Compare a whole object with the service's checksum; return what is wrong, empty if nothing is."""

    @abstractmethod
    def attributes_of(self, answer: Answer, item: ObjectInfo) -> Attributes:
        """Read an answer's headers, and ask for what they only announce."""

    def boundaries(self, depth: int, limit: int) -> Sequence[str]:
        """Cut at folders, or at first letters."""
        return boundaries(self.client, self.bucket, self.prefix, depth, limit)

    def head(self, item: ObjectInfo) -> ObjectInfo | None:
        """Ask for the headers."""
        return self._look(item.key)

    def get(self, item: ObjectInfo, start: int | None = None, end: int | None = None) -> Content:
        """Read with If-Match, which some services ignore; a damaged object is read once more."""
        for last in (False, True):
            with pinned(self, item):
                answer = self.client.fetch(
                    self.bucket, self.prefix + item.key, start=start, end=end, if_match=item.etag
                )
            info = self.info(answer, item.key)
            if item.etag and info.etag and info.etag != item.etag:
                raise SourceChangedError(f"{self.name}{item.key} has etag {info.etag}, planned {item.etag}")
            wrong = "" if start is not None else self.damage(answer, info)
            if not wrong:
                break
            if last:
                raise CorruptDataError(f"{self.name}{item.key}: {wrong}")
        return Content(answer.body, info, self.attributes_of(answer, item))

    def attributes(self, item: ObjectInfo) -> Attributes:
        """Ask for the headers, and for what else is wanted."""
        answer = self.client.head_answer(self.bucket, self.prefix + item.key)
        if answer is None:
            raise SourceGoneError(f"{self.name}{item.key} was deleted after it was listed")
        return self.attributes_of(answer, item)


class BucketTarget(_InBucket[C], Target):
    """``bucket`` below ``prefix``."""

    side = "target"

    def head(self, key: str) -> ObjectInfo | None:
        """Ask for the headers."""
        return self._look(key)

    def begin(self, key: str, size: int, prepared: Prepared) -> str:
        """Start a multipart upload."""
        del size
        return self.client.initiate(self.bucket, self.prefix + key, headers=prepared.headers)

    def abort(self, key: str, upload: str) -> None:
        """Abort the multipart upload."""
        self.client.abort(self.bucket, self.prefix + key, upload)

    def read(self, key: str, start: int, end: int) -> bytes:
        """Read a range."""
        return self.client.fetch(self.bucket, self.prefix + key, start=start, end=end).body


@contextlib.contextmanager
def pinned(source: BucketSource[C], item: ObjectInfo) -> Iterator[None]:
    """Say what a request bound to the planned version of an item means when it is refused."""
    try:
        yield
    except PreconditionFailedError as error:
        raise SourceChangedError(f"{source.name}{item.key} changed after it was listed") from error
    except NoSuchKeyError as error:
        raise SourceGoneError(f"{source.name}{item.key} was deleted after it was listed") from error
