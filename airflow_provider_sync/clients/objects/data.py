"""Signed requests over kept connections, whatever the service: the data plane.

A request costs some 0.1 ms of CPU, so that many threads can share one instance.
"""

from __future__ import annotations

import io
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol

from airflow_provider_sync.clients.objects.errors import ClockSkewError
from airflow_provider_sync.clients.wire import Answer, Body, HttpPool, WireError
from airflow_provider_sync.errors import SyncError

__all__ = ["DataPlane", "Dialect", "Place", "SkewClock", "Unsigned"]

_ERROR_STATUS = 300


class SkewClock:
    """The time to sign with: this machine's, shifted once the service has said that it is wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._clock() + self._offset

    def learn(self, date: str) -> bool:
        """Take the service's ``Date`` header as the time; false if it is not readable."""
        try:
            moment = parsedate_to_datetime(date)
        except ValueError:
            return False
        self._offset = moment.timestamp() - self._clock()
        return True


class Place(Protocol):
    """Where a service is: ``timeout`` is in seconds, for connecting and for each read."""

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""

    @property
    def port(self) -> int | None:
        """None for the scheme's own."""

    @property
    def timeout(self) -> float:
        """Seconds for connecting and for each read."""

    def host_of(self, bucket: str) -> str:
        """Return the host that serves a bucket."""


@dataclass(slots=True)
class Unsigned:
    """A request before its signature; ``headers`` has lower-case names, ``bucket`` is empty for the service."""

    method: str
    bucket: str
    key: str
    params: Mapping[str, str]
    headers: dict[str, str]


class Dialect(ABC):
    """What one service says in its own way; safe for threads.

    ``plus_is_space`` is how its listings encode a blank; ``range_headers`` go with every range that is asked for;
    ``absent`` is what HEAD of an object that is not there raises.
    """

    plus_is_space: bool
    range_headers: Mapping[str, str]
    absent: type[SyncError]
    place: Place

    @abstractmethod
    def sign(self, request: Unsigned, *, has_body: bool, now: float) -> str:
        """Add the signature to the request's headers and return the target: path and query as sent."""

    @abstractmethod
    def error(self, answer: Answer, operation: str) -> SyncError:
        """Return what an answer that is not 2xx stands for."""


class DataPlane:
    """Sends one request at a time per thread; ``pool_size`` connections to each bucket's host are kept open."""

    def __init__(self, dialect: Dialect, clock: SkewClock, pool_size: int) -> None:
        self.dialect = dialect
        self._clock = clock
        self._pool_size = pool_size
        self._pools: dict[str, HttpPool] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        operation: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> Answer:
        """Send once (once more if the service says that the clock is wrong) and return a 2xx answer.

        ``headers`` has lower-case names; ``operation`` is named in errors. A file as ``body`` is sent from its
        current position and needs ``content-length``. Anything but 2xx raises what it stands for.
        """
        host = self.dialect.place.host_of(bucket)
        pool = self._pools.get(host) or self._open(host)

        def once() -> Answer:
            request = Unsigned(method, bucket, key, params or {}, dict(headers or {}))
            target = self.dialect.sign(request, has_body=body is not None, now=self._clock.now())
            try:
                return pool.request(method, target, request.headers, body)
            except WireError as error:
                raise WireError(f"{operation}: {error}") from error

        start = body.tell() if isinstance(body, io.BufferedIOBase) else 0
        answer = once()
        if answer.status < _ERROR_STATUS:
            return answer
        error = self.dialect.error(answer, operation)
        if not (isinstance(error, ClockSkewError) and self._clock.learn(answer.headers.get("date", ""))):
            raise error
        if isinstance(body, io.BufferedIOBase):
            body.seek(start)
        answer = once()
        if answer.status < _ERROR_STATUS:
            return answer
        raise self.dialect.error(answer, operation)

    def close(self) -> None:
        """Close idle connections; the instance can still be used."""
        for pool in list(self._pools.values()):
            pool.close()

    def _open(self, host: str) -> HttpPool:
        place = self.dialect.place
        with self._lock:
            if host not in self._pools:
                self._pools[host] = HttpPool(
                    host,
                    place.port,
                    https=place.scheme == "https",
                    size=self._pool_size,
                    timeout=place.timeout,
                )
            return self._pools[host]
