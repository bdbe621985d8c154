"""Objects of a bucket in S3, or in anything that speaks its protocol."""

from __future__ import annotations

import hashlib
import re

from airflow_provider_sync.clients.s3.client import S3Client
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.migration.attributes import content_headers, metadata_of
from airflow_provider_sync.migration.bucket import info_of
from airflow_provider_sync.migration.bucket_ends import BucketSource
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo

__all__ = ["S3Source"]

_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_READ, _WRITE = frozenset({"READ", "FULL_CONTROL"}), frozenset({"WRITE", "FULL_CONTROL"})


class S3Source(BucketSource[S3Client]):
    """The objects of ``bucket`` below ``prefix``.

    ``check_md5`` compares what was read with an ETag that is an MD5 (no multipart upload, no KMS key).
    """

    scheme = "s3"

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str = "",
        *,
        tags: bool = True,
        acl: bool = False,
        check_md5: bool = True,
    ) -> None:
        super().__init__(client, bucket, prefix, tags=tags, acl=acl)
        self._check_md5 = check_md5

    def info(self, answer: Answer, key: str) -> ObjectInfo:
        """Read the headers; the default class is not in them (documented)."""
        return info_of(answer, key, storage_class=answer.headers.get("x-amz-storage-class", "STANDARD"))

    def damage(self, answer: Answer, info: ObjectInfo) -> str:
        """Compare the MD5 with an ETag that is one."""
        if not (self._check_md5 and _MD5.fullmatch(info.etag)) or _is_encrypted(answer):
            return ""
        if hashlib.md5(answer.body, usedforsecurity=False).hexdigest() == info.etag.lower():
            return ""
        return (
            f"the md5 of what was read is not its etag {info.etag}; "
            "set source.check_md5 to false if this service's etags are no md5"
        )

    def attributes_of(self, answer: Answer, item: ObjectInfo) -> Attributes:
        """Read the headers; ask for tags where there are some, and for the grants."""
        headers = answer.headers
        key = self.prefix + item.key
        tagged = self._tags and headers.get("x-amz-tagging-count", "0") != "0"
        return Attributes(
            headers=content_headers(headers),
            metadata=metadata_of(headers, "x-amz-meta-"),
            tags=self.client.get_tagging(self.bucket, key) if tagged else {},
            acl=_acl_of(self.client.public_grants(self.bucket, key)) if self._acl else "",
            storage_class=headers.get("x-amz-storage-class") or item.storage_class or "STANDARD",
        )


def _acl_of(grants: frozenset[str]) -> str:
    if grants & _WRITE:
        return "public-read-write"
    return "public-read" if grants & _READ else "private"


def _is_encrypted(answer: Answer) -> bool:
    """Tell whether the ETag is no MD5 although it looks like one (documented for KMS and customer keys)."""
    headers = answer.headers
    kind = headers.get("x-amz-server-side-encryption", "")
    return kind.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in headers
