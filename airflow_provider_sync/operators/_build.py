"""From a job's spec to a job that runs: connections resolved, plug-ins built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks.connection import resolve_connection
from airflow_provider_sync.registry import (
    build_reader,
    build_store,
    build_writer,
    reader_class,
    store_class,
    writer_class,
)
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.job import Endpoint, JobSpec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from airflow_provider_sync.engine.contract import CheckpointStore, Environment
    from airflow_provider_sync.engine.job import Job
    from airflow_provider_sync.engine.report import Progress

__all__ = ["build_checkpoints", "build_job", "endpoint_of", "frame_transform", "with_checkpoint"]

_STATUS_TABLE = "TableStoreStreamReaderStatusTable"


def with_checkpoint(spec: JobSpec, checkpoint: Endpoint | None, *, windowed: bool) -> JobSpec:
    """Return ``spec`` with a store of progress: the given one, its own, or the natural one of its reader.

    A stream of Tablestore keeps its progress beside the table, as DataX does; a job without windows needs
    none that outlives it.
    """
    chosen = checkpoint or spec.checkpoint
    if chosen is None and spec.reader.plugin == "otsstream":
        chosen = replace(spec.reader, plugin="tablestore", parameter={"table": _STATUS_TABLE})
    if chosen is None and not windowed:
        chosen = Endpoint("memory")
    if chosen is None:
        raise ConfigError(
            "checkpoint",
            reason="missing: a job with windows must remember how far it is",
            cure="name a store, such as {'plugin': 'sql', 'connection': …}",
        )
    return replace(spec, checkpoint=chosen)


def build_checkpoints(spec: JobSpec, environment: Environment) -> CheckpointStore:
    """Build the store that ``spec.checkpoint`` names."""
    endpoint = spec.checkpoint
    if endpoint is None:
        raise ConfigError("checkpoint", reason="missing", cure="name a store")
    kinds = store_class(endpoint.plugin).connection_kinds
    return build_store(endpoint, _connection(endpoint, kinds, "checkpoint"), environment)


def build_job(
    spec: JobSpec,
    store: CheckpointStore,
    environment: Environment,
    *,
    transform: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Job:
    """Build reader and writer; nothing is asked of any service yet."""
    from airflow_provider_sync.engine.job import Job  # noqa: PLC0415 - pyarrow stays out of DAG parsing

    if spec.transform and transform is not None:
        raise ConfigError("transform", reason="given in the job and to the operator", cure="keep one of them")
    if spec.transform:
        raise ConfigError(
            "transform", reason="column transforms in the job are not known", cure="give a function"
        )
    reader_kinds = reader_class(spec.reader.plugin).connection_kinds
    writer_kinds = writer_class(spec.writer.plugin).connection_kinds
    return Job(
        spec=spec,
        reader=build_reader(spec.reader, _connection(spec.reader, reader_kinds, "reader"), environment),
        writer=build_writer(spec.writer, _connection(spec.writer, writer_kinds, "writer"), environment),
        store=store,
        environment=environment,
        transform=transform,
        progress=progress,
    )


def frame_transform(
    function: Callable[[pd.DataFrame], pd.DataFrame],
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Adapt a function of data frames to batches.

    Numbers and flags arrive in pandas' nullable types, so that an integer beside a null is not rounded. What
    the function makes of an empty frame declares the columns for good.
    """
    import pandas as pd  # noqa: PLC0415 - only for jobs that have a transform
    import pyarrow as pa  # noqa: PLC0415

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.float32(): pd.Float32Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }
    schemas: dict[Any, pa.Schema] = {}

    def call(rows: pa.RecordBatch) -> pd.DataFrame:
        return function(rows.to_pandas(types_mapper=nullable.get))

    def declare(given: pa.Schema) -> pa.Schema:
        made = pa.Schema.from_pandas(call(pa.RecordBatch.from_pylist([], schema=given)), preserve_index=False)
        fields = []
        for field in made:
            kind = field.type
            if pa.types.is_null(kind) and field.name in given.names:
                kind = given.field(field.name).type  # pandas has no type for it, but nobody changed it
            fields.append((field.name, pa.string() if pa.types.is_large_string(kind) else kind))
        return pa.schema(fields)

    def convert(rows: pa.RecordBatch) -> pa.RecordBatch:
        declared = schemas.get(rows.schema)
        if declared is None:
            declared = schemas[rows.schema] = declare(rows.schema)
        try:
            table = pa.Table.from_pandas(call(rows), schema=declared, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as error:
            raise ConfigError(
                "transform", reason=f"its result does not fit the columns of its empty result: {error}"
            ) from error
        columns = [column.combine_chunks() for column in table.columns]
        return pa.RecordBatch.from_arrays(columns, schema=declared)

    return convert


def _connection(endpoint: Endpoint, kinds: tuple[str, ...], path: str) -> ConnectionInfo | None:
    if not kinds and not endpoint.connection:
        return None
    if endpoint.inline is not None:
        mask_secret(endpoint.inline.access_key_secret.reveal())
        return endpoint.inline
    if not endpoint.connection:
        raise ConfigError(
            f"{path}.connection", reason="missing", cure=f"name a connection of type {' or '.join(kinds)}"
        )
    return resolve_connection(endpoint.connection, kinds)


def endpoint_of(value: Endpoint | Mapping[str, Any] | None, path: str) -> Endpoint | None:
    """Accept an endpoint as JSON too."""
    if value is None or isinstance(value, Endpoint):
        return value
    return Endpoint.from_json(value, path)
