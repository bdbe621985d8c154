"""What connections to object stores say alike: where the service is, and how long to wait for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials

__all__ = ["credentials_of", "flag_of", "is_ip_address", "split_endpoint", "timeout_of"]

_DEFAULT_TIMEOUT = 60.0


def credentials_of(connection: ConnectionInfo) -> Callable[[], Credentials]:
    """Return what to ask before every request; a connection that has neither key nor role raises ConfigError."""
    if connection.renew is None:
        for name in ("access_key_id", "access_key_secret"):
            if not getattr(connection, name):
                raise ConfigError(f"connection.{name}", reason="missing", cure="set it in the connection")
    return connection.credentials()


def split_endpoint(endpoint: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of ``[http[s]://]host[:port]``; https is the default."""
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError(
            "connection.endpoint",
            endpoint,
            allowed="[http[s]://]host[:port] without a bucket and without a path",
        )
    try:
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise ConfigError("connection.endpoint", endpoint, allowed="a port of 1 to 65535") from None


def is_ip_address(host: str) -> bool:
    """Tell whether a host is given by number: such a one has no names of buckets below it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def flag_of(connection: ConnectionInfo, name: str, *, default: bool) -> bool:
    """Return ``extra[name]``, which is true or false."""
    value: Any = connection.extra.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"connection.extra.{name}", value, allowed="true or false")
    return value


def timeout_of(connection: ConnectionInfo) -> float:
    """Return ``extra["timeout"]``: seconds for connecting and for each read, 60 by default."""
    value = connection.extra.get("timeout", _DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigError("connection.extra.timeout", value, allowed="a positive number of seconds")
    return float(value)
