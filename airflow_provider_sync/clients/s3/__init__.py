"""Amazon S3 and what speaks its protocol: signer, pooled requests, errors."""

from __future__ import annotations

from airflow_provider_sync.clients.s3.client import S3Client

__all__ = ["S3Client"]
