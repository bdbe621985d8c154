"""Waiting until a dataflow or a task of it has a status, in the triggerer or on the worker."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context

from airflow_provider_sync.errors import CancelledError, ConfigError, SyncError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.hooks.cpfs import CpfsHook

__all__ = ["StatusError", "StatusLateError", "StatusOperator", "deadline_of"]

log = logging.getLogger(__name__)


class StatusError(SyncError):
    """A dataflow or a task has ended in a status that is not the wanted one."""


class StatusLateError(SyncError):
    """A dataflow or a task has not reached its status in time."""


def deadline_of(operator: Any) -> float | None:
    """Return until when a try may wait, in Unix time; None for ever.

    Airflow does not apply ``execution_timeout`` to a deferred task (observed), and who sets it means the wait.
    """
    limit: timedelta | None = operator.timeout or operator.execution_timeout
    return None if limit is None else time.time() + limit.total_seconds()


class StatusOperator(BaseOperator):
    """What operators on dataflows and tasks share: the connection, and waiting.

    :param deferrable: False waits on the worker.
    :param poll_interval: seconds between two looks; the API answers an account 120 of them a minute.
    :param timeout: of the wait in one try; ``execution_timeout`` if that is given instead.
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
            return self.work(context, deadline_of(self))

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

    def wait_for(
        self,
        kind: str,
        subject: str,
        until: Sequence[str],
        deadline: float | None,
        *,
        look: Callable[[Any], None] = lambda _: None,
        cancel_on_kill: bool = False,
    ) -> Any:
        """Return the dataflow or task once its status is one of ``until``, None once it is gone.

        ``look`` is called with it as often as it is seen on the worker.
        """
        while True:
            found = getattr(self.client, kind)(self.file_system_id, subject)
            if found is not None:
                look(found)
            if found is None or found.status_text in until:
                return found
            self.log.info("%s %s is %s", kind, subject, found.status_text)
            if deadline is not None and time.time() >= deadline:
                raise StatusLateError(
                    f"{kind} {subject} is {found.status_text} after {self.timeout or self.execution_timeout}; "
                    f"wanted {' or '.join(until)}"
                )
            if self.deferrable:
                self._defer(kind, subject, until, deadline, cancel_on_kill=cancel_on_kill)
            if self._killed.wait(self.poll_interval):
                raise CancelledError(f"stopped while waiting for {kind} {subject}")

    def _defer(
        self, kind: str, subject: str, until: Sequence[str], deadline: float | None, *, cancel_on_kill: bool
    ) -> None:
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
                cancel_on_kill=cancel_on_kill,
            ),
            method_name="resume",
            kwargs={"deadline": deadline},
        )
