"""The local NAS as a service: one request from bytes to bytes, with faults on the way."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_sync.localcloud.control import Control, Fault
from airflow_provider_sync.localcloud.http import Request, Response
from airflow_provider_sync.localcloud.nas import routes, wire
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.knobs import Knobs
from airflow_provider_sync.localcloud.nas.moving import settle
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM, Store
from airflow_provider_sync.localcloud.nas.world import ImaginedWorld, World

__all__ = ["NasService"]

_LOG = logging.getLogger(__name__)
_SUBJECTS = ("SrcFilePath", "DataFlowSubTaskId", "TaskId", "DataFlowTaskId", "DataFlowId", "FileSystemId")


class NasService:
    """All of the local NAS, in memory.

    ``access_keys``: secret by key id; without any, nothing is verified. ``file_systems`` are there from the start
    and after a reset; a name begins with ``bmcpfs-`` (CPFS for Lingjun) or ``cpfs-`` (general). ``world`` is what
    is moved: imagined files unless a :class:`.world.LocalWorld` is given. ``rng`` makes the ids.

    Faults: ``throttle`` is 400 Throttling.User, or with ``seconds`` 429 with that time to wait; an ``error`` whose
    message begins with ``<`` is the HTML page of a gateway. A fault's ``key`` is searched in the call's SrcFilePath
    or else in the most particular id it names. ``wrong_crc`` has no meaning here.
    """

    name = "nas"

    def __init__(
        self,
        access_keys: Mapping[str, str],
        *,
        file_systems: Iterable[str] = (DEFAULT_FILE_SYSTEM,),
        world: World | None = None,
        control: Control | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.control = control or Control()
        self._rng = rng or random.Random()
        self._file_systems = tuple(file_systems)
        self._store = Store(world or ImaginedWorld(), self._rng)
        self._verifier = wire.Verifier(access_keys, {})
        self._keys = dict(access_keys)
        self._quotas = routes.Quotas()
        self._knobs = Knobs(self._store, self._verifier, self.control.clock)
        self._add_file_systems()

    def _add_file_systems(self) -> None:
        for name in self._file_systems:
            self._store.add_file_system(name, self.control.clock.now())

    def reset(self) -> None:
        """Forget everything but the file systems given at the start; real files stay."""
        self._store.clear()
        self._quotas.reset()
        self._verifier = wire.Verifier(self._keys, {})
        self._knobs = Knobs(self._store, self._verifier, self.control.clock)
        self._add_file_systems()

    def settle(self) -> None:
        """Move the files that are due; every request does so first."""
        settle(self._store, self.control.clock.now())

    def on_control(self, method: str, route: str, body: bytes) -> object | None:
        """Serve the control routes of this service, see ``knobs``."""
        return self._knobs.run(method, route, body)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        fault: Fault | None = None
        action, token = request.headers.get("x-acs-action", ""), ""
        try:
            call = wire.parse(request)
            token = call.text("ClientToken")
            if self._verifier.keys:
                self._verifier.verify(request, call, self.control.clock.now())
            action = routes.identify(call)
            fault = self.control.fault_for(action, _subject(call))
            response = await self._answer(call, fault)
        except NasError as error:
            response = wire.refusal(self._request_id(), request.headers.get("Host", ""), error)
        except Exception:  # noqa: BLE001 - one failed request must not end the service; logged in full
            _LOG.exception("%s failed", action)
            message = "The request processing has failed due to some unknown error."
            failure = NasError(500, "InternalError", message)
            response = wire.refusal(self._request_id(), request.headers.get("Host", ""), failure)
        self.control.record(action, response.status, fault)
        now = self.control.clock.now()
        self._knobs.calls.append({"operation": action, "token": token, "status": response.status, "at": now})
        return response

    async def _answer(self, call: wire.Call, fault: Fault | None) -> Response:
        if fault is None:
            return self._run(call)
        match fault.action:
            case "error":
                code = fault.code or ("ServiceUnavailable" if fault.status >= 500 else "InvalidParameter")  # noqa: PLR2004
                message = fault.message or "The request has failed due to a temporary failure of the server."
                raise NasError(fault.status, code, message, retry_after=fault.seconds)
            case "throttle":
                raise NasError.throttled(fault.seconds, fault.code)
            case "drop_before":
                return Response(drop=True)
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "duplicate":
                self._run(call)
            case _:
                pass  # what is done to the answer comes below
        response = self._run(call)
        if fault.action == "lost_reply":
            response.drop = True
        elif fault.action == "cut":
            response.cut = fault.bytes
        return response

    def _run(self, call: wire.Call) -> Response:
        now = self.control.clock.now()
        self._quotas.take(call.action, self._store.options, now)
        data: dict[str, Any] = routes.run(self._store, call, now)
        return wire.success(self._request_id(), data)

    def _request_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4)).upper()


def _subject(call: wire.Call) -> str:
    return next((call.text(name) for name in _SUBJECTS if call.text(name)), "")
