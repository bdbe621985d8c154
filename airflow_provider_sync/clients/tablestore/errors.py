"""What Tablestore's error answers mean for a job."""

from __future__ import annotations

from airflow_provider_sync.errors import (
    AccessDeniedError,
    NotFoundError,
    PermanentError,
    SyncError,
    TargetConflictError,
    ThrottledError,
    TransientError,
)

__all__ = ["ConditionFailedError", "OutcomeUnknownError", "TrimmedError", "is_outcome_unknown", "translate"]


class TrimmedError(PermanentError):
    """The iterator points at records that retention has removed."""


class ConditionFailedError(PermanentError):
    """A conditional write found another row than it expected; nothing was written."""


class OutcomeUnknownError(TransientError):
    """A write that must not be repeated blindly got no usable answer: it may or may not have happened."""


_TRIMMED = "OTSTrimmedDataAccess"
_TOO_FREQUENT = "Too frequent table operations."

# The service did nothing and says so: safe to try again whatever the operation (documented, or in the
# vendor's SDKs where the documentation is silent).
_THROTTLED = {
    "OTSFlowControl": 1.0,  # documented as "do not retry", used as "slow down": never at once
    "OTSTooFrequentReservedThroughputAdjustment": 1.0,
    "OTSNotEnoughCapacityUnit": None,
    "OTSOperationThrottled": None,
    "OTSServerBusy": None,
    "OTSStorageServerBusy": None,
}
_UNAVAILABLE = frozenset(
    ("OTSOperationConflict", "OTSPartitionUnavailable", "OTSRowOperationConflict", "OTSTableNotReady")
)
# The service may have done it: try again only what can be done twice.
_UNKNOWN = frozenset(
    ("OTSInternalServerError", "OTSServerUnavailable", "OTSTimeout", "OTSTunnelServerUnavailable")
)

# Each is a word of a documented message, and what to do about it.
_DENIED_CURES = (
    ("system time", "set the clock of this machine: it may differ from the service's by 15 minutes at most"),
    (
        "instance is not found",
        "check connection.extra.instance and that connection.endpoint is of its region",
    ),
    ("instance is not running", "start the instance in the console"),
    ("AccessKeyID", "check connection.access_key_id, and that the key is enabled"),
    ("Signature mismatch", "check connection.access_key_secret and connection.region"),
    ("ACL", "allow this network in the instance's access policy"),
    ("MD5", "something between this machine and the service changes requests; check the proxy"),
)
_DENIED_CURE = "check the access key of the connection and the policy of its user"

_PERMANENT: dict[str, type[PermanentError]] = {
    "OTSAuthFailed": AccessDeniedError,
    "OTSNoPermissionAccess": AccessDeniedError,
    "OTSObjectNotExist": NotFoundError,
    "OTSObjectAlreadyExist": TargetConflictError,
    "OTSConditionCheckFail": ConditionFailedError,
    "OTSCapacityUnitExhausted": PermanentError,
    "OTSInvalidPK": PermanentError,
    "OTSMethodNotAllowed": PermanentError,
    "OTSOutOfColumnCountLimit": PermanentError,
    "OTSOutOfRowSizeLimit": PermanentError,
    "OTSParameterInvalid": PermanentError,
    "OTSQuotaExhausted": PermanentError,
    "OTSRequestBodyTooLarge": PermanentError,
    "OTSRequestTimeout": PermanentError,
}

_SERVER_ERROR = 500
_TOO_MANY = 429


def translate(
    status: int,
    code: str,
    message: str,
    *,
    operation: str,
    request_id: str = "",
    retry_after: float | None = None,
) -> SyncError:
    """Return the error that an answer of this HTTP status, code and message stands for.

    The table is the vendor's public one, completed by the retry lists of its SDKs. Trimmed access is told by
    its code or by that word at the start of the message, before any rule for the code it came under.
    """
    text = f"{operation} failed: HTTP {status} {code or 'without a code'}: {message or 'no message'}"
    if request_id:
        text += f" (request {request_id})"
    kind = _kind(status, code, message)
    if kind is ThrottledError:
        return ThrottledError(text, retry_after if retry_after is not None else _THROTTLED.get(code))
    if kind is AccessDeniedError:
        text += f"; {next((cure for word, cure in _DENIED_CURES if word in message), _DENIED_CURE)}"
    return kind(text)


def _kind(status: int, code: str, message: str) -> type[SyncError]:
    if _TRIMMED in (code, *message.split()[:1]):
        return TrimmedError
    if code in _THROTTLED or (code == "OTSQuotaExhausted" and message == _TOO_FREQUENT):
        return ThrottledError
    if code in _UNAVAILABLE or code in _UNKNOWN:
        return TransientError
    if code in _PERMANENT:
        return _PERMANENT[code]
    if status == _TOO_MANY:
        return ThrottledError
    return TransientError if status >= _SERVER_ERROR else PermanentError


def is_outcome_unknown(status: int, code: str) -> bool:
    """Tell whether a request answered like this may have taken effect."""
    if code in _UNKNOWN:
        return True
    known = code in _THROTTLED or code in _UNAVAILABLE or code in _PERMANENT
    return status >= _SERVER_ERROR and not known
