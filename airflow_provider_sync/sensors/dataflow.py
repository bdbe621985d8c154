"""Waiting for subtasks that something else has submitted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.hooks.cpfs import CpfsHook

if TYPE_CHECKING:
    from airflow_provider_sync.hooks._subtasks import SubtaskProbe, Survey

__all__ = ["CpfsSubtaskSensor"]

_KILL_SECONDS = 3.5  # Airflow kills five seconds after it asks


class CpfsSubtaskSensor(BaseSensorOperator):
    """Succeed when every subtask is COMPLETE with a progress of 10,000; fail, naming the files, if one can't be.

    FAILED, CANCELED and EXPIRED are failures, and so is a subtask that the service does not show for ``patience``
    seconds. A status that this version does not know is waited for.

    :param subtask_ids: one or thousands; for example XCom ``subtask_ids`` of a ``CpfsMoveFilesOperator`` with
        ``wait=False``, mapped or not.
    :param dataflow_task_ids: their tasks: more than a hundred subtasks are looked for in these tasks' pages.
    :param on_failed: ``list`` succeeds when all have ended, with the failed files in the report.
    :param deferrable: False follows ``mode``: ``poke`` holds a worker, ``reschedule`` does not between looks.
    :param cancel_on_kill: cancel what has not arrived when somebody ends or clears the sensor.

    ``poke_interval`` and ``timeout`` are those of any sensor. Returns ``{"files", "moved", "skipped", "failed",
    "failed_files", "bytes_done", "bytes_moved"}``.
    """

    template_fields: Sequence[str] = ("cpfs_conn_id", "file_system_id", "dataflow_task_ids", "subtask_ids")
    ui_color = "#d4f1e4"

    def __init__(
        self,
        *,
        file_system_id: str,
        subtask_ids: str | Sequence[str] | Sequence[Sequence[str]],
        dataflow_task_ids: str | Sequence[str] = (),
        cpfs_conn_id: str = CpfsHook.default_conn_name,
        on_failed: str = "fail",
        deferrable: bool = True,
        patience: float = 300.0,
        cancel_on_kill: bool = False,
        poke_interval: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        if on_failed not in {"fail", "list"}:
            raise ConfigError("on_failed", on_failed, allowed="fail or list")
        self.file_system_id = file_system_id
        self.subtask_ids = subtask_ids
        self.dataflow_task_ids = dataflow_task_ids
        self.cpfs_conn_id = cpfs_conn_id
        self.on_failed = on_failed
        self.deferrable = deferrable
        self.patience = patience
        self.cancel_on_kill = cancel_on_kill
        self._given_up: Sequence[str] = ()

    def execute(self, context: Context) -> Any:
        """Look at once; then wait in the triggerer, or as other sensors do."""
        if not self.deferrable:
            return super().execute(context)
        return self._look_or_defer(context, time.time() + self.timeout)

    def resume(self, context: Context, event: Any = None, deadline: float = 0.0) -> Any:
        """Look again, because the event may be old."""
        self._given_up = (event or {}).get("never_shown", [])
        return self._look_or_defer(context, deadline)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        from airflow_provider_sync.hooks._subtasks import show_survey  # noqa: PLC0415 - not for parsing

        with airflow_errors():
            survey = self._probe.look()
            show_survey(context, survey)
            if survey.finished:  # in place of what the triggerer has shown last
                context["ti"].xcom_push("progress", survey.outcome())
            return PokeReturnValue(survey.finished, self._report(survey) if survey.finished else None)

    def on_kill(self) -> None:
        """Cancel what can be canceled before Airflow kills."""
        if self.cancel_on_kill:
            self._probe.cancel(seconds=_KILL_SECONDS)

    def _look_or_defer(self, context: Context, deadline: float) -> Any:
        from airflow_provider_sync.triggers.dataflow import SubtasksTrigger  # noqa: PLC0415 - not for parsing

        looked = self.poke(context)
        if not looked:
            if time.time() >= deadline:
                raise AirflowSensorTimeout(
                    f"the files were not moved in {self.timeout} s; their subtasks go on"
                )
            self.defer(
                trigger=SubtasksTrigger(
                    cpfs_conn_id=self.cpfs_conn_id,
                    file_system_id=self.file_system_id,
                    task_ids=_listed(self.dataflow_task_ids),
                    subtask_ids=_listed(self.subtask_ids),
                    poll_interval=self.poke_interval,
                    deadline=deadline,
                    patience=self.patience,
                    cancel_on_kill=self.cancel_on_kill,
                ),
                method_name="resume",
                kwargs={"deadline": deadline},
            )
        return looked.xcom_value

    @cached_property
    def _probe(self) -> SubtaskProbe:
        from airflow_provider_sync.hooks._subtasks import SubtaskProbe  # noqa: PLC0415 - not for parsing

        return SubtaskProbe(
            CpfsHook(self.cpfs_conn_id).get_conn(),
            self.file_system_id,
            _listed(self.subtask_ids),
            task_ids=_listed(self.dataflow_task_ids),
            patience=self.patience,
            given_up=self._given_up,
        )

    def _report(self, survey: Survey) -> dict[str, Any]:
        from airflow_provider_sync.hooks._subtasks import FilesFailedError  # noqa: PLC0415 - not for parsing

        if survey.failed and self.on_failed == "fail":
            # Ended subtasks stay as they are: looking again can't help.
            raise AirflowFailException(str(FilesFailedError(survey.total, survey.failed)))
        return survey.report()


def _listed(ids: Any) -> list[Any]:
    """Return one id, a list of them, or the lists of mapped tasks as one list."""
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        return [ids]
    return [one for part in ids for one in _listed(part)]
