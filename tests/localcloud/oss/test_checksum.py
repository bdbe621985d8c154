from __future__ import annotations

import crcmod
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.localcloud.oss.checksum import combine, crc64

_VENDOR = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0),
        (bytes(1 << 20), 6947770692288575170),
        (b"123456789", 11051210869376104954),
        (b"hello", 11177612005948864433),
        (b"12345", 6748440630437108969),
    ],
)
def test_the_checksum_has_its_published_values(data: bytes, value: int) -> None:
    assert crc64(data) == value


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_combining_is_the_checksum_of_both_in_a_row(first: bytes, second: bytes) -> None:
    assert combine(crc64(first), crc64(second), len(second)) == _VENDOR(first + second)
    assert crc64(second, crc64(first)) == _VENDOR(first + second)
