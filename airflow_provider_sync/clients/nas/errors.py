"""What the NAS SDK's exceptions mean for a job, told by their shape: the service's full tables are not published.

Observed with the SDK: an answer of 400 and above is an exception with ``status_code``, ``code`` and ``request_id``,
one with ``x-acs-retry-after`` has ``retry_after`` in milliseconds; anything else that goes wrong on the way (refused,
dropped, timed out, a page of HTML where JSON was expected) is wrapped in an "UnretryableException", mostly transient
in spite of that name.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_sync.errors import (
    AccessDeniedError,
    NotFoundError,
    PermanentError,
    SyncError,
    ThrottledError,
    TransientError,
)

__all__ = ["StatusConflictError", "TokenReusedError", "translate"]


class StatusConflictError(PermanentError):
    """The operation does not suit the state of what it is about: not running yet, ended already, still in use."""


class TokenReusedError(PermanentError):
    """The client token was used before with other parameters."""


_SERVER_ERROR, _TOO_MANY, _TIMEOUT = 500, 429, 408
_FORBIDDEN = (401, 403)
_NOT_FOUND = 404
_MILLI = 1000.0
_SHOWN = 300
_CREDENTIALS = (
    "Forbidden",
    "NoPermission",
    "InvalidAccessKey",
    "InvalidSecurityToken",
    "InvalidCredentials",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthorization",
)
_STATES = ("InvalidStatus", "OperationDenied.InvalidState", "OperationDenied.DependencyViolation")
_AGAIN = ("SignatureNonceUsed",)  # a repeated packet: the next try has another nonce
_CURES = {
    "SignatureDoesNotMatch": "check connection.access_key_secret",
    "InvalidAccessKeyId": "check connection.access_key_id, and that the key is enabled",
    "InvalidSecurityToken": "renew the temporary credentials of the connection",
    "InvalidTimeStamp": "set the clock of this machine",
    # before the shorter name, whose cure would send people looking in the wrong place
    "InvalidFileSystemPath": "make the directory in the file system first",
    "InvalidFileSystem": "check the file system's id and connection.region",
    "Forbidden": "check the policy of the connection's user for this operation",
    "NoPermission": "check the policy of the connection's user for this operation",
    "IdempotentParameterMismatch": "use a new client token for other parameters",
}
_NETWORK = ("RetryError", "JSONDecodeError", "ClientError", "RequestException", "OSError")


def translate(error: Exception, operation: str) -> SyncError:
    """Return what an exception of the SDK means; ``operation`` says what was asked, without secrets.

    Throttling, 408, 429, 5xx and network errors are transient; 401, 403 and codes about credentials are
    :class:`AccessDeniedError`, except refusals because of a state (:class:`StatusConflictError`); 404 is
    :class:`NotFoundError`; any other answer is permanent. What has none of these shapes is a plain
    :class:`SyncError`: not tried again here, left to Airflow.
    """
    if isinstance(error, SyncError):
        return error
    code = str(getattr(error, "code", None) or "")
    status = getattr(error, "status_code", None)
    if isinstance(status, int) or (code and not _is_wrapped(error)):
        return _of_answer(error, status if isinstance(status, int) else 0, code, operation)
    inner = _inner(error)
    kinds = {kind.__name__ for kind in type(inner).__mro__}
    text = f"{operation}: {type(inner).__name__}: {_short(str(inner))}"
    if type(inner).__module__.startswith("alibabacloud_credentials"):
        return TransientError(f"{text}; no credentials could be had: check the connection's auth_type")
    if kinds.intersection(_NETWORK) or _is_no_json(inner):
        return TransientError(text)
    return SyncError(text)


def _of_answer(error: Exception, status: int, code: str, operation: str) -> SyncError:
    message, request = _message(error), getattr(error, "request_id", None)
    text = f"{operation}: http {status or '?'} {code or 'without a code'}: {message}"
    if request and request != "None":
        text += f" (request {request})"
    cure = next((cure for prefix, cure in _CURES.items() if code.startswith(prefix)), "")
    if cure:
        text += f"; {cure}"
    wait = getattr(error, "retry_after", None)
    if wait is not None or code.startswith("Throttling") or status == _TOO_MANY:
        return ThrottledError(text, None if wait is None else float(wait) / _MILLI)
    return _kind(status, code)(text)


def _kind(status: int, code: str) -> type[SyncError]:
    if status >= _SERVER_ERROR or status == _TIMEOUT or code.startswith(_AGAIN):
        return TransientError
    if code == "IdempotentParameterMismatch":
        return TokenReusedError
    if code.startswith(_STATES):
        return StatusConflictError
    if code.startswith("OperationDenied"):  # limits and unsupported kinds come as 403 too
        return PermanentError
    if status in _FORBIDDEN or code.startswith(_CREDENTIALS):
        return AccessDeniedError
    return NotFoundError if status == _NOT_FOUND else PermanentError


def _message(error: Exception) -> str:
    """Return the service's own words; the SDK puts the status before and the request id behind them."""
    data: Any = getattr(error, "data", None)
    said = data.get("Message") if isinstance(data, dict) else None
    return str(said or getattr(error, "message", None) or error) or "no message"


def _is_no_json(error: BaseException) -> bool:
    """Tell whether the answer was no JSON, such as a gateway's page: the SDK raises a bare RuntimeError over it."""
    return isinstance(error, RuntimeError) and isinstance(error.__context__, ValueError)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_wrapped(error: Exception) -> bool:
    return type(error).__name__ == "UnretryableException"


def _inner(error: Exception) -> BaseException:
    inner = getattr(error, "inner_exception", None) if _is_wrapped(error) else None
    return inner if isinstance(inner, BaseException) else error
