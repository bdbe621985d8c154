"""What an ``aws`` connection says about S3, checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_sync.clients.objects.settings import (
    credentials_of,
    flag_of,
    is_ip_address,
    split_endpoint,
    timeout_of,
)
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials

__all__ = ["S3Settings"]

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where the service is and how to talk to it.

    ``path_style`` puts the bucket into the path; it is the default for every host that is not Amazon's,
    because most other servers have no name per bucket. ``timeout`` is in seconds, for connecting and for
    each read.
    """

    scheme: str
    host: str
    port: int | None
    region: str
    path_style: bool
    timeout: float
    credentials: Callable[[], Credentials]

    @classmethod
    def of(cls, connection: ConnectionInfo) -> S3Settings:
        """Check a connection; errors name ``connection.<field>``."""
        credentials = credentials_of(connection)
        region = connection.region or _DEFAULT_REGION
        suffix = ".cn" if region.startswith("cn-") else ""
        endpoint = connection.endpoint or f"https://s3.{region}.amazonaws.com{suffix}"
        scheme, host, port = split_endpoint(endpoint)
        return cls(
            scheme=scheme,
            host=host,
            port=port,
            region=region,
            path_style=flag_of(connection, "path_style", default=_is_foreign(host)),
            timeout=timeout_of(connection),
            credentials=credentials,
        )

    def host_of(self, bucket: str) -> str:
        """Return the host that serves a bucket, without the port."""
        return self.host if self.path_style else f"{bucket}.{self.host}"

    def authority_of(self, bucket: str) -> str:
        """Return the ``Host`` header for a bucket: the port is in it unless it is the scheme's own."""
        host = self.host_of(bucket)
        if self.port is None or self.port == {"http": 80, "https": 443}[self.scheme]:
            return host
        return f"{host}:{self.port}"


def _is_foreign(host: str) -> bool:
    return is_ip_address(host) or not host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".aliyuncs.com"))
