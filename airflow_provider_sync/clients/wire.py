"""HTTP/1.1 for object stores: whole requests and whole answers over kept connections, and nothing else.

The general clients parse headers with the e-mail parser and wrap every answer several times, which costs more
CPU than moving a small object does. Here a request costs some 30 µs beside the system's own work. No
redirects, cookies, proxies or content decoding: object stores need none of them.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_sync.errors import PermanentError, TransientError

__all__ = ["Answer", "Body", "HttpPool", "WireError"]

Body = bytes | bytearray | memoryview | io.BufferedIOBase | None
_LINE = 64 * 1024
_HEADERS = 200
_JOINED = 64 * 1024  # a body up to this size travels with its headers in one system call
_BUFFER = 64 * 1024
_PIECE = 256 * 1024  # of a file at once
_WITH_BODY = frozenset({"PUT", "POST"})
_OK, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304


class WireError(TransientError):
    """No answer, or half of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpPool:
    """Connections to one host: at most ``size`` at once, others wait; safe for threads.

    ``timeout`` is in seconds, for connecting and for each read or write. Idle connections that the server has
    closed are noticed before they are used, unless it does so at that very moment: that is a
    :class:`WireError`, because nothing is ever sent twice here.
    """

    def __init__(self, host: str, port: int | None, *, https: bool, size: int, timeout: float) -> None:
        self._host = host
        self._port = port or (443 if https else 80)
        self._timeout = timeout
        self._context = ssl.create_default_context() if https else None
        self._idle: list[_Connection] = []
        self._room = threading.BoundedSemaphore(size)

    def request(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> Answer:
        """Send and wait for the whole answer; a failure of the network raises :class:`WireError`.

        ``target`` and ``headers`` are sent as they are; ``host`` and ``content-length`` are added where
        missing. A file needs ``content-length``: so many bytes are sent from its position on, in pieces; one
        that ends before raises PermanentError, and so does a certificate that cannot be trusted. A header with
        a line break raises ValueError.
        """
        length: int | None = None
        if isinstance(body, io.BufferedIOBase):
            length = int(headers["content-length"])
        elif body is not None or method in _WITH_BODY:
            length = len(body or b"")
        head = _head(method, target, headers, self._authority(), length)
        with self._room:
            connection = self._connection()
            reusable = False
            try:
                answer, reusable = connection.exchange(method, head, body, length)
            except (OSError, ValueError) as error:
                raise WireError(f"no answer from {self._host}: {type(error).__name__}: {error}") from error
            finally:
                if reusable:
                    self._idle.append(connection)
                else:
                    connection.close()
        return answer

    def close(self) -> None:
        """Close idle connections; the pool can still be used."""
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()

    def _authority(self) -> str:
        default = 443 if self._context else 80
        return self._host if self._port == default else f"{self._host}:{self._port}"

    def _connection(self) -> _Connection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break  # another thread was faster
            if connection.is_quiet():
                return connection
            connection.close()
        try:
            return _Connection(self._host, self._port, self._timeout, self._context)
        except ssl.SSLCertVerificationError as error:
            raise PermanentError(f"no secure connection to {self._host}:{self._port}: {error}") from error
        except OSError as error:
            raise WireError(f"cannot connect to {self._host}:{self._port}: {error}") from error


class _Connection:
    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> None:
        plain = socket.create_connection((host, port), timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket: socket.socket = (
                context.wrap_socket(plain, server_hostname=host) if context else plain
            )
        except BaseException:
            plain.close()
            raise
        self._file = self._socket.makefile("rb", _BUFFER)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def is_quiet(self) -> bool:
        """Whether nothing arrived while idle: an end or a stray answer would."""
        return not self._poll.poll(0)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._socket.close()

    def exchange(self, method: str, head: bytes, body: Body, length: int | None) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection can be used again."""
        refused = self._send(head, body, length or 0)
        try:
            status, version, headers = self._read_head()
            while status < _OK:
                status, version, headers = self._read_head()
            content, ended = self._read_body(method, status, headers)
        except (OSError, ValueError):
            if refused is not None:
                raise refused from None
            raise
        keeps = version == b"HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return Answer(status, headers, content), keeps and not ended and refused is None

    def _send(self, head: bytes, body: Body, length: int) -> OSError | None:
        """Send a request; return how the server hung up in its midst, which it may do after a refusal."""
        try:
            if isinstance(body, io.BufferedIOBase):
                self._socket.sendall(head)
                self._send_file(body, length)
            elif body is not None and 0 < len(body) <= _JOINED:
                self._socket.sendall(b"".join((head, body)))
            else:
                self._socket.sendall(head)
                if body:
                    self._socket.sendall(body)
        except (BrokenPipeError, ConnectionResetError) as error:
            return error
        return None

    def _send_file(self, file: io.BufferedIOBase, length: int) -> None:
        piece = memoryview(bytearray(min(_PIECE, length)))
        sent = 0
        while sent < length:
            count = file.readinto(piece[: length - sent])
            if not count:
                raise PermanentError(f"the file to send ended after {sent} of {length} bytes")
            self._socket.sendall(piece[:count])
            sent += count

    def _read_head(self) -> tuple[int, bytes, dict[str, str]]:
        line = self._file.readline(_LINE)
        if not line:
            raise ConnectionError("the server closed the connection without an answer")
        version, _, rest = line.partition(b" ")
        status = int(rest[:3])
        headers: dict[str, str] = {}
        for _ in range(_HEADERS):
            line = self._file.readline(_LINE)
            if line in {b"\r\n", b"\n"}:
                return status, version, headers
            name, colon, value = line.partition(b":")
            if not colon or not line.endswith(b"\n"):
                raise ConnectionError(f"the answer's headers end with {line[:80]!r}")
            key, text = name.decode("latin-1").lower(), value.strip().decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        raise ConnectionError(f"the answer has more than {_HEADERS} headers")

    def _read_body(self, method: str, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
        """Return the body, and whether the connection ended with it."""
        if method == "HEAD" or status in {_NO_CONTENT, _NOT_MODIFIED}:
            return b"", False
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks(), False
        length = headers.get("content-length")
        if length is None:
            return self._file.read(), True
        return self._read_exactly(int(length)), False

    def _read_exactly(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        if len(data) != size:
            raise ConnectionError(f"the answer ended after {len(data)} of {size} bytes")
        return data

    def _read_chunks(self) -> bytes:
        chunks = []
        while True:
            size = int(self._file.readline(_LINE).partition(b";")[0], 16)
            if size == 0:
                break
            chunks.append(self._read_exactly(size))
            if self._file.readline(_LINE).strip():
                raise ConnectionError("a chunk of the answer does not end where it says")
        while self._file.readline(_LINE) not in {b"\r\n", b"\n", b""}:
            pass  # trailers
        return b"".join(chunks)


def _head(method: str, target: str, headers: Mapping[str, str], authority: str, length: int | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in headers:
        lines.append(f"host: {authority}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is not None and "content-length" not in headers:
        lines.append(f"content-length: {length}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a line break in a header or in the path of a request")
    return f"{text}\r\n\r\n".encode("latin-1")
