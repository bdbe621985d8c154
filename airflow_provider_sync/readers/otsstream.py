"""``otsstream``: the change stream of a Tablestore table, one window at a time.

A window ``[start, end)`` is exact (see :mod:`airflow_provider_sync.clients.tablestore.shardlog`): whatever
shards split, merge or stand still, each record is in one window. Shards are grouped into families (what splits
and merges connect); inside a family parents come before children, so that the order per key is kept, and a
child waits for the next window when its parent has not ended in this one. Families are read side by side, and
handed on in a fixed order: the same window gives the same rows in the same order every time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import TableDescription
from airflow_provider_sync.clients.tablestore.export import (
    Column,
    ColumnType,
    MultiVersionExport,
    SingleVersionExport,
)
from airflow_provider_sync.clients.tablestore.lineage import families, parents_of
from airflow_provider_sync.clients.tablestore.messages import KeyType
from airflow_provider_sync.clients.tablestore.shardlog import SHARD_END, TRIM_HORIZON, Mark, ShardLog
from airflow_provider_sync.clients.tablestore.status import ShardCheckpoint, StatusTable
from airflow_provider_sync.engine.channel import Channel, ChannelClosedError
from airflow_provider_sync.engine.contract import Environment, Plan, PlanRequest, Reader
from airflow_provider_sync.engine.record import JsonObject, RecordBatch, Split
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError, DataLossError, NotFoundError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.spec.window import Window

__all__ = ["OTSStreamOptions", "OTSStreamReader"]

SINGLE = "single_version_and_update_only"
_HOUR_MS = 3_600_000
_KEY_TYPES: dict[KeyType, ColumnType] = {
    KeyType.INTEGER: "long",
    KeyType.STRING: "string",
    KeyType.BINARY: "bytes",
}
_AHEAD = 2  # batches that a family which is not its turn may have ready
_AHEAD_BYTES = 8 * 1024 * 1024
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamColumn:
    """One item of ``column``."""

    name: str = option("name", "Key or attribute column of the table")
    type: Literal["string", "long", "double", "bool", "bytes"] = option(
        "type", "Type in the target; `string` converts everything", default="string"
    )
    is_timeseries_tag: bool = option(
        "is_timeseries_tag", "Read it from the tags of a time-series row", default=False
    )


@dataclass(frozen=True, slots=True)
class OTSStreamOptions:
    """Parameters, named as DataX names them; those marked so are ours."""

    data_table: str = option("dataTable", "Table whose stream is read")
    mode: Literal["single_version_and_update_only"] | None = option(
        "mode", "`single_version_and_update_only`: a row per change; absent: a row per cell", default=None
    )
    column: tuple[StreamColumn, ...] = option(
        "column", "Columns to export in single-version mode, in this order", default=()
    )
    is_export_sequence_info: bool = option(
        "isExportSequenceInfo", "Append the record's place in the log", default=False
    )
    is_timeseries_table: bool = option(
        "isTimeseriesTable", "The table is a time-series table (single-version mode only)", default=False
    )
    status_table: str = option(
        "statusTable",
        "DataX status table to take over from and to keep up to date, created if absent; empty: none",
        default="",
    )
    export_operation: bool = option(
        "exportOperation",
        "Ours. Keep DELETE records in single-version mode, and append the op and the names of deleted columns",
        default=False,
    )
    on_data_loss: Literal["fail", "continue"] = option(
        "onDataLoss", "Ours. What to do when retention has passed part of a window", default="fail"
    )
    seek_margin: int = option(
        "seekMarginSeconds", "Ours. How much earlier a search by time starts, in seconds", default=600
    )
    max_retries: int = option("maxRetries", "Tries of one request after the first", default=30)
    thread_num: int = option("threadNum", "Families of shards that one split reads side by side", default=8)
    table_groups: bool = option(
        "enableTableGroupSupport",
        "Name the table in each read, for tables that share a stream",
        default=False,
    )
    start_timestamp: Any = option(
        "startTimestampMillis",
        "Start of the window; read by whoever starts the job",
        default=None,
        ignored=True,
    )
    end_timestamp: Any = option(
        "endTimestampMillis", "End of the window; read by whoever starts the job", default=None, ignored=True
    )
    start_time: Any = option("startTimeString", "The same as `yyyyMMddHHmmss`", default=None, ignored=True)
    end_time: Any = option("endTimeString", "The same as `yyyyMMddHHmmss`", default=None, ignored=True)
    date: Any = option("date", "The window is this day, `yyyyMMdd`", default=None, ignored=True)
    seek: Any = option(
        "enableSeekIterator",
        "Accepted; a start that no run has fixed is always sought",
        default=None,
        ignored=True,
    )
    simplify: Any = option(
        "confSimplifyEnable", "Accepted; there is nothing to simplify", default=None, ignored=True
    )

    def __post_init__(self) -> None:
        if self.mode is None and self.is_timeseries_table:
            raise ConfigError(
                "reader.parameter.isTimeseriesTable",
                value=True,
                allowed=f"only together with mode '{SINGLE}'",
            )
        if self.mode is None and self.export_operation:
            raise ConfigError(
                "reader.parameter.exportOperation",
                value=True,
                allowed=f"only together with mode '{SINGLE}'; a row per cell names its op anyway",
            )
        for key, value, least in (
            ("threadNum", self.thread_num, 1),
            ("maxRetries", self.max_retries, 0),
            ("seekMarginSeconds", self.seek_margin, 0),
        ):
            if value < least:
                raise ConfigError(f"reader.parameter.{key}", value, allowed=f"{least} or more")


class OTSStreamReader(Reader):
    """Reads all shards of one table's stream. Splits are groups of shard families; a run needs a window."""

    Options = OTSStreamOptions
    connection_kinds = ("tablestore",)

    def __init__(
        self, options: OTSStreamOptions, connection: ConnectionInfo, environment: Environment
    ) -> None:
        self._options = options
        self._environment = environment
        retry = RetryPolicy(
            attempts=options.max_retries + 1,
            deadline=600,
            sleep=environment.sleep,
            random=environment.random,
            cancelled=environment.cancelled,
        )
        self._client = TablestoreClient(
            connection, retry=retry, pool_size=options.thread_num * 2, clock=environment.clock
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # Planning

    def plan(self, request: PlanRequest) -> Plan:
        """Check table, stream and window, find where each shard starts, group the shards."""
        window = request.window
        if window is None:
            raise ConfigError(
                "window", reason="missing", cure="a change stream is read by windows: give start and end"
            )
        options = self._options
        table = self._client.describe_table(options.data_table)
        stream_id = self._stream_of(table)
        stream = self._client.describe_stream(stream_id, timeseries=options.is_timeseries_table)
        retained_from = self._check_window(window, stream.expiration_hours)
        start = self._start_marks(request.start, stream_id, window, stream.creation_us // 1000)
        end = None if request.end is None else _marks(request.end)
        listed = {shard.shard_id: shard for shard in stream.shards}
        # A fixed end knows which shards existed then: one that came later belongs to later windows.
        chosen = [shard for shard in listed.values() if end is None or shard.shard_id in end]
        parents = parents_of(chosen)
        finished = sorted(
            shard
            for shard in parents
            if start is not None and shard in start and start[shard].at == SHARD_END
        )
        active = {
            shard: tuple(one for one in above if one not in finished)
            for shard, above in parents.items()
            if shard not in finished
        }
        groups = _group(families(active), request.parallelism)
        if request.end is not None and "groups" in request.end:
            # The run that fixed the end also fixed how it cut the window: names and order of rows hang on it, and
            # must not change because meanwhile somebody else's run told which shards were over before.
            groups = [[list(family) for family in group] for group in request.end["groups"]]
            grouped = {shard for group in groups for family in group for shard in family}
            active = {
                shard: tuple(one for one in above if one in grouped)
                for shard, above in active.items()
                if shard in grouped
            }
        key = [(column.name, _KEY_TYPES[column.type]) for column in table.primary_key]
        splits = [
            Split(
                f"{index:05d}",
                {
                    "stream_id": stream_id,
                    "window": window.to_json(),
                    "retained_from": retained_from,
                    "primary_key": key,
                    "families": [
                        [
                            {
                                "shard": shard,
                                "parents": list(active[shard]),
                                "lower": _lower(start, shard),
                                "upper": None if end is None else end[shard].to_json(),
                            }
                            for shard in family
                            if shard in active
                        ]
                        for family in group
                    ],
                },
            )
            for index, group in enumerate(groups)
        ]
        detail = {"stream_id": stream_id, "finished": finished, "groups": groups}
        return Plan(self._export(key).schema, tuple(splits), detail)

    def _stream_of(self, table: TableDescription) -> str:
        if not table.stream_enabled or not table.stream_id:
            raise ConfigError(
                "reader.parameter.dataTable",
                table.name,
                reason="its stream is off",
                cure="enable Stream for the table (168 hours keep a week) and wait for the first changes",
            )
        return table.stream_id

    def _check_window(self, window: Window, expiration_hours: int) -> int:
        now = int(self._environment.clock() * 1000)
        if window.end > now:
            raise ConfigError(
                "window", str(window), reason="its end lies in the future", cure="wait until it has passed"
            )
        retained_from = now - expiration_hours * _HOUR_MS
        if window.start < retained_from:
            gone = Window(window.start, min(window.end, retained_from))
            message = (
                f"window {window} begins before what the stream still holds ({expiration_hours} h): "
                f"changes of {gone} may be gone"
            )
            if self._options.on_data_loss == "fail":
                raise DataLossError(f"{message}; set onDataLoss to 'continue' to go on without them")
            log.warning("%s; going on without them", message)
        return retained_from

    def _start_marks(
        self, fixed: JsonObject | None, stream_id: str, window: Window, created: int
    ) -> dict[str, Mark] | None:
        """Return where earlier runs, ours or DataX's, left each shard at the window's start; None if none did."""
        if fixed is not None and fixed["stream_id"] != stream_id:
            message = (
                f"the stream of {self._options.data_table} was switched off and on again: {fixed['stream_id']} "
                f"is gone with what it held between {window.start_time.isoformat()} and the new stream "
                f"{stream_id}"
            )
            if self._options.on_data_loss == "fail" and created > window.start:
                raise DataLossError(f"{message}; set onDataLoss to 'continue' to go on with the new one")
            log.warning("%s; going on with the new one", message)
            return None
        if fixed is not None:
            return _marks(fixed)
        if not self._options.status_table:
            return None
        try:
            boundary = StatusTable(self._client, self._options.status_table).read_boundary(
                stream_id, window.start
            )
        except NotFoundError:
            return None  # no status table yet: nobody to take over from
        if boundary is None:
            return None
        log.info("taking over from DataX at %s: %d shards", window.start_time.isoformat(), len(boundary))
        return {shard: Mark(one.checkpoint) for shard, one in boundary.items()}

    # Reading

    def read(self, split: Split) -> Iterator[RecordBatch]:
        """Yield the split's rows, family after family; the last batch holds the end of every shard."""
        detail = split.detail
        export = self._export([(name, kind) for name, kind in detail["primary_key"]])
        ends: dict[str, Any] = {}
        groups = detail["families"]
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self._options.thread_num, "shards"))
            channels = [Channel(_AHEAD * 65_536, _AHEAD_BYTES) for _ in groups]
            for channel in channels:
                stack.callback(channel.close)
            for family, channel in zip(groups, channels, strict=True):
                pool.submit(self._feed, family, detail, export, channel)
            for channel in channels:
                for batch in channel:
                    ends.update(batch.position)
                    yield RecordBatch(
                        batch.rows,
                        {"shards": dict(ends)},
                        batch.read,
                        batch.nbytes,
                        batch.counters,
                        batch.rejected,
                    )
        yield RecordBatch(_empty(export.schema), {"shards": ends}, 0, 0)

    def _feed(
        self,
        family: list[dict[str, Any]],
        detail: JsonObject,
        export: SingleVersionExport | MultiVersionExport,
        channel: Channel,
    ) -> None:
        try:
            for batch in self._read_family(family, detail, export):
                channel.put(batch)
            channel.finish()
        except ChannelClosedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that takes the batches
            channel.finish(error)

    def _read_family(
        self,
        family: list[dict[str, Any]],
        detail: JsonObject,
        export: SingleVersionExport | MultiVersionExport,
    ) -> Iterator[RecordBatch]:
        """Read shards, parents first; a batch's position holds the ends of the shards finished with it."""
        options = self._options
        ends: dict[str, Mark] = {}
        over_before: dict[str, bool] = {}  # did the shard end before the window began?
        for member in family:
            shard, above = member["shard"], member["parents"]
            lower = None if member["lower"] is None else Mark.from_json(member["lower"])
            if any(ends[parent].at != SHARD_END for parent in above):
                # Its turn comes in the window in which the last parent ends: from its beginning.
                ends[shard] = lower or Mark(TRIM_HORIZON)
                over_before[shard] = False
                continue
            if lower is None and not all(over_before[parent] for parent in above):
                lower = Mark(
                    TRIM_HORIZON
                )  # the parents reach into this window, so all of this one comes after
            shard_log = ShardLog(
                client=self._client,
                stream_id=detail["stream_id"],
                shard_id=shard,
                window=Window(**detail["window"]),
                lower=lower,
                upper=None if member["upper"] is None else Mark.from_json(member["upper"]),
                environment=self._environment,
                retained_from=detail["retained_from"],
                margin=options.seek_margin * 1000,
                table_name=options.data_table if options.table_groups else None,
                tolerate_loss=options.on_data_loss == "continue",
            )
            for part in shard_log.slices():
                done = export.export(part.cells, part.actions, shard)
                yield RecordBatch(done.rows, {}, part.cells.count, part.nbytes, done.counters, done.rejected)
            if shard_log.end is None:
                raise RuntimeError(f"shard {shard} was read without an end")
            ends[shard] = shard_log.end
            over_before[shard] = shard_log.started_at_end
            if shard_log.counters:
                yield RecordBatch(_empty(export.schema), {}, 0, 0, Counter(shard_log.counters))
        position = {shard: mark.to_json() for shard, mark in ends.items()}
        yield RecordBatch(_empty(export.schema), position, 0, 0)

    def _export(self, key: list[tuple[str, ColumnType]]) -> SingleVersionExport | MultiVersionExport:
        options = self._options
        if options.mode is None:
            return MultiVersionExport(key, sequence=options.is_export_sequence_info)
        return SingleVersionExport(
            [Column(one.name, one.type, one.is_timeseries_tag) for one in options.column],
            sequence=options.is_export_sequence_info,
            operation=options.export_operation,
            timeseries=options.is_timeseries_table,
        )

    # Remembering

    def boundary(self, plan: Plan, ends: Mapping[str, JsonObject]) -> JsonObject:
        """Return where every shard stands at the window's end, those that ended earlier too, and how it was cut."""
        shards = {shard: Mark(SHARD_END).to_json() for shard in plan.detail["finished"]}
        for position in ends.values():
            shards.update(position["shards"])
        return {"stream_id": plan.detail["stream_id"], "shards": shards, "groups": plan.detail["groups"]}

    def acknowledge(self, plan: Plan, window: Window, boundary: JsonObject) -> None:
        """Write DataX's rows for this window's end, so that it could go on from here."""
        del plan
        options = self._options
        if not options.status_table:
            return
        table = StatusTable(self._client, options.status_table)
        table.ensure()
        checkpoints = {shard: ShardCheckpoint(mark.at, mark.sent) for shard, mark in _marks(boundary).items()}
        version = f"{int(self._environment.clock() * 1000)}-airflow-provider-sync"
        table.write_boundary(
            boundary["stream_id"],
            options.data_table,
            start_ms=window.start,
            end_ms=window.end,
            shards=checkpoints,
            version=version,
        )


def _marks(boundary: JsonObject) -> dict[str, Mark]:
    return {shard: Mark.from_json(mark) for shard, mark in boundary["shards"].items()}


def _lower(start: dict[str, Mark] | None, shard: str) -> dict[str, Any] | None:
    """Return the fixed start of a shard; one that a fixed boundary does not know came after it."""
    return None if start is None else start.get(shard, Mark(TRIM_HORIZON)).to_json()


def _group(groups: list[list[str]], parallelism: int) -> list[list[list[str]]]:
    """Deal families out to at most ``parallelism`` splits; at least one split, perhaps without a shard."""
    count = max(1, min(parallelism, len(groups)))
    return [groups[index::count] for index in range(count)]


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
