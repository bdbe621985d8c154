"""Signatures against vectors made with the vendor's SDK and recomputed independently."""

from __future__ import annotations

from datetime import UTC, datetime

import oss2
import pytest
from oss2.http import Request

from airflow_provider_sync.clients.objects.data import Unsigned
from airflow_provider_sync.clients.oss.signer import quote_query, sign_v1, sign_v4
from airflow_provider_sync.spec.connection import Credentials, Secret

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
KEY = "sales/2026 Q1/数据+1.csv"
PLAIN = Credentials("testAccessKeyId", Secret("testAccessKeySecret"), Secret(""))
PUT_HEADERS = {
    "content-type": "text/csv",
    "content-md5": "XUFAKrxLKna5cZ2REBfFkg==",
    "x-oss-forbid-overwrite": "true",
    "x-oss-meta-owner": "etl",
}


def test_v4_put_matches_the_vector() -> None:
    request = Unsigned("PUT", "examplebucket", KEY, {}, dict(PUT_HEADERS))
    sign_v4(request, PLAIN, region="cn-hangzhou", now=NOW)
    assert request.headers["x-oss-date"] == "20260102T030405Z"
    assert request.headers["authorization"] == (
        "OSS4-HMAC-SHA256 Credential=testAccessKeyId/20260102/cn-hangzhou/oss/aliyun_v4_request,"
        "Signature=6b0e0ddfbc1384fde2b22eb48d6720d248fc5c22d4d4838fc1b646bad7e25b86"
    )


def test_v4_list_matches_the_vector() -> None:
    params = {
        "list-type": "2",
        "prefix": "sales/2026 Q1/",
        "max-keys": "1000",
        "continuation-token": "",
        "encoding-type": "url",
    }
    request = Unsigned("GET", "examplebucket", "", params, {})
    sign_v4(request, PLAIN, region="cn-hangzhou", now=NOW)
    assert quote_query(params) == (
        "continuation-token&encoding-type=url&list-type=2&max-keys=1000&prefix=sales%2F2026%20Q1%2F"
    )
    assert request.headers["authorization"].endswith(
        "Signature=191bfbd72bd7ae180a910f67fc2cacb43bba95ab942c08ef8ea4cb29efd00484"
    )


@pytest.mark.parametrize(
    ("params", "headers", "signature"),
    [
        ({}, PUT_HEADERS, "CYFFmgW36xkD13I0AGkz1PB+M1Q="),
        (
            {"partNumber": "1", "uploadId": "0004B9895DBBB6EC98E36", "unknown": "x"},
            {},
            "F6w7PwKrm9CuV5k6y9WC/lTQykM=",
        ),
    ],
)
def test_v1_matches_the_vectors(params: dict[str, str], headers: dict[str, str], signature: str) -> None:
    request = Unsigned("PUT", "examplebucket", KEY, params, dict(headers))
    sign_v1(request, PLAIN, now=NOW)
    assert request.headers["date"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert request.headers["authorization"] == f"OSS testAccessKeyId:{signature}"


def test_v4_with_a_token_agrees_with_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen(datetime):
        @classmethod
        def utcnow(cls) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - what the SDK expects

    monkeypatch.setattr("oss2.auth.datetime", Frozen)
    provider = oss2.credentials.StaticCredentialsProvider("id", "secret", "token")
    params = {"uploads": "", "x": "a/b c~d"}
    theirs = Request(
        "POST",
        "http://x",
        params=params,
        headers={"content-type": "text/csv"},
        region="eu-central-1",
        product="oss",
    )
    oss2.ProviderAuthV4(provider)._sign_request(theirs, "b-1", KEY)

    ours = Unsigned("POST", "b-1", KEY, params, {"content-type": "text/csv"})
    sign_v4(ours, Credentials("id", Secret("secret"), Secret("token")), region="eu-central-1", now=NOW)

    assert ours.headers["x-oss-security-token"] == "token"
    assert ours.headers["authorization"].rpartition("=")[2] in theirs.headers["authorization"]
