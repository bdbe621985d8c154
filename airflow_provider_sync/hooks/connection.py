"""One way from an Airflow connection to :class:`ConnectionInfo`, whatever its type.

Where each value is looked for, first hit wins:

=================  =====================  ==============================================================
value              field                  extra
=================  =====================  ==============================================================
endpoint           host                   ``endpoint``
access_key_id      login                  ``access_key_id``
access_key_secret  password               ``access_key_secret``
security_token                            ``security_token``, ``sts_token``
region                                    ``region``, ``region_id``
bucket             schema (type ``oss``)  ``bucket``
=================  =====================  ==============================================================

Connections of Alibaba's provider (types ``oss`` and ``alibaba_cloud``, keys in extra) work as they are.
``extra.auth_type`` chooses the credentials; AK (the default) and STS need nothing more, the others ask
Alibaba's credentials library for a token: when the connection is resolved, and whenever another one is due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks.credentials import FETCHED_AUTH_TYPES, FetchedCredentials
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["connection_info", "resolve_connection"]

_ANY_ALIBABA_SERVICE = "alibaba_cloud"
_ALIBABA_KINDS = frozenset({"tablestore", "oss", "cpfs"})
_SIGNS_IN_ITSELF = frozenset({"cpfs"})  # its client renews credentials while it lives
_VENDOR_NAMES = {"access_key": "AK", "sts": "STS"}  # as Alibaba's own configuration files call them
_FLAGS = {"path_style", "verify_answers"}
_NUMBERS = {"timeout"}
_READ_ELSEWHERE = frozenset(
    {"endpoint", "access_key_id", "access_key_secret", "security_token", "sts_token", "region", "region_id"}
)


def resolve_connection(conn_id: str, kinds: Sequence[str] = ()) -> ConnectionInfo:
    """Look up ``conn_id`` and return it as one of ``kinds`` (the first one for a connection that fits all).

    Raises :class:`ConfigError` when there is no such connection or it has another type; that Airflow could not
    be asked stays Airflow's own exception. Secrets are masked in logs from here on.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigError(
            "connection",
            conn_id,
            reason="there is no connection with this id",
            cure=f"add one of type {' or '.join(kinds)}" if kinds else "add it",
        ) from error
    return connection_info(connection, kinds)


def connection_info(connection: Connection, kinds: Sequence[str] = ()) -> ConnectionInfo:
    """Turn a connection into :class:`ConnectionInfo`; see :func:`resolve_connection`."""
    path = f"connection {connection.conn_id}"
    kind = _kind(connection, kinds, path)
    extra = _extra(connection, path)
    auth_type = str(extra.pop("auth_type", None) or "AK")
    auth_type = _VENDOR_NAMES.get(auth_type, auth_type)
    if kind == "oss" and connection.schema:
        extra.setdefault("bucket", connection.schema)
    if kind not in _ALIBABA_KINDS:
        extra = {**extra, "schema": connection.schema, "port": connection.port}
    secret = connection.password or str(extra.get("access_key_secret") or "")
    token = str(extra.get("security_token") or extra.get("sts_token") or "")
    key = connection.login or str(extra.get("access_key_id") or "")
    if kind in _SIGNS_IN_ITSELF:
        extra["auth_type"] = auth_type if auth_type != "AK" or not token else "STS"
    elif auth_type not in {"AK", "STS", *FETCHED_AUTH_TYPES}:
        raise ConfigError(
            f"{path}.extra.auth_type", auth_type, allowed=", ".join(("AK", "STS", *FETCHED_AUTH_TYPES))
        )
    elif auth_type == "STS" and not token:
        raise ConfigError(
            f"{path}.extra.security_token", reason="missing", cure="credentials of type STS need one"
        )
    for text in (secret, token):
        if text:
            mask_secret(text)
    info = ConnectionInfo(
        kind=kind,
        endpoint=_endpoint(connection, extra) or _public_endpoint(kind, extra),
        access_key_id=key,
        access_key_secret=Secret(secret),
        security_token=Secret(token),
        region=_region(extra),
        extra={name: value for name, value in extra.items() if name not in _READ_ELSEWHERE},
    )
    if kind in _SIGNS_IN_ITSELF or auth_type not in FETCHED_AUTH_TYPES:
        return info
    renew = FetchedCredentials(replace(info, extra={**info.extra, "auth_type": auth_type}), path)
    now = renew()
    return replace(
        info,
        access_key_id=now.access_key_id,
        access_key_secret=now.access_key_secret,
        security_token=now.security_token,
        renew=renew,
    )


def _kind(connection: Connection, kinds: Sequence[str], path: str) -> str:
    kind = connection.conn_type or ""
    if not kinds or kind in kinds:
        return kind
    if kind == _ANY_ALIBABA_SERVICE:
        for wanted in kinds:
            if wanted in _ALIBABA_KINDS:
                return wanted
    raise ConfigError(f"{path}.conn_type", kind, allowed=", ".join(kinds), cure="name another connection")


def _extra(connection: Connection, path: str) -> dict[str, Any]:
    if not connection.extra:
        return {}
    try:
        extra = json.loads(connection.extra)
    except ValueError as error:
        raise ConfigError(f"{path}.extra", reason=f"not JSON ({error})", cure="correct it") from error
    if not isinstance(extra, dict):
        raise ConfigError(f"{path}.extra", reason="not a JSON object", cure="correct it")
    # Airflow's older forms prefix the fields of a type.
    prefix = f"extra__{connection.conn_type}__"
    extra = {name.removeprefix(prefix): value for name, value in extra.items()}
    # The form stores what was left empty as "", null or an unticked box; none of them says anything.
    typed = {name: _typed(value, name, path) for name, value in extra.items() if value not in (None, "")}
    if typed.get("path_style") is False:
        del typed["path_style"]
    return typed


def _typed(value: Any, name: str, path: str) -> Any:
    """Give flags and numbers their type: a connection from a URI holds texts only."""
    if name in _FLAGS and isinstance(value, str):
        if value.lower() not in {"true", "false"}:
            raise ConfigError(f"{path}.extra.{name}", value, allowed="true or false")
        return value.lower() == "true"
    if name in _NUMBERS and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ConfigError(f"{path}.extra.{name}", value, allowed="a number") from None
    return value


def _endpoint(connection: Connection, extra: Mapping[str, Any]) -> str:
    host = (connection.host or str(extra.get("endpoint") or "")).strip()
    if not host or connection.conn_type not in (*_ALIBABA_KINDS, _ANY_ALIBABA_SERVICE):
        return host
    with_scheme = host if "://" in host else f"https://{host}"
    has_port = with_scheme.rpartition(":")[2].rstrip("/").isdigit()
    return with_scheme if has_port or not connection.port else f"{with_scheme.rstrip('/')}:{connection.port}"


def _public_endpoint(kind: str, extra: Mapping[str, Any]) -> str:
    """Return the public address that a region implies, which is all that Alibaba's provider stores."""
    region = _region(extra)
    if kind == "oss" and region:
        return f"https://oss-{region}.aliyuncs.com"
    if kind == "tablestore" and region and extra.get("instance"):
        return f"https://{extra['instance']}.{region}.ots.aliyuncs.com"
    return ""


def _region(extra: Mapping[str, Any]) -> str:
    return str(extra.get("region") or extra.get("region_id") or "").removeprefix("oss-")
