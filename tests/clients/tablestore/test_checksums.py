"""Many checksums at once must be those of one call each."""

import numpy as np
from fastcrc import crc8
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sync.clients.tablestore.checksums import (
    CRC8,
    append_words,
    checksums_of,
    range_word,
    range_words,
)

PIECES = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=40) | st.binary(min_size=250, max_size=300), st.integers(0, 255)
    ),
    min_size=1,
    max_size=30,
)


def words_of(pieces):
    data = bytes(8) + b"".join(piece for piece, _ in pieces) + bytes(8)
    buffer = np.frombuffer(data, np.uint8)
    words = np.ndarray((len(data) - 7,), "<u8", buffer, 0, (1,))
    length = np.array([len(piece) for piece, _ in pieces])
    start = 8 + np.cumsum(length) - length
    return range_words(buffer, words, start, length, np.array([before for _, before in pieces], np.uint8))


@settings(max_examples=200, deadline=None)
@given(PIECES)
def test_ranges_have_the_checksums_of_single_calls(pieces):
    assert checksums_of(words_of(pieces)).tolist() == [crc8.smbus(piece, before) for piece, before in pieces]


@given(PIECES, st.data())
def test_a_number_behind_a_range_counts_like_its_bytes(pieces, data):
    numbers = data.draw(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(pieces), max_size=len(pieces))
    )
    words = append_words(words_of(pieces), np.array(numbers, np.int64))
    assert checksums_of(words).tolist() == [
        crc8.smbus(piece + number.to_bytes(8, "little", signed=True), before)
        for (piece, before), number in zip(pieces, numbers, strict=True)
    ]


@given(st.binary(min_size=1, max_size=50))
def test_one_range_alone_is_congruent_to_its_bytes(data):
    assert checksums_of(np.array([range_word(data)], np.uint64)).tolist() == [crc8.smbus(data)]


def test_the_published_check_value_comes_out():
    assert checksums_of(words_of([(b"123456789", 0)])).tolist() == [0xF4]
    crc, seen = 0, []
    for byte in (1, 3, 7, 255, 128, 0):
        crc = int(CRC8[crc ^ byte])
        seen.append(crc)
    assert seen == [7, 28, 65, 51, 16, 112]
