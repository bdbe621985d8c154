"""The service's error answers: code, HTTP status and text.

Codes, statuses and texts are the documented ones unless the raising place says otherwise.
"""

from __future__ import annotations

__all__ = ["KNOWN", "ServiceError", "condition_failed", "invalid", "not_found", "trimmed"]

KNOWN: dict[str, tuple[int, str]] = {
    "OTSAuthFailed": (403, "Signature mismatch."),
    "OTSCapacityUnitExhausted": (403, "Capacity unit is not enough."),
    "OTSConditionCheckFail": (403, "Condition check failed."),
    "OTSFlowControl": (429, "The requests have been throttled."),
    "OTSInternalServerError": (500, "Internal server error."),
    "OTSInvalidPK": (400, "Primary key schema mismatch."),
    "OTSMethodNotAllowed": (405, "Only POST method for requests is supported."),
    "OTSNoPermissionAccess": (
        403,
        "You have no permission to access the requested resource, please contact the resource owner",
    ),
    "OTSNotEnoughCapacityUnit": (403, "Remaining capacity unit is not enough."),
    "OTSObjectAlreadyExist": (409, "Requested table already exists."),
    "OTSObjectNotExist": (404, "Requested table does not exist."),
    "OTSOperationConflict": (409, "Data is being modified by the other request."),
    "OTSOperationThrottled": (403, "The operation is throttled."),
    "OTSPartitionUnavailable": (503, "The partition is not available."),
    "OTSQuotaExhausted": (403, "Too frequent table operations."),
    "OTSRequestBodyTooLarge": (413, "The size of POST data is too large."),
    "OTSRequestTimeout": (408, "Request timeout."),
    "OTSRowOperationConflict": (409, "Data is being modified by the other request."),
    "OTSServerBusy": (503, "Server is busy."),
    "OTSServerUnavailable": (503, "Server is not available."),
    "OTSStorageServerBusy": (503, "Storage server is busy."),
    "OTSTableNotReady": (404, "The table is not ready."),
    "OTSTimeout": (503, "Operation timeout."),
    "OTSTooFrequentReservedThroughputAdjustment": (403, "Capacity unit adjustment is too frequent."),
    "OTSTrimmedDataAccess": (404, "Requested stream data is already trimmed or does not exist."),
    "OTSTunnelServerUnavailable": (
        400,
        "OTSTrimmedDataAccess Requested stream data is already trimmed or does not exist.",
    ),
}
"""Code → (HTTP status, text). The status of ``OTSTrimmedDataAccess`` on the raw stream API is not documented
(404 is what a client library's mock uses); texts of codes that only the SDKs know are invented.
"""


class ServiceError(Exception):
    """An error answer."""

    def __init__(self, code: str, message: str | None = None, status: int | None = None) -> None:
        known_status, known_message = KNOWN.get(code, (400, code))
        self.code = code
        self.message = known_message if message is None else message
        self.status = known_status if status is None else status
        super().__init__(f"{self.status} {code}: {self.message}")


def invalid(message: str) -> ServiceError:
    """Return ``OTSParameterInvalid`` (400)."""
    return ServiceError("OTSParameterInvalid", message, 400)


def not_found(message: str | None = None) -> ServiceError:
    """Return ``OTSObjectNotExist`` (404)."""
    return ServiceError("OTSObjectNotExist", message)


def condition_failed() -> ServiceError:
    """Return ``OTSConditionCheckFail`` (403)."""
    return ServiceError("OTSConditionCheckFail")


def trimmed(*, as_tunnel_error: bool = False) -> ServiceError:
    """Return the answer to an iterator behind the trim horizon, in one of the two published forms."""
    return ServiceError("OTSTunnelServerUnavailable" if as_tunnel_error else "OTSTrimmedDataAccess")
