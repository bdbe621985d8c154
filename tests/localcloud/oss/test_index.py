from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.localcloud.oss.index import KeyIndex

_KEYS = st.text(alphabet="ab/é中\U0001f600", max_size=4)


@given(st.lists(st.tuples(st.booleans(), _KEYS), max_size=60), _KEYS, st.booleans())
def test_keys_come_in_the_order_of_their_bytes(
    changes: list[tuple[bool, str]], start: str, after: bool
) -> None:
    index, oracle = KeyIndex(), set[str]()
    for add, key in changes:
        if add and key not in oracle:
            index.add(key)
            oracle.add(key)
        elif not add and key in oracle:
            index.remove(key)
            oracle.remove(key)
    first = start.encode()
    wanted = sorted(key.encode() for key in oracle if key.encode() > first or (not after and key == start))
    assert [key.encode() for key in index.iterate(start, after=after)] == wanted


def test_many_keys_stay_in_order() -> None:
    index = KeyIndex()
    numbers = [(number * 7919) % 10_007 for number in range(10_007)]
    for number in numbers:
        index.add(f"{number:05d}")
    for number in range(0, 10_007, 2):
        index.remove(f"{number:05d}")
    assert list(index.iterate("05000")) == [f"{number:05d}" for number in range(5001, 10_007, 2)]
