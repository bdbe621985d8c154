from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.properties import read_properties


def values(text: str) -> dict[str, str]:
    return {name: one.value for name, one in read_properties(text, "a.cfg").items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a = 1 \n b : 2", {"a": "1", "b": "2"}),
        ("a 1", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("# a=1\n! b=2\n\n   # c=3\nd=4", {"d": "4"}),
        ("a=x\\\n   y\\\n z", {"a": "xyz"}),
        ("a=x\\\\\nb=2", {"a": "x\\", "b": "2"}),
        ("a=x\\", {"a": "x"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("\ufeffa=1", {"a": "1"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a\\=b=c", {"a=b": "c"}),
        ("a=\\u00e4\\t\\n\\q", {"a": "ä\t\nq".rstrip()}),
        ("workerMaxThroughput(KB/s)=0", {"workerMaxThroughput(KB/s)": "0"}),
        ("a=# no comment", {"a": "# no comment"}),
    ],
)
def test_files_are_read_as_java_reads_them(text: str, expected: dict[str, str]) -> None:
    assert values(text) == expected


def test_a_value_knows_its_line_and_does_not_print() -> None:
    found = read_properties("# one\n\nkey=very\\\n  secret\nother=1", "a.cfg")
    assert (found["key"].line, found["other"].line) == (3, 5)
    assert "secret" not in repr(found)


def test_a_broken_escape_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"a\.cfg, line 2: \\u without four hex digits"):
        read_properties("a=1\nb=\\u12", "a.cfg")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z]\w{0,9}", fullmatch=True), st.from_regex(r"[!-\[\]-~]{0,9}", fullmatch=True)
    )
)
def test_what_needs_no_escape_comes_back(pairs: dict[str, str]) -> None:
    pairs = {name: value for name, value in pairs.items() if value[:1] not in {"=", ":"}}
    assert values("\n".join(f"{name}={value}" for name, value in pairs.items())) == pairs
