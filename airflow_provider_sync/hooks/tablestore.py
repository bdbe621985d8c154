"""Tablestore (OTS) as an Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_provider_sync.errors import SyncError
from airflow_provider_sync.hooks.connection import resolve_connection

if TYPE_CHECKING:
    from airflow_provider_sync.clients.tablestore.client import TablestoreClient
    from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["TablestoreHook"]


class TablestoreHook(BaseHook):
    """Connects to a Tablestore instance; accepts connections of type ``tablestore`` and ``alibaba_cloud``."""

    conn_name_attr = "tablestore_conn_id"
    default_conn_name = "tablestore_default"
    conn_type = "tablestore"
    hook_name = "Alibaba Cloud Tablestore"

    def __init__(self, tablestore_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.tablestore_conn_id = tablestore_conn_id

    def get_connection_info(self) -> ConnectionInfo:
        """Return endpoint and credentials; :class:`ConfigError` names what is wrong with them."""
        return resolve_connection(self.tablestore_conn_id, ("tablestore",))

    def get_conn(self) -> TablestoreClient:
        """Return a new client; close it."""
        from airflow_provider_sync.clients.tablestore.client import TablestoreClient  # noqa: PLC0415 - heavy
        from airflow_provider_sync.engine.retry import RetryPolicy  # noqa: PLC0415

        return TablestoreClient(self.get_connection_info(), retry=RetryPolicy(attempts=3, deadline=20.0))

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and list the instance's tables."""
        try:
            with self.get_conn() as client:
                tables = client.list_tables()
        except SyncError as error:
            return False, str(error)
        return True, f"connected; the instance has {len(tables)} tables"
