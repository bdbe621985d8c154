"""Alibaba Cloud OSS: signer, pooled data plane, control calls, errors."""

from __future__ import annotations

from airflow_provider_sync.clients.objects.model import Part, Stored
from airflow_provider_sync.clients.oss.client import OssClient
from airflow_provider_sync.clients.oss.model import BucketInfo, Listed, ObjectInfo, Upload

__all__ = ["BucketInfo", "Listed", "ObjectInfo", "OssClient", "Part", "Stored", "Upload"]
