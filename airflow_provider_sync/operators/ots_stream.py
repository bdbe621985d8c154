"""Changes of a Tablestore table, as objects in OSS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import pendulum
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
    :param object_name: name of the objects, to which window and split are added. Rendered anew for each window
        that the run writes, with that window's ``data_interval_start``, ``data_interval_end``, ``logical_date``,
        ``ds``, ``ts`` and the like: a window has the same names whichever run writes it.
    :param mode: ``single_version_and_update_only`` (a row per change) or ``multi_version`` (a row per cell).
    :param export_sequence_info: add the change's place in the stream, a text that sorts as the stream does.
    :param status_table: keeps progress, row for row as DataX does; made if it is not there.
    :param write_mode: ``truncate`` replaces what this window wrote before, ``append`` adds objects (or, with
        ``writeSingleObject``, to one object), ``nonConflict`` refuses names that are taken.
    :param file_format: ``csv``, ``text``, ``parquet`` or ``jsonl``.
    :param concurrent: how many objects a window becomes at most, written side by side; shards are dealt out to
        them. Shards are read side by side in any case.
    :param error_limit: how many records may be rejected before the run fails.
    :param reader_options: more parameters of the reader, by their DataX names.
    :param writer_options: more parameters of the writer, by their DataX names (``fieldDelimiter`` …); rendered
        like ``object_name``.

    The rest as for :class:`SyncOperator`. All texts are rendered; ``${start_time}`` and the like are not
    (give them to ``SyncOperator``): names carry the window anyway.
    """

    template_fields: Sequence[str] = (
        "table",
        "columns",
        "bucket",
        "status_table",
        "reader_options",
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
        concurrent: int = 1,
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
        del run
        named = _context_of(context, window)
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
            "object": self.render_template(self.object_name, named),
            "writeMode": self.write_mode,
            "fileFormat": self.file_format,
            **self.render_template(self.writer_options, named),
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


def _context_of(context: Context, window: Window | None) -> Context:
    """Return the context that a run of exactly this window would have had, as far as times go.

    A run that completes an earlier window too must give it the names that its own run would have given it.
    """
    if window is None:
        return context
    start, end = pendulum.instance(window.start_time), pendulum.instance(window.end_time)
    times = {
        "data_interval_start": start,
        "data_interval_end": end,
        "logical_date": start,
        "ds": start.strftime("%Y-%m-%d"),
        "ds_nodash": start.strftime("%Y%m%d"),
        "ts": start.isoformat(),
        "ts_nodash": start.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": start.isoformat().replace("-", "").replace(":", ""),
    }
    return cast("Context", {**context, **times})
