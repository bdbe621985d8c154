"""The protocol by requests captured from the vendor's SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from airflow_provider_sync.localcloud.http import Request
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.wire import Verifier, parse, refusal

NOW = 1795209173.0  # 2026-11-20T21:12:53Z
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
AGENT = "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2"
NAMES = (
    "accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;"
    "x-acs-signature-nonce;x-acs-version"
)
SAMPLES = [
    (
        "CreateDataFlowSubTask",
        "ae8287e42e86a788312a8a81c2e512ab",
        (
            "ClientToken=dag.run.task.0&Condition.ModifyTime=1725897600000000000&Condition.Size=68"
            "&DataFlowId=df-37bae1804cc6&DataFlowTaskId=task-376a61ab2d80&DryRun=False&DstFilePath=%2Fmnt%2Ffile.xml"
            "&FileSystemId=bmcpfs-370jz26fkr2st9&SrcFilePath=%2Ffile+name%2B%C3%BC.xml"
        ),
        "68007ca56c8a7ec4c22b896c03905054e78ef34c89a5fce6cdfe82c39c4d6052",
    ),
    (
        "DescribeDataFlowSubTasks",
        "597d9bf15e6c0376fe5e2cbf6e7fda39",
        (
            "FileSystemId=bmcpfs-370jz26fkr2st9&Filters.1.Key=DataFlowSubTaskIds"
            "&Filters.1.Value=subTaskId-a%2CsubTaskId-b&Filters.2.Key=Status&Filters.2.Value=RUNNING&MaxResults=20"
            "&NextToken=tok1"
        ),
        "a22ed2d9fc671a7378aeee658f66225a20eaf9877109b4abde3aafce8c5ac7b4",
    ),
]


def sample(number: int = 0, query: str = "", **headers: str) -> Request:
    action, nonce, captured, signature = SAMPLES[number]
    known = {
        "host": "127.0.0.1:35203",
        "x-acs-version": "2017-06-26",
        "x-acs-action": action,
        "user-agent": AGENT,
        "x-acs-date": "2026-11-20T21:12:53Z",
        "x-acs-signature-nonce": nonce,
        "accept": "application/json",
        "x-acs-content-sha256": EMPTY,
        "x-acs-credentials-provider": "static_ak",
        "Authorization": f"ACS3-HMAC-SHA256 Credential=LTAIfake,SignedHeaders={NAMES},Signature={signature}",
    }
    found = CIMultiDict({**known, **{name.replace("_", "-"): value for name, value in headers.items()}})
    return Request("POST", "/", query or captured, CIMultiDictProxy(found), b"")


def verify(request: Request, verifier: Verifier | None = None, now: float = NOW) -> None:
    (verifier or Verifier({"LTAIfake": "secret"}, {})).verify(request, parse(request), now)


@pytest.mark.parametrize("number", [0, 1])
def test_captured_requests_are_accepted(number: int) -> None:
    verify(sample(number))


def test_captured_parameters_are_read() -> None:
    call = parse(sample(0))
    assert (call.text("SrcFilePath"), call.flag("DryRun")) == ("/file name+ü.xml", False)
    assert call.number("Condition.ModifyTime", 0, 0, 2**63) == 1725897600000000000
    assert parse(sample(1)).filters() == [
        ("DataFlowSubTaskIds", "subTaskId-a,subTaskId-b"),
        ("Status", "RUNNING"),
    ]


def test_another_escaping_of_the_same_query_is_the_same() -> None:
    query = SAMPLES[0][2].replace("%2F", "/").replace("+", "%20")
    verify(sample(0, query))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (sample(0, SAMPLES[0][2].replace("68", "69")), "SignatureDoesNotMatch"),
        (sample(x_acs_action="CancelDataFlowSubTask"), "SignatureDoesNotMatch"),
        (sample(x_acs_content_sha256="0" * 64), "SignatureDoesNotMatch"),
        (sample(Authorization="Basic abc"), "MissingAuthorization"),
        (sample(x_acs_security_token="of somebody"), "InvalidSecurityToken.Malformed"),
    ],
)
def test_a_changed_request_is_refused(request_: Request, code: str) -> None:
    with pytest.raises(NasError) as caught:
        verify(request_)
    assert caught.value.code == code


def test_a_request_counts_once() -> None:
    verifier = Verifier({"LTAIfake": "secret"}, {})
    verify(sample(), verifier)
    with pytest.raises(NasError) as caught:
        verify(sample(), verifier)
    assert caught.value.code == "SignatureNonceUsed"


@pytest.mark.parametrize(("seconds", "fine"), [(899, True), (-899, True), (901, False), (-901, False)])
def test_a_request_is_of_now(seconds: float, fine: bool) -> None:
    if fine:
        verify(sample(), now=NOW + seconds)
    else:
        with pytest.raises(NasError) as caught:
            verify(sample(), now=NOW + seconds)
        assert caught.value.code == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize("headers", [{"x_acs_version": "2014-05-26"}, {"x_acs_version": ""}])
def test_another_version_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(NasError) as caught:
        parse(sample(**headers))
    assert (caught.value.status, caught.value.code) == (404, "InvalidVersion")


def test_a_query_that_is_no_text_is_refused() -> None:
    with pytest.raises(NasError) as caught:
        parse(sample(0, "SrcFilePath=%FF"))
    assert caught.value.code == "IllegalCharacters"


def test_a_refusal_has_the_documented_fields() -> None:
    answer = refusal("R-1", "nas.local", NasError.throttled(1.5))
    data: dict[str, Any] = json.loads(answer.body)
    assert set(data) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert (answer.status, data["Code"], answer.headers["x-acs-retry-after"]) == (
        429,
        "Throttling.User",
        "1500",
    )
