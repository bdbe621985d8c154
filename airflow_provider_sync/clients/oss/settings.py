"""What an ``oss`` connection says, checked once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_sync.clients.objects.settings import (
    credentials_of,
    flag_of,
    is_ip_address,
    split_endpoint,
    timeout_of,
)
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials

__all__ = ["OssSettings"]

_REGION_IN_HOST = (
    re.compile(r"^(?:s3\.)?oss-(?P<region>[a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$"),
    re.compile(r"^(?P<region>[a-z0-9-]+)\.oss\.aliyuncs\.com$"),
)
_NO_REGION = {"accelerate", "accelerate-overseas"}


@dataclass(frozen=True, slots=True)
class OssSettings:
    """Where the service is and how to talk to it.

    ``region`` is the short form (``cn-hangzhou``) and is part of every V4 signature. ``path_style`` puts the
    bucket into the path, which the real service refuses (documented: 403 SecondLevelDomainForbidden), so
    that it is the default only for an IP address or ``localhost``. ``timeout`` is in seconds, for connecting
    and for each read.
    """

    scheme: str
    host: str
    port: int | None
    region: str
    path_style: bool
    signature_v1: bool
    timeout: float
    credentials: Callable[[], Credentials]

    @classmethod
    def of(cls, connection: ConnectionInfo) -> OssSettings:
        """Check a connection; errors name ``connection.<field>``."""
        credentials = credentials_of(connection)
        if not connection.endpoint:
            raise ConfigError(
                "connection.endpoint",
                reason="missing",
                allowed="such as https://oss-cn-hangzhou.aliyuncs.com",
            )
        scheme, host, port = split_endpoint(connection.endpoint)
        version = connection.extra.get("signature_version", "v4")
        if version not in {"v1", "v4"}:
            raise ConfigError("connection.extra.signature_version", version, allowed="'v4' or 'v1'")
        region = connection.region.removeprefix("oss-") or _region_of(host)
        if not region and version == "v4":
            raise ConfigError(
                "connection.region",
                reason=f"missing, and the endpoint {host!r} does not tell it",
                allowed="a region such as 'cn-hangzhou'",
                cure="set it: V4 signatures contain it",
            )
        return cls(
            scheme=scheme,
            host=host,
            port=port,
            region=region,
            path_style=flag_of(connection, "path_style", default=host == "localhost" or is_ip_address(host)),
            signature_v1=version == "v1",
            timeout=timeout_of(connection),
            credentials=credentials,
        )

    @property
    def endpoint(self) -> str:
        """Scheme, host and port as one URL without a path."""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{self.host}{port}"

    def host_of(self, bucket: str) -> str:
        """Return the host that serves a bucket, without the port."""
        return self.host if self.path_style else f"{bucket}.{self.host}"


def _region_of(host: str) -> str:
    for pattern in _REGION_IN_HOST:
        match = pattern.match(host)
        if match and match["region"] not in _NO_REGION:
            return match["region"]
    return ""
