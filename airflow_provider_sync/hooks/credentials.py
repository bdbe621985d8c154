"""Credentials that are not in the connection but fetched: RAM roles, instance roles, OIDC, the default chain."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from airflow_provider_sync.errors import ConfigError, TransientError

__all__ = ["FETCHED_AUTH_TYPES", "fetch_credentials"]

FETCHED_AUTH_TYPES = ("ram_role_arn", "ecs_ram_role", "oidc_role_arn", "default")

_FIELDS = {
    "ram_role_arn": ("role_arn", "role_session_name", "role_session_expiration", "policy"),
    "ecs_ram_role": ("role_name",),
    "oidc_role_arn": ("role_arn", "oidc_provider_arn", "oidc_token_file_path", "role_session_name"),
    "default": (),
}


def fetch_credentials(
    auth_type: str, access_key_id: str, access_key_secret: str, extra: Mapping[str, Any], path: str
) -> tuple[str, str, str]:
    """Return key id, secret and token that are valid now (an hour or so, as the role says).

    Needs the ``credentials`` extra of this package. A token that cannot be had is a
    :class:`TransientError`: a role that is being changed and a metadata service that is down look the same.
    """
    try:
        models = importlib.import_module("alibabacloud_credentials.models")
        client = importlib.import_module("alibabacloud_credentials.client")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}.extra.auth_type",
            auth_type,
            reason="needs the alibabacloud_credentials library",
            cure="pip install 'airflow-provider-sync[credentials]'",
        ) from error
    try:
        if auth_type == "default":
            source = client.Client()
        else:
            settings = {name: extra[name] for name in _FIELDS[auth_type] if name in extra}
            if auth_type == "ram_role_arn":
                settings |= {"access_key_id": access_key_id, "access_key_secret": access_key_secret}
            source = client.Client(models.Config(type=auth_type, **settings))
        credential = source.get_credential()
    except Exception as error:  # the library raises bare exceptions of many kinds
        raise TransientError(f"{path}: no credentials of type {auth_type}: {error}") from error
    return (
        credential.get_access_key_id() or "",
        credential.get_access_key_secret() or "",
        credential.get_security_token() or "",
    )
