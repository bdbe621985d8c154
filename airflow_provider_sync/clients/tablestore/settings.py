"""Connection fields, checked once before the first request."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["Settings", "read_settings"]

_ENDPOINT = re.compile(r"https?://(?P<host>[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?/?")
_PUBLIC_HOST = re.compile(
    r"(?P<instance>[^.]+)\.(?P<region>[^.]+)\.(ots|ots-internal|tablestore|vpc\.tablestore)\.aliyuncs\.com",
    re.IGNORECASE,
)
_DEFAULT_TIMEOUT = 50.0
_LAST_PORT = 65_535
_HEADER_TEXT = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """``endpoint`` without a final slash, ``timeout`` of one attempt in seconds; an empty region signs by v2."""

    endpoint: str
    instance: str
    region: str
    timeout: float
    verify_answers: bool


def read_settings(connection: ConnectionInfo) -> Settings:
    """Check a connection; ``instance`` and ``region`` default to what a public endpoint's host name says.

    Raise :class:`ConfigError` naming the field. ``extra`` may hold ``instance``, ``timeout`` (seconds, 50 by
    default) and ``verify_answers`` (whether answers must be signed, true by default).
    """
    endpoint = connection.endpoint.strip()
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or int(match["port"] or 0) > _LAST_PORT:
        raise ConfigError(
            "connection.endpoint",
            endpoint,
            allowed="http or https, a host and perhaps a port, such as "
            "https://<instance>.<region>.ots.aliyuncs.com",
        )
    public = _PUBLIC_HOST.fullmatch(match["host"])
    instance = connection.extra.get("instance") or (public["instance"] if public else "")
    if not isinstance(instance, str) or not instance or not _HEADER_TEXT.fullmatch(instance):
        raise ConfigError(
            "connection.extra.instance",
            instance,
            allowed="the name of the Tablestore instance",
            cure="set it",
        )
    _check_key(connection)
    timeout = connection.extra.get("timeout", _DEFAULT_TIMEOUT)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
        raise ConfigError("connection.extra.timeout", timeout, allowed="seconds above 0")
    verify = connection.extra.get("verify_answers", True)
    if not isinstance(verify, bool):
        raise ConfigError("connection.extra.verify_answers", verify, allowed="true or false")
    return Settings(
        endpoint=endpoint.rstrip("/"),
        instance=instance,
        region=connection.region or (public["region"].lower() if public else ""),
        timeout=float(timeout),
        verify_answers=verify,
    )


def _check_key(connection: ConnectionInfo) -> None:
    texts = {
        "access_key_id": connection.access_key_id,
        "access_key_secret": connection.access_key_secret.reveal(),
        "security_token": connection.security_token.reveal(),
        "region": connection.region,
    }
    for field, text in texts.items():
        if connection.renew is None and not text and field.startswith("access_key"):
            raise ConfigError(f"connection.{field}", reason="missing", cure="set the access key to sign with")
        if not _HEADER_TEXT.fullmatch(text):
            raise ConfigError(
                f"connection.{field}",
                reason="holds a space, a line break or a character outside ASCII, perhaps from copying",
                cure="enter it again",
            )
