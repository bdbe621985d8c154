"""The job itself: where to read, where to write, how much at once, where progress is kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["Endpoint", "JobSpec", "Limits"]

_MAX_CONCURRENT = 1024
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a job: plug-in name, connection id (an Airflow connection, or empty) and parameters.

    ``inline`` is a connection whose address and keys were written into an imported DataX file; it lives in
    memory only, and an endpoint that has one refuses to become JSON.
    """

    plugin: str
    parameter: Mapping[str, Any] = field(default_factory=dict)
    connection: str = ""
    inline: ConnectionInfo | None = None

    @classmethod
    def from_json(cls, data: object, path: str) -> Endpoint:
        """Check and build; ``path`` names the field in errors."""
        mapping = _mapping(data, path, {"plugin", "parameter", "connection"})
        plugin = mapping.get("plugin")
        if not isinstance(plugin, str) or not plugin:
            raise ConfigError(f"{path}.plugin", plugin, allowed="the name of a plug-in")
        parameter = mapping.get("parameter", {})
        if not isinstance(parameter, Mapping):
            raise ConfigError(f"{path}.parameter", parameter, allowed="an object")
        connection = mapping.get("connection", "")
        if not isinstance(connection, str):
            raise ConfigError(f"{path}.connection", connection, allowed="a connection id")
        return cls(plugin, dict(parameter), connection)

    def to_json(self, path: str) -> dict[str, Any]:
        """Return plain JSON data; ``path`` names the endpoint when it holds keys that must not be written."""
        if self.inline is not None:
            raise ConfigError(
                f"{path}.connection",
                reason="the keys written into this job must not be stored with it",
                cure="put them into an Airflow connection and name that in 'datasource'",
            )
        return {
            "plugin": self.plugin,
            "parameter": copy.deepcopy(dict(self.parameter)),
            "connection": self.connection,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, and how many bad records.

    ``concurrent`` splits run side by side in one task. ``bytes_per_second`` and ``records_per_second``
    bound the whole task; None is unbounded. ``error_records`` is checked at once, ``error_ratio`` (of the
    records read, 0 to 1) at the end; None allows any number. ``batch_records`` and ``batch_bytes`` bound what
    waits between reader and writer of one split.
    """

    concurrent: int = 1
    bytes_per_second: int | None = None
    records_per_second: int | None = None
    error_records: int | None = 0
    error_ratio: float | None = None
    batch_records: int = 65_536
    batch_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        if not 1 <= self.concurrent <= _MAX_CONCURRENT:
            raise ConfigError("limits.concurrent", self.concurrent, allowed=f"1 to {_MAX_CONCURRENT}")
        for name in ("bytes_per_second", "records_per_second"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"limits.{name}", value, allowed="a positive number, or null for no limit")
        for name in ("batch_records", "batch_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"limits.{name}", getattr(self, name), allowed="at least 1")
        if self.error_records is not None and self.error_records < 0:
            raise ConfigError("limits.error_records", self.error_records, allowed="0 or more, or null")
        if self.error_ratio is not None and not 0 <= self.error_ratio <= 1:
            raise ConfigError("limits.error_ratio", self.error_ratio, allowed="0 to 1, or null")

    @classmethod
    def from_json(cls, data: object, path: str = "limits") -> Limits:
        """Check and build."""
        mapping = _mapping(data, path, {f.name for f in fields(cls)})
        for name, value in mapping.items():
            optional = name in {"bytes_per_second", "records_per_second", "error_records", "error_ratio"}
            kinds = (int, float) if name == "error_ratio" else (int,)
            if isinstance(value, bool) or not (isinstance(value, kinds) or (optional and value is None)):
                raise ConfigError(
                    f"{path}.{name}", value, allowed="a number" + (" or null" if optional else "")
                )
        return cls(**mapping)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A whole job. ``name`` identifies its progress: two jobs must not share one.

    ``checkpoint`` names the store of progress (None: the caller gives one).
    """

    name: str
    reader: Endpoint
    writer: Endpoint
    limits: Limits = field(default_factory=Limits)
    checkpoint: Endpoint | None = None
    transform: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > _MAX_NAME or any(c in self.name for c in "\t\n/@"):
            raise ConfigError(
                "name", self.name, allowed="1 to 200 characters without tab, newline, '/' and '@'"
            )

    @classmethod
    def from_json(cls, data: object, path: str = "job") -> JobSpec:
        """Check and build; the inverse of :meth:`to_json`."""
        mapping = _mapping(data, path, {f.name for f in fields(cls)})
        for required in ("name", "reader", "writer"):
            if required not in mapping:
                raise ConfigError(f"{path}.{required}", reason="missing", cure="add it")
        checkpoint = mapping.get("checkpoint")
        transform = mapping.get("transform", [])
        if not isinstance(transform, list | tuple):
            raise ConfigError(f"{path}.transform", transform, allowed="a list of column transforms")
        return cls(
            name=str(mapping["name"]),
            reader=Endpoint.from_json(mapping["reader"], f"{path}.reader"),
            writer=Endpoint.from_json(mapping["writer"], f"{path}.writer"),
            limits=Limits.from_json(mapping.get("limits", {}), f"{path}.limits"),
            checkpoint=None if checkpoint is None else Endpoint.from_json(checkpoint, f"{path}.checkpoint"),
            transform=tuple(transform),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; :class:`ConfigError` when an endpoint holds keys (:attr:`Endpoint.inline`)."""
        return {
            "name": self.name,
            "reader": self.reader.to_json("reader"),
            "writer": self.writer.to_json("writer"),
            "limits": asdict(self.limits),
            "checkpoint": None if self.checkpoint is None else self.checkpoint.to_json("checkpoint"),
            "transform": [copy.deepcopy(dict(one)) for one in self.transform],
        }


def _mapping(data: object, path: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ConfigError(path, data, allowed="an object")
    for key in data:
        if key not in known:
            raise ConfigError(f"{path}.{key}", reason="unknown field", allowed=", ".join(sorted(known)))
    return dict(data)
