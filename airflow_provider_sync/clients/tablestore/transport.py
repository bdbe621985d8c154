"""Signed POSTs over a connection pool, tried again where that is safe."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from collections.abc import Callable

import urllib3

import airflow_provider_sync
from airflow_provider_sync.clients.tablestore import messages
from airflow_provider_sync.clients.tablestore.answers import parse
from airflow_provider_sync.clients.tablestore.errors import (
    OutcomeUnknownError,
    is_outcome_unknown,
    translate,
)
from airflow_provider_sync.clients.tablestore.settings import Settings
from airflow_provider_sync.clients.tablestore.signer import Signer
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    ConfigError,
    CorruptDataError,
    PermanentError,
    SyncError,
    TransientError,
)

__all__ = ["Transport"]

_USER_AGENT = f"airflow-provider-sync/{airflow_provider_sync.__version__}"
_LONGEST_CONNECT = 10.0
_NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class Transport:
    """Sends request bytes, returns answer bytes, and raises nothing but :class:`SyncError`.

    ``clock`` gives seconds since the epoch; each attempt is signed anew with it. Threads may share one
    transport; more than ``pool_size`` of them wait for a free connection.
    """

    def __init__(
        self,
        settings: Settings,
        signer: Signer,
        *,
        retry: RetryPolicy,
        pool_size: int,
        clock: Callable[[], float],
    ) -> None:
        self.retry = retry
        self._settings = settings
        self._signer = signer
        self._clock = clock
        self._pool = urllib3.connection_from_url(
            settings.endpoint,
            maxsize=pool_size,
            block=True,
            timeout=urllib3.Timeout(connect=min(settings.timeout, _LONGEST_CONNECT), read=settings.timeout),
            retries=False,
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._pool.close()

    def call(self, operation: str, body: bytes, *, subject: str, repeatable: bool) -> bytes:
        """Send a request until it is answered, by the retry policy; ``subject`` is named in errors.

        ``repeatable`` says that doing it twice is as good as once. If it is not, the request is tried again
        only where it certainly did not take effect (refused as too busy, connection never made), and
        :class:`OutcomeUnknownError` is raised where it may have.
        """
        what = f"{operation} of {subject}"
        if repeatable:
            return self.retry.call(lambda: self.attempt(operation, body, subject=subject), what=what)

        def once() -> bytes | OutcomeUnknownError:
            try:
                return self.attempt(operation, body, subject=subject)
            except OutcomeUnknownError as error:
                return error  # a value, so that the policy does not try again

        answer = self.retry.call(once, what=what)
        if isinstance(answer, OutcomeUnknownError):
            raise OutcomeUnknownError(
                f"{answer}; it may have taken effect and cannot be repeated blindly: look first"
            ) from answer
        return answer

    def attempt(self, operation: str, body: bytes, *, subject: str) -> bytes:
        """Send a request once. Raise :class:`OutcomeUnknownError` where it may have taken effect unseen."""
        what = f"{operation} of {subject}"
        path = f"/{operation}"
        signed = self._signer.sign(path, body, self._clock())
        try:
            response = self._pool.urlopen(
                "POST",
                path,
                body=body,
                headers={**signed.headers, "user-agent": _USER_AGENT},
                redirect=False,
                retries=False,
            )
            data = response.data
        except _NOT_SENT as error:
            raise TransientError(
                f"{what} failed: cannot connect to {self._settings.endpoint}: {error}"
            ) from error
        except urllib3.exceptions.SSLError as error:
            failure = f"{what} failed: no secure connection to {self._settings.endpoint}: {error}"
            if isinstance(error.args[0], ssl.SSLCertVerificationError):
                raise PermanentError(failure) from error
            raise OutcomeUnknownError(failure) from error
        except urllib3.exceptions.HTTPError as error:
            raise OutcomeUnknownError(f"{what} failed: no whole answer: {error}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        if 200 <= response.status < 300:  # noqa: PLR2004 - the HTTP class of success
            _check_digest(data, headers, what)  # first: damage on the way breaks the signature, too
            if self._settings.verify_answers:
                self._signer.check_answer(path, headers, signed.answer_key)
            return data
        raise self._error(response.status, headers, data, what)

    def _error(self, status: int, headers: dict[str, str], data: bytes, what: str) -> SyncError:
        if 300 <= status < 400:  # noqa: PLR2004 - the HTTP class of redirection
            return ConfigError(
                "connection.endpoint",
                self._settings.endpoint,
                reason=f"{what} was redirected to {headers.get('location', 'nowhere')}",
                cure="use the instance's own address; requests are never sent on to another",
            )
        code, message = _read_error(data)
        error = translate(
            status,
            code,
            message,
            operation=what,
            request_id=headers.get("x-ots-requestid", ""),
            retry_after=_seconds(headers.get("retry-after", "")),
        )
        if is_outcome_unknown(status, code) and isinstance(error, TransientError):
            return OutcomeUnknownError(str(error))
        return error


def _check_digest(data: bytes, headers: dict[str, str], what: str) -> None:
    given = headers.get("x-ots-contentmd5")
    if given is None:
        return
    expected = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    if given != expected:
        raise OutcomeUnknownError(
            f"{what} failed: the answer was damaged on the way (MD5 {expected}, sent {given})"
        )


def _read_error(data: bytes) -> tuple[str, str]:
    try:
        error = parse(messages.Error, data, "a refused request")
    except CorruptDataError:
        # Not the service's own answer (a gateway's page, a body cut short): what there is, shortened.
        return "", data[:200].decode(errors="replace")
    return error.code, error.message


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d+)?", text) else None
