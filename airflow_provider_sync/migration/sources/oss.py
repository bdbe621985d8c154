"""Objects of a bucket in OSS."""

from __future__ import annotations

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.clients.oss.transfer import OssTransferClient
from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.migration.attributes import content_headers, metadata_of
from airflow_provider_sync.migration.bucket import info_of
from airflow_provider_sync.migration.bucket_ends import BucketSource
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo

__all__ = ["OssSource", "oss_info"]


class OssSource(BucketSource[OssTransferClient]):
    """The objects of ``bucket`` below ``prefix``; whole ones are compared with the service's CRC-64."""

    scheme = "oss"

    def info(self, answer: Answer, key: str) -> ObjectInfo:
        """Read the headers."""
        return oss_info(answer, key)

    def damage(self, answer: Answer, info: ObjectInfo) -> str:
        """Compare CRC-64s."""
        if info.crc64 is None or crc64(answer.body) == info.crc64:
            return ""
        return f"the crc-64 of what was read is not {info.crc64}"

    def attributes_of(self, answer: Answer, item: ObjectInfo) -> Attributes:
        """Read the headers; ask for tags where there are some, and for the ACL."""
        headers = answer.headers
        key = self.prefix + item.key
        tagged = self._tags and headers.get("x-oss-tagging-count", "0") != "0"
        acl = self.client.get_acl(self.bucket, key) if self._acl else ""
        return Attributes(
            headers=content_headers(headers),
            metadata=metadata_of(headers, "x-oss-meta-"),
            tags=self.client.get_tagging(self.bucket, key) if tagged else {},
            acl="" if acl == "default" else acl,
            storage_class=headers.get("x-oss-storage-class", ""),
        )


def oss_info(answer: Answer, key: str) -> ObjectInfo:
    """Read an answer's headers, the CRC-64 included (that of the whole object, also with a range)."""
    checksum = answer.headers.get("x-oss-hash-crc64ecma")
    return info_of(
        answer,
        key,
        storage_class=answer.headers.get("x-oss-storage-class", ""),
        crc64=int(checksum) if checksum is not None else None,
    )
