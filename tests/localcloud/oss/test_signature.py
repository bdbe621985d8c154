"""The vectors were made with the vendor's own signers, with the clock held at 2026-01-02T03:04:05Z."""

from __future__ import annotations

import hashlib

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.signature import (
    Credential,
    Verifier,
    canonical_request_v4,
    sign_v1,
    sign_v4,
    string_to_sign_v1,
)
from airflow_provider_sync.localcloud.oss.wire import Call

KEY = "sales/2026 Q1/数据+1.csv"
U = "/examplebucket/sales/2026%20Q1/%E6%95%B0%E6%8D%AE%2B1.csv"
SECRET = "testAccessKeySecret"
NOW = 1767323045
V4 = {"x-oss-date": "20260102T030405Z", "x-oss-content-sha256": "UNSIGNED-PAYLOAD"}
SCOPE = "20260102/cn-hangzhou/oss/aliyun_v4_request"
UPLOAD = {
    "Content-Type": "text/csv",
    "Content-MD5": "XUFAKrxLKna5cZ2REBfFkg==",
    "x-oss-forbid-overwrite": "true",
    "x-oss-meta-owner": "etl",
}
LISTING = {
    "list-type": "2",
    "prefix": "sales/2026 Q1/",
    "max-keys": "1000",
    "continuation-token": "",
    "encoding-type": "url",
}
PRESIGNED = {
    "x-oss-credential": f"testAccessKeyId/{SCOPE}",
    "x-oss-date": "20260102T030405Z",
    "x-oss-expires": "3600",
    "x-oss-signature-version": "OSS4-HMAC-SHA256",
}


