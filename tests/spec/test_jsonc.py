from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.jsonc import loads

_DOCUMENT = """{
  "type": "job",
  "version": "1.0",
  "configuration": {
    "setting": {
      "errorLimit": {
        "record": "0"  # Allowed number of errors. If it "exceeds" the value, the task fails.
      },
    },
    // a line comment with "quotes" and a # sign
    "reader": { /* a block
      comment over // two lines, with a , ] } */
      "url": "http://host/#anchor?a=/*not a comment*/",
      "escaped": "a \\" // quote \\\\",
      "column": [{"name": "uid"}, {"name": "name"},],
    }
  },
}
"""

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.sampled_from('ab"\\/#*,{}[]: \n\té单')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
_COMMENTS = ('// x "y\n', "# [}\n", '/* " */', "/**/", "/* , } \n */", "  ")


def test_comments_and_trailing_commas_are_allowed() -> None:
    assert loads(_DOCUMENT) == {
        "type": "job",
        "version": "1.0",
        "configuration": {
            "setting": {"errorLimit": {"record": "0"}},
            "reader": {
                "url": "http://host/#anchor?a=/*not a comment*/",
                "escaped": 'a " // quote \\',
                "column": [{"name": "uid"}, {"name": "name"}],
            },
        },
    }


@given(JSON, st.data())
def test_comments_anywhere_between_tokens_change_nothing(value: object, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    # With an indent, every line break of the dump stands between two tokens.
    lines = [line + data.draw(st.sampled_from(_COMMENTS)) for line in text.split("\n")]
    assert loads("\n".join(lines)) == value


def test_a_byte_order_mark_is_ignored() -> None:
    assert loads('\ufeff{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1\n "b": 2}', "line 2, column 2: expecting ',' delimiter, found '\"'"),
        ('{"a": 1, /* two\nlines */ b: 2}', "line 2, column 10: expecting property name"),
        ('{"a": }', "line 1, column 7: expecting value, found '}'"),
        (
            "{'a': 1}",
            "line 1, column 2: expecting property name enclosed in double quotes, found a single quote",
        ),
        ('{"a": 1', "line 1, column 8: expecting ',' delimiter, found the end of the text"),
        ("", "line 1, column 1: expecting value, found the end of the text"),
        ('{"a": 1}\n\n  {', "line 3, column 3: extra data"),
        ('{"a": "no end', "line 1, column 7: this text has no end"),
        ('{"a": "no end\n}', "line 1, column 14: a line break or another control character inside a text"),
        ('{\n  "channel": ${channel}\n}', "line 2, column 14: expecting value, found $; put quotes round it"),
        ('{"a": 1} /* no end', "line 1, column 10: this comment has no end; expecting */"),
        ("[,]", "line 1, column 2: expecting value, found ','"),
        ("[1,,]", "line 1, column 4: expecting value, found ','"),
        ("{,}", "line 1, column 2: expecting property name"),
    ],
)
def test_a_syntax_error_names_line_column_and_what_was_expected(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text, "orders.json")
    assert str(caught.value).startswith(f"orders.json: {place}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1,\n "a": 2}', "line 2, column 2: the key 'a' is there twice"),
        (
            '{"x": {"a": 1}, "y": [{"b": 1, "c": "b", "b": 2}]}',
            "line 1, column 42: the key 'b' is there twice",
        ),
        (r'{"a": 1, "\u0061": 2}', "line 1, column 10: the key 'a' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(text: str, place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        loads(text)


def test_equal_keys_in_different_objects_and_equal_values_are_fine() -> None:
    text = '{"a": "a", "b": {"a": "a"}, "c": [{"a": 1}, {"a": 1}, "a", "a"]}'
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize("text", ['{"a": NaN}', "[Infinity]", "-Infinity"])
def test_constants_that_are_no_json_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not JSON"):
        loads(text)


def test_absurd_nesting_is_refused() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        loads("[" * 100_000)


def test_an_error_shows_nothing_of_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        loads('{"accessKey": "s3cr3t" "x": 1}')
    assert "s3cr3t" not in str(caught.value)
