"""The local OSS in a process of its own, which counts what is written and kills a writer at a chosen write.

Control routes beside those that the local OSS has:

================== =========================================================================================
``POST kill``      ``{"pid", "at", "answer"}``: when the ``at``-th write of all arrives, ``SIGKILL`` to ``pid``;
                   without ``answer`` before the write has an effect, else after it (nobody hears of it)
``GET writes``     ``{"writes", "armed", "counts"}``; writes are puts, parts and completed uploads, counts
                   those that succeeded
``GET twice``      ``{"objects": …, "parts": …}``: how many successful writes were repetitions
================== =========================================================================================
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

from airflow_provider_sync.localcloud.http import Request, Response, Server
from airflow_provider_sync.localcloud.oss import routes
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.oss.wire import Addressing

_WHOLE = {"PutObject", "CompleteMultipartUpload"}
_WRITES = _WHOLE | {"UploadPart"}
_OK = 200


class CountingService:
    """An OSS whose writes are counted, and end a client at one of them."""

    def __init__(self, service: OssService) -> None:
        self.name = service.name
        self.control = service.control
        self._service = service
        self._addressing = Addressing()
        self._writes = 0
        self._kill: tuple[int, int, bool] | None = None
        self._objects: Counter[str] = Counter()
        self._parts: Counter[str] = Counter()

    def reset(self) -> None:
        """Forget all data and counts."""
        self._service.reset()
        self._writes, self._kill = 0, None
        self._objects.clear()
        self._parts.clear()

    def on_control(self, method: str, route: str, body: bytes) -> object | None:
        """Serve the routes above, then the service's own."""
        match method, route:
            case "POST", "kill":
                said = json.loads(body)
                self._kill = (os.pidfd_open(said["pid"]), said["at"], said["answer"])
                return {}
            case "GET", "writes":
                counts = {"objects": self._objects.total(), "parts": self._parts.total()}
                return {"writes": self._writes, "armed": self._kill is not None, "counts": counts}
            case "GET", "twice":
                return {
                    "objects": self._objects.total() - len(self._objects),
                    "parts": self._parts.total() - len(self._parts),
                }
            case _:
                return self._service.on_control(method, route, body)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        operation = self._operation(request)
        if operation not in _WRITES:
            return await self._service.handle(request)
        self._writes += 1
        kill = self._kill if self._kill is not None and self._writes >= self._kill[1] else None
        if kill is not None:
            self._kill = None
            if not kill[2]:
                _strike(kill[0])
                return Response(drop=True)
        response = await self._service.handle(request)
        if response.status == _OK:
            if operation in _WHOLE:
                self._objects[request.path] += 1
            else:
                number = parse_qs(request.query).get("partNumber", [""])[0]
                self._parts[f"{request.path}?{number}"] += 1
        if kill is not None:
            _strike(kill[0])
            return Response(drop=True)
        return response

    def _operation(self, request: Request) -> str:
        try:
            return routes.identify(self._addressing.parse(request))
        except OssError:
            return ""


def _strike(process: int) -> None:
    """End a process, unless it has ended by itself."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)


async def serve(keys: dict[str, str], buckets: list[str], region: str, folder: str) -> None:
    """Serve until standard input ends; first print the URL."""
    service = OssService(keys, Path(folder) if folder else None, buckets=buckets, region=region)
    server = Server(CountingService(service))
    runner = await server.serve()
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()
    service.close()


if __name__ == "__main__":
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # requests of the killed break off
    said = json.loads(sys.argv[1])
    asyncio.run(serve(said["keys"], said["buckets"], said["region"], said["folder"]))
