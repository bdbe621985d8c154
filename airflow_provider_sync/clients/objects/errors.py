"""What object stores refuse, in words that OSS and S3 share."""

from __future__ import annotations

from airflow_provider_sync.errors import (
    AccessDeniedError,
    NotFoundError,
    PermanentError,
    TargetConflictError,
    TransientError,
)

__all__ = [
    "ChecksumError",
    "ClockSkewError",
    "NoSuchBucketError",
    "NoSuchKeyError",
    "NoSuchUploadError",
    "ObjectExistsError",
    "PreconditionFailedError",
]


class NoSuchBucketError(NotFoundError):
    """The bucket does not exist, or not in the region of the endpoint."""


class NoSuchKeyError(NotFoundError):
    """The object does not exist."""


class NoSuchUploadError(NotFoundError):
    """The multipart upload was completed, aborted or never started."""


class ObjectExistsError(TargetConflictError):
    """The object exists and the request forbade to overwrite it."""


class PreconditionFailedError(PermanentError):
    """A conditional request found another version of the object."""


class ClockSkewError(AccessDeniedError):
    """The clock of this machine is more than about 15 minutes off."""


class ChecksumError(TransientError):
    """What arrived is not what was sent, by CRC-64: worth another try."""
