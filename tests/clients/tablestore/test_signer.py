"""Signatures against the vendor's vectors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_sync.clients.tablestore.signer import Signer, derive_v4_key
from airflow_provider_sync.errors import AccessDeniedError
from airflow_provider_sync.spec.connection import Credentials, Secret

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
BODY = bytes.fromhex("0a03737263")
V4_KEY = b"5orKAGtjeIqZfSjBrWBgTj+RZINQQiWTagcSAs2EAmA="
ANSWER = {
    "x-ots-contentmd5": "BDS4l1+t/1Rg7SUIN0IEFw==",
    "x-ots-contenttype": "protocol buffer",
    "x-ots-date": "2024-01-02T03:04:05.123000Z",
    "x-ots-requestid": "00000000-0000-0000-0000-000000000001",
    "content-length": "39",
}


def _signer(region: str = "", token: str = "") -> Signer:
    return Signer("inst", lambda: Credentials("testak", Secret("testsk"), Secret(token)), region=region)


@pytest.mark.parametrize(
    ("region", "token", "body", "header", "signature"),
    [
        ("", "", b"", "x-ots-signature", "/k763JnQ1Q5WwA4h/Le8rvdUDKY="),
        ("cn-hangzhou", "", b"", "x-ots-signaturev4", "MLMytGM2WdmYtiSgzfXDMs4q0QfUP6AtAgj70ETp4Wc="),
        ("", "", BODY, "x-ots-signature", "m3d7uhXcToFM4yTcg6JP2FuspY4="),
        ("cn-hangzhou", "", BODY, "x-ots-signaturev4", "JqbVViAV9eVYoSNaBlvJgJNh2WV3dGBrUdAzeJ/5QgA="),
        ("", "tok-123", BODY, "x-ots-signature", "x2dZKpzKRlc1p/lllpaylqcG7Dc="),
        ("cn-hangzhou", "tok-123", BODY, "x-ots-signaturev4", "ubA+4uGYKj4I0O3xp0Rys2YBnF/zjg4VZtQuiA4tCcQ="),
    ],
)
def test_requests_are_signed_as_the_vendor_signs_them(
    region: str, token: str, body: bytes, header: str, signature: str
) -> None:
    headers = _signer(region, token).sign("/ListStream", body, NOW).headers

    assert headers[header] == signature
    assert headers["x-ots-date"] == "2024-01-02T03:04:05.000Z"
    assert ("x-ots-signature" in headers) != ("x-ots-signaturev4" in headers)


def test_the_v4_key_is_the_text_of_the_derived_bytes() -> None:
    assert derive_v4_key("testsk", "20240102", "cn-hangzhou") == V4_KEY


def test_the_day_of_the_key_is_that_of_each_request() -> None:
    signer = _signer("cn-hangzhou")

    days = [signer.sign("/ListStream", b"", NOW + day * 86_400).headers["x-ots-signdate"] for day in (0, 1)]

    assert days == ["20240102", "20240103"]


def test_credentials_are_asked_for_every_request() -> None:
    issued = iter(["first", "second"])
    signer = Signer("inst", lambda: Credentials(next(issued), Secret("s"), Secret("t")))

    assert [signer.sign("/ListStream", b"", NOW).headers["x-ots-accesskeyid"] for _ in range(2)] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize(
    ("key", "signature"),
    [(b"testsk", "FWO/4H1RQRcpcUpBV2n/yZUWnIQ="), (V4_KEY, "PpsPRmmx7L/FD77yfFrHwwB4fZs=")],
)
def test_an_answer_signed_by_the_vendor_is_accepted(key: bytes, signature: str) -> None:
    headers = {**ANSWER, "authorization": f"OTS testak:{signature}"}

    _signer().check_answer("/ListStream", headers, key)


def test_the_java_sdks_own_answer_vector_is_accepted() -> None:
    headers = {
        "x-ots-contentmd5": "md5",
        "x-ots-contenttype": "json",
        "authorization": "OTS ak:yxS9NtV7YZ+VtKXGkyeLOlYsH5o=",
    }

    _signer().check_answer("/action", headers, b"sk")


@pytest.mark.parametrize(
    ("authorization", "problem"),
    [("", "not signed"), ("OTS testak:FWO/4H1RQRcpcUpBV2n/yZUWnIA=", "wrongly signed"), ("ü:ü", "wrongly")],
)
def test_an_answer_with_another_signature_is_refused(authorization: str, problem: str) -> None:
    with pytest.raises(AccessDeniedError, match=problem) as caught:
        _signer().check_answer("/ListStream", {**ANSWER, "authorization": authorization}, b"testsk")
    assert "testsk" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    signed = _signer("cn-hangzhou", "tok-123").sign("/ListStream", b"", NOW)

    assert "testsk" not in repr(Credentials("testak", Secret("testsk"), Secret("tok-123")))
    assert V4_KEY.decode() not in repr(signed)