def call(
    method: str, key: str = KEY, params: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> Call:
    proxy = CIMultiDictProxy(CIMultiDict(headers or {}))
    return Call(method, "examplebucket", key, params or {}, proxy, b"", path_style=False)


VECTORS = [
    pytest.param(
        call("PUT", headers={**V4, **UPLOAD}),
        (),
        "c3c5b172f05e24bde39ced3f48479c82f6031172f7a4c6495ad2c00e22a07253",
        "6b0e0ddfbc1384fde2b22eb48d6720d248fc5c22d4d4838fc1b646bad7e25b86",
        id="put",
    ),
    pytest.param(
        call("GET", "", LISTING, V4),
        (),
        "857f2034ad9916c3af8d335014654f1690bdbdfaabb464269d59ea20f9a75810",
        "191bfbd72bd7ae180a910f67fc2cacb43bba95ab942c08ef8ea4cb29efd00484",
        id="list",
    ),
    pytest.param(
        call(
            "POST",
            params={"uploads": ""},
            headers={
                **V4,
                "Content-Type": "text/csv",
                "x-oss-security-token": "testToken",
                "Host": "examplebucket.oss-cn-hangzhou.aliyuncs.com",
            },
        ),
        ("host",),
        "c26e34a86997c1ffb0acc0789d2fd3f8b8e81fd5c8b41d7f1ec32cb07ed34b89",
        "513df5c383d1a2d497e25509b6af6a886a3e24c1fe465a1264574d98cb3533e7",
        id="additional-header-and-token",
    ),
    pytest.param(
        call("GET", params=PRESIGNED),
        (),
        "946f8370304fd636c9604e6ff44352cae15c3e2571d49e8ad47be18a42479548",
        "7d1c321cf5371239c5ba0c3a2b738ab485f1490ad01e8ca8632d53ad563c6e16",
        id="presigned",
    ),
]


@pytest.mark.parametrize(("request_", "additional", "digest", "signature"), VECTORS)
def test_v4_signs_as_the_vendor_does(
    request_: Call, additional: tuple[str, ...], digest: str, signature: str
) -> None:
    canonical = canonical_request_v4(request_, additional)
    assert hashlib.sha256(canonical.encode()).hexdigest() == digest
    to_sign = f"OSS4-HMAC-SHA256\n20260102T030405Z\n{SCOPE}\n{digest}"
    assert sign_v4(SECRET, "20260102", "cn-hangzhou", "oss", to_sign) == signature


def test_the_canonical_request_is_laid_out_as_documented() -> None:
    assert canonical_request_v4(call("PUT", headers={**V4, **UPLOAD}), ()) == (
        f"PUT\n{U}\n\ncontent-md5:XUFAKrxLKna5cZ2REBfFkg==\ncontent-type:text/csv\n"
        "x-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:20260102T030405Z\nx-oss-forbid-overwrite:true\n"
        "x-oss-meta-owner:etl\n\n\nUNSIGNED-PAYLOAD"
    )


@pytest.mark.parametrize(
    ("request_", "date", "signature"),
    [
        (call("PUT", headers=UPLOAD), "Fri, 02 Jan 2026 03:04:05 GMT", "CYFFmgW36xkD13I0AGkz1PB+M1Q="),
        (
            call("PUT", params={"partNumber": "1", "uploadId": "0004B9895DBBB6EC98E36", "unknown": "x"}),
            "Fri, 02 Jan 2026 03:04:05 GMT",
            "F6w7PwKrm9CuV5k6y9WC/lTQykM=",
        ),
        (call("GET"), "1767326645", "NdDeyaVmNBYQIGBzrlevgVL/8qU="),
    ],
)
def test_v1_signs_as_the_vendor_does(request_: Call, date: str, signature: str) -> None:
    assert sign_v1(SECRET, string_to_sign_v1(request_, date)) == signature


def authorized(**changed: str) -> Call:
    """Vector A as a request; ``changed`` replaces parts of the credential."""
    parts = {
        "id": "testAccessKeyId",
        "scope": SCOPE,
        "signature": VECTORS[0].values[3],
        "date": V4["x-oss-date"],
    }
    parts |= changed
    credential = f"Credential={parts['id']}/{parts['scope']}"
    value = f"OSS4-HMAC-SHA256 {credential},Signature={parts['signature']}"
    return call("PUT", headers={**V4, **UPLOAD, "x-oss-date": parts["date"], "Authorization": value})


def verifier(**options: object) -> Verifier:
    return Verifier({"testAccessKeyId": Credential(SECRET)}, **options)  # type: ignore[arg-type]


def test_the_vector_is_accepted_within_15_minutes() -> None:
    for now in (NOW - 899, NOW, NOW + 899):
        assert verifier().verify(authorized(), now) == "testAccessKeyId"


def test_blanks_and_another_order_in_the_header_are_accepted() -> None:
    signature = VECTORS[0].values[3]
    value = f"OSS4-HMAC-SHA256 Signature={signature}, AdditionalHeaders=,  Credential=testAccessKeyId/{SCOPE}"
    request = call("PUT", headers={**V4, **UPLOAD, "Authorization": value})
    assert verifier().verify(request, NOW) == "testAccessKeyId"


@pytest.mark.parametrize(
    ("request_", "now", "code"),
    [
        (authorized(signature="0" * 64), NOW, "SignatureDoesNotMatch"),
        (authorized(id="nobody"), NOW, "InvalidAccessKeyId"),
        (authorized(), NOW + 901, "RequestTimeTooSkewed"),
        (authorized(), NOW - 901, "RequestTimeTooSkewed"),
        (authorized(scope="20260103/cn-hangzhou/oss/aliyun_v4_request"), NOW, "InvalidArgument"),
        (authorized(scope="20260102/cn-hangzhou/s3/aliyun_v4_request"), NOW, "InvalidArgument"),
        (authorized(scope="20260102/cn-hangzhou/oss/aws4_request"), NOW, "InvalidArgument"),
        (authorized(date="yesterday"), NOW, "InvalidArgument"),
        (call("GET", headers={"Authorization": "OSS testAccessKeyId"}), NOW, "InvalidArgument"),
        (call("GET", headers={"Authorization": "OSS testAccessKeyId:x"}), NOW, "AccessDenied"),
        (call("GET", headers={"Authorization": "Basic x"}), NOW, "InvalidArgument"),
    ],
)
def test_a_wrong_claim_is_refused_by_name(request_: Call, now: float, code: str) -> None:
    with pytest.raises(OssError) as caught:
        verifier().verify(request_, now)
    assert caught.value.code == code


def test_a_mismatch_shows_what_was_signed_and_no_secret() -> None:
    with pytest.raises(OssError) as caught:
        verifier().verify(authorized(signature="0" * 64), NOW)
    assert caught.value.details["CanonicalRequest"].startswith(f"PUT\n{U}\n")
    assert SECRET not in repr(vars(caught.value))


def test_a_presigned_request_lives_until_it_expires() -> None:
    request = call("GET", params={**PRESIGNED, "x-oss-signature": VECTORS[3].values[3]})
    assert verifier().verify(request, NOW + 3600) == "testAccessKeyId"
    with pytest.raises(OssError, match="Request has expired"):
        verifier().verify(request, NOW + 3601)


def test_another_region_is_refused_when_one_is_set() -> None:
    assert verifier(region="cn-hangzhou").verify(authorized(), NOW)
    with pytest.raises(OssError, match="region"):
        verifier(region="cn-beijing").verify(authorized(), NOW)


def test_v1_is_refused_when_asked_so() -> None:
    request = call(
        "PUT",
        headers={
            **UPLOAD,
            "Date": "Fri, 02 Jan 2026 03:04:05 GMT",
            "Authorization": "OSS testAccessKeyId:CYFFmgW36xkD13I0AGkz1PB+M1Q=",
        },
    )
    assert verifier().verify(request, NOW) == "testAccessKeyId"
    with pytest.raises(OssError) as caught:
        verifier(reject_v1=True).verify(request, NOW)
    assert caught.value.ec == "0002-00000080"
