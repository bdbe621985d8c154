from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from airflow_provider_sync.clients.wire import HttpPool, WireError


class Scripted:
    """Answers each connection's requests with prepared bytes; None closes the connection."""

    def __init__(self) -> None:
        self.script: list[list[bytes | None]] = []
        self.seen: list[bytes] = []
        self.hung_up = threading.Event()  # set once a connection's script is done and its end is sent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                for answer in self.script.pop(0):
                    data = connection.recv(65536)
                    self.seen.append(data)
                    if answer is None or not data:
                        break
                    connection.sendall(answer)
            self.hung_up.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Scripted]:
    running = Scripted()
    yield running
    running.close()


@pytest.fixture
def pool(server) -> Iterator[HttpPool]:
    opened = HttpPool("127.0.0.1", server.port, https=False, size=2, timeout=5)
    yield opened
    opened.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Two: a\r\nx-two: b\r\n\r\nhi"


def test_a_request_is_sent_as_it_is_and_the_answer_is_whole(server, pool):
    server.script = [[OK]]
    answer = pool.request("PUT", "/a/../b?x=%20", {"x-one": "1"}, b"body")
    assert (answer.status, answer.body, answer.headers["x-two"]) == (200, b"hi", "a, b")
    assert server.seen == [
        f"PUT /a/../b?x=%20 HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nx-one: 1\r\n"
        "content-length: 4\r\n\r\nbody".encode()
    ]


def test_a_connection_is_used_again_unless_it_is_said_to_close(server, pool):
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    server.script = [[OK, closing], [OK]]
    for _ in range(3):
        assert pool.request("GET", "/", {}, None).body == b"hi"
    assert server.script == []


def test_a_connection_that_the_server_closed_is_not_used(server, pool):
    server.script = [[OK], [OK]]
    pool.request("GET", "/", {}, None)
    assert server.hung_up.wait(5)
    assert pool.request("GET", "/", {}, None).body == b"hi"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            b"abcde",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_every_kind_of_body_is_read(server, pool, answer, body):
    server.script = [[answer]]
    assert pool.request("GET", "/", {}, None).body == body


def test_the_answer_to_head_has_a_length_and_no_body(server, pool):
    server.script = [[b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", OK]]
    assert pool.request("HEAD", "/", {}, None).headers["content-length"] == "99"
    assert pool.request("GET", "/", {}, None).body == b"hi"


@pytest.mark.parametrize("end", range(1, len(OK)))
def test_an_answer_cut_anywhere_is_an_error(server, pool, end):
    server.script = [[OK[:end]]]
    with pytest.raises(WireError):
        pool.request("GET", "/", {}, b"x" if end % 2 else None)


def test_no_answer_at_all_is_an_error(server, pool):
    server.script = [[None]]
    with pytest.raises(WireError, match="without an answer"):
        pool.request("GET", "/", {}, None)


def test_nobody_listening_is_an_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(WireError, match="cannot connect"):
        HttpPool("127.0.0.1", port, https=False, size=1, timeout=1).request("GET", "/", {}, None)


@pytest.mark.parametrize("wrong", [{"x": "a\r\nb: c"}, {"x": "a\nb"}])
def test_a_header_cannot_hold_another_one(pool, wrong):
    with pytest.raises(ValueError, match="line break"):
        pool.request("GET", "/", wrong, None)
