"""Every code that is documented or common to the gateway, and every shape the SDK gives to what goes wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException
from darabonba.exceptions import RetryError, UnretryableException
from darabonba.policy.retry import RetryPolicyContext

from airflow_provider_sync.clients.nas import StatusConflictError, TokenReusedError, translate
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    PermanentError,
    SyncError,
    ThrottledError,
    TransientError,
)

ANSWERS: list[tuple[int, str, type[SyncError]]] = [
    (400, "IllegalCharacters", PermanentError),
    (400, "MissingFileSystemId", PermanentError),
    (400, "MissingDataFlowId", PermanentError),
    (400, "MissingTaskId", PermanentError),
    (400, "InvalidStatus.ResourceMismatch", StatusConflictError),
    (403, "OperationDenied.DependencyViolation", StatusConflictError),
    (400, "OperationDenied.DependencyViolation", StatusConflictError),
    (403, "OperationDenied.InvalidState", StatusConflictError),
    (403, "OperationDenied.Other", PermanentError),
    (400, "IdempotentParameterMismatch", TokenReusedError),
    (404, "InvalidFileSystem.NotFound", NotFoundError),
    (404, "InvalidDataFlow.NotFound", NotFoundError),
    (403, "Forbidden.RAM", AccessDeniedError),
    (403, "NoPermission", AccessDeniedError),
    (400, "NoPermission.SystemDisk", AccessDeniedError),
    (404, "InvalidAccessKeyId.NotFound", AccessDeniedError),
    (400, "InvalidSecurityToken.Expired", AccessDeniedError),
    (400, "SignatureDoesNotMatch", AccessDeniedError),
    (401, "Anything", AccessDeniedError),
    (403, "Anything", AccessDeniedError),
    (400, "SignatureNonceUsed", TransientError),
    (400, "Throttling", ThrottledError),
    (400, "Throttling.User", ThrottledError),
    (400, "Throttling.Api", ThrottledError),
    (429, "TooManyRequests", ThrottledError),
    (408, "RequestTimeout", TransientError),
    (500, "InternalError", TransientError),
    (503, "ServiceUnavailable", TransientError),
    (502, "None", TransientError),
    (400, "SomethingNew", PermanentError),
    (409, "SomethingNew", PermanentError),
]


def answer(status: int, code: str) -> Any:
    kind = ServerException if status >= 500 else ClientException
    data = {"RequestId": "R-1", "Code": code, "Message": "the service's words"}
    text = f"code: {status}, the service's words request id: R-1"
    return kind(status_code=status, code=code, message=text, data=data, request_id="R-1")


@pytest.mark.parametrize(("status", "code", "expected"), ANSWERS)
def test_an_answer_means(status: int, code: str, expected: type[SyncError]) -> None:
    found = translate(answer(status, code), "nas CreateDataFlow fs-1")
    assert type(found) is expected
    assert str(found).startswith(
        f"nas CreateDataFlow fs-1: http {status} {code}: the service's words (request R-1)"
    )


def test_a_time_to_wait_is_milliseconds_whatever_the_status() -> None:
    for status in (400, 429, 503):
        error = ThrottlingException(
            status_code=status, code="X", message="m", data={}, request_id="R", retry_after=1500
        )
        found = translate(error, "op")
        assert isinstance(found, ThrottledError)
        assert found.retry_after == 1.5


def wrapped(inner: Exception) -> UnretryableException:
    return UnretryableException(RetryPolicyContext(exception=inner))


def page() -> Exception:
    """What the SDK makes of a gateway's page: a RuntimeError raised over the parser's."""
    try:
        try:
            json.loads("<html>")
        except ValueError:
            raise RuntimeError(f"Failed to parse: {'x' * 5000}")  # noqa: B904 - as the SDK does
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "inner", [RetryError("refused"), page(), ConnectionResetError("reset"), TimeoutError()]
)
def test_what_goes_wrong_on_the_way_is_transient(inner: Exception) -> None:
    found = translate(wrapped(inner), "op")
    assert type(found) is TransientError
    assert len(str(found)) < 400


def test_credentials_that_cannot_be_had_are_named() -> None:
    found = translate(wrapped(CredentialException("no provider")), "op")
    assert type(found) is TransientError
    assert "auth_type" in str(found)


def test_missing_credentials_are_denied() -> None:
    error = ClientException(code="InvalidCredentials", message="Please set up the credentials correctly.")
    assert type(translate(error, "op")) is AccessDeniedError


def test_the_unknown_is_left_to_airflow() -> None:
    for error in (wrapped(TypeError("bug")), RuntimeError("bare"), KeyError("x")):
        assert type(translate(error, "op")) is SyncError


def test_our_own_errors_pass() -> None:
    error = ConfigError("field", 1)
    assert translate(error, "op") is error


def test_cures_are_named() -> None:
    assert "access_key_secret" in str(translate(answer(400, "SignatureDoesNotMatch"), "op"))
    assert "clock" in str(translate(answer(400, "InvalidTimeStamp.Expired"), "op"))
    assert "region" in str(translate(answer(404, "InvalidFileSystem.NotFound"), "op"))
    assert "make the directory" in str(translate(answer(404, "InvalidFileSystemPath.NotFound"), "op"))
