from __future__ import annotations

import gc
import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

import oss2
import pytest

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.oss.server import OssService

KEY_ID, SECRET, BUCKET = "test-id", "test-secret", "bucket-one"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    xml: ET.Element | None = field(default=None, repr=False)

    def text(self, path: str) -> str:
        assert self.xml is not None, self.body
        return self.xml.findtext(path) or ""

    @property
    def code(self) -> str:
        return self.text("Code")


class Raw:
    """Plain HTTP, one connection per request, nothing added."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
            is_xml = response.getheader("Content-Type") == "application/xml"
            xml = ET.fromstring(data) if is_xml else None  # noqa: S314 - our own server's
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, data, xml
            )
        finally:
            connection.close()

    def control(self, route: str, data: object = None, method: str = "POST") -> Any:
        body = None if method == "GET" else json.dumps({} if data is None else data).encode()
        answer = self(method, f"/_control/{route}", body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def reset(self) -> None:
        self.control("reset")
        self.control("bucket", {"name": BUCKET})


@pytest.fixture(scope="session")
def signed_server() -> Iterator[Server]:
    with Server(OssService({KEY_ID: SECRET}, buckets=[BUCKET])) as server:
        yield server


@pytest.fixture(scope="session")
def open_server() -> Iterator[Server]:
    """A server that verifies nothing: for the rules, which signatures would only hide."""
    with Server(OssService({}, buckets=[BUCKET])) as server:
        yield server


@pytest.fixture
def signed(signed_server: Server) -> Raw:
    raw = Raw(signed_server.port)
    raw.reset()
    return raw


@pytest.fixture
def raw(open_server: Server) -> Raw:
    raw = Raw(open_server.port)
    raw.reset()
    return raw


@pytest.fixture
def url(signed: Raw, signed_server: Server) -> str:
    return signed_server.url


@pytest.fixture
def bucket_of(url: str) -> Iterator[Callable[[Any], oss2.Bucket]]:
    """The oss2 client over a given authentication; its connections end with the test."""
    session = oss2.Session()
    yield lambda auth: oss2.Bucket(auth, url, BUCKET, region="cn-hangzhou", session=session)
    session.session.close()
    gc.collect()


@pytest.fixture(params=["v1", "v4"])
def bucket(request: pytest.FixtureRequest, bucket_of: Callable[[Any], oss2.Bucket]) -> oss2.Bucket:
    auth = oss2.Auth(KEY_ID, SECRET) if request.param == "v1" else oss2.AuthV4(KEY_ID, SECRET)
    return bucket_of(auth)
