"""What every operator of a migration is told, and how it runs."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.hooks._migration import MigrationRequest, job_name, read_config
from airflow_provider_sync.migration.spec import MigrationSpec

if TYPE_CHECKING:
    from airflow_provider_sync.engine.contract import Environment
    from airflow_provider_sync.spec.ossimport import OssimportJob

__all__ = ["PLANNED_KEY", "MigrationOperator"]

PLANNED_KEY = "planned"
"""XCom key of what a plan tells the tasks after it."""

log = logging.getLogger(__name__)


class MigrationOperator(BaseOperator):
    """What all operators of a migration are told.

    :param source: ``{"type": "s3" | "oss" | "local" | "http", …}``: bucket and prefix, or path.
    :param target: ``{"type": "oss" | "s3" | "local", …}``.
    :param state: where plan, progress and lists are kept: ``oss://bucket/prefix/``, or a folder that all
        workers share.
    :param job: name of the job; ``<dag id>-<group id>`` unless the configuration has one.
    :param options: what to take and how to copy it (see :class:`MigrationSpec`).
    :param source_conn_id: of type ``aws`` or ``oss``; their default unless given.
    :param target_conn_id: likewise.
    :param state_conn_id: of type ``oss``; the target's unless given.
    :param config: path of ossimport's ``local_job.cfg`` or ``job.cfg``, relative to the DAG's file. What is given
        here beside it wins.
    :param system_config: path of its ``sys.properties``.
    """

    template_fields: Sequence[str] = (
        "source",
        "target",
        "state",
        "job",
        "options",
        "source_conn_id",
        "target_conn_id",
        "state_conn_id",
    )
    ui_color = "#dff5e1"

    def __init__(
        self,
        *,
        source: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
        state: str = "",
        job: str = "",
        options: Mapping[str, Any] | None = None,
        source_conn_id: str = "",
        target_conn_id: str = "",
        state_conn_id: str = "",
        config: str = "",
        system_config: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target
        self.state = state
        self.job = job
        self.options = dict(options or {})
        self.source_conn_id = source_conn_id
        self.target_conn_id = target_conn_id
        self.state_conn_id = state_conn_id
        self.config = config
        self.system_config = system_config
        self._environment: Environment | None = None
        if "job" in self.options:
            raise ConfigError("options.job", self.options["job"], cure="say job=… beside the options")
        if not any(isinstance(one, str) and "{{" in one for one in self.options.values()):
            MigrationSpec.of({"job": "name", **self.options}, "options")

    def execute(self, context: Context) -> Any:
        """Do it; what no retry can help fails at once."""
        from airflow_provider_sync.engine.contract import Environment  # noqa: PLC0415 - pyarrow, not for parsing

        self._environment = Environment()
        with airflow_errors():
            return self.work(context, self._request(), self._environment)

    @abstractmethod
    def work(self, context: Context, request: MigrationRequest, environment: Environment) -> Any:
        """Do it; the result goes to XCom."""

    def on_kill(self) -> None:
        """Ask the threads to stop; what is done is kept, what is in flight stays invisible."""
        if self._environment is not None:
            self._environment.cancelled.set()

    def _request(self) -> MigrationRequest:
        config = self._config()
        group = self.task_id.rpartition(".")[0] or "migration"
        job = self.job or ("" if config else job_name(f"{self.dag_id}-{group}"))
        return MigrationRequest.of(
            {
                "source": self.source,
                "target": self.target,
                "state": self.state,
                "job": job,
                "options": self.options,
                "source_conn_id": self.source_conn_id,
                "target_conn_id": self.target_conn_id,
                "state_conn_id": self.state_conn_id,
            },
            config,
        )

    def _config(self) -> OssimportJob | None:
        if not self.config:
            return None
        config = read_config(self.config, self.system_config, self.dag.fileloc)
        for note in config.notes:
            log.info("%s", note)
        return config
