"""Credentials that are not in the connection but fetched, and fetched anew before they run out.

RAM roles, instance roles, OIDC, a URI, the default chain: Alibaba's library knows how, and when a token is due.
"""

from __future__ import annotations

from airflow.sdk.log import mask_secret

from airflow_provider_sync.clients.credentials import credential_client
from airflow_provider_sync.errors import TransientError
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials, Secret

__all__ = ["FETCHED_AUTH_TYPES", "Current", "FetchedCredentials"]

FETCHED_AUTH_TYPES = ("ram_role_arn", "ecs_ram_role", "oidc_role_arn", "credentials_uri", "default")


class Current:
    """The credentials that were given last; the secrets of new ones are masked in logs from then on."""

    def __init__(self) -> None:
        self._last: Credentials | None = None

    def of(self, key_id: str | None, secret: str | None, token: str | None) -> Credentials:
        """Return them as :class:`Credentials`, the same object while nothing changes; threads may ask."""
        last = self._last
        given = Credentials(key_id or "", Secret(secret or ""), Secret(token or ""))
        if last == given:
            return last
        for text in (secret, token):
            if text:
                mask_secret(text)
        self._last = given
        return given


class FetchedCredentials:
    """What a connection's ``renew`` is: returns credentials that are valid now.

    ``connection`` says who signs in, as :func:`credential_client` reads it. Needs the ``credentials`` extra of
    this package. A token that cannot be had is a :class:`TransientError`: a role that is being changed and a
    metadata service that is down look the same.
    """

    def __init__(self, connection: ConnectionInfo, path: str) -> None:
        self._client = credential_client(connection)
        self._what = f"{path}: no credentials of type {connection.extra['auth_type']}"
        self._current = Current()

    def __call__(self) -> Credentials:
        """Ask the library, which asks the service only when a token is due."""
        try:
            now = self._client.get_credential()
        except Exception as error:  # the library raises bare exceptions of many kinds
            raise TransientError(f"{self._what}: {error}") from error
        return self._current.of(
            now.get_access_key_id(), now.get_access_key_secret(), now.get_security_token()
        )
