"""How a batch task stands, in the words for sets of files; and ending it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_sync.clients.nas.errors import StatusConflictError
from airflow_provider_sync.errors import NotFoundError, SyncError
from airflow_provider_sync.hooks._subtasks import Survey

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import DataflowTask, NasClient

__all__ = ["batch_survey", "cancel_batch"]

log = logging.getLogger(__name__)


def batch_survey(task: DataflowTask) -> Survey:
    """Return what a batch reports of itself; which of its files failed is in its reports only."""
    progress = task.progress
    return Survey(
        total=progress.files_total,
        moved=progress.files_actual,
        skipped=max(0, progress.files_done - progress.files_actual),
        active=max(0, progress.files_total - progress.files_done) if task.active else 0,
        bytes_total=progress.bytes_total,
        bytes_done=progress.bytes_done,
        bytes_moved=progress.bytes_actual,
        bytes_per_second=progress.bytes_per_second,
        eta=progress.remain_seconds,
    )


def cancel_batch(client: NasClient, file_system_id: str, task_id: str) -> None:
    """Cancel a batch that has not ended; one that the service does not let go of goes on, with a warning.

    Documented in two ways: cancelable while it is Pending or Executing, or Pending only.
    """
    try:
        found = client.task(file_system_id, task_id)
        if found is None or not found.active or found.streaming:
            return
        client.cancel_task(file_system_id, found.dataflow_id, task_id)
    except (StatusConflictError, NotFoundError) as error:
        log.warning("batch %s goes on: %s", task_id, error)
    except SyncError as error:
        log.warning("could not cancel batch %s: %s", task_id, error)
    else:
        log.info("canceled batch %s", task_id)
