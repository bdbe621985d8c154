"""JSON as people write it in job files: with comments and trailing commas, and errors that name the place.

Comments are blanked at equal length before the standard parser sees the text, so that every line and column
stays where the author sees it.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from airflow_provider_sync.errors import ConfigError

__all__ = ["loads"]

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(rf"(?P<string>{_STRING})|//[^\n]*|#[^\n]*|/\*.*?\*/|(?P<open>/\*)", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|(?P<comma>,)(?=\s*[\]}}])", re.DOTALL)
_STRUCTURE = re.compile(rf"{_STRING}|[\[\]{{}},:]", re.DOTALL)
_NOT_NEWLINE = re.compile(r"[^\n]")


def loads(text: str, name: str = "job file") -> Any:
    r"""Return the JSON value in ``text``; ``name`` says whose text it is in errors.

    Beyond JSON: ``//`` and ``#`` comments to the end of the line, ``/* */`` comments, commas before ``]`` and
    ``}``, and a byte order mark. Less than Python's JSON: a key twice in one object, NaN and infinities are
    refused. Every refusal is a :class:`ConfigError` with line and column (both from 1), and never shows more
    of the text than one character or a key, because job files may hold secrets.
    """
    clean = _blank_commas(
        _blank_comments(text.replace("\ufeff", " ", 1) if text[:1] == "\ufeff" else text, name)
    )

    def refuse_constant(constant: str) -> NoReturn:
        raise ConfigError(name, reason=f"{constant} is not JSON", allowed="numbers")

    try:
        value = json.loads(clean, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise _at(clean, error.pos, _explain(clean, error), name) from None
    except RecursionError:
        raise ConfigError(name, reason="nested too deeply") from None
    _refuse_duplicates(clean, name)
    return value


def _blank_comments(text: str, name: str) -> str:
    def blank(match: re.Match[str]) -> str:
        if match["string"] is not None:
            return match[0]
        if match["open"] is not None:
            raise _at(text, match.start(), "this comment has no end; expecting */", name)
        return _NOT_NEWLINE.sub(" ", match[0])

    return _COMMENT.sub(blank, text)


def _blank_commas(text: str) -> str:
    def blank(match: re.Match[str]) -> str:
        if match["comma"] is None:
            return match[0]
        before = text[: match.start()].rstrip()
        return "," if before[-1:] in {"", "[", "{", ","} else " "

    return _COMMA.sub(blank, text)


def _refuse_duplicates(text: str, name: str) -> None:
    # The text is known to be valid here, so a string is a key exactly if an object is open and no colon came.
    open_objects: list[set[str] | None] = []
    at_key = False
    for match in _STRUCTURE.finditer(text):
        mark = match[0]
        if mark in "{[":
            open_objects.append(set() if mark == "{" else None)
            at_key = mark == "{"
        elif mark in "}]":
            open_objects.pop()
            at_key = False
        elif mark == ",":
            at_key = bool(open_objects) and open_objects[-1] is not None
        elif mark == ":":
            at_key = False
        elif at_key and (seen := open_objects[-1]) is not None:
            key = json.loads(mark)
            if key in seen:
                raise _at(
                    text, match.start(), f"the key {key!r} is there twice in one object; remove one", name
                )
            seen.add(key)


def _explain(text: str, error: json.JSONDecodeError) -> str:
    found = text[error.pos : error.pos + 1]
    message = f"{error.msg[:1].lower()}{error.msg[1:]}"
    if error.msg.startswith("Unterminated string"):
        return 'this text has no end; expecting "'
    if error.msg.startswith("Invalid control character"):
        return 'a line break or another control character inside a text; expecting " before it, or \\n'
    if found == "$":
        return f'{message}, found $; put quotes round it: "${{name}}"'
    if found == "'":
        return f"{message}, found a single quote; JSON uses double quotes"
    return f"{message}, found {'the end of the text' if not found else repr(found)}"


def _at(text: str, position: int, reason: str, name: str) -> ConfigError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return ConfigError(name, reason=f"line {line}, column {column}: {reason}")
