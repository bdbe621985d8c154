from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_sync.localcloud.control import Control
from airflow_provider_sync.localcloud.http import Request, Response, Server


class _Echo:
    """Answers what it was sent; the path chooses how the answer is spoiled."""

    name = "echo"

    def __init__(self) -> None:
        self.control = Control()
        self.resets = 0

    async def handle(self, request: Request) -> Response:
        match request.path:
            case "/drop":
                return Response(drop=True)
            case "/cut":
                return Response(200, {}, b"x" * 1000, cut=10)
            case "/head":
                return Response(200, {}, b"", content_length=77)
            case _:
                return Response(200, {"x-query": request.query}, request.body)

    def on_control(self, method: str, route: str, body: bytes) -> object | None:
        return {"route": route} if method == "GET" and route.startswith("own") and not body else None

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def echo() -> Iterator[tuple[_Echo, http.client.HTTPConnection]]:
    service = _Echo()
    with Server(service) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        yield service, connection
        connection.close()


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, data: object = None
) -> tuple[int, Any]:
    connection.request(method, path, None if data is None else json.dumps(data))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_a_body_of_several_megabytes_and_the_raw_query_arrive_whole(
    echo: tuple[_Echo, http.client.HTTPConnection],
) -> None:
    body = bytes(range(256)) * 20_000
    echo[1].request("POST", "/echo?a=%20b", body)
    response = echo[1].getresponse()
    assert response.headers["x-query"] == "a=%20b"
    assert response.read() == body


def test_a_dropped_answer_closes_the_connection(echo: tuple[_Echo, http.client.HTTPConnection]) -> None:
    echo[1].request("GET", "/drop")
    with pytest.raises(ConnectionError):
        echo[1].getresponse()


def test_a_cut_answer_promises_all_and_sends_a_part(echo: tuple[_Echo, http.client.HTTPConnection]) -> None:
    echo[1].request("GET", "/cut")
    response = echo[1].getresponse()
    assert response.headers["content-length"] == "1000"
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert len(caught.value.partial) == 10
    echo[1].close()


def test_a_head_answer_has_a_length_and_no_body(echo: tuple[_Echo, http.client.HTTPConnection]) -> None:
    echo[1].request("HEAD", "/head")
    response = echo[1].getresponse()
    assert response.headers["content-length"] == "77"
    assert response.read() == b""


def test_the_clock_freezes_shifts_and_returns_to_real_time(
    echo: tuple[_Echo, http.client.HTTPConnection],
) -> None:
    service, connection = echo
    assert _ask(connection, "POST", "/_control/clock", {"now": 1_700_000_000.5}) == (
        200,
        {"now": 1_700_000_000.5},
    )
    assert service.control.clock.now_us() == 1_700_000_000_500_000
    real = _ask(connection, "POST", "/_control/clock", {})[1]["now"]
    shifted = _ask(connection, "POST", "/_control/clock", {"offset": -3600})[1]["now"]
    assert 3590 < real - shifted < 3610


def test_reset_forgets_data_faults_log_and_clock(echo: tuple[_Echo, http.client.HTTPConnection]) -> None:
    service, connection = echo
    _ask(connection, "POST", "/_control/faults", [{"action": "cut"}, {"action": "delay", "seconds": 1}])
    _ask(connection, "POST", "/_control/clock", {"now": 1})
    service.control.record("Op", 200, None)
    assert _ask(connection, "POST", "/_control/reset") == (200, {})
    assert service.resets == 1
    assert _ask(connection, "GET", "/_control/faults") == (200, [])
    assert _ask(connection, "GET", "/_control/requests") == (200, [])
    assert service.control.clock.frozen is None


def test_a_services_own_routes_see_the_query(echo: tuple[_Echo, http.client.HTTPConnection]) -> None:
    assert _ask(echo[1], "GET", "/_control/own?table=t") == (200, {"route": "own?table=t"})


@pytest.mark.parametrize(
    ("method", "route", "data"),
    [
        ("GET", "nothing", None),
        ("POST", "faults", {"action": "explode"}),
        ("POST", "faults", {"action": "cut", "colour": "red"}),
        ("POST", "clock", [1]),
    ],
)
def test_a_senseless_control_request_is_refused_with_its_reason(
    echo: tuple[_Echo, http.client.HTTPConnection], method: str, route: str, data: object
) -> None:
    status, answer = _ask(echo[1], method, f"/_control/{route}", data)
    assert status == 400
    assert answer["error"]


def test_a_fault_fires_after_and_for_as_often_as_it_says() -> None:
    control = Control()
    control.handle(
        "POST", "faults", b'{"action": "error", "operation": "Put.*", "key": "^t1$", "after": 1, "count": 2}'
    )
    calls = [
        ("GetRow", "t1"),
        ("PutRow", "t2"),
        ("PutRow", "t1"),
        ("PutRow", "t1"),
        ("PutObject", "t1"),
        ("PutRow", "t1"),
    ]
    assert [control.fault_for(*call) is not None for call in calls] == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]
    assert control.faults[0].fired == 2
