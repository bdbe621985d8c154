"""Every documented error answer, and what it means."""

from __future__ import annotations

import pytest

from airflow_provider_sync.clients.oss.errors import (
    AppendPositionError,
    ChecksumError,
    ClockSkewError,
    NoSuchBucketError,
    NoSuchKeyError,
    NoSuchUploadError,
    ObjectExistsError,
    PreconditionFailedError,
    translate,
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

TABLE: list[tuple[int, str, type[SyncError]]] = [
    *(
        (400, code, PermanentError)
        for code in (
            "InvalidArgument",
            "InvalidBucketName",
            "InvalidObjectName",
            "MalformedXML",
            "InvalidRequest",
            "NotImplemented",
            "OperationNotSupported",
            "EntityTooSmall",
            "InvalidPart",
            "InvalidPartOrder",
            "",
        )
    ),
    (400, "InvalidDigest", ChecksumError),
    (400, "RequestTimeout", TransientError),
    (403, "AccessDenied", AccessDeniedError),
    (403, "InvalidAccessKeyId", AccessDeniedError),
    (403, "SignatureDoesNotMatch", AccessDeniedError),
    (403, "SecurityTokenExpired", AccessDeniedError),
    (403, "RequestTimeTooSkewed", ClockSkewError),
    (403, "SecondLevelDomainForbidden", AccessDeniedError),
    (403, "InvalidObjectState", PermanentError),
    (404, "NoSuchBucket", NoSuchBucketError),
    (404, "NoSuchKey", NoSuchKeyError),
    (404, "NoSuchUpload", NoSuchUploadError),
    (404, "", NotFoundError),
    (405, "MethodNotAllowed", PermanentError),
    (408, "", TransientError),
    (409, "FileAlreadyExists", ObjectExistsError),
    (409, "PositionNotEqualToLength", AppendPositionError),
    (409, "ObjectNotAppendable", TargetConflictError),
    (409, "BucketNotEmpty", TargetConflictError),
    (409, "FileImmutable", TargetConflictError),
    (411, "MissingContentLength", PermanentError),
    (412, "PreconditionFailed", PreconditionFailedError),
    (412, "", PreconditionFailedError),
    (416, "InvalidRange", PermanentError),
    (429, "", ThrottledError),
    (500, "InternalError", TransientError),
    (502, "", TransientError),
    (503, "ServiceUnavailable", ThrottledError),
    (503, "QpsLimitExceeded", ThrottledError),
    (504, "", TransientError),
]


@pytest.mark.parametrize(("status", "code", "kind"), TABLE)
def test_every_documented_answer_has_its_error(status: int, code: str, kind: type[SyncError]) -> None:
    error = translate(status, code, "why", operation="put b/k", request_id="R1", retry_after=2.0, position=5)
    assert type(error) is kind
    assert str(error).startswith(f"put b/k: http {status} {code or 'without a code'}: why (request R1)")
    if isinstance(error, ThrottledError):
        assert error.retry_after == 2.0
    if isinstance(error, AppendPositionError):
        assert error.position == 5


def test_messages_name_the_cure() -> None:
    error = translate(403, "RequestTimeTooSkewed", "skewed", operation="list b")
    assert str(error).endswith("; set the clock of this machine")
