"""Alibaba Cloud NAS: dataflows between CPFS and OSS, over the vendor's SDK, which is imported when first used."""

from __future__ import annotations

from airflow_provider_sync.clients.credentials import credential_client
from airflow_provider_sync.clients.nas.client import NasClient
from airflow_provider_sync.clients.nas.errors import StatusConflictError, TokenReusedError, translate
from airflow_provider_sync.clients.nas.model import (
    Condition,
    ConflictPolicy,
    Dataflow,
    DataflowStatus,
    DataflowTask,
    FileSystem,
    Progress,
    Subtask,
    SubtaskStatus,
    TaskAction,
    TaskStatus,
)
from airflow_provider_sync.clients.nas.quotas import Quotas, TokenBucket
from airflow_provider_sync.clients.nas.requests import DataflowRequest, TaskRequest

__all__ = [
    "Condition",
    "ConflictPolicy",
    "Dataflow",
    "DataflowRequest",
    "DataflowStatus",
    "DataflowTask",
    "FileSystem",
    "NasClient",
    "Progress",
    "Quotas",
    "StatusConflictError",
    "Subtask",
    "SubtaskStatus",
    "TaskAction",
    "TaskRequest",
    "TaskStatus",
    "TokenBucket",
    "TokenReusedError",
    "credential_client",
    "translate",
]
