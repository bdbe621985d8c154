"""Changes of a Tablestore table, as objects in OSS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import Context

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._window import RunWindow
from airflow_provider_sync.operators.sync import SyncOperator
from airflow_provider_sync.spec.datax import JobFile
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits
from airflow_provider_sync.spec.window import Window

__all__ = ["OTSStreamToOSSOperator"]


class OTSStreamToOSSOperator(SyncOperator):
    """Write what changed in a Tablestore table during the run's window to OSS.

    :param tablestore_conn_id: connection of type ``tablestore`` (or ``alibaba_cloud``).
    :param oss_conn_id: connection of type ``oss`` (or ``alibaba_cloud``).
    :param table: the table; its stream must be on.
    :param columns: what to export, in order: names, or ``{"name": …, "type": …}``. Needed in mode
        ``single_version_and_update_only``.
    :param bucket: empty takes the connection's.
    :param object_name: name of the objects, to which window and split are added. As a template it is rendered for
        the run: with ``heal``, keep times out of it, because a run writes earlier windows too.
    :param mode: ``single_version_and_update_only`` (a row per change) or ``multi_version`` (a row per cell).
    :param export_sequence_info: add the change's place in the stream, a text that sorts as the stream does.
    :param status_table: keeps progress, row for row as DataX does; made if it is not there.
    :param write_mode: ``truncate`` replaces what this window wrote before, ``append`` adds objects (or, with
        ``writeSingleObject``, to one object), ``nonConflict`` refuses names that are taken.
    :param file_format: ``csv``, ``text``, ``parquet`` or ``jsonl``.
    :param concurrent: shards read side by side in this task.
    :param error_limit: how many records may be rejected before the run fails.
    :param reader_options: more parameters of the reader, by their DataX names.
    :param writer_options: more parameters of the writer, by their DataX names (``fieldDelimiter`` …).

    The rest as for :class:`SyncOperator`. All texts are rendered; ``${start_time}`` and the like are not
    (give them to ``SyncOperator``): names carry the window anyway.
    """

    template_fields: Sequence[str] = (
        "table",
        "columns",
        "bucket",
        "object_name",
        "status_table",
        "reader_options",
        "writer_options",
        "job_name",
    )
    checks_job_when_built = False  # there is none before the texts are rendered

    def __init__(
        self,
        *,
        table: str,
        bucket: str = "",
        object_name: str,
        columns: Sequence[str | Mapping[str, Any]] = (),
        tablestore_conn_id: str = "tablestore_default",
        oss_conn_id: str = "oss_default",
        mode: Literal["single_version_and_update_only", "multi_version"] = "single_version_and_update_only",
        export_sequence_info: bool = False,
        status_table: str = "TableStoreStreamReaderStatusTable",
        write_mode: Literal["truncate", "append", "nonConflict"] = "truncate",
        file_format: Literal["csv", "text", "parquet", "jsonl"] = "csv",
        concurrent: int = 4,
        error_limit: int | None = 0,
        reader_options: Mapping[str, Any] | None = None,
        writer_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("job", "parameters"):
            if name in kwargs:
                raise ConfigError(name, reason="this operator makes its job itself", cure="use SyncOperator")
        super().__init__(job={}, **kwargs)
        self.table = table
        self.columns = list(columns)
        self.tablestore_conn_id = tablestore_conn_id
        self.oss_conn_id = oss_conn_id
        self.mode = mode
        self.export_sequence_info = export_sequence_info
        self.status_table = status_table
        self.bucket = bucket
        self.object_name = object_name
        self.write_mode = write_mode
        self.file_format = file_format
        self.concurrent = concurrent
        self.error_limit = error_limit
        self.reader_options = dict(reader_options or {})
        self.writer_options = dict(writer_options or {})

    def _load(self, context: Context, run: RunWindow | None, window: Window | None) -> JobFile:
        del run, window
        reader = {
            "dataTable": self.table,
            **({} if self.mode == "multi_version" else {"mode": self.mode}),
            "statusTable": self.status_table,
            "isExportSequenceInfo": self.export_sequence_info,
            **({"column": self._columns()} if self.columns else {}),
            **self.reader_options,
        }
        writer = {
            **({"bucket": self.bucket} if self.bucket else {}),
            "object": self.object_name,
            "writeMode": self.write_mode,
            "fileFormat": self.file_format,
            **self.writer_options,
        }
        spec = JobSpec(
            name=self._name(context),
            reader=Endpoint("otsstream", reader, self.tablestore_conn_id),
            writer=Endpoint("oss", writer, self.oss_conn_id),
            limits=Limits(concurrent=self.concurrent, error_records=self.error_limit),
            checkpoint=Endpoint("tablestore", {"table": self.status_table}, self.tablestore_conn_id),
        )
        return JobFile(spec)

    def _columns(self) -> list[dict[str, Any]]:
        return [{"name": one} if isinstance(one, str) else dict(one) for one in self.columns]
