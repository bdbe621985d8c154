"""What can go wrong, named by who has to act.

::

    SyncError
    ├── ConfigError                  the author of the job: fix the named field
    ├── PermanentError               an operator: a retry cannot help
    │   ├── AccessDeniedError        credentials or policy
    │   ├── NotFoundError            a table, bucket, stream or object that must exist
    │   ├── TargetConflictError      the target already holds something this job may not replace
    │   ├── DataLossError            records of the asked time are gone from the source
    │   ├── CorruptDataError         bytes that fail their checksum or their grammar
    │   ├── ErrorLimitExceededError  more rejected records than the job allows
    │   ├── CheckpointConflictError  two runs of one job at once; this one lost
    │   └── CancelledError           somebody stopped the job
    └── TransientError               nobody: try again
        └── ThrottledError           try again, but not before ``retry_after`` seconds

Messages name the field path, the value received, what is allowed and the cure; they are lower case and
never hold a secret.
"""

from __future__ import annotations

__all__ = [
    "AccessDeniedError",
    "CancelledError",
    "CheckpointConflictError",
    "ConfigError",
    "CorruptDataError",
    "DataLossError",
    "ErrorLimitExceededError",
    "NotFoundError",
    "PermanentError",
    "SyncError",
    "TargetConflictError",
    "ThrottledError",
    "TransientError",
]


class SyncError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(SyncError):
    """A job, connection or parameter is wrong; nothing was written.

    ``ConfigError("reader.parameter.mode", "fast", allowed="'single_version_and_update_only' or absent")``
    """

    def __init__(
        self, field: str, value: object = ..., *, allowed: str = "", cure: str = "", reason: str = ""
    ) -> None:
        self.field = field
        parts = [field]
        if reason:
            parts.append(f": {reason}")
        if value is not ...:
            parts.append(f"{',' if reason else ':'} got {_short(value)}")
        if allowed:
            parts.append(f"; allowed: {allowed}")
        if cure:
            parts.append(f"; {cure}")
        super().__init__("".join(parts))


class PermanentError(SyncError):
    """A retry of the same run cannot succeed until somebody changes something."""


class AccessDeniedError(PermanentError):
    """The service refused the credentials, the signature or the operation."""


class NotFoundError(PermanentError):
    """Something that must exist does not."""


class TargetConflictError(PermanentError):
    """The target holds something that this job may not replace."""


class DataLossError(PermanentError):
    """Records of the asked time are no longer in the source; the message says which times."""


class CorruptDataError(PermanentError):
    """Bytes break their checksum or their grammar."""


class ErrorLimitExceededError(PermanentError):
    """More records were rejected than ``limits.error_records`` or ``limits.error_ratio`` allow."""


class CheckpointConflictError(PermanentError):
    """Another run saved progress first; the message names the job and both generations."""


class CancelledError(PermanentError):
    """The job was stopped; what it had not committed is not visible."""


class TransientError(SyncError):
    """Worth another try: network failures, 5xx answers, unavailable partitions."""


class ThrottledError(TransientError):
    """The service asks to slow down."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _short(value: object, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
