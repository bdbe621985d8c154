"""The errors NAS answers with: HTTP status, code and message of each.

Documented for these operations: ``IllegalCharacters``, ``MissingFileSystemId``, ``MissingDataFlowId``,
``MissingTaskId``, ``InvalidFileSystem.NotFound``, ``OperationDenied.InvalidState``; documented without a text:
``InvalidStatus.ResourceMismatch``, ``OperationDenied.DependencyViolation``, ``IdempotentParameterMismatch``. The
gateway's own codes (signature, throttling, unknown operation) are those of Alibaba's RPC gateway in general. The full
tables are not published: every other code, and every text not named here, is invented in their manner.
"""

from __future__ import annotations

__all__ = ["NasError"]

_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 400, 403, 404, 429


class NasError(Exception):
    """One refusal. ``retry_after`` (seconds) goes out as the header of that name, in milliseconds."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @classmethod
    def missing(cls, name: str) -> NasError:
        """Refuse a call without a parameter it must have."""
        known = "MissingTaskId" if name == "DataFlowTaskId" else f"Missing{name}"
        return cls(_BAD_REQUEST, known, f"{name} is mandatory for this action.")

    @classmethod
    def illegal_characters(cls) -> NasError:
        """Refuse a text with characters that have no place in it."""
        return cls(_BAD_REQUEST, "IllegalCharacters", "The parameter contains illegal characters.")

    @classmethod
    def invalid(cls, name: str, reason: str) -> NasError:
        """Refuse a parameter with a value the service does not take."""
        return cls(_BAD_REQUEST, f"Invalid{name}", f"The specified {name} is invalid: {reason}.")

    @classmethod
    def not_found(cls, kind: str, text: str) -> NasError:
        """Refuse an id that names nothing."""
        return cls(_NOT_FOUND, f"Invalid{kind}.NotFound", f"The specified {text} does not exist.")

    @classmethod
    def wrong_status(cls, text: str) -> NasError:
        """Refuse what the state of the thing named does not allow."""
        return cls(_BAD_REQUEST, "InvalidStatus.ResourceMismatch", f"The status does not match: {text}.")

    @classmethod
    def busy(cls) -> NasError:
        """Refuse to delete a dataflow that is neither Running nor Stopped."""
        message = "The operation is not permitted when the status is processing."
        return cls(_FORBIDDEN, "OperationDenied.InvalidState", message)

    @classmethod
    def dependency(cls, text: str) -> NasError:
        """Refuse to end something that others still need."""
        return cls(_FORBIDDEN, "OperationDenied.DependencyViolation", f"The operation is denied: {text}.")

    @classmethod
    def denied(cls, reason: str, text: str) -> NasError:
        """Refuse what the file system's kind, version or limits do not allow."""
        return cls(_FORBIDDEN, f"OperationDenied.{reason}", text)

    @classmethod
    def token_mismatch(cls) -> NasError:
        """Refuse a client token that came with other parameters before."""
        message = "The request uses the same client token as a previous, but non-identical request."
        return cls(_BAD_REQUEST, "IdempotentParameterMismatch", message)

    @classmethod
    def throttled(cls, retry_after: float = 0.0, code: str = "") -> NasError:
        """Ask to slow down: 400 in general, 429 when there is a time to wait."""
        status = _TOO_MANY if retry_after else _BAD_REQUEST
        message = "Request was denied due to user flow control."
        return cls(status, code or "Throttling.User", message, retry_after=retry_after)
