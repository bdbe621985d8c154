"""Addresses and keys that an imported job file carries itself, kept apart from everything that prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

__all__ = ["mask_secrets", "take_connection"]

_KINDS = {"otsstream": "tablestore", "oss": "oss"}
_KEYS = ("endpoint", "accessId", "accessKey")
_INSTANCE = "instanceName"
_SECRET_NAME = re.compile(r"access_?key(?!_?id$)|secret|password|passwd|token|private_?key", re.IGNORECASE)


def take_connection(
    plugin: str, parameter: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], str, ConnectionInfo | None, list[str]]:
    """Split what a DataX parameter object says about the connection from the plug-in's own parameters.

    Returns the other parameters, the connection id (``datasource``; empty when absent), the inline connection
    (``endpoint``, ``accessId``, ``accessKey`` and, for Tablestore, ``instanceName``; None when absent) and
    notes. ``datasource`` wins, as documented. Errors never show a value of these keys.
    """
    rest = dict(parameter)
    for key in rest:
        if key.startswith("*"):
            cure = "put the value into an Airflow connection and name that in 'datasource'"
            raise ConfigError(f"{path}.{key}", reason="DataX's encrypted values cannot be read", cure=cure)
    datasource = rest.pop("datasource", None) or ""
    if not isinstance(datasource, str):
        raise ConfigError(f"{path}.datasource", datasource, allowed="the id of an Airflow connection")
    kind = _KINDS.get(plugin)
    if kind is None:
        return rest, datasource, None, []
    names = (*_KEYS, _INSTANCE) if kind == "tablestore" else _KEYS
    taken = {name: value for name in names if (value := rest.pop(name, None)) not in (None, "")}
    if datasource:
        ignored = [f"{path}.{name}: ignored, because datasource names the connection" for name in taken]
        return rest, datasource, None, ignored
    if not taken:
        return rest, "", None, []
    for name in names:
        value = taken.get(name)
        if value is None:
            cure = f"give all of {', '.join(names)}, or the id of an Airflow connection as 'datasource'"
            raise ConfigError(f"{path}.{name}", reason="missing", cure=cure)
        if not isinstance(value, str):
            raise ConfigError(f"{path}.{name}", reason=f"{type(value).__name__} instead of a text")
    inline = ConnectionInfo(
        kind,
        endpoint=taken["endpoint"].strip(),
        access_key_id=taken["accessId"].strip(),
        access_key_secret=Secret(taken["accessKey"].strip()),
        extra={"instance": taken[_INSTANCE].strip()} if kind == "tablestore" else {},
    )
    note = f"{path}.accessKey: keys in a job file are readable by whoever reads the file; use a datasource"
    return rest, "", inline, [note]


def mask_secrets(data: Any) -> Any:
    """Return a copy of JSON ``data`` for people's eyes: every value under a secret's name is ``***``."""
    if isinstance(data, Mapping):
        return {
            key: "***" if isinstance(key, str) and _SECRET_NAME.search(key) and value else mask_secrets(value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [mask_secrets(value) for value in data]
    return data
