"""Every documented code, and those that only SDKs know, become the error that says who has to act."""

from __future__ import annotations

import pytest

from airflow_provider_sync.clients.tablestore.errors import (
    ConditionFailedError,
    TrimmedError,
    is_outcome_unknown,
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

TRIMMED = "Requested stream data is already trimmed or does not exist."
DOCUMENTED: list[tuple[int, str, str, type[SyncError]]] = [
    (403, "OTSAuthFailed", "The AccessKeyID does not exist.", AccessDeniedError),
    (403, "OTSAuthFailed", "The AccessKeyID is disabled.", AccessDeniedError),
    (403, "OTSAuthFailed", "The instance is not found.", AccessDeniedError),
    (403, "OTSAuthFailed", "The instance is not running.", AccessDeniedError),
    (403, "OTSAuthFailed", "Signature mismatch.", AccessDeniedError),
    (403, "OTSAuthFailed", "Request denied by instance ACL policies.", AccessDeniedError),
    (403, "OTSAuthFailed", "Mismatch between system time and x-ots-date: 2020.", AccessDeniedError),
    (
        403,
        "OTSAuthFailed",
        "Mismatch between MD5 value of request body and x-ots-contentmd5 in header.",
        AccessDeniedError,
    ),
    (403, "OTSNoPermissionAccess", "You have no permission to access the resource", AccessDeniedError),
    (400, "OTSParameterInvalid", "Missing header: x-ots-date.", PermanentError),
    (405, "OTSMethodNotAllowed", "Only POST method for requests is supported.", PermanentError),
    (408, "OTSRequestTimeout", "Request timeout.", PermanentError),
    (413, "OTSRequestBodyTooLarge", "The size of POST data is too large.", PermanentError),
    (400, "OTSInvalidPK", "Primary key schema mismatch.", PermanentError),
    (400, "OTSOutOfRowSizeLimit", "The total data size of columns in one row exceeded.", PermanentError),
    (400, "OTSOutOfColumnCountLimit", "The number of columns exceeded.", PermanentError),
    (403, "OTSConditionCheckFail", "Condition check failed.", ConditionFailedError),
    (403, "OTSQuotaExhausted", "Too frequent table operations.", ThrottledError),
    (403, "OTSQuotaExhausted", "Number of tables exceeded the quota.", PermanentError),
    (403, "OTSTooFrequentReservedThroughputAdjustment", "Too frequent.", ThrottledError),
    (403, "OTSCapacityUnitExhausted", "Capacity unit is not enough.", PermanentError),
    (404, "OTSObjectNotExist", "Requested table does not exist.", NotFoundError),
    (404, "OTSTableNotReady", "The table is not ready.", TransientError),
    (409, "OTSObjectAlreadyExist", "Requested table already exists.", TargetConflictError),
    (409, "OTSRowOperationConflict", "Data is being modified by the other request.", TransientError),
    (429, "OTSFlowControl", "The requests have been throttled.", ThrottledError),
    (500, "OTSInternalServerError", "Internal server error.", TransientError),
    (503, "OTSServerBusy", "Server is busy.", ThrottledError),
    (503, "OTSPartitionUnavailable", "The partition is not available.", TransientError),
    (503, "OTSTimeout", "Operation timeout.", TransientError),
    (503, "OTSServerUnavailable", "Server is not available.", TransientError),
    (400, "OTSTunnelServerUnavailable", f"OTSTrimmedDataAccess {TRIMMED}", TrimmedError),
]
IN_SDKS: list[tuple[int, str, str, type[SyncError]]] = [
    (403, "OTSNotEnoughCapacityUnit", "Remaining capacity unit is not enough.", ThrottledError),
    (503, "OTSStorageServerBusy", "", ThrottledError),
    (503, "OTSOperationThrottled", "", ThrottledError),
    (409, "OTSOperationConflict", "", TransientError),
    (404, "OTSTrimmedDataAccess", TRIMMED, TrimmedError),
    (400, "OTSTrimmedDataAccess", "", TrimmedError),
    (503, "OTSTunnelServerUnavailable", "try later", TransientError),
    (400, "OTSResourceGone", "", PermanentError),
    (400, "OTSSequenceNumberNotMatch", "", PermanentError),
    (400, "OTSTunnelExpired", "", PermanentError),
    (400, "OTSTunnelExist", "", PermanentError),
    (502, "", "<html>bad gateway</html>", TransientError),
    (429, "", "", ThrottledError),
    (404, "", "", PermanentError),
    (418, "OTSNobodyKnows", "", PermanentError),
]


@pytest.mark.parametrize(("status", "code", "message", "kind"), DOCUMENTED + IN_SDKS)
def test_each_code_becomes_its_error(status: int, code: str, message: str, kind: type[SyncError]) -> None:
    error = translate(status, code, message, operation="GetRow of table 't'", request_id="req-1")

    assert type(error) is kind
    assert f"HTTP {status}" in str(error)
    assert code in str(error)
    assert message in str(error)
    assert "GetRow of table 't'" in str(error)
    assert "req-1" in str(error)


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("Mismatch between system time and x-ots-date: 2020.", "set the clock"),
        ("The instance is not found.", "connection.extra.instance"),
        ("The instance is not running.", "start the instance"),
        ("The AccessKeyID does not exist.", "connection.access_key_id"),
        ("Signature mismatch.", "connection.access_key_secret"),
        ("Request denied by instance ACL policies.", "allow this network"),
        ("Mismatch between MD5 value of request body and x-ots-contentmd5 in header.", "proxy"),
        ("something new", "policy of its user"),
    ],
)
def test_a_refused_key_comes_with_the_cure(message: str, cure: str) -> None:
    assert cure in str(translate(403, "OTSAuthFailed", message, operation="GetRow"))


def test_throttling_waits_as_long_as_the_service_says() -> None:
    told = translate(429, "OTSFlowControl", "", operation="GetRow", retry_after=7)
    untold = translate(429, "OTSFlowControl", "", operation="GetRow")
    busy = translate(503, "OTSServerBusy", "", operation="GetRow")

    assert isinstance(told, ThrottledError)
    assert told.retry_after == 7
    assert isinstance(untold, ThrottledError)
    assert untold.retry_after == 1
    assert isinstance(busy, ThrottledError)
    assert busy.retry_after is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "OTSInternalServerError"),
        (503, "OTSTimeout"),
        (503, "OTSServerUnavailable"),
        (503, "OTSTunnelServerUnavailable"),
        (504, ""),
        (503, "OTSSomethingNew"),
    ],
)
def test_these_answers_do_not_say_whether_it_was_done(status: int, code: str) -> None:
    assert is_outcome_unknown(status, code)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "OTSServerBusy"),
        (503, "OTSPartitionUnavailable"),
        (404, "OTSTableNotReady"),
        (409, "OTSRowOperationConflict"),
        (403, "OTSConditionCheckFail"),
        (400, "OTSParameterInvalid"),
        (400, ""),
    ],
)
def test_these_answers_say_that_nothing_was_done(status: int, code: str) -> None:
    assert not is_outcome_unknown(status, code)
