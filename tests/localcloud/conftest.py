from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService

with warnings.catch_warnings():
    # The SDK warns at import that its compiled part is for another Python; its Python part does the same.
    warnings.simplefilter("ignore", ImportWarning)
    import tablestore
    from tablestore.auth import RequestContext, SignV2
    from tablestore.credentials import StaticCredentialsProvider

KEY_ID, SECRET, INSTANCE = "test-key", "test-secret", "inst"


class TablestoreUnderTest:
    """A running service: vendor clients of it, raw requests to it, and its control routes."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.service: Any = server.service
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def client(self, key_id: str = KEY_ID, secret: str = SECRET, **options: Any) -> tablestore.OTSClient:
        """The vendor's client; it checks every answer's headers, digest, date and signature."""
        options.setdefault("retry_policy", tablestore.NoRetryPolicy())
        return tablestore.OTSClient(self.url, key_id, secret, INSTANCE, **options)

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        """One control request, which must succeed."""
        self._connection.request(method, f"/_control/{route}", None if data is None else json.dumps(data))
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return json.loads(body)

    def headers(self, operation: str, body: bytes, date: str | None = None) -> dict[str, str]:
        """The headers of a request, signed by the vendor's v2 signer."""
        now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        headers = {
            "x-ots-date": date or now,
            "x-ots-apiversion": "2015-12-31",
            "x-ots-accesskeyid": KEY_ID,
            "x-ots-instancename": INSTANCE,
            "x-ots-contentmd5": base64.b64encode(hashlib.md5(body).digest()).decode(),  # noqa: S324 - the protocol's
        }
        credentials = StaticCredentialsProvider(KEY_ID, SECRET).get_credentials()
        SignV2("utf-8").make_request_signature_and_add_headers(
            f"/{operation}", headers, RequestContext(credentials)
        )
        return headers

    def send(
        self, operation: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, dict[str, str], bytes]:
        """One raw request: (status, headers in lower case, body)."""
        self._connection.request(method, f"/{operation}", body, headers or self.headers(operation, body))
        response = self._connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def call(self, operation: str, *parts: bytes) -> dict[int, list[Any]]:
        """One raw request that must succeed: its answer's fields by number."""
        status, _, body = self.send(operation, b"".join(parts))
        assert status == 200, fields(body)
        return fields(body)

    def refused(self, operation: str, *parts: bytes) -> tuple[int, str, str]:
        """One raw request that must fail: (status, code, message)."""
        status, _, body = self.send(operation, b"".join(parts))
        assert status != 200
        error = fields(body)
        return status, error[1][0].decode(), error[2][0].decode()

    def close(self) -> None:
        self._connection.close()


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | str | bytes) -> bytes:
    """One protobuf field."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def fields(data: bytes) -> dict[int, list[Any]]:
    """All fields of a protobuf message: number → values, varints as int, the rest as bytes."""
    found: dict[int, list[Any]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            value: Any = varint()
        else:
            assert tag & 7 == 2
            length = varint()
            value = data[at : at + length]
            assert len(value) == length
            at += length
        found.setdefault(tag >> 3, []).append(value)
    return found


@pytest.fixture
def tablestore_server() -> Iterator[TablestoreUnderTest]:
    """A local Tablestore in memory, new for each test."""
    with Server(TablestoreService({KEY_ID: SECRET})) as server:
        running = TablestoreUnderTest(server)
        yield running
        running.close()


@pytest.fixture
def pbf() -> Any:
    """The encoder of a protobuf field: ``pbf(number, value)``."""
    return field


@pytest.fixture
def pbparse() -> Any:
    """The decoder of a protobuf message into fields by number."""
    return fields
