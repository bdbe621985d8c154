"""An ``aws`` connection as Amazon's own provider reads it: keys, roles, profiles, web identity, the default chain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_sync.errors import ConfigError, TransientError
from airflow_provider_sync.hooks.credentials import Current
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials

__all__ = ["resolve_s3"]

_SERVICE = "s3"


def resolve_s3(conn_id: str) -> ConnectionInfo:
    """Return where S3 is; its ``renew`` gives credentials that are valid now.

    ``endpoint_url`` (in extra, or in ``service_config.s3``), the region and ``config_kwargs.s3.addressing_style``
    count as in Amazon's provider. A connection that does not exist, or has another type, is a
    :class:`ConfigError`; credentials that cannot be had are a :class:`TransientError`.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook  # noqa: PLC0415 - boto3

    try:
        kind = BaseHook.get_connection(conn_id).conn_type
    except AirflowNotFoundException as error:
        # Amazon's hook would go on without a connection, as whoever the machine is.
        raise ConfigError(
            "connection", conn_id, reason="there is no connection with this id", cure="add one of type aws"
        ) from error
    if kind != "aws":
        raise ConfigError(
            f"connection {conn_id}.conn_type", kind, allowed="aws", cure="name another connection"
        )
    hook = AwsBaseHook(aws_conn_id=conn_id, client_type=_SERVICE)
    settings = hook.conn_config
    style = (getattr(settings.botocore_config, "s3", None) or {}).get("addressing_style", "auto")
    return ConnectionInfo(
        "aws",
        endpoint=settings.get_service_endpoint_url(_SERVICE) or "",
        region=hook.conn_region_name or "",
        extra={} if style == "auto" else {"path_style": style == "path"},
        renew=_Chain(hook.get_session, conn_id),
    )


class _Chain:
    """Asks a session for its current keys; boto renews temporary ones by itself."""

    def __init__(self, session: Callable[[], Any], conn_id: str) -> None:
        self._session = session
        self._conn_id = conn_id
        self._source: Any = None
        self._lock = threading.Lock()
        self._current = Current()

    def __call__(self) -> Credentials:
        try:
            with self._lock:
                if self._source is None:
                    self._source = self._session().get_credentials()
                if self._source is None:
                    raise ConfigError(
                        f"connection {self._conn_id}",
                        reason="no keys in it, and none where Amazon's clients look for them",
                        cure="set login and password, a role or a profile",
                    )
                now = self._source.get_frozen_credentials()
        except ConfigError:
            raise
        except Exception as error:  # boto raises its own of many kinds
            raise TransientError(f"connection {self._conn_id}: no credentials: {error}") from error
        return self._current.of(now.access_key, now.secret_key, now.token)
