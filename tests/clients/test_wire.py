from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_sync.clients.wire import HttpPool, WireError
from airflow_provider_sync.errors import PermanentError


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


class Taking:
    """Reads whole requests, each with its body, and answers ``hi``; speaks TLS if it is given a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.bodies: list[bytes] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                connection = self._context.wrap_socket(plain, server_side=True) if self._context else plain
                with connection, connection.makefile("rb") as file:
                    while self._answer(connection, file):
                        pass
            except OSError:
                plain.close()  # a client that does not trust the certificate

    def _answer(self, connection: socket.socket, file: BinaryIO) -> bool:
        length = 0
        while (line := file.readline()) not in {b"\r\n", b""}:
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not line:
            return False
        self.bodies.append(file.read(length))
        connection.sendall(OK)
        return True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def taking() -> Iterator[Taking]:
    running = Taking()
    yield running
    running.close()


def put_file(pool: HttpPool, file: io.BufferedIOBase, length: int) -> bytes:
    return pool.request("PUT", "/", {"content-length": str(length)}, file).body


def test_a_file_is_sent_from_its_position_and_as_far_as_told(taking):
    pool = HttpPool("127.0.0.1", taking.port, https=False, size=1, timeout=5)
    file = io.BytesIO(b"skip" + b"abc" * 300_000 + b"rest")
    file.seek(4)
    assert put_file(pool, file, 900_000) == b"hi"
    assert put_file(pool, file, 4) == b"hi"
    assert put_file(pool, file, 0) == b"hi"
    assert taking.bodies == [b"abc" * 300_000, b"rest", b""]
    pool.close()


class Endless(io.BufferedIOBase):
    """A file as long as one likes; ``most`` is the longest piece that was asked for."""

    most = 0

    def readinto(self, buffer) -> int:
        self.most = max(self.most, len(buffer))
        return len(buffer)


def test_a_file_is_never_in_memory_whole(taking):
    pool = HttpPool("127.0.0.1", taking.port, https=False, size=1, timeout=5)
    file = Endless()
    assert put_file(pool, file, 3_000_000) == b"hi"
    assert file.most == 256 * 1024
    pool.close()


def test_a_file_that_ends_too_early_is_an_error_that_no_retry_cures(taking):
    pool = HttpPool("127.0.0.1", taking.port, https=False, size=1, timeout=5)
    with pytest.raises(PermanentError, match="ended after 3 of 5 bytes"):
        put_file(pool, io.BytesIO(b"abc"), 5)
    assert put_file(pool, io.BytesIO(b"abc"), 3) == b"hi"
    pool.close()


def test_a_refusal_in_the_midst_of_the_body_is_the_answer(server, pool):
    server.script = [[b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"], [OK]]
    file = io.BytesIO(b"x" * 30_000_000)
    assert pool.request("PUT", "/", {"content-length": "30000000"}, file).status == 403
    assert pool.request("GET", "/", {}, None).body == b"hi"


def test_an_idle_connection_closed_after_the_look_at_it_is_an_error_and_nothing_is_sent_twice(server, pool):
    server.script = [[OK], [OK]]
    pool.request("GET", "/", {}, None)
    assert server.hung_up.wait(5)
    pool._idle[0].is_quiet = lambda: True  # as if the look had been a moment too early
    with pytest.raises(WireError):
        pool.request("PUT", "/", {}, b"once")
    assert not any(b"once" in one for one in server.seen)
    assert pool.request("GET", "/", {}, None).body == b"hi"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Taking]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    running = Taking(context)
    yield running
    running.close()


def test_a_trusted_certificate_is_asked_over_one_connection(secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    pool = HttpPool("127.0.0.1", secure.port, https=True, size=1, timeout=5)
    assert put_file(pool, io.BytesIO(b"abc" * 300_000), 900_000) == b"hi"
    assert pool.request("PUT", "/", {}, b"x" * 200_000).body == b"hi"
    assert secure.bodies == [b"abc" * 300_000, b"x" * 200_000]
    pool.close()


def test_a_certificate_that_nobody_vouches_for_is_refused_for_good(secure):
    pool = HttpPool("127.0.0.1", secure.port, https=True, size=1, timeout=5)
    with pytest.raises(PermanentError, match="no secure connection to 127"):
        pool.request("GET", "/", {}, None)
    assert secure.bodies == []
