from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._files import FileMove, glob_pattern, parse_files


@pytest.mark.parametrize(
    ("pattern", "fixed", "yes", "no"),
    [
        ("**", "", ["a", "a/b.csv"], []),
        ("*.csv", "", ["a.csv"], ["a/b.csv", "a.csvx"]),
        ("/in/*.csv", "in/", ["in/a.csv"], ["in/x/a.csv", "a.csv"]),
        ("in/**/*.csv", "in/", ["in/a.csv", "in/x/y/a.csv"], ["inx/a.csv"]),
        ("d?y/[0-9][!a].x", "d", ["day/1b.x"], ["day/1a.x", "d/y/1b.x", "day/xb.x"]),
        ("a+(b).csv", "a+(b).csv", ["a+(b).csv"], ["aab.csv"]),
        ("a[1", "a", ["a[1"], ["a1"]),
    ],
)
def test_globs_match_whole_names(pattern: str, fixed: str, yes: list[str], no: list[str]) -> None:
    found, expression = glob_pattern(pattern)
    assert found == fixed
    assert all(expression.fullmatch(name) for name in yes)
    assert not any(expression.fullmatch(name) for name in no)


@given(st.text(alphabet="abc/.*?[]!-^\\+( é", min_size=1).filter(lambda text: text.strip("/")))
def test_every_glob_is_an_expression_and_every_match_begins_with_its_fixed_part(pattern: str) -> None:
    try:
        fixed, expression = glob_pattern(pattern)
    except ConfigError:
        return
    assert isinstance(expression, re.Pattern)
    name = pattern.lstrip("/")
    if not re.search(r"[*?\[]", name):
        assert expression.fullmatch(name)
        assert fixed == name


def test_files_without_a_target_keep_their_path_below_the_target_directory() -> None:
    files = ["/a/b.bin", {"source": "/c", "target": "/d/e"}, {"source": "/f", "size": 3}]
    assert parse_files(files, lambda: "/mnt/") == [
        FileMove("/a/b.bin", "/mnt/a/b.bin"),
        FileMove("/c", "/d/e"),
        FileMove("/f", "/mnt/f", 3, None, exact=True),
    ]


def test_the_target_directory_is_not_asked_for_in_vain() -> None:
    def never() -> str:
        raise AssertionError

    assert parse_files({"source": "/a", "target": "/b"}, never) == [FileMove("/a", "/b")]


@pytest.mark.parametrize("files", ["/a", ["/a"], '["/a"]', ("/a", "/a"), {"source": "/a"}])
def test_one_file_can_be_given_in_many_ways(files: object) -> None:
    assert parse_files(files, lambda: "/") == [FileMove("/a", "/a")]


def test_another_version_of_a_file_is_another_file() -> None:
    names = {FileMove("/a", "/b", size).name for size in (None, 1, 2)} | {FileMove("/a", "/c").name}
    assert len(names) == 4
