"""The test knobs of the local OSS, under ``/_control`` beside those that every service has.

=================================  =====================================================================
``POST bucket``                    ``{"name", "versioning"?}``: make a bucket, set its versioning
``POST seed``                      ``{"bucket", "count", "size", "prefix"?, "suffix"?, "seed"?, "modified"?}``:
                                   objects ``{prefix}{00000000…}{suffix}`` of that size, the same bytes for the
                                   same seed and key; the bucket is made if needed
``GET uploads``                    multipart uploads in progress in all buckets
``GET objects?bucket=b&prefix=p``  what is visible: key, size, CRC-64, ETag, kind, version id
``POST quota``                     ``{"bucket", "bytes"}``: writes beyond it fail with QuotaExceeded; null: none
``POST deny``                      ``{"key_regex", "operation"?}``: matching keys get 403 AccessDenied;
                                   ``DELETE deny`` ends that
``POST sts``                       ``{"access_key_id", "access_key_secret", "token", "expires"?}``: temporary
                                   credentials, valid until that time in seconds
=================================  =====================================================================
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_sync.localcloud.control import ControlError
from airflow_provider_sync.localcloud.oss.bucket_routes import create_bucket
from airflow_provider_sync.localcloud.oss.checksum import crc64
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Cloud
from airflow_provider_sync.localcloud.oss.objects import new_version
from airflow_provider_sync.localcloud.oss.signature import Credential, Verifier
from airflow_provider_sync.localcloud.oss.wire import Call

__all__ = ["Knobs"]


class Knobs:
    """Serves the control routes of one service and holds what they set beside the data."""

    def __init__(self, cloud: Cloud, verifier: Verifier) -> None:
        self._cloud = cloud
        self._verifier = verifier
        self._denied: list[tuple[re.Pattern[str], re.Pattern[str]]] = []
        self._temporary: set[str] = set()

    def reset(self) -> None:
        """End denials and temporary credentials; quotas go with their buckets."""
        self._denied.clear()
        for key_id in self._temporary:
            self._verifier.credentials.pop(key_id, None)
        self._temporary.clear()

    def check(self, call: Call) -> None:
        """Refuse a call that a denial matches."""
        for key, operation in self._denied:
            if key.search(call.key) and operation.fullmatch(call.operation):
                raise OssError.access_denied()

    def run(self, method: str, route: str, body: bytes) -> object | None:
        """Serve one route; None if there is no such one."""
        path, _, query = route.partition("?")
        match method, path:
            case "GET", "uploads":
                return self._uploads()
            case "GET", "objects":
                return self._objects({name: values[-1] for name, values in parse_qs(query).items()})
            case "DELETE", "deny":
                self._denied.clear()
                return {}
            case "POST", "bucket" | "seed" | "quota" | "deny" | "sts":
                data = json.loads(body or b"{}")
                if not isinstance(data, dict):
                    raise ControlError("expected a JSON object")
                try:
                    answer = getattr(self, f"_{path}")(data)
                except (OssError, re.error) as error:
                    raise ControlError(str(error)) from error
                self._cloud.storage.commit()
                return dict(answer)
            case _:
                return None

    def _uploads(self) -> list[dict[str, Any]]:
        return [
            {
                "bucket": bucket.name,
                "key": upload.key,
                "upload_id": upload.upload_id,
                "initiated": upload.initiated,
                "parts": [{"number": part.number, "size": part.size} for part in upload.parts.values()],
            }
            for bucket in self._cloud.buckets.values()
            for upload in bucket.uploads.values()
        ]

    def _objects(self, query: dict[str, str]) -> list[dict[str, Any]]:
        bucket = self._cloud.buckets.get(query.get("bucket", ""))
        if bucket is None:
            raise ControlError(f"no such bucket: {query.get('bucket', '')!r}")
        prefix = query.get("prefix", "")
        return [
            {
                "key": key,
                "size": version.size,
                "crc64": None if version.crc is None else str(version.crc),
                "etag": version.etag,
                "kind": version.kind,
                "version_id": version.version_id,
            }
            for key, version in sorted(bucket.live())
            if key.startswith(prefix)
        ]

    def _bucket(self, data: dict[str, Any]) -> dict[str, Any]:
        bucket = create_bucket(self._cloud, str(data["name"]))
        if "versioning" in data:
            if data["versioning"] not in ("", "Enabled", "Suspended"):
                raise ControlError("versioning is Enabled, Suspended or empty")
            bucket.versioning = str(data["versioning"])
            self._cloud.save_bucket(bucket)
        return {"name": bucket.name, "versioning": bucket.versioning}

    def _quota(self, data: dict[str, Any]) -> dict[str, Any]:
        bucket = self._cloud.bucket(str(data["bucket"]))
        bucket.quota = None if data["bytes"] is None else int(data["bytes"])
        return {"bytes": bucket.quota, "used": bucket.used}

    def _deny(self, data: dict[str, Any]) -> dict[str, Any]:
        operation = re.compile(str(data.get("operation", ".*")))
        self._denied.append((re.compile(str(data["key_regex"])), operation))
        return {"denials": len(self._denied)}

    def _sts(self, data: dict[str, Any]) -> dict[str, Any]:
        key_id = str(data["access_key_id"])
        expires = float(data["expires"]) if data.get("expires") is not None else None
        self._verifier.credentials[key_id] = Credential(
            str(data["access_key_secret"]), str(data["token"]), expires
        )
        self._temporary.add(key_id)
        return {"access_key_id": key_id}

    def _seed(self, data: dict[str, Any]) -> dict[str, Any]:
        bucket = create_bucket(self._cloud, str(data["bucket"]))
        prefix, suffix = str(data.get("prefix", "")), str(data.get("suffix", ""))
        count, size, seed = int(data["count"]), int(data["size"]), data.get("seed", 0)
        for number in range(count):
            key = f"{prefix}{number:08d}{suffix}"
            content = random.Random(f"{seed}:{key}").randbytes(size)
            version = new_version(self._cloud, bucket)
            version.segments = (self._cloud.storage.write(content),) if content else ()
            version.size = size
            version.crc = crc64(content)
            digest = hashlib.md5(content, usedforsecurity=False).digest()
            version.etag = digest.hex().upper()
            version.headers = {
                "Content-Type": "application/octet-stream",
                "Content-MD5": base64.b64encode(digest).decode(),
            }
            version.modified = float(data.get("modified", version.modified))
            self._cloud.add_version(bucket, key, version)
        return {"bucket": bucket.name, "objects": count, "bytes": count * size}
