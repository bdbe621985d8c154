"""Parameters of plug-ins, declared once: checked input, typed values, and the tables in the documentation.

A plug-in writes a frozen dataclass whose fields are made by :func:`option`; :func:`parse_options` turns the
JSON of a job into it, and refuses what it does not know, with the field's path.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from airflow_provider_sync.errors import ConfigError

__all__ = ["describe_options", "option", "parse_options"]

T = TypeVar("T")
_TRUE, _FALSE = "true", "false"


def option(
    key: str,
    doc: str,
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    ignored: bool = False,
) -> Any:
    """Declare one parameter.

    ``key`` is its name in job files, ``doc`` its line in the documentation (units included). Without a
    default it is required. ``ignored`` accepts the key and does nothing with it (say why in ``doc``).
    """
    metadata = {"key": key, "doc": doc, "ignored": ignored}
    if default_factory is not MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def parse_options(cls: type[T], parameter: Mapping[str, Any], path: str) -> T:
    """Build ``cls`` from a job's JSON; ``path`` (such as ``reader.parameter``) names fields in errors.

    Texts that hold a number or ``true`` / ``false`` are accepted where a number or a flag is asked for,
    because DataX and DataWorks files write them so. Unknown keys, wrong types and values outside a
    ``Literal`` raise :class:`ConfigError`.
    """
    hints = get_type_hints(cls)
    declared = {f.metadata["key"]: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in parameter:
        if key not in declared:
            raise ConfigError(
                f"{path}.{key}", reason="unknown parameter", allowed=", ".join(sorted(declared))
            )
    values: dict[str, Any] = {}
    for key, spec in declared.items():
        if key in parameter:
            values[spec.name] = _convert(parameter[key], hints[spec.name], f"{path}.{key}")
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ConfigError(f"{path}.{key}", reason="missing", cure=f"add it: {spec.metadata['doc']}")
    return cls(**values)


def describe_options(cls: type[Any]) -> list[dict[str, str]]:
    """Return one row per parameter, for documentation: key, type, default, doc."""
    hints = get_type_hints(cls)
    rows = []
    for spec in dataclasses.fields(cls):
        if spec.default is not MISSING:
            default = _show(spec.default)
        elif spec.default_factory is not MISSING:
            default = _show(spec.default_factory())
        else:
            default = "required"
        rows.append(
            {
                "key": spec.metadata["key"],
                "type": _type_name(hints[spec.name]),
                "default": default,
                "doc": spec.metadata["doc"],
            }
        )
    return rows


def _convert(value: Any, kind: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(kind), path)
    if origin is Literal:
        return _convert_literal(value, get_args(kind), path)
    if origin in (tuple, list, Sequence):
        if not isinstance(value, list | tuple):
            raise ConfigError(path, value, allowed="a list")
        item = get_args(kind)[0]
        return tuple(_convert(one, item, f"{path}[{i}]") for i, one in enumerate(value))
    if origin in (dict, Mapping) or kind is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(path, value, allowed="an object")
        return dict(value)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(path, value, allowed="an object")
        return parse_options(kind, value, path)  # type: ignore[arg-type]
    return _convert_scalar(value, kind, path)


def _convert_union(value: Any, kinds: tuple[Any, ...], path: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    real = [kind for kind in kinds if kind is not type(None)]
    for index, kind in enumerate(real):
        try:
            return _convert(value, kind, path)
        except ConfigError:
            if index == len(real) - 1:
                raise
    raise ConfigError(path, value)


def _convert_literal(value: Any, allowed: tuple[Any, ...], path: str) -> Any:
    text = value.strip() if isinstance(value, str) else value
    if text not in allowed:
        raise ConfigError(path, value, allowed=", ".join(repr(one) for one in allowed))
    return text


def _convert_scalar(value: Any, kind: Any, path: str) -> Any:
    if kind is Any:
        return value
    if kind is bool:
        text = value.strip().lower() if isinstance(value, str) else value
        if text is True or text == _TRUE:
            return True
        if text is False or text == _FALSE:
            return False
        raise ConfigError(path, value, allowed="true or false")
    if isinstance(value, bool):
        raise ConfigError(path, value, allowed=_type_name(kind))
    if kind is str and isinstance(value, str):
        return value
    if kind in (int, float) and isinstance(value, int | float | str):
        try:
            number = kind(value)
        except ValueError:
            raise ConfigError(path, value, allowed=_type_name(kind)) from None
        if kind is int and isinstance(value, float) and value != number:
            raise ConfigError(path, value, allowed=_type_name(kind))
        return number
    raise ConfigError(path, value, allowed=_type_name(kind))


def _type_name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(one) for one in get_args(kind))
    if origin is Literal:
        return " | ".join(f"`{one}`" for one in get_args(kind))
    if origin in (tuple, list, Sequence):
        return f"list of {_type_name(get_args(kind)[0])}"
    if origin in (dict, Mapping) or dataclasses.is_dataclass(kind):
        return "object"
    names = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
    return names.get(kind, str(kind))


def _show(value: Any) -> str:
    if value is True or value is False:
        return str(value).lower()
    if value is None:
        return "none"
    if value == ():
        return "empty list"
    return f"`{value}`" if value != "" else "empty"
