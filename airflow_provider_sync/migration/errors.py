"""Why one object could not be moved: each has a code for the error list.

::

    MigrationError
    ├── SourceChangedError    another content is there than the one that was planned
    ├── SourceGoneError       deleted between listing and copying
    ├── SizeMismatchError     fewer or more bytes than the source said
    ├── MetadataCollisionError  two names would be one in the target
    └── TargetChangedError    the target has something that the plan did not see and must not be replaced
"""

from __future__ import annotations

from airflow_provider_sync.errors import (
    AccessDeniedError,
    CorruptDataError,
    NotFoundError,
    PermanentError,
    SyncError,
    TargetConflictError,
    ThrottledError,
    TransientError,
)

__all__ = [
    "MetadataCollisionError",
    "MigrationError",
    "SizeMismatchError",
    "SourceChangedError",
    "SourceGoneError",
    "TargetChangedError",
    "reason_of",
]


class MigrationError(PermanentError):
    """One object cannot be moved; ``code`` is its reason in error lists."""

    code = "FAILED"


class SourceChangedError(MigrationError):
    """The source object is another one than planned."""

    code = "SOURCE_CHANGED"


class SourceGoneError(MigrationError):
    """The source object is not there any more."""

    code = "SOURCE_DELETED"


class SizeMismatchError(MigrationError):
    """The number of bytes differs from what was said; ossimport's word for it."""

    code = "SIZE_NOT_MATCH"


class MetadataCollisionError(MigrationError):
    """Two metadata names of the source would be one in the target."""

    code = "METADATA_COLLISION"


class TargetChangedError(MigrationError):
    """The target holds an object that the plan did not see and that must not be replaced."""

    code = "TARGET_CHANGED"


_CODES: tuple[tuple[type[SyncError], str], ...] = (
    (CorruptDataError, "CHECKSUM_NOT_MATCH"),
    (AccessDeniedError, "ACCESS_DENIED"),
    (NotFoundError, "NOT_FOUND"),
    (TargetConflictError, "TARGET_CONFLICT"),
    (ThrottledError, "THROTTLED"),
    (TransientError, "NETWORK"),
)


def reason_of(error: Exception) -> str:
    """Return the code of an error for error lists."""
    if isinstance(error, MigrationError):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), "FAILED")
