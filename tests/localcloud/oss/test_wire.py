from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from airflow_provider_sync.localcloud.http import Request
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.wire import Addressing, Call, http_date, iso_date, parse_http_date


def parse(path: str, host: str, query: str = "", addressing: Addressing | None = None) -> Call:
    headers = CIMultiDictProxy(CIMultiDict({"Host": host}))
    return (addressing or Addressing()).parse(Request("GET", path, query, headers, b""))


@pytest.mark.parametrize(
    "host",
    [
        "bkt.oss.localhost:8801",
        "bkt.oss-cn-hangzhou.localhost",
        "bkt.localhost:1",
        "bkt.oss-cn-hangzhou.aliyuncs.com",
        "bkt.oss-cn-hangzhou-internal.aliyuncs.com:80",
        "bkt.127.0.0.1.nip.io:8801",
        "bkt.127.0.0.1.sslip.io",
        "bkt.oss.my.test:8801",
        "BKT.oss.localhost",
    ],
)
def test_the_host_names_the_bucket(host: str) -> None:
    call = parse("/a%2Fb/c", host, addressing=Addressing(["oss.my.test"]))
    assert (call.bucket, call.key, call.path_style) == ("bkt", "a/b/c", False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8801",
        "localhost",
        "oss.localhost",
        "localcloud:8801",
        "oss-cn-hangzhou.aliyuncs.com",
        "[::1]:1",
    ],
)
def test_other_hosts_leave_it_to_the_path(host: str) -> None:
    call = parse("/bkt/a%2Fb/c", host)
    assert (call.bucket, call.key, call.path_style) == ("bkt", "a/b/c", True)
    assert (parse("/bkt", host).bucket, parse("/bkt/", host).key) == ("bkt", "")
    assert parse("/", host).bucket == ""


def test_a_request_to_a_proxy_carries_its_host_in_the_path() -> None:
    call = parse("http://bkt.oss-cn-hangzhou.aliyuncs.com/a%20b", "127.0.0.1")
    assert (call.bucket, call.key) == ("bkt", "a b")


def test_path_style_can_be_refused_as_the_real_service_does() -> None:
    addressing = Addressing(refuse_path_style=True)
    assert parse("/k", "bkt.localhost", addressing=addressing).bucket == "bkt"
    with pytest.raises(OssError) as caught:
        parse("/bkt/k", "127.0.0.1", addressing=addressing)
    assert caught.value.code == "SecondLevelDomainForbidden"


def test_a_query_is_decoded_with_plus_as_a_blank() -> None:
    call = parse("/b/", "127.0.0.1", "prefix=a+b%2B%2Fc&uploads&marker=&x=1=2")
    assert call.params == {"prefix": "a b+/c", "uploads": "", "marker": "", "x": "1=2"}


def test_a_key_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(OssError) as caught:
        parse("/b/%ff", "127.0.0.1")
    assert caught.value.code == "InvalidObjectName"


def test_dates_are_written_and_read_as_oss_does() -> None:
    assert http_date(1767323045.9) == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert iso_date(1767323045.9) == "2026-01-02T03:04:05.000Z"
    assert parse_http_date("Fri, 02 Jan 2026 03:04:05 GMT") == 1767323045
    assert parse_http_date("soon") is None
