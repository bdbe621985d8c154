"""One alert per incident, and the news that it is over."""

from __future__ import annotations

from airflow_provider_sync.notifications.alert import SyncAlert, sync_alerts

__all__ = ["SyncAlert", "sync_alerts"]
