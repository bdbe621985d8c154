"""Waits for a job of object migration, whoever runs it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue

from airflow_provider_sync.errors import PermanentError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.hooks._migration import MigrationRequest

__all__ = ["MigrationSensor"]

log = logging.getLogger(__name__)


class MigrationSensor(BaseSensorOperator):
    """Succeed when a job has moved everything, fail when it ended with failures; tell the progress meanwhile.

    Between two looks it holds no worker (``mode="reschedule"``). A job that does not exist yet is waited for.

    :param job: name of the job.
    :param state: its state folder, as the migration was told.
    :param state_conn_id: of type ``oss``, for a state folder there.

    Returns (to XCom) the counts of the job.
    """

    template_fields: Sequence[str] = ("job", "state", "state_conn_id")
    ui_color = "#dff5e1"

    def __init__(
        self,
        *,
        job: str,
        state: str,
        state_conn_id: str = "oss_default",
        mode: str = "reschedule",
        poke_interval: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(mode=mode, poke_interval=poke_interval, **kwargs)
        self.job = job
        self.state = state
        self.state_conn_id = state_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        from airflow_provider_sync.migration.status import stat  # noqa: PLC0415 - not for parsing

        del context
        request = MigrationRequest(
            job=self.job, source={}, target={}, state=self.state, options={}, state_conn_id=self.state_conn_id
        )
        with airflow_errors(), request.folder() as folder:
            found = stat(folder)
            for line in found.as_text().splitlines():
                log.info("%s", line)
            if found.state == "Failed":
                raise PermanentError(
                    f"job {self.job!r} failed: {found.failed_objects} objects, {found.rejected} names rejected, "
                    f"{found.different} different; its folder in {folder.files.name} has the lists"
                )
        return PokeReturnValue(is_done=found.state == "Succeed", xcom_value=found.as_json())
