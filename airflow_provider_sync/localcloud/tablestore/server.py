"""The service: HTTP request → authenticated operation → signed answer, with faults on the way."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_sync.localcloud.control import Control, Fault
from airflow_provider_sync.localcloud.http import Request, Response
from airflow_provider_sync.localcloud.tablestore import routes, wire
from airflow_provider_sync.localcloud.tablestore.context import Context, StreamOptions
from airflow_provider_sync.localcloud.tablestore.errors import KNOWN, ServiceError
from airflow_provider_sync.localcloud.tablestore.knobs import Knobs
from airflow_provider_sync.localcloud.tablestore.store import Store

__all__ = ["DEFAULT_INSTANCE", "TablestoreService"]

DEFAULT_INSTANCE = "demo"
_LOG = logging.getLogger(__name__)
_WRONG_MD5 = "AAAAAAAAAAAAAAAAAAAAAA=="


@dataclass(slots=True)
class _Call:
    """One authenticated and parsed request."""

    operation: str
    path: str
    message: Any
    caller: wire.Caller


class TablestoreService:
    """A Tablestore for :class:`..http.Server`.

    ``access_keys`` maps key ids to secrets; ``sts_tokens`` maps those of them that are temporary to their token.
    ``data`` is a directory to keep everything in; without it, memory. ``instances`` limits the instance names
    that exist; by default every name does. ``random_source`` makes the ids.

    Faults: ``throttle`` and ``error`` take any code of :data:`.errors.KNOWN` with its own status and text unless
    the fault gives others (``throttle`` without a code is ``OTSServerBusy``); ``wrong_crc`` sends a wrong
    ``x-ots-contentmd5``, or with ``bytes`` = n damages byte n of the body under a right one. A fault's ``key`` is
    searched in the table name (names, with commas, of a batch) or in ``<stream id>/<shard id>``.
    """

    name = "tablestore"

    def __init__(
        self,
        access_keys: Mapping[str, str],
        data: Path | None = None,
        *,
        sts_tokens: Mapping[str, str] | None = None,
        instances: frozenset[str] | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        self.control = Control()
        self.options = StreamOptions()
        self._access_keys = dict(access_keys)
        self._sts_tokens = dict(sts_tokens or {})
        self._instances = instances
        self._store = Store(data, random_source or random.Random())
        self._default_instance = min(instances) if instances else DEFAULT_INSTANCE

    def on_control(self, method: str, route: str, body: bytes) -> object | None:
        """Serve this service's own control routes, see :mod:`.knobs`."""
        knobs = Knobs(self._store, self.control.clock, self.options, self._default_instance)
        return knobs.handle(method, route, body)

    def reset(self) -> None:
        """Forget all data and options."""
        self._store.reset()
        self.options = StreamOptions()

    def close(self) -> None:
        """Close the files on disk."""
        self._store.close()

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        operation = request.path.strip("/")
        now = self.control.clock.now()
        caller = None
        try:
            caller = wire.authenticate(request, self._access_keys, self._sts_tokens, now)
            if self._instances is not None and caller.instance not in self._instances:
                raise ServiceError("OTSAuthFailed", "The instance is not found.")
            call = _Call(operation, request.path, routes.parse(operation, request.body), caller)
        except ServiceError as error:
            self.control.record(operation, error.status, None)
            return wire.respond(request.path, error.status, wire.encode_error(error), caller, now)
        fault = self.control.fault_for(operation, routes.subject_of(call.message))
        response = await self._answer(call, fault)
        self.control.record(operation, response.status, fault)
        return response

    async def _answer(self, call: _Call, fault: Fault | None) -> Response:
        if fault is None:
            return self._run(call)
        match fault.action:
            case "drop_before":
                return Response(drop=True)
            case "error" | "throttle":
                return self._refusal(call, fault)
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "duplicate":
                self._run(call)
            case _:
                pass  # what is done to the answer comes below
        response = self._run(call)
        match fault.action:
            case "lost_reply":
                response.drop = True
            case "cut":
                response.cut = fault.bytes
            case "wrong_crc":
                response = self._damaged(call, response, fault.bytes)
            case _:
                pass
        return response

    def _run(self, call: _Call) -> Response:
        clock = self.control.clock
        now = clock.now()
        context = Context(self._store, call.caller.instance, clock.now_us(), self.options)
        try:
            status, body = 200, routes.run(context, call.operation, call.message)
        except ServiceError as error:
            status, body = error.status, wire.encode_error(error)
        except Exception:  # noqa: BLE001 - whatever went wrong here is answered as the service would
            _LOG.exception("%s failed", call.operation)
            failure = ServiceError("OTSInternalServerError")
            status, body = failure.status, wire.encode_error(failure)
        return wire.respond(call.path, status, body, call.caller, now)

    def _refusal(self, call: _Call, fault: Fault) -> Response:
        code = fault.code or ("OTSServerBusy" if fault.action == "throttle" else "OTSInternalServerError")
        status, text = KNOWN.get(code, (fault.status, code))
        error = ServiceError(code, fault.message or text, status)
        now = self.control.clock.now()
        response = wire.respond(call.path, error.status, wire.encode_error(error), call.caller, now)
        if fault.seconds:
            response.headers = {**response.headers, "Retry-After": f"{fault.seconds:g}"}
        return response

    def _damaged(self, call: _Call, response: Response, at: int) -> Response:
        if at == 0:
            response.headers = {**response.headers, "x-ots-contentmd5": _WRONG_MD5}
            return response
        body = bytearray(response.body)
        body[at % max(len(body), 1)] ^= 0xFF
        return wire.respond(call.path, response.status, bytes(body), call.caller, self.control.clock.now())
