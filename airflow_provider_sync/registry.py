"""From a plug-in's name to its class, loading only the one that is asked for.

The module's name is the registration: ``readers/otsstream.py`` is the reader ``otsstream``. Other packages add
theirs through the entry point groups ``airflow_provider_sync.readers``, ``.writers`` and ``.state``; an entry
point names either a class or a module that holds one.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

from airflow_provider_sync.engine.contract import CheckpointStore, Environment, Reader, Writer
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.spec.options import parse_options

__all__ = [
    "build_reader",
    "build_store",
    "build_writer",
    "reader_class",
    "reader_names",
    "store_class",
    "store_names",
    "writer_class",
    "writer_names",
]

P = TypeVar("P", Reader, Writer, CheckpointStore)
_PACKAGE = "airflow_provider_sync"


def reader_names() -> tuple[str, ...]:
    """Return the names of all readers, sorted; imports none of them."""
    return _names("readers")


def writer_names() -> tuple[str, ...]:
    """Return the names of all writers, sorted; imports none of them."""
    return _names("writers")


def store_names() -> tuple[str, ...]:
    """Return the names of all checkpoint stores, sorted; imports none of them."""
    return _names("state")


def reader_class(name: str, path: str = "reader") -> type[Reader]:
    """Return the reader's class; :class:`ConfigError` lists the known names and the closest one."""
    return _find(Reader, "reader", "readers", name, path)  # type: ignore[type-abstract]


def writer_class(name: str, path: str = "writer") -> type[Writer]:
    """Return the writer's class; :class:`ConfigError` lists the known names and the closest one."""
    return _find(Writer, "writer", "writers", name, path)  # type: ignore[type-abstract]


def store_class(name: str, path: str = "checkpoint") -> type[CheckpointStore]:
    """Return the store's class; :class:`ConfigError` lists the known names and the closest one."""
    return _find(CheckpointStore, "checkpoint store", "state", name, path)  # type: ignore[type-abstract]


def build_reader(
    endpoint: Endpoint, connection: ConnectionInfo | None, environment: Environment, path: str = "reader"
) -> Reader:
    """Check the endpoint's parameters and build its reader, without I/O; ``path`` names fields in errors.

    Without a ``connection`` the endpoint's inline one is used, if it has one.
    """
    return _build(reader_class(endpoint.plugin, path), endpoint, connection, environment, path)


def build_writer(
    endpoint: Endpoint, connection: ConnectionInfo | None, environment: Environment, path: str = "writer"
) -> Writer:
    """Check the endpoint's parameters and build its writer, without I/O; ``path`` names fields in errors."""
    return _build(writer_class(endpoint.plugin, path), endpoint, connection, environment, path)


def build_store(
    endpoint: Endpoint, connection: ConnectionInfo | None, environment: Environment, path: str = "checkpoint"
) -> CheckpointStore:
    """Check the endpoint's parameters and build its store, without I/O; ``path`` names fields in errors."""
    return _build(store_class(endpoint.plugin, path), endpoint, connection, environment, path)


def _names(folder: str) -> tuple[str, ...]:
    package = importlib.import_module(f"{_PACKAGE}.{folder}")
    own = {
        module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")
    }
    return tuple(sorted(own | set(entry_points(group=f"{_PACKAGE}.{folder}").names)))


def _find(base: type[P], noun: str, folder: str, name: str, path: str) -> type[P]:
    # Asking every installed package for entry points takes long: only for names that are not ours.
    if not _is_own(folder, name) and name not in (known := _names(folder)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"{path}.plugin", reason=f"unknown {noun} {name!r}; known: {', '.join(known)}", cure=hint
        )
    # A plug-in of ours wins over an entry point of the same name: installing a package changes no running job.
    try:
        loaded = _load(folder, name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}.plugin",
            reason=f"{noun} {name!r} needs the python module {error.name!r}, which is not installed",
            cure="install it beside this package",
        ) from error
    return _only_class(loaded, base, noun, f"{path}.plugin")


def _load(folder: str, name: str) -> Any:
    if _is_own(folder, name):
        return importlib.import_module(f"{_PACKAGE}.{folder}.{name}")
    return entry_points(group=f"{_PACKAGE}.{folder}")[name].load()


def _is_own(folder: str, name: str) -> bool:
    package = importlib.import_module(f"{_PACKAGE}.{folder}")
    return name in {module.name for module in pkgutil.iter_modules(package.__path__)}


def _only_class(loaded: Any, base: type[P], noun: str, path: str) -> type[P]:
    if isinstance(loaded, ModuleType):
        found = [
            value
            for name, value in vars(loaded).items()
            if inspect.isclass(value)
            and issubclass(value, base)
            and value.__module__ == loaded.__name__
            and not name.startswith("_")
        ]
    else:
        found = [loaded] if inspect.isclass(loaded) and issubclass(loaded, base) else []
    if len(found) != 1:
        raise ConfigError(
            path, reason=f"{loaded!r} must hold exactly one public {noun} class, not {len(found)}"
        )
    plugin: type[P] = found[0]
    return plugin


def _build(
    plugin: type[P],
    endpoint: Endpoint,
    connection: ConnectionInfo | None,
    environment: Environment,
    path: str,
) -> P:
    options = parse_options(plugin.Options, endpoint.parameter, f"{path}.parameter")
    if connection is None:
        connection = endpoint.inline
    kinds = plugin.connection_kinds
    if kinds and connection is None:
        raise ConfigError(
            f"{path}.connection", reason="missing", cure=f"name a connection of type {' or '.join(kinds)}"
        )
    if kinds and connection is not None and connection.kind not in kinds:
        raise ConfigError(
            f"{path}.connection",
            connection.kind,
            reason=f"{endpoint.plugin} cannot use this type of connection",
            allowed=", ".join(kinds),
        )
    build: Any = plugin
    built: P = build(options, connection, environment)
    return built
