from __future__ import annotations

import crcmod
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.clients.oss.crc import combine, crc64

_JUDGE = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


def test_published_values_hold() -> None:
    assert crc64(b"") == 0
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert crc64(b"hello") == 11177612005948864433
    assert crc64(bytes(1 << 20)) == 6947770692288575170


def test_parts_combine_to_the_published_whole() -> None:
    assert combine(6748440630437108969, 10278880121275185425, 4) == 11051210869376104954


@given(st.binary(max_size=5000), st.binary(max_size=5000))
def test_any_two_parts_combine_to_the_whole(first: bytes, second: bytes) -> None:
    whole = crc64(first + second)
    assert whole == _JUDGE(first + second)
    assert combine(crc64(first), crc64(second), len(second)) == whole
    assert crc64(memoryview(second), crc64(first)) == whole
