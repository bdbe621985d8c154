"""Waiting until a dataflow or a task of it has a status, in the triggerer or on the worker."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context

from airflow_provider_sync.errors import CancelledError, ConfigError, SyncError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.hooks.cpfs import CpfsHook

__all__ = ["StatusError", "StatusLateError", "StatusOperator"]

log = logging.getLogger(__name__)


class StatusError(SyncError):
    """A dataflow or a task has ended in a status that is not the wanted one."""


class StatusLateError(SyncError):
    """A dataflow or a task has not reached its status in time."""


class StatusOperator(BaseOperator):
    """What operators on dataflows and tasks share: the connection, and waiting.

    :param deferrable: False waits on the worker.
    :param poll_interval: seconds between two looks; the API answers an account 120 of them a minute.
    :param timeout: of the wait in one try.
    """

    template_fields: Sequence[str] = ("cpfs_conn_id", "file_system_id")
    ui_color = "#d4f1e4"

    def __init__(
        self,
        *,
        file_system_id: str,
        cpfs_conn_id: str = CpfsHook.default_conn_name,
        deferrable: bool = True,
        poll_interval: float = 30.0,
        timeout: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if poll_interval <= 0:
            raise ConfigError("poll_interval", poll_interval, allowed="a positive number of seconds")
        self.cpfs_conn_id = cpfs_conn_id
        self.file_system_id = file_system_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self._killed = threading.Event()
        self._hook: CpfsHook | None = None

    @property
    def client(self) -> Any:
        """The connection's client (:class:`~airflow_provider_sync.clients.nas.NasClient`)."""
        self._hook = self._hook or CpfsHook(self.cpfs_conn_id)
        return self._hook.get_conn()

    def execute(self, context: Context) -> Any:
        """Ask, and wait."""
        with airflow_errors():
            deadline = None if self.timeout is None else time.time() + self.timeout.total_seconds()
            return self.work(context, deadline)

    def resume(self, context: Context, event: Any = None, deadline: float | None = None) -> Any:
        """Go on after the wait; everything is looked at anew."""
        del event
        with airflow_errors():
            return self.work(context, deadline)

    @abstractmethod
    def work(self, context: Context, deadline: float | None) -> Any:
        """Do what is to be done; called again after each wait, and in each try."""

    def on_kill(self) -> None:
        """Stop waiting."""
        self._killed.set()

    def wait_for(self, kind: str, subject: str, until: Sequence[str], deadline: float | None) -> Any:
        """Return the dataflow or task once its status is one of ``until``, None once it is gone."""
        while True:
            found = getattr(self.client, kind)(self.file_system_id, subject)
            if found is None or found.status_text in until:
                return found
            self.log.info("%s %s is %s", kind, subject, found.status_text)
            if deadline is not None and time.time() >= deadline:
                raise StatusLateError(
                    f"{kind} {subject} is {found.status_text} after {self.timeout}; wanted {' or '.join(until)}"
                )
            if self.deferrable:
                self._defer(kind, subject, until, deadline)
            if self._killed.wait(self.poll_interval):
                raise CancelledError(f"stopped while waiting for {kind} {subject}")

    def _defer(self, kind: str, subject: str, until: Sequence[str], deadline: float | None) -> None:
        from airflow_provider_sync.triggers.dataflow import DataflowStatusTrigger  # noqa: PLC0415 - not for parsing

        self.defer(
            trigger=DataflowStatusTrigger(
                cpfs_conn_id=self.cpfs_conn_id,
                file_system_id=self.file_system_id,
                kind=kind,
                subject=subject,
                until=until,
                poll_interval=self.poll_interval,
                deadline=deadline,
            ),
            method_name="resume",
            kwargs={"deadline": deadline},
        )
