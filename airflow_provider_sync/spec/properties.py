"""Java properties files, with the line that each value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_sync.errors import ConfigError

__all__ = ["Property", "read_properties"]

_BLANKS = " \t\f"
_ENDS_NAME = f"=:{_BLANKS}"
_PLAIN = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_CODE = re.compile(r"[0-9A-Fa-f]{4}")


@dataclass(frozen=True, slots=True)
class Property:
    """One ``name=value``; ``line`` counts from 1. The value may be a secret, so it does not print."""

    name: str
    value: str
    line: int

    def __repr__(self) -> str:
        return f"Property({self.name!r}, line {self.line})"


def read_properties(text: str, where: str) -> dict[str, Property]:
    r"""Read a file as ``java.util.Properties`` does; of a name that is there twice, the last value counts.

    Documented grammar: ``#`` and ``!`` start comments, ``=``, ``:`` or blanks end the name, a line that ends in
    an odd number of backslashes goes on in the next, ``\uXXXX`` is a character. Blanks at the end of a value,
    which Java keeps, are taken off: nobody means them. ``where`` names the file in errors.
    """
    found: dict[str, Property] = {}
    for number, line in _logical_lines(text):
        end = next((at for at, sign in _unescaped(line) if sign in _ENDS_NAME), len(line))
        value = line[end:].lstrip(_BLANKS)
        if value[:1] in {"=", ":"}:
            value = value[1:].lstrip(_BLANKS)
        name = _unescape(line[:end], f"{where}, line {number}")
        found[name] = Property(name, _unescape(value, f"{where}, line {number}").rstrip(), number)
    return found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number of the first line, joined text) of all lines that hold something."""
    first, joined = 0, ""
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), 1):
        line = raw.lstrip(_BLANKS)
        if not first:
            if not line or line[0] in "#!":
                continue
            first = number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            joined += line[:-1]
            continue
        yield first, joined + line
        first, joined = 0, ""
    if first:
        yield first, joined


def _unescaped(line: str) -> Iterator[tuple[int, str]]:
    skip = False
    for at, sign in enumerate(line):
        if not skip and sign != "\\":
            yield at, sign
        skip = sign == "\\" and not skip


def _unescape(text: str, where: str) -> str:
    if "\\" not in text:
        return text
    parts: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "\\":
            parts.append(text[at])
            at += 1
            continue
        sign = text[at + 1 : at + 2]
        if sign == "u":
            code = text[at + 2 : at + 6]
            if not _CODE.fullmatch(code):
                raise ConfigError(
                    where, reason="\\u without four hex digits", cure="write \\\\ for a backslash"
                )
            parts.append(chr(int(code, 16)))
            at += 6
        else:
            parts.append(_PLAIN.get(sign, sign))
            at += 2
    return "".join(parts)
