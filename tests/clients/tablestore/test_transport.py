"""The transport over real sockets, against a service that answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sync.clients.tablestore import messages
from airflow_provider_sync.clients.tablestore.errors import OutcomeUnknownError
from airflow_provider_sync.clients.tablestore.settings import Settings
from airflow_provider_sync.clients.tablestore.signer import Signer
from airflow_provider_sync.clients.tablestore.transport import Transport
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    PermanentError,
    ThrottledError,
    TransientError,
)
from airflow_provider_sync.localcloud.control import Control
from airflow_provider_sync.localcloud.http import Request, Response, Server
from airflow_provider_sync.spec.connection import Credentials, Secret

BODY = b"\x0a\x01t"


class Scripted:
    """Answers the n-th request with the n-th answer of the script, then with the last one."""

    name = "scripted"

    def __init__(self) -> None:
        self.control = Control()
        self.script: list[Response] = []
        self.requests: list[Request] = []

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def reset(self) -> None:
        self.script.clear()
        self.requests.clear()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(Scripted()) as server:
        yield server


@pytest.fixture
def service(server: Server) -> Scripted:
    service = server.service
    assert isinstance(service, Scripted)
    service.reset()
    return service


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., Transport]]:
    opened: list[Transport] = []

    def make(
        *, endpoint: str = "", verify: bool = True, waits: list[float] | None = None, **policy: Any
    ) -> Transport:
        sleeps = [] if waits is None else waits
        transport = Transport(
            Settings(endpoint or server.url, "demo", "", 5.0, verify),
            Signer("demo", lambda: Credentials("ak", Secret("sk"))),
            retry=RetryPolicy(attempts=4, sleep=sleeps.append, random=random.Random(1), **policy),
            pool_size=2,
            clock=iter(range(1_700_000_000, 1_800_000_000)).__next__,
        )
        opened.append(transport)
        return transport

    yield make
    for transport in opened:
        transport.close()


def _ok(body: bytes = b"answer", path: str = "/GetRow", **changes: Any) -> Response:
    headers = {
        "x-ots-contentmd5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        "x-ots-requestid": "req-1",
    } | changes.pop("headers", {})
    text = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers)) + path
    signature = base64.b64encode(hmac.digest(b"sk", text.encode(), "sha1")).decode()
    return Response(200, {**headers, "Authorization": f"OTS ak:{signature}"}, body, **changes)


def _error(status: int, code: str, message: str = "", headers: dict[str, str] | None = None) -> Response:
    body = messages.Error(code=code, message=message).SerializeToString()
    return Response(status, {"x-ots-requestid": "req-9"} | (headers or {}), body)


def test_an_answer_is_returned_as_sent(service: Scripted, connect: Callable[..., Transport]) -> None:
    service.script = [_ok()]

    assert connect().call("GetRow", BODY, subject="table 't'", repeatable=True) == b"answer"
    request = service.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/GetRow", BODY)
    assert request.headers["x-ots-instancename"] == "demo"
    assert request.headers["User-Agent"].startswith("airflow-provider-sync/")


def test_every_attempt_is_signed_anew(service: Scripted, connect: Callable[..., Transport]) -> None:
    service.script = [_error(503, "OTSServerBusy"), _error(503, "OTSServerBusy"), _ok()]

    connect().call("GetRow", BODY, subject="table 't'", repeatable=True)

    assert len({request.headers["x-ots-date"] for request in service.requests}) == 3
    assert len({request.headers["x-ots-signature"] for request in service.requests}) == 3


@pytest.mark.parametrize(
    "failure",
    [
        Response(drop=True),
        Response(body=b"x" * 100, cut=10),
        _error(503, "OTSServerUnavailable"),
        Response(502, {}, b"<html>bad gateway</html>"),
        Response(body=b"x", drop=True),
        _ok(b"other", headers={"x-ots-contentmd5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
    ],
)
def test_a_read_without_a_usable_answer_is_tried_again(
    service: Scripted, connect: Callable[..., Transport], failure: Response
) -> None:
    service.script = [failure, _ok()]

    assert connect().call("GetRow", BODY, subject="table 't'", repeatable=True) == b"answer"
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "failure",
    [
        Response(drop=True),
        Response(body=b"x" * 100, cut=10),
        _error(503, "OTSTimeout"),
        Response(502, {}, b""),
        _ok(b"other", headers={"x-ots-contentmd5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
    ],
)
def test_a_write_of_unknown_outcome_is_not_repeated(
    service: Scripted, connect: Callable[..., Transport], failure: Response
) -> None:
    service.script = [failure, _ok()]

    with pytest.raises(OutcomeUnknownError, match=r"GetRow of table 't' failed: .*may have taken effect"):
        connect().call("GetRow", BODY, subject="table 't'", repeatable=False)
    assert len(service.requests) == 1


def test_a_write_that_was_refused_as_too_busy_is_repeated(
    service: Scripted, connect: Callable[..., Transport]
) -> None:
    service.script = [_error(503, "OTSServerBusy"), _error(409, "OTSRowOperationConflict"), _ok()]

    assert connect().call("GetRow", BODY, subject="table 't'", repeatable=False) == b"answer"


def test_a_write_that_never_left_is_repeated(connect: Callable[..., Transport]) -> None:
    waits: list[float] = []

    with pytest.raises(TransientError, match=r"cannot connect to http://127\.0\.0\.1:1"):
        connect(endpoint="http://127.0.0.1:1", waits=waits).call(
            "GetRow", BODY, subject="t", repeatable=False
        )
    assert len(waits) == 3


def test_throttling_waits_at_least_as_long_as_told(
    service: Scripted, connect: Callable[..., Transport]
) -> None:
    waits: list[float] = []
    service.script = [_error(429, "OTSFlowControl", "slow down", {"Retry-After": "2.5"}), _ok()]

    connect(waits=waits).call("GetRow", BODY, subject="table 't'", repeatable=True)

    assert waits == [2.5]


def test_what_does_not_pass_is_raised_at_once_with_code_and_request(
    service: Scripted, connect: Callable[..., Transport]
) -> None:
    service.script = [_error(404, "OTSObjectNotExist", "Requested table does not exist.")]

    with pytest.raises(NotFoundError) as caught:
        connect().call("GetRow", BODY, subject="table 't'", repeatable=True)
    assert str(caught.value) == (
        "GetRow of table 't' failed: HTTP 404 OTSObjectNotExist: Requested table does not exist. (request req-9)"
    )
    assert len(service.requests) == 1


def test_the_last_passing_error_is_raised_when_tries_run_out(
    service: Scripted, connect: Callable[..., Transport]
) -> None:
    service.script = [_error(503, "OTSServerBusy", "Server is busy.")]

    with pytest.raises(ThrottledError, match="OTSServerBusy"):
        connect().call("GetRow", BODY, subject="table 't'", repeatable=True)
    assert len(service.requests) == 4


def test_redirects_are_not_followed(service: Scripted, connect: Callable[..., Transport]) -> None:
    service.script = [Response(301, {"Location": "http://elsewhere.invalid/GetRow"}, b"")]

    with pytest.raises(ConfigError, match=r"connection\.endpoint: .*elsewhere\.invalid"):
        connect().call("GetRow", BODY, subject="table 't'", repeatable=True)
    assert len(service.requests) == 1


def test_an_unsigned_answer_is_refused_unless_told_otherwise(
    service: Scripted, connect: Callable[..., Transport]
) -> None:
    service.script = [Response(200, {}, b"portal")]

    with pytest.raises(AccessDeniedError, match="not signed"):
        connect().call("GetRow", BODY, subject="table 't'", repeatable=True)
    assert connect(verify=False).call("GetRow", BODY, subject="table 't'", repeatable=True) == b"portal"


def test_a_page_that_is_no_error_message_is_quoted_shortened(
    service: Scripted, connect: Callable[..., Transport]
) -> None:
    service.script = [Response(400, {}, b"<html>" + b"x" * 1000)]

    with pytest.raises(PermanentError, match="HTTP 400 without a code: <html>xxx") as caught:
        connect().call("GetRow", BODY, subject="table 't'", repeatable=True)
    assert len(str(caught.value)) < 300


def test_a_certificate_nobody_vouches_for_is_not_tried_again(
    connect: Callable[..., Transport], tmp_path: Path
) -> None:
    waits: list[float] = []
    with _tls_server(tmp_path) as port, pytest.raises(PermanentError, match="certificate verify failed"):
        connect(endpoint=f"https://127.0.0.1:{port}", waits=waits).call(
            "GetRow", BODY, subject="t", repeatable=True
        )
    assert waits == []


def test_a_handshake_that_breaks_off_is_tried_again(
    connect: Callable[..., Transport], server: Server
) -> None:
    waits: list[float] = []
    with pytest.raises(TransientError, match=r"no secure connection|no whole answer"):
        connect(endpoint=server.url.replace("http:", "https:"), waits=waits).call(
            "GetRow", BODY, subject="t", repeatable=True
        )
    assert len(waits) == 3


@contextmanager
def _tls_server(folder: Path) -> Iterator[int]:
    """Serve TLS with a certificate signed by itself; yields the port."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_threads_share_a_small_pool(service: Scripted, connect: Callable[..., Transport]) -> None:
    service.script = [_ok()]
    transport = connect()
    answers: list[bytes] = []

    def work() -> None:
        answers.extend(transport.call("GetRow", BODY, subject="t", repeatable=True) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [b"answer"] * 160
