from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_sync.errors import ConfigError, SyncError, TransientError
from airflow_provider_sync.notifications.channels import send_dingtalk, send_log, send_webhook, sign_dingtalk
from airflow_provider_sync.notifications.message import Message

MESSAGE = Message(
    event="failed",
    dag_id="orders",
    run_id="scheduled__2026-11-20T10:10:00+00:00",
    window="[10:00, 10:05)",
    cause="AccessDeniedError: 403 AccessDenied",
    since="2026-11-20T10:10:07+00:00",
    link="http://airflow/dags/orders/runs/1",
)


class Robot(HTTPServer):
    """Answers with ``status`` and ``answer``, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.answer: object = {"errcode": 0, "errmsg": "ok"}
        self.got: list[tuple[str, dict[str, str], dict[str, object]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Robot

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def robot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Robot]:
    with Robot() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = {
            "conn_type": "http",
            "host": f"http://127.0.0.1:{server.server_port}",
            "password": "token-of-the-robot",
            "schema": "hooks/sync",
            "extra": {"secret": "SECabc"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_ROBOT", json.dumps(connection))
        yield server
        server.shutdown()
        thread.join()


def test_the_signature_is_the_one_openssl_makes() -> None:
    # printf '1637000000000\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary | base64
    (query,) = [parse_qs(sign_dingtalk("SECabc", 1637000000000))]
    assert query["timestamp"] == ["1637000000000"]
    assert query["sign"] == ["rP3sJMrpWLpzJzQv1dTgKvYgWuPsbLNt2AJBq5zUNWU="]


def test_a_dingtalk_robot_gets_a_signed_markdown_message(robot: Robot) -> None:
    send_dingtalk(MESSAGE, "robot", clock=lambda: 1637000000.0)
    ((path, _, body),) = robot.got
    query = parse_qs(urlsplit(path).query)
    assert urlsplit(path).path == "/robot/send"
    assert query["access_token"] == ["token-of-the-robot"]
    assert query["sign"] == ["rP3sJMrpWLpzJzQv1dTgKvYgWuPsbLNt2AJBq5zUNWU="]
    markdown = body["markdown"]
    assert isinstance(markdown, dict)
    assert markdown["title"] == "[sync] failed: orders [10:00, 10:05)"
    assert "- cause: AccessDeniedError: 403 AccessDenied" in markdown["text"]


def test_a_dingtalk_refusal_is_an_error(robot: Robot) -> None:
    robot.answer = {"errcode": 310000, "errmsg": "sign not match"}
    with pytest.raises(TransientError, match="310000 sign not match"):
        send_dingtalk(MESSAGE, "robot")


def test_a_webhook_gets_the_facts_as_json(robot: Robot) -> None:
    send_webhook(MESSAGE, "robot")
    ((path, headers, body),) = robot.got
    assert path == "/hooks/sync"
    assert headers["Authorization"] == "Bearer token-of-the-robot"
    assert body["event"] == "failed"
    assert body["window"] == "[10:00, 10:05)"
    assert "since: 2026-11-20T10:10:07+00:00" in str(body["text"])


def test_a_webhook_that_refuses_is_an_error_without_its_token(robot: Robot) -> None:
    robot.status = 403
    with pytest.raises(SyncError, match="HTTP 403") as caught:
        send_webhook(MESSAGE, "robot")
    assert "token-of-the-robot" not in str(caught.value)


def test_a_webhook_without_an_address_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ROBOT", json.dumps({"conn_type": "http"}))
    with pytest.raises(ConfigError, match="host"):
        send_webhook(MESSAGE, "robot")


def test_the_log_has_one_line_with_everything(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "airflow_provider_sync.alert"):
        send_log(MESSAGE)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == (
        "[sync] failed: orders [10:00, 10:05) | run: scheduled__2026-11-20T10:10:00+00:00 | "
        "since: 2026-11-20T10:10:07+00:00 | cause: AccessDeniedError: 403 AccessDenied | "
        "http://airflow/dags/orders/runs/1"
    )
