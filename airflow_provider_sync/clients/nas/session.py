"""One user at one endpoint: the SDK's client, and every call through quotas, retries and error translation.

The sync SDK is used, also by those who wait asynchronously: its async methods build a connection and a TLS context
for each call on the event loop (observed: 39 ms a call against 3 ms). The SDK's own retries are off; ours know the
client tokens.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_sync.clients.credentials import credential_client, fingerprint
from airflow_provider_sync.clients.nas.errors import translate
from airflow_provider_sync.clients.nas.quotas import Quotas
from airflow_provider_sync.clients.nas.settings import NasSettings
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError, CorruptDataError, ThrottledError
from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["NasSession"]

_PAGE = 100
_SDK = "alibabacloud_nas20170626"
_NOISY = ("darabonba-core", "credentials")


class NasSession:
    """Asks the service. Nothing is asked and no SDK imported until the first use; may be shared by threads."""

    def __init__(
        self, connection: ConnectionInfo, retry: RetryPolicy, quotas: Quotas | None, credential: Any
    ) -> None:
        self._settings = NasSettings.of(connection)
        self._connection = connection
        self._retry = retry
        who = connection.access_key_id or fingerprint(connection)
        self._quotas = quotas or Quotas.shared(f"{self._settings.endpoint or self._settings.region} {who}")
        self._credential = credential
        self._client: Any = None
        self._library: Any = None

    @property
    def models(self) -> Any:
        """The SDK's request and answer classes."""
        if self._library is None:
            self._library = _import()
        return self._library

    def call(self, operation: str, request: Any, subject: str) -> Any:
        """Ask one operation and return its answer's body; ``subject`` names what it is about in messages."""
        method = getattr(self._sdk(), _snake(operation))
        what = f"nas {operation} {subject}"

        def once() -> Any:
            self._quotas.take(operation)
            try:
                return method(request).body
            except Exception as error:
                meant = translate(error, what)
                if isinstance(meant, ThrottledError) and meant.retry_after is None:
                    self._quotas.slow_down(operation)
                raise meant from error

        return self._retry.call(once, what=what)

    def _sdk(self) -> Any:
        if self._client is None:
            _ = self.models  # imports the SDK, or says that it is missing
            settings = self._settings
            config = importlib.import_module("alibabacloud_tea_openapi.utils_models").Config(
                credential=self._credential or credential_client(self._connection),
                endpoint=settings.endpoint or None,
                protocol=settings.protocol,
                region_id=settings.region or "local",
                network=settings.network,
                read_timeout=round(settings.timeout * 1000),
                connect_timeout=round(settings.connect_timeout * 1000),
                http_proxy=settings.http_proxy or None,
                https_proxy=settings.https_proxy or None,
                ca=settings.ca or None,
            )
            self._client = importlib.import_module(f"{_SDK}.client").Client(config)
            _quiet()
        return self._client

    def pages(
        self, operation: str, file_system_id: str, filters: Mapping[str, str], **more: Any
    ) -> Iterator[Any]:
        """Yield the answers of a Describe operation, page by page."""
        if not file_system_id:
            raise ConfigError("file_system_id", file_system_id, allowed="an id")
        models = self.models
        pairs = [getattr(models, f"{operation}RequestFilters")(key=k, value=v) for k, v in filters.items()]
        kind = getattr(models, f"{operation}Request")
        token = ""
        while True:
            request = kind(
                file_system_id=file_system_id,
                filters=pairs or None,
                max_results=_PAGE,
                next_token=token or None,
                **more,
            )
            body = self.call(operation, request, file_system_id)
            yield body
            if not body.next_token:
                return
            if body.next_token == token:
                raise CorruptDataError(f"{operation} {file_system_id}: the service repeats its NextToken")
            token = body.next_token


def _import() -> Any:
    try:
        models = importlib.import_module(f"{_SDK}.models")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "connection",
            reason=f"NAS needs {error.name}, which is not installed",
            cure="pip install 'airflow-provider-sync[cpfs]'",
        ) from error
    return models


def _quiet() -> None:
    """Take back what importing the SDK did: loggers that write to stderr beside whatever logging is set up."""
    for name in _NOISY:
        logger = logging.getLogger(name)
        for handler in [one for one in logger.handlers if type(one) is logging.StreamHandler]:
            logger.removeHandler(handler)


def _snake(operation: str) -> str:
    """``CreateDataFlowSubTask`` is the SDK's ``create_data_flow_sub_task``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
