"""Credential clients of the vendor's library, one for each way to sign in.

Those that fetch and renew credentials are kept for the life of the process: one of type ``ecs_ram_role`` or
``default`` starts a thread that nothing stops (observed). Those of a fixed key hold nothing worth keeping.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import threading
from typing import Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["credential_client", "fingerprint"]

_FIELDS: dict[str, tuple[str, ...]] = {
    "AK": (),
    "STS": (),
    "ram_role_arn": (
        "role_arn",
        "role_session_name",
        "role_session_expiration",
        "external_id",
        "policy",
        "sts_endpoint",
    ),
    "ecs_ram_role": ("role_name", "disable_imds_v1"),
    "oidc_role_arn": (
        "role_arn",
        "oidc_provider_arn",
        "oidc_token_file_path",
        "role_session_name",
        "role_session_expiration",
        "sts_endpoint",
    ),
    "credentials_uri": ("credentials_uri",),
    "default": (),
}
_NEEDED = {
    "ram_role_arn": ("role_arn",),
    "oidc_role_arn": ("role_arn", "oidc_provider_arn", "oidc_token_file_path"),
    "credentials_uri": ("credentials_uri",),
}
_WITH_KEY = ("AK", "STS", "ram_role_arn")
_FIXED = ("access_key", "sts")
_clients: dict[str, Any] = {}
_lock = threading.Lock()


def credential_client(connection: ConnectionInfo) -> Any:
    """Return the credential client for a connection; the process has one for each identity that is fetched.

    ``connection.extra["auth_type"]`` chooses: AK (the default, STS if there is a token), STS, ram_role_arn,
    ecs_ram_role, oidc_role_arn, credentials_uri, default. :class:`ConfigError` names a missing field. Nothing is
    fetched here.
    """
    settings = _settings(connection)
    if settings["type"] in _FIXED:
        return _make(settings)
    key = fingerprint(connection)
    with _lock:
        if key not in _clients:
            _clients[key] = _make(settings)
        return _clients[key]


def fingerprint(connection: ConnectionInfo) -> str:
    """Return a digest of everything that says who signs in: two connections with the same one are the same user."""
    text = json.dumps(_settings(connection), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(connection: ConnectionInfo) -> dict[str, Any]:
    token = connection.security_token.reveal()
    kind = str(connection.extra.get("auth_type") or ("STS" if token else "AK"))
    if kind not in _FIELDS:
        raise ConfigError("connection.extra.auth_type", kind, allowed=", ".join(_FIELDS))
    settings = {name: connection.extra[name] for name in _FIELDS[kind] if connection.extra.get(name)}
    for name in _NEEDED.get(kind, ()):
        if name not in settings:
            raise ConfigError(
                f"connection.extra.{name}", reason=f"missing for auth_type {kind}", cure="set it"
            )
    if kind in _WITH_KEY:
        settings |= _keys(connection)
        if token:
            settings["security_token"] = token
        elif kind == "STS":
            raise ConfigError("connection.security_token", reason="missing for auth_type STS", cure="set it")
    return {"type": {"AK": "access_key", "STS": "sts"}.get(kind, kind), **settings}


def _keys(connection: ConnectionInfo) -> dict[str, str]:
    if not connection.access_key_id:
        raise ConfigError("connection.access_key_id", reason="missing", cure="set it in the connection")
    if not connection.access_key_secret:
        raise ConfigError("connection.access_key_secret", reason="missing", cure="set it in the connection")
    return {
        "access_key_id": connection.access_key_id,
        "access_key_secret": connection.access_key_secret.reveal(),
    }


def _make(settings: dict[str, Any]) -> Any:
    try:
        library = importlib.import_module("alibabacloud_credentials.client")
        models = importlib.import_module("alibabacloud_credentials.models")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "connection",
            reason=f"signing in needs {error.name}, which is not installed",
            cure="pip install 'airflow-provider-sync[credentials]'",
        ) from error
    try:
        if settings["type"] == "default":
            return library.Client()
        return library.Client(models.Config(**settings))
    except (
        ValueError
    ) as error:  # the library's own checks, such as a role of the instance where that is forbidden
        raise ConfigError("connection.extra.auth_type", settings["type"], reason=str(error)) from error
