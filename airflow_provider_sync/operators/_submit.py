"""Asking for one subtask a file: in threads, once each whatever dies, and none left behind by a kill."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from airflow_provider_sync.clients.nas import Condition, StatusConflictError
from airflow_provider_sync.errors import CancelledError, ConfigError, NotFoundError
from airflow_provider_sync.hooks._subtasks import cancel_subtask

if TYPE_CHECKING:
    from airflow_provider_sync.clients.nas import NasClient
    from airflow_provider_sync.operators._files import FileMove
    from airflow_provider_sync.operators._ledger import Ledger

__all__ = ["Submitter"]

_THREADS = 4
_BATCH = 50  # files between two notes of their ids: what a crash asks for again
log = logging.getLogger(__name__)


@dataclass
class Submitter:
    """Creates subtasks of a streaming task.

    ``created`` gets every id as it comes, for whoever has to cancel them. Once ``killed`` is set no more are asked
    for; with ``cancel_on_kill`` those whose answers come later still are canceled here.
    """

    client: NasClient
    file_system_id: str
    dataflow_id: str
    dataflow_task_id: str
    created: list[str]
    killed: Event
    cancel_on_kill: bool

    def submit(self, moves: Sequence[FileMove], ledger: Ledger) -> None:
        """Create the subtasks that have no id in the ledger, and note their ids there.

        The first error ends it, when what was being asked for then has been answered and noted.
        """
        todo = [one for one in moves if not ledger.entry(one.name).subject]
        if not todo:
            return
        log.info("submitting %d of %d files", len(todo), len(moves))
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="cpfs-submit") as pool:
            for start in range(0, len(todo), _BATCH):
                batch = todo[start : start + _BATCH]
                _note({pool.submit(self._create, one, ledger.token(one.name)): one for one in batch}, ledger)

    def _create(self, move: FileMove, token: str) -> str:
        if self.killed.is_set():
            raise CancelledError("stopped while submitting files")
        condition = Condition(move.modify_time_ns, move.size) if move.exact else None
        where = (self.file_system_id, self.dataflow_id, self.dataflow_task_id)
        try:
            subtask = self.client.create_subtask(
                *where, move.source, move.target, client_token=token, condition=condition
            )
        except (StatusConflictError, NotFoundError) as error:
            raise ConfigError(
                "dataflow_task_id",
                self.dataflow_task_id,
                reason=str(error),
                allowed="an Executing streaming task of a Running dataflow",
            ) from error
        # In this order: the kill cancels what it finds here, and what it does not find sees the kill.
        self.created.append(subtask)
        if self.killed.is_set() and self.cancel_on_kill:
            cancel_subtask(self.client, *where, subtask)
        return subtask


def _note(asked: dict[Future[str], FileMove], ledger: Ledger) -> None:
    """Store the ids that were answered, then raise the first error."""
    wait(asked, return_when=FIRST_EXCEPTION)
    begun = [future for future in asked if not future.cancel()]
    wait(begun)
    try:
        for future in begun:
            if future.exception() is None:
                ledger.put(asked[future].name, future.result())
    finally:
        ledger.flush()
    for future in begun:
        future.result()
