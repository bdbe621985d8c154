"""Ways to tell people: the log, a webhook, a DingTalk robot, e-mail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from urllib.parse import quote_plus

import urllib3
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_sync.errors import ConfigError, SyncError, TransientError
from airflow_provider_sync.notifications.message import Message

__all__ = ["send_dingtalk", "send_email", "send_log", "send_webhook"]

_DINGTALK = "https://oapi.dingtalk.com"
_OK = 200
_FIRST_REFUSAL = 300
_TIMEOUT = 10.0
log = logging.getLogger("airflow_provider_sync.alert")


def send_log(message: Message) -> None:
    """Write to the log of the process that runs the callback (dag-processor or triggerer)."""
    level = logging.INFO if message.event == "recovered" else logging.ERROR
    log.log(level, "%s | %s", message.title, " | ".join(message.lines))


def send_webhook(message: Message, conn_id: str) -> None:
    """POST the message as JSON to the connection's URL.

    Host (with or without ``https://``), port and schema (the path) of any connection; a password is sent as
    ``Authorization: Bearer``.
    """
    connection = BaseHook.get_connection(conn_id)
    if not connection.host:
        raise ConfigError(f"connection {conn_id}.host", reason="missing", cure="set the address to call")
    url = connection.host if "://" in connection.host else f"https://{connection.host}"
    url = f"{url.rstrip('/')}:{connection.port}" if connection.port else url
    path = (connection.schema or "").strip("/")
    headers = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
    _post(f"{url}/{path}" if path else url, {**asdict(message), "text": _text(message)}, headers)


def send_dingtalk(message: Message, conn_id: str, *, clock: Callable[[], float] = time.time) -> None:
    """Post to a custom robot of a DingTalk group.

    Password of the connection: the access token of the robot's address. ``extra.secret``: the ``SEC…`` text, if
    the robot's security setting is "sign". Host: only to use another address than DingTalk's. (Signature and
    answer as documented by DingTalk.)
    """
    connection = BaseHook.get_connection(conn_id)
    if not connection.password:
        raise ConfigError(
            f"connection {conn_id}.password", reason="missing", cure="set the robot's access token"
        )
    host = connection.host or _DINGTALK
    host = host if "://" in host else f"https://{host}"
    port = f":{connection.port}" if connection.port else ""
    url = f"{host.rstrip('/')}{port}/robot/send?access_token={quote_plus(connection.password)}"
    secret = connection.extra_dejson.get("secret")
    if secret:
        mask_secret(secret)
        url += sign_dingtalk(secret, int(clock() * 1000))
    body = {
        "msgtype": "markdown",
        "markdown": {
            "title": message.title,
            "text": f"#### {message.title}\n\n" + "\n".join(f"- {line}" for line in message.lines),
        },
    }
    answer = _post(url, body, {})
    if answer.get("errcode") != 0:
        raise TransientError(f"dingtalk refused: {answer.get('errcode')} {answer.get('errmsg')}")


def sign_dingtalk(secret: str, timestamp: int) -> str:
    """Return ``&timestamp=…&sign=…``; ``timestamp`` in milliseconds."""
    text = f"{timestamp}\n{secret}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return f"&timestamp={timestamp}&sign={quote_plus(base64.b64encode(digest))}"


def send_email(message: Message, to: Sequence[str], conn_id: str, sender: str | None) -> None:
    """Send by Airflow's SMTP provider."""
    from airflow.providers.smtp.hooks.smtp import SmtpHook  # noqa: PLC0415 - only where e-mail is wanted

    with SmtpHook(smtp_conn_id=conn_id) as hook:
        hook.send_email_smtp(
            to=list(to),
            from_email=sender,
            subject=message.title,
            html_content="<br>".join(_escape(line) for line in (message.title, *message.lines)),
        )


def _text(message: Message) -> str:
    return "\n".join((message.title, *message.lines))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _post(url: str, body: object, headers: dict[str, str]) -> dict[str, object]:
    # The address may hold a token: errors name neither it nor urllib3's own text, which repeats it.
    try:
        answer = urllib3.request(
            "POST", url, json=body, headers=headers, timeout=_TIMEOUT, retries=urllib3.Retry(2, redirect=0)
        )
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"the alert could not be delivered: {type(error).__name__}") from None
    if not _OK <= answer.status < _FIRST_REFUSAL:
        raise SyncError(f"the alert was refused with HTTP {answer.status}")
    try:
        data = json.loads(answer.data)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
