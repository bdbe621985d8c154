"""Rewrite ``docs/parameters.md`` from the code: ``python docs/make_parameters.py``.

Plug-ins are found as the registry finds them, operators and sensors as Airflow finds them, so that a new one
needs no list here. What is said about a parameter is what its ``option(…)`` or its ``:param:`` says.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_sync import registry
from airflow_provider_sync.migration.ends import SOURCES, TARGETS
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.provider_info import get_provider_info
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits
from airflow_provider_sync.spec.options import describe_options

PAGE = Path(__file__).with_name("parameters.md")
_HEAD = """\
# All parameters

Made from the code by `python docs/make_parameters.py`; a test fails when this page is older than the code.
[Write modes and formats](writing.md), [Windows](windows.md) and [Connections](connections.md) say how the
parameters work together.

In job files a number or a flag may also be written as text (`"30"`, `"true"`), as DataX files have it. A
parameter that is not listed is refused, with its path and the names that are known.
"""
_PLUGINS: tuple[tuple[str, str, Callable[[], Sequence[str]], Callable[[str], type[Any]]], ...] = (
    ("Reader", "`reader.parameter` of a job", registry.reader_names, registry.reader_class),
    ("Writer", "`writer.parameter` of a job", registry.writer_names, registry.writer_class),
    ("Checkpoint store", "`checkpoint.parameter` of a job", registry.store_names, registry.store_class),
)
_OTHERS = {
    "airflow_provider_sync.timetables.safety_lag": ("SafetyLagTimetable",),
    "airflow_provider_sync.notifications": ("sync_alerts", "SyncAlert"),
    "airflow_provider_sync.factory": ("dags_from_folder",),
}
_PACKAGE = "airflow_provider_sync."
_REFUSED = "refused: "
_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
_PARAM = re.compile(r"^:param (?P<name>\w+): (?P<text>.*?)(?=^:param |^\s*$|\Z)", re.DOTALL | re.MULTILINE)
_WORD = re.compile(r"[a-z]+\b")
_CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")


def render() -> str:
    """Return the whole page."""
    parts = [_HEAD, *_airflow_parts(), *_job_parts()]
    for title, where, names, find in _PLUGINS:
        parts.append(f"## {title}s\n\nThe keys of {where}.\n")
        parts += [_plugin(_heading(title, name), find(name)) for name in names()]
    parts += _migration_parts()
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def plugin_headings() -> list[str]:
    """Return the heading that each plug-in must have on the page, in its order."""
    return [_heading(title, name) for title, _, names, _ in _PLUGINS for name in names()]


def _heading(title: str, name: str) -> str:
    return f"### {title} {name}"


def _airflow_parts() -> Iterator[str]:
    """Describe what a DAG file calls."""
    info = get_provider_info()
    yield "## Operators and sensors\n"
    for kind in ("operators", "sensors"):
        for group in info[kind]:
            for module in map(importlib.import_module, group["python-modules"]):
                for name in module.__all__:
                    yield _call(getattr(module, name))
    yield "## Timetable, alerts, job folders\n"
    for path, names in _OTHERS.items():
        for name in names:
            yield _call(getattr(importlib.import_module(path), name), path)


def _job_parts() -> Iterator[str]:
    """Describe a job file in our own form."""
    yield (
        "## Job files\n\nA job in this package's own form is JSON with these fields. DataX and DataWorks files "
        "become the same,\nsee [Moving](moving.md).\n"
    )
    for title, kind in (
        ("The job", JobSpec),
        ("`reader`, `writer`, `checkpoint`", Endpoint),
        ("`limits`", Limits),
    ):
        rows = [
            (f"`{one.name}`", _code(str(one.type)), _default(one))
            for one in dataclasses.fields(kind)
            if one.name != "inline"
        ]
        yield f"### {title}\n\n{_prose(kind.__doc__)}\n\n{_table(('field', 'type', 'default'), rows)}"


def _migration_parts() -> Iterator[str]:
    """Describe what an object migration is told; see its page."""
    yield "## Object migration\n\nSee [Object migration](migration.md).\n"
    yield f"### Migration options\n\nThe keys of `options`.\n\n{_options(MigrationSpec)}"
    for title, kinds in (("Migration source", SOURCES), ("Migration target", TARGETS)):
        for name, options in kinds.items():
            yield f"### {title} {name}\n\nBeside `type`.\n\n{_options(options)}"


def _options(options: type[Any]) -> str:
    rows = [
        (f"`{r['key']}`", _kind(r["type"]), _value(r["default"]), _sentence(r["doc"]))
        for r in describe_options(options)
    ]
    return _table(("parameter", "type", "default", "meaning"), rows)


def _plugin(heading: str, plugin: type[Any]) -> str:
    kinds = " or ".join(f"`{kind}`" for kind in plugin.connection_kinds)
    connection = f"Type of connection: {kinds}." if kinds else "No type of connection is required."
    parts = [f"{heading}\n", f"{_prose(plugin.__doc__)}\n", f"{connection}\n"]
    for path, options in _option_classes(plugin.Options):
        rows = describe_options(options)
        works = [row for row in rows if not row["doc"].startswith(_REFUSED)]
        refused = [row for row in rows if row["doc"].startswith(_REFUSED)]
        if path:
            parts.append(f"Fields of `{path}`:\n")
        if not rows:
            parts.append("No parameters.\n")
        if works:
            cells = [
                (f"`{r['key']}`", _kind(r["type"]), _value(r["default"]), _sentence(r["doc"])) for r in works
            ]
            parts.append(_table(("parameter", "type", "default", "meaning"), cells))
        if refused:
            parts.append("Known from DataX, and refused because they would be misunderstood:\n")
            told = [(f"`{r['key']}`", _sentence(r["doc"].removeprefix(_REFUSED))) for r in refused]
            parts.append(_table(("parameter", "why, and what instead"), told))
    return "\n".join(parts)


def _option_classes(options: type[Any], path: str = "") -> Iterator[tuple[str, type[Any]]]:
    """Yield a class of options and those that its fields hold, each with the path of its field."""
    yield path, options
    hints = typing.get_type_hints(options)
    for one in dataclasses.fields(options):
        for kind in (hints[one.name], *typing.get_args(hints[one.name])):
            if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
                yield from _option_classes(kind, f"{path}.{one.metadata['key']}".removeprefix("."))


def _kind(text: str) -> str:
    return "anything" if text == str(Any) else text.replace("``", "empty")


def _value(text: str) -> str:
    """Show a default that Markdown could not: white space, and an object, whose fields come in their own table."""
    if re.fullmatch(r"`\w+\(.*\)`", text):
        return "see below"
    return text.replace("\n", r"\n").replace("\t", r"\t")


def _call(what: Any, module: str = "") -> str:
    """Describe a class or function by its signature and docstring."""
    told: dict[str, str] = {}
    arguments: dict[str, inspect.Parameter] = {}
    for one in (what, *_hidden_bases(what)):
        told = dict(_params(inspect.getdoc(one) or "")) | told
        arguments = arguments | {**inspect.signature(one).parameters, **arguments}
    rows: list[tuple[str, ...]] = [
        (
            f"`{one.name}`",
            _code(_annotation(one.annotation)),
            _shown(one.default),
            _sentence(told.get(one.name, "")),
        )
        for one in arguments.values()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    head: tuple[str, ...] = ("argument", "type", "default", "meaning")
    if not told:
        head, rows = head[:3], [row[:3] for row in rows]  # the prose says it
    line = f"`from {module or what.__module__} import {what.__name__}`"
    return f"### {what.__name__}\n\n{line}\n\n{_prose(what.__doc__)}\n\n{_table(head, rows)}"


def _hidden_bases(what: Any) -> list[type[Any]]:
    """Return our private base classes, which have no section of their own to refer to."""
    bases = inspect.getmro(what)[1:] if inspect.isclass(what) else ()
    own = [one for one in bases if one.__module__.startswith(_PACKAGE)]
    return [one for one in own if one.__name__.startswith("_") or "._" in one.__module__]


def _params(doc: str) -> Iterator[tuple[str, str]]:
    for match in _PARAM.finditer(doc):
        yield match["name"], _inline(" ".join(match["text"].split()))


def _prose(doc: str | None) -> str:
    """Return a docstring as Markdown, without its parameters."""
    text = _PARAM.sub("", inspect.cleandoc(doc or ""))
    return re.sub(r"\n{3,}", "\n\n", _inline(text)).strip()


def _inline(text: str) -> str:
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] if _WORD.match(text) else text


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else _CLASS.sub(r"\1", str(annotation))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _default(one: dataclasses.Field[Any]) -> str:
    if one.default is not dataclasses.MISSING:
        return _shown(one.default)
    if one.default_factory is not dataclasses.MISSING:
        made = one.default_factory()
        return "the defaults below" if dataclasses.is_dataclass(made) else _shown(made)
    return "required"


def _shown(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, timedelta):
        minutes = value.total_seconds() / 60
        return f"{minutes:g} minutes"
    if value in ("", (), {}) and not isinstance(value, bool):
        return "empty"
    return f"`{value!r}`" if isinstance(value, int | float) or value is None else f"`{value}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
