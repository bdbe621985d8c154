"""CPFS and its dataflows (the NAS API) as an Airflow connection."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_provider_sync.errors import SyncError
from airflow_provider_sync.hooks.connection import resolve_connection

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import NasClient, Quotas
    from airflow_provider_sync.spec.connection import ConnectionInfo

__all__ = ["CpfsHook"]


@lru_cache(maxsize=64)
def _quotas(cpfs_conn_id: str, rate: float) -> Quotas:
    """Return the buckets of this process; they hold little, because every process that starts brings full ones."""
    from airflow_provider_sync.clients.nas import Quotas  # noqa: PLC0415 - not for parsing

    del cpfs_conn_id  # is the key
    return Quotas(subtask_rate=rate, subtask_burst=max(1, round(rate / 20)))


class CpfsHook(BaseHook):
    """Connects to the NAS API of a region; accepts connections of type ``cpfs`` and ``alibaba_cloud``.

    ``calls_per_second`` bounds the calls on subtasks of all hooks of this process that give the same connection and
    number (the service allows an account 100 for each operation; tasks that run beside each other share that); None
    leaves 80 to the process. ``patience`` is how many seconds a call may be tried again.
    """

    conn_name_attr = "cpfs_conn_id"
    default_conn_name = "cpfs_default"
    conn_type = "cpfs"
    hook_name = "Alibaba Cloud CPFS"

    def __init__(
        self,
        cpfs_conn_id: str = default_conn_name,
        *,
        calls_per_second: float | None = None,
        patience: float = 60.0,
    ) -> None:
        super().__init__()
        self.cpfs_conn_id = cpfs_conn_id
        self.calls_per_second = calls_per_second
        self.patience = patience
        self._client: NasClient | None = None

    def get_connection_info(self) -> ConnectionInfo:
        """Return endpoint and credentials; :class:`ConfigError` names what is wrong with them."""
        return resolve_connection(self.cpfs_conn_id, ("cpfs",))

    def get_conn(self) -> NasClient:
        """Return the hook's client, which threads may share; there is nothing to close."""
        if self._client is None:
            from airflow_provider_sync.clients.nas import NasClient  # noqa: PLC0415 - not for parsing
            from airflow_provider_sync.engine.retry import RetryPolicy  # noqa: PLC0415

            rate = self.calls_per_second
            self._client = NasClient(
                self.get_connection_info(),
                retry=RetryPolicy(deadline=self.patience),
                quotas=None if rate is None else _quotas(self.cpfs_conn_id, rate),
            )
        return self._client

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and look for a file system that can't exist: the cheapest question that needs an answer."""
        try:
            self.get_conn().file_system("bmcpfs-connection-test")
        except SyncError as error:
            return False, str(error)
        return True, "connected; the service accepts these credentials"
