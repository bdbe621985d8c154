"""OSS as an Airflow connection: ours, or one made for Alibaba's own provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_provider_sync.hooks.connection import resolve_connection

if TYPE_CHECKING:
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
