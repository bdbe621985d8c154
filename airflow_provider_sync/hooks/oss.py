"""OSS as an Airflow connection: ours, or one made for Alibaba's own provider."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_provider_sync.errors import SyncError
from airflow_provider_sync.hooks.connection import resolve_connection

if TYPE_CHECKING:
    from airflow_provider_sync.clients.oss.client import OssClient
    from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["OSSHook"]


class OSSHook(BaseHook):
    """Connects to OSS; accepts connections of type ``oss`` and ``alibaba_cloud``."""

    conn_name_attr = "oss_conn_id"
    default_conn_name = "oss_default"
    conn_type = "oss"
    hook_name = "Alibaba Cloud OSS"

    def __init__(self, oss_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.oss_conn_id = oss_conn_id

    def get_connection_info(self) -> ConnectionInfo:
        """Return endpoint, credentials and ``extra["bucket"]``; :class:`ConfigError` names what is wrong."""
        return resolve_connection(self.oss_conn_id, ("oss",))

    def get_conn(self) -> OssClient:
        """Return a new client; close it."""
        from airflow_provider_sync.clients.oss.client import OssClient  # noqa: PLC0415 - heavy
        from airflow_provider_sync.engine.retry import RetryPolicy  # noqa: PLC0415

        return OssClient(self.get_connection_info(), retry=RetryPolicy(attempts=3, deadline=20.0))

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and look at the connection's bucket."""
        try:
            bucket = self.get_connection_info().extra.get("bucket", "")
            if not bucket:
                return False, "name a bucket: OSS lets most keys see their own bucket only"
            with closing(self.get_conn()) as client:
                client.bucket_info(bucket)
        except SyncError as error:
            return False, str(error)
        return True, f"connected; bucket {bucket} is there"
