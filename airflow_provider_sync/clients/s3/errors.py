"""What S3's error answers mean for a job: the kinds are those of OSS, whose protocol is its descendant."""

from __future__ import annotations

from airflow_provider_sync.clients.objects.errors import ChecksumError
from airflow_provider_sync.clients.oss.errors import translate as translate_common
from airflow_provider_sync.errors import ConfigError, SyncError, TargetConflictError, TransientError

__all__ = ["translate"]

_KINDS: dict[str, type[SyncError]] = {
    "BadDigest": ChecksumError,  # the body changed on the way
    "InternalError": TransientError,  # also inside an answer of status 200
    "OperationAborted": TransientError,
    "ConditionalRequestConflict": TargetConflictError,
}
_MOVED = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"})


def translate(
    status: int,
    code: str,
    message: str,
    *,
    operation: str,
    request_id: str = "",
    retry_after: float | None = None,
) -> SyncError:
    """Return the error that an answer of this HTTP status, code and message stands for."""
    if code in _MOVED:
        return ConfigError(
            "connection.region",
            reason=f"the bucket is not there ({operation}: http {status} {code}: {message})",
            cure="set the bucket's own region, or the endpoint of that region",
        )
    if code in _KINDS:
        text = f"{operation}: http {status} {code}: {message or 'no message'}"
        return _KINDS[code](text)
    return translate_common(
        status, code, message, operation=operation, request_id=request_id, retry_after=retry_after
    )
