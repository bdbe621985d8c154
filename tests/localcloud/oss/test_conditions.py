from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from airflow_provider_sync.localcloud.oss.conditions import check_copy_source, check_read, requested_range
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.model import Version
from airflow_provider_sync.localcloud.oss.wire import Call

BEFORE, AT, AFTER = (
    "Fri, 02 Jan 2026 03:04:04 GMT",
    "Fri, 02 Jan 2026 03:04:05 GMT",
    "Fri, 02 Jan 2026 03:04:06 GMT",
)
VERSION = Version("null", 1, 1767323045.5, etag="ABC")


def call(**headers: str) -> Call:
    proxy = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
    return Call("GET", "b", "k", {}, proxy, b"", path_style=False)


@pytest.mark.parametrize(
    ("text", "default", "standard"),
    [
        ("bytes=0-4", (0, 5), (0, 5)),
        ("bytes=5-", (5, 10), (5, 10)),
        ("bytes=-3", (7, 10), (7, 10)),
        ("bytes=9-9", (9, 10), (9, 10)),
        ("bytes=5-99", None, (5, 10)),
        ("bytes=-99", None, (0, 10)),
        ("bytes=10-", None, "InvalidRange"),
        ("bytes=10-12", None, "InvalidRange"),
        ("bytes=-0", None, "InvalidRange"),
        ("bytes=5-4", None, None),
        ("bytes=-", None, None),
        ("bytes=0-1,3-4", None, None),
        ("lines=1-2", None, None),
        ("", None, None),
    ],
)
def test_ranges_have_two_behaviours(
    text: str, default: tuple[int, int] | None, standard: tuple[int, int] | str | None
) -> None:
    assert requested_range(call(Range=text), 10) == default
    asked = call(Range=text, x_oss_range_behavior="standard")
    if isinstance(standard, str):
        with pytest.raises(OssError) as caught:
            requested_range(asked, 10)
        assert (caught.value.status, caught.value.code) == (416, standard)
    else:
        assert requested_range(asked, 10) == standard


@pytest.mark.parametrize(
    ("headers", "result"),
    [
        ({}, 200),
        ({"If_Match": '"ABC"'}, 200),
        ({"If_Match": '"XYZ"'}, 412),
        ({"If_None_Match": '"ABC"'}, 304),
        ({"If_None_Match": '"XYZ"'}, 200),
        ({"If_Unmodified_Since": BEFORE}, 412),
        ({"If_Unmodified_Since": AT}, 200),
        ({"If_Modified_Since": BEFORE}, 200),
        ({"If_Modified_Since": AT}, 304),
        ({"If_Modified_Since": AFTER}, 304),
        ({"If_Modified_Since": "not a date"}, 200),
        ({"If_Match": '"ABC"', "If_Modified_Since": AT}, 304),
        ({"If_Match": '"XYZ"', "If_None_Match": '"ABC"'}, 412),
    ],
)
def test_conditions_end_in_200_304_or_412(headers: dict[str, str], result: int) -> None:
    source = {f"x_oss_copy_source_{name.lower()}": value for name, value in headers.items()}
    if result == 412:
        for check, request in ((check_read, call(**headers)), (check_copy_source, call(**source))):
            with pytest.raises(OssError) as caught:
                check(request, VERSION)
            assert caught.value.code == "PreconditionFailed"
        return
    assert check_read(call(**headers), VERSION) is (result == 200)
    if result == 304:
        with pytest.raises(OssError) as caught:
            check_copy_source(call(**source), VERSION)
        assert caught.value.status == 304
    else:
        check_copy_source(call(**source), VERSION)
