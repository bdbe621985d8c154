"""One small HTTP server for all local services, with answers that can be cut, lost or delayed.

A service is anything with ``async handle(Request) -> Response``; it sees whole requests and knows no sockets.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDictProxy

from airflow_provider_sync.localcloud.control import Control, ControlError

__all__ = ["Request", "Response", "Server", "Service", "run_control"]

# Longer than any service allows, so that the service itself refuses what is too long.
_MAX_LINE = 256 * 1024  # a list of files that NAS takes in the query, percent-encoded
_MAX_FIELD = 32 * 1024
_MAX_HEADERS = 1024
_CONTROL = "/_control/"
_SHUTDOWN_SECONDS = 1.0  # an answer on its way may finish; an idle keep-alive connection is not waited for


@dataclass(slots=True)
class Request:
    """A whole request: ``path`` and ``query`` as sent, still percent-encoded; header names ignore case."""

    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def decoded_path(self) -> str:
        """The path as text."""
        return unquote(self.path)


@dataclass(slots=True)
class Response:
    """A whole answer, and what to do to it on the way out.

    ``drop`` closes the connection instead of answering; ``cut`` sends the headers and that many bytes of the
    body, then closes. ``content_length`` overrides the header (a HEAD answer has a length but no body).
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""
    content_length: int | None = None
    drop: bool = False
    cut: int | None = None


class Service(Protocol):
    """What the server calls."""

    name: str
    control: Control

    async def handle(self, request: Request) -> Response:
        """Answer one request; must not raise."""

    def reset(self) -> None:
        """Forget all data (the control's own state is reset beside it)."""


class Server:
    """Serves one service on one port, in a thread of its own; a context manager.

    ``with Server(service) as server: server.url`` — port 0 picks a free one.
    """

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int = 0) -> None:
        self.service = service
        self.host = host
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """``http://host:port`` without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Start serving; returns when the port is open."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name=f"localcloud-{self.service.name}", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop serving and wait for the thread."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def serve(self) -> web.ServerRunner:
        """Open the port in the running loop (for a process that serves several services)."""
        runner = web.ServerRunner(
            web.Server(
                self._on_request,
                access_log=None,
                auto_decompress=False,
                max_line_size=_MAX_LINE,
                max_field_size=_MAX_FIELD,
                max_headers=_MAX_HEADERS,
            ),
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port, backlog=1024)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner

    def _run(self, ready: threading.Event) -> None:
        loop = self._loop = asyncio.new_event_loop()
        try:
            runner = loop.run_until_complete(self.serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in start()
            self._failure = error
            ready.set()
            return
        ready.set()
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(runner.cleanup())
            loop.close()

    async def _on_request(self, raw: web.BaseRequest) -> web.StreamResponse:
        path, _, query = raw.raw_path.partition("?")
        if raw.headers.get("Expect", "").lower() == "100-continue" and raw.transport is not None:
            raw.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Joined here and not by raw.read(): no size limit of the framework's, and one copy instead of two.
        body = b"".join([chunk async for chunk in raw.content.iter_any()])
        request = Request(raw.method, path, query, raw.headers, body)
        if path.startswith(_CONTROL):
            response = run_control(self.service, request)
        else:
            response = await self.service.handle(request)
        return await _send(raw, response)


def run_control(service: Service, request: Request) -> Response:
    """Serve ``/_control/…``: the shared routes first, then ``service.on_control(method, route, body)``.

    ``route`` is the path after the prefix; the query string, if any, follows it after a ``?``.
    """
    route = request.path.removeprefix(_CONTROL).rstrip("/")
    try:
        answer = _run_route(service, request, route)
    except (ControlError, ValueError, KeyError, TypeError) as error:
        return _json({"error": str(error)}, 400)
    if answer is None:
        return _json({"error": f"no such control route: {request.method} {route}"}, 400)
    return _json(answer, 200)


def _run_route(service: Service, request: Request, route: str) -> object | None:
    if (request.method, route) == ("POST", "reset"):
        service.reset()
        service.control.reset()
        return {}
    answer = service.control.handle(request.method, route, request.body)
    own = getattr(service, "on_control", None)
    if answer is not None or own is None:
        return answer
    full = f"{route}?{request.query}" if request.query else route
    result: object | None = own(request.method, full, request.body)
    return result


def _json(data: object, status: int) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(data).encode())


async def _send(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    transport = raw.transport
    if response.drop:
        if transport is not None:
            transport.abort()
        return web.Response()
    if response.cut is None and response.content_length is None:
        return web.Response(status=response.status, headers=response.headers, body=bytes(response.body))
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(response.body) if response.content_length is None else response.content_length
    await stream.prepare(raw)
    if response.cut is None:
        await stream.write_eof(bytes(response.body) if raw.method != "HEAD" else b"")
        return stream
    await stream.write(bytes(response.body[: response.cut]))
    if transport is not None:
        transport.close()  # flushes what was written; the promised length is never reached
    return stream
