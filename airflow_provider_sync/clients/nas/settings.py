"""What a connection says about NAS, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["NasSettings"]

_DEFAULT_TIMEOUT = 10.0
_CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class NasSettings:
    """Where the service is. ``endpoint`` is ``host[:port]`` or empty: then the SDK knows it by the region.

    ``timeout`` is in seconds, for each read. ``http_proxy`` and ``https_proxy`` replace those of the environment,
    which the SDK obeys even for local addresses (observed; it ignores NO_PROXY).
    """

    endpoint: str
    protocol: str
    region: str
    network: str
    timeout: float
    connect_timeout: float
    http_proxy: str
    https_proxy: str
    ca: str

    @classmethod
    def of(cls, connection: ConnectionInfo) -> NasSettings:
        """Check a connection; errors name ``connection.<field>``."""
        protocol, endpoint = _split(connection.endpoint.strip())
        if not endpoint and not connection.region:
            raise ConfigError(
                "connection.region",
                reason="missing, and there is no connection.endpoint",
                allowed="a region such as 'cn-hangzhou'",
                cure="set one of them",
            )
        network = connection.extra.get("network", "public")
        if network not in {"public", "vpc"}:
            raise ConfigError("connection.extra.network", network, allowed="'public' or 'vpc'")
        timeout = connection.extra.get("timeout", _DEFAULT_TIMEOUT)
        if (
            isinstance(timeout, bool)
            or not isinstance(timeout, int | float)
            or not 0 < timeout < float("inf")
        ):
            raise ConfigError("connection.extra.timeout", timeout, allowed="a positive number of seconds")
        texts = {name: connection.extra.get(name, "") for name in ("http_proxy", "https_proxy", "ca")}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ConfigError(f"connection.extra.{name}", text, allowed="a text")
        return cls(
            endpoint=endpoint,
            protocol=protocol,
            region=connection.region,
            network=network,
            timeout=float(timeout),
            connect_timeout=min(float(timeout), _CONNECT_TIMEOUT),
            **texts,
        )


def _split(endpoint: str) -> tuple[str, str]:
    if not endpoint:
        return "https", ""
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    allowed = "[http[s]://]host[:port], such as nas.cn-hangzhou.aliyuncs.com"
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError("connection.endpoint", endpoint, allowed=allowed)
    try:
        port = parts.port
    except ValueError:
        raise ConfigError("connection.endpoint", endpoint, allowed="a port of 1 to 65535") from None
    return parts.scheme, parts.hostname if port is None else f"{parts.hostname}:{port}"
