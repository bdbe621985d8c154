"""What OSS's error answers mean for a job."""

from __future__ import annotations

from airflow_provider_sync.clients.objects.errors import (
    ChecksumError,
    ClockSkewError,
    NoSuchBucketError,
    NoSuchKeyError,
    NoSuchUploadError,
    ObjectExistsError,
    PreconditionFailedError,
)
from airflow_provider_sync.errors import (
    AccessDeniedError,
    NotFoundError,
    PermanentError,
    SyncError,
    TargetConflictError,
    ThrottledError,
    TransientError,
)

__all__ = [
    "AppendPositionError",
    "ChecksumError",
    "ClockSkewError",
    "NoSuchBucketError",
    "NoSuchKeyError",
    "NoSuchUploadError",
    "ObjectExistsError",
    "PreconditionFailedError",
    "translate",
]


class AppendPositionError(TargetConflictError):
    """The object is not as long as the position that an append asked for; ``position`` is its length."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.position = position


_KINDS: dict[str, type[SyncError]] = {
    "NoSuchBucket": NoSuchBucketError,
    "NoSuchKey": NoSuchKeyError,
    "NoSuchUpload": NoSuchUploadError,
    "FileAlreadyExists": ObjectExistsError,
    "ObjectNotAppendable": TargetConflictError,
    "FileImmutable": TargetConflictError,
    "BucketNotEmpty": TargetConflictError,
    "PreconditionFailed": PreconditionFailedError,
    "RequestTimeTooSkewed": ClockSkewError,
    "InvalidDigest": ChecksumError,  # the body changed on the way
    "RequestTimeout": TransientError,  # HTTP 400: the body ended early
}
_THROTTLED = frozenset({"QpsLimitExceeded", "ServiceUnavailable", "SlowDown", "TooManyRequests"})
_CURES = {
    "SignatureDoesNotMatch": "check connection.access_key_secret and connection.region",
    "InvalidAccessKeyId": "check connection.access_key_id, and that the key is enabled",
    "SecurityTokenExpired": "renew the temporary credentials of the connection",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "AccessDenied": "check the policy of the connection's user for this bucket and operation",
    "SecondLevelDomainForbidden": "remove path_style from connection.extra",
    "InvalidObjectState": "restore the archived object first",
    "NoSuchBucket": "create the bucket or correct its name or connection.endpoint",
    "ObjectNotAppendable": "the object was not made by appending: choose another name or remove it",
}
_FORBIDDEN = (401, 403)
_TIMEOUT, _TOO_MANY, _SERVER_ERROR, _UNAVAILABLE = 408, 429, 500, 503
_NOT_FOUND, _PRECONDITION = 404, 412


def translate(
    status: int,
    code: str,
    message: str,
    *,
    operation: str,
    request_id: str = "",
    retry_after: float | None = None,
    position: int | None = None,
) -> SyncError:
    """Return the error that an answer of this HTTP status, code and message stands for.

    ``operation`` says what was asked, with bucket and key. Network errors, 408, 429 and 5xx are transient;
    of the other 4xx only a body that was damaged or cut on the way (documented codes).
    """
    text = f"{operation}: http {status} {code or 'without a code'}: {message or 'no message'}"
    if request_id:
        text += f" (request {request_id})"
    if code in _CURES:
        text += f"; {_CURES[code]}"
    if code == "PositionNotEqualToLength":
        return AppendPositionError(text, position)
    if code in _THROTTLED or status in (_TOO_MANY, _UNAVAILABLE):
        return ThrottledError(text, retry_after)
    return _kind(status, code)(text)


def _kind(status: int, code: str) -> type[SyncError]:
    if code in _KINDS:
        return _KINDS[code]
    if status >= _SERVER_ERROR or status == _TIMEOUT:
        return TransientError
    if status in _FORBIDDEN:
        return PermanentError if code == "InvalidObjectState" else AccessDeniedError
    if status == _NOT_FOUND:
        return NotFoundError
    return PreconditionFailedError if status == _PRECONDITION else PermanentError
