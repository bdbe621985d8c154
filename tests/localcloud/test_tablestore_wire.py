"""Signatures, headers and error answers, against published vectors and the vendor's client."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import tablestore as ots
from multidict import CIMultiDict, CIMultiDictProxy

from airflow_provider_sync.localcloud.http import Request
from airflow_provider_sync.localcloud.tablestore import wire
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, trimmed

V2_EMPTY = "/k763JnQ1Q5WwA4h/Le8rvdUDKY="
V4_KEY = b"5orKAGtjeIqZfSjBrWBgTj+RZINQQiWTagcSAs2EAmA="
AT = 1_704_164_645.0  # 2024-01-02T03:04:05Z
SRC = bytes.fromhex("0a03737263")


def _headers(body: bytes, signature: str, *, v4: bool, token: str | None) -> dict[str, str]:
    headers = {
        "X-Ots-Date": "2024-01-02T03:04:05.000Z",
        "x-ots-apiversion": "2015-12-31",
        "x-ots-accesskeyid": "testak",
        "x-ots-instancename": "inst",
        "x-ots-contentmd5": base64.b64encode(hashlib.md5(body).digest()).decode(),  # noqa: S324 - the protocol's
        "User-Agent": "anything",
    }
    if token:
        headers["x-ots-ststoken"] = token
    if v4:
        headers |= {"x-ots-signdate": "20240102", "x-ots-signregion": "cn-hangzhou"}
    headers["x-ots-signaturev4" if v4 else "x-ots-signature"] = signature
    return headers


def _request(headers: dict[str, str], body: bytes, method: str = "POST") -> Request:
    return Request(method, "/ListStream", "", CIMultiDictProxy(CIMultiDict(headers)), body)


def _authenticate(request: Request, now: float = AT) -> wire.Caller:
    return wire.authenticate(request, {"testak": "testsk"}, {}, now)


@pytest.mark.parametrize(
    ("v4", "body", "token", "signature"),
    [
        (False, b"", None, V2_EMPTY),
        (True, b"", None, "MLMytGM2WdmYtiSgzfXDMs4q0QfUP6AtAgj70ETp4Wc="),
        (False, SRC, None, "m3d7uhXcToFM4yTcg6JP2FuspY4="),
        (True, SRC, None, "JqbVViAV9eVYoSNaBlvJgJNh2WV3dGBrUdAzeJ/5QgA="),
        (False, SRC, "tok-123", "x2dZKpzKRlc1p/lllpaylqcG7Dc="),
        (True, SRC, "tok-123", "ubA+4uGYKj4I0O3xp0Rys2YBnF/zjg4VZtQuiA4tCcQ="),
    ],
)
def test_published_request_signatures_are_accepted(
    v4: bool, body: bytes, token: str | None, signature: str
) -> None:
    caller = _authenticate(_request(_headers(body, signature, v4=v4, token=token), body))
    assert caller.instance == "inst"
    assert caller.signing_key == (V4_KEY if v4 else b"testsk")


@pytest.mark.parametrize(
    ("key", "signature"),
    [(b"testsk", "FWO/4H1RQRcpcUpBV2n/yZUWnIQ="), (V4_KEY, "PpsPRmmx7L/FD77yfFrHwwB4fZs=")],
)
def test_published_response_signatures_are_made(key: bytes, signature: str) -> None:
    headers = {
        "x-ots-contentmd5": "BDS4l1+t/1Rg7SUIN0IEFw==",
        "x-ots-contenttype": "protocol buffer",
        "x-ots-date": "2024-01-02T03:04:05.123000Z",
        "x-ots-requestid": "00000000-0000-0000-0000-000000000001",
    }
    assert wire.response_signature("/ListStream", headers, key) == signature


def test_a_third_partys_response_signature_is_made() -> None:
    headers = {"x-ots-contentmd5": "md5", "x-ots-contenttype": "json"}
    assert wire.response_signature("/action", headers, b"sk") == "yxS9NtV7YZ+VtKXGkyeLOlYsH5o="


def test_the_error_body_is_as_published() -> None:
    assert wire.encode_error(trimmed()) == bytes.fromhex(
        "0a144f54535472696d6d656444617461416363657373123b5265717565737465642073747265616d2064617461206973"
        "20616c7265616479207472696d6d6564206f7220646f6573206e6f742065786973742e"
    )


@pytest.mark.parametrize("fraction", ["", ".", ".1", ".11209", ".123456789"])
def test_a_date_has_any_number_of_fraction_digits(fraction: str) -> None:
    headers = _headers(b"", "x", v4=False, token=None)
    headers["X-Ots-Date"] = f"2024-01-02T03:04:05{fraction}Z"
    with pytest.raises(ServiceError, match="Signature mismatch"):
        _authenticate(_request(headers, b""))


@pytest.mark.parametrize(
    ("change", "status", "code", "message"),
    [
        ({"X-Ots-Date": None}, 400, "OTSParameterInvalid", "Missing header: x-ots-date."),
        ({"x-ots-signature": None}, 400, "OTSParameterInvalid", "Missing header: x-ots-signature."),
        ({"x-ots-contentmd5": None}, 400, "OTSParameterInvalid", "Missing header: x-ots-contentmd5."),
        ({"X-Ots-Date": "now"}, 400, "OTSParameterInvalid", "Invalid date format: now."),
        ({"X-Ots-Date": "2024-13-02T03:04:05Z"}, 400, "OTSParameterInvalid", "Invalid date format: 2024-13"),
        (
            {"x-ots-contentmd5": "AAAA"},
            403,
            "OTSAuthFailed",
            "Mismatch between MD5 value of request body and x-ots-contentmd5 in header.",
        ),
        ({"x-ots-accesskeyid": "who"}, 403, "OTSAuthFailed", "The AccessKeyID does not exist."),
        ({"x-ots-instancename": "other"}, 403, "OTSAuthFailed", "Signature mismatch."),
        ({"x-ots-extra": "1"}, 403, "OTSAuthFailed", "Signature mismatch."),
        ({"x-ots-signature": "é"}, 403, "OTSAuthFailed", "Signature mismatch."),
        ({"x-ots-apiversion": "2014-08-08"}, 400, "OTSParameterInvalid", "Invalid API version: 2014-08-08."),
    ],
)
def test_a_wrong_header_is_refused(
    change: dict[str, str | None], status: int, code: str, message: str
) -> None:
    headers = {
        k: v for k, v in (_headers(b"", V2_EMPTY, v4=False, token=None) | change).items() if v is not None
    }
    with pytest.raises(ServiceError) as caught:
        _authenticate(_request(headers, b""))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(("seconds", "accepted"), [(899, True), (-899, True), (901, False), (-901, False)])
def test_fifteen_minutes_of_skew_are_allowed(seconds: int, accepted: bool) -> None:
    request = _request(_headers(b"", V2_EMPTY, v4=False, token=None), b"")
    if accepted:
        assert _authenticate(request, AT + seconds).access_key_id == "testak"
        return
    with pytest.raises(ServiceError, match="Mismatch between system time and x-ots-date"):
        _authenticate(request, AT + seconds)


def test_a_temporary_key_needs_its_token() -> None:
    tokens = {"testak": "tok-123"}
    good = _headers(SRC, "x2dZKpzKRlc1p/lllpaylqcG7Dc=", v4=False, token="tok-123")
    wire.authenticate(_request(good, SRC), {"testak": "testsk"}, tokens, AT)
    without = _headers(SRC, "m3d7uhXcToFM4yTcg6JP2FuspY4=", v4=False, token=None)
    with pytest.raises(ServiceError, match="token"):
        wire.authenticate(_request(without, SRC), {"testak": "testsk"}, tokens, AT)


def test_only_post_is_allowed() -> None:
    with pytest.raises(ServiceError) as caught:
        _authenticate(_request({}, b"", "GET"))
    assert (caught.value.status, caught.value.code) == (405, "OTSMethodNotAllowed")


def test_a_body_over_five_megabytes_is_refused(tablestore_server: Any) -> None:
    status, _, body = tablestore_server.send("ListTable", bytes(5 * 1024 * 1024 + 1))
    assert status == 413
    assert b"OTSRequestBodyTooLarge" in body


def test_an_unknown_operation_and_a_broken_body_are_refused(tablestore_server: Any) -> None:
    assert tablestore_server.refused("FlyAway") == (
        400,
        "OTSParameterInvalid",
        "Unsupported operation: FlyAway.",
    )
    assert tablestore_server.refused("GetRow", b"\xff\xff")[:2] == (400, "OTSParameterInvalid")


@pytest.mark.parametrize("options", [{}, {"region": "cn-hangzhou"}], ids=["v2", "v4"])
def test_the_vendors_client_sees_a_wrong_secret_as_a_service_error(
    tablestore_server: Any, options: dict[str, str]
) -> None:
    with pytest.raises(ots.OTSServiceError) as caught:
        tablestore_server.client(secret="wrong", **options).list_table()
    assert (caught.value.http_status, caught.value.code) == (403, "OTSAuthFailed")
    with pytest.raises(ots.OTSServiceError) as caught:
        tablestore_server.client(key_id="nobody", **options).list_table()
    assert caught.value.message == "The AccessKeyID does not exist."


def test_a_shifted_service_clock_refuses_the_vendors_client(tablestore_server: Any) -> None:
    tablestore_server.control("clock", {"offset": 3600})
    with pytest.raises(ots.OTSClientError, match="15 minutes"):
        tablestore_server.client().list_table()


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"action": "throttle"}, 503, "OTSServerBusy"),
        ({"action": "throttle", "code": "OTSFlowControl"}, 429, "OTSFlowControl"),
        ({"action": "throttle", "code": "OTSQuotaExhausted"}, 403, "OTSQuotaExhausted"),
        ({"action": "error"}, 500, "OTSInternalServerError"),
        ({"action": "error", "code": "OTSPartitionUnavailable"}, 503, "OTSPartitionUnavailable"),
        ({"action": "error", "code": "OTSOdd", "status": 418, "message": "tea"}, 418, "OTSOdd"),
    ],
)
def test_an_armed_error_is_answered_once_and_changes_nothing(
    tablestore_server: Any, fault: dict[str, Any], status: int, code: str
) -> None:
    client = tablestore_server.client()
    tablestore_server.control("faults", {**fault, "operation": "CreateTable", "key": "^t$"})
    meta, options = ots.TableMeta("t", [("k", "STRING")]), ots.TableOptions(-1, 1)
    with pytest.raises(ots.OTSServiceError) as caught:
        client.create_table(meta, options, ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
    assert (caught.value.http_status, caught.value.code) == (status, code)
    assert client.list_table() == ()
    client.create_table(meta, options, ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
    assert client.list_table() == ("t",)


def test_a_lost_reply_leaves_the_row_written_and_a_dropped_request_does_not(tablestore_server: Any) -> None:
    client = tablestore_server.client()
    client.create_table(
        ots.TableMeta("t", [("k", "STRING")]),
        ots.TableOptions(-1, 1),
        ots.ReservedThroughput(ots.CapacityUnit(0, 0)),
    )
    found = []
    for action in ("lost_reply", "drop_before"):
        tablestore_server.control("faults", {"action": action, "operation": "PutRow"})
        with pytest.raises(Exception, match=r"[Cc]onnection"):
            client.put_row("t", ots.Row([("k", action)], [("x", 1)]), ots.Condition("IGNORE"))
        found.append(client.get_row("t", [("k", action)], max_version=1)[1] is not None)
    assert found == [True, False]


def test_a_wrong_digest_is_seen_by_the_vendors_client(tablestore_server: Any) -> None:
    tablestore_server.control("faults", {"action": "wrong_crc", "operation": "ListTable"})
    with pytest.raises(ots.OTSClientError, match="MD5"):
        tablestore_server.client().list_table()


def test_the_request_log_names_operation_status_and_fault(tablestore_server: Any) -> None:
    tablestore_server.control("faults", {"action": "throttle"})
    tablestore_server.send("ListTable", b"")
    tablestore_server.send("ListTable", b"")
    assert tablestore_server.control("requests", method="GET") == [
        {"operation": "ListTable", "status": 503, "fault": "throttle"},
        {"operation": "ListTable", "status": 200, "fault": None},
    ]
    assert json.dumps(tablestore_server.control("faults", method="GET")[0]["fired"]) == "1"
