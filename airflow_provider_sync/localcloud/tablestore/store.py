"""All data of the service, and every change of it as one replayable event.

A change is carried out by the method named after its kind, from nothing but its arguments: clock readings and
random ids are arguments too. So the journal of events, carried out again in order, gives the same data, the same
stream records and the same iterators.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError, invalid, not_found
from airflow_provider_sync.localcloud.tablestore.journal import Journal
from airflow_provider_sync.localcloud.tablestore.messages import REQUESTS
from airflow_provider_sync.localcloud.tablestore.seed import SeedPlan
from airflow_provider_sync.localcloud.tablestore.stream import HASHES, Shard, Stream
from airflow_provider_sync.localcloud.tablestore.table import Commit, Options, Table

__all__ = ["Instance", "Store"]


@dataclass(slots=True)
class Instance:
    """The tables of one instance, in order of creation, and its live streams by id."""

    tables: dict[str, Table] = field(default_factory=dict)
    last_stream_us: int = 0

    def table(self, name: str) -> Table:
        """Return a table; ``OTSObjectNotExist`` if there is none of that name."""
        table = self.tables.get(name)
        if table is None:
            raise not_found()
        return table

    def streams(self) -> Iterator[Stream]:
        """Yield the live streams."""
        return (table.stream for table in self.tables.values() if table.stream is not None)


class Store:
    """All instances. ``data`` is a directory for the journal; None keeps everything in memory only."""

    def __init__(self, data: Path | None, random_source: random.Random) -> None:
        self.instances: dict[str, Instance] = {}
        self._random = random_source
        self._journal = Journal(data / "tablestore.journal") if data is not None else None
        if self._journal is not None:
            for kind, arguments, blobs in self._journal.load():
                if kind == "write":
                    self._replay_write(arguments, blobs)
                else:
                    self._run(kind, arguments)

    def instance(self, name: str) -> Instance:
        """Return an instance; every name exists."""
        return self.instances.setdefault(name, Instance())

    def find_table(self, name: str) -> tuple[str, Table]:
        """Return (instance name, table) for a table name that is unique over all instances."""
        found = [(n, i.tables[name]) for n, i in self.instances.items() if name in i.tables]
        if len(found) != 1:
            raise ValueError(f"table: {name!r} exists in {len(found)} instances, one is needed")
        return found[0]

    def new_id(self) -> str:
        """Return a random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def do(self, kind: str, **arguments: Any) -> None:
        """Carry out one event and write it down."""
        self._run(kind, arguments)
        if self._journal is not None:
            self._journal.append(kind, arguments)

    def write(self, instance: str, table: Table, commit: Commit, changes: list[tuple[int, bytes]]) -> None:
        """Write down row changes that ``table.write`` has carried out: (action, row as the client sent it)."""
        if self._journal is not None and changes:
            arguments = {"instance": instance, "table": table.name, "now_us": commit.now_us}
            self._journal.append("write", arguments, [bytes((action,)) + raw for action, raw in changes])

    def reset(self) -> None:
        """Forget all data, on disk too."""
        self.instances.clear()
        if self._journal is not None:
            self._journal.clear()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _run(self, kind: str, arguments: dict[str, Any]) -> None:
        handlers: dict[str, Callable[..., None]] = {
            "create_table": self._create_table,
            "update_table": self._update_table,
            "delete_table": self._delete_table,
            "start_stream": self._start_stream,
            "stop_stream": self._stop_stream,
            "split": self._split,
            "merge": self._merge,
            "trim": self._trim,
            "retire": self._retire,
            "epoch": self._epoch,
            "blank": self._blank,
            "seed": self._seed,
        }
        handlers[kind](**arguments)

    def _replay_write(self, arguments: dict[str, Any], blobs: list[bytes]) -> None:
        table = self.instance(arguments["instance"]).table(arguments["table"])
        commit = Commit(arguments["now_us"])
        for blob in blobs:
            table.write(blob[0], pb.decode_row(blob[1:]), commit)

    def _create_table(self, instance: str, request: str, now_us: int) -> None:
        message = REQUESTS["CreateTable"].FromString(bytes.fromhex(request))
        tables = self.instance(instance).tables
        if message.table_meta.table_name in tables:
            raise ServiceError("OTSObjectAlreadyExist")
        table = Table(message, Options(), now_us)
        _set_options(table.options, message.table_options)
        tables[table.name] = table

    def _update_table(self, instance: str, request: str) -> None:
        message = REQUESTS["UpdateTable"].FromString(bytes.fromhex(request))
        table = self.instance(instance).table(message.table_name)
        _set_options(table.options, message.table_options)
        if message.HasField("reserved_throughput"):
            table.meta.reserved_throughput.MergeFrom(message.reserved_throughput)

    def _delete_table(self, instance: str, table: str) -> None:
        self.instance(instance).table(table)
        del self.instance(instance).tables[table]

    def _start_stream(
        self, instance: str, table: str, *, now_us: int, hours: int, columns: list[str], shard: str
    ) -> None:
        target = self.instance(instance).table(table)
        now_us = self.instance(instance).last_stream_us = max(
            now_us, self.instance(instance).last_stream_us + 1
        )
        root = Shard(_stamped(shard, now_us), now_us, [(0, HASHES)])
        target.stream = Stream(_stamped(table, now_us), table, now_us, hours, columns, {root.id: root})

    def _stop_stream(self, instance: str, table: str) -> None:
        self.instance(instance).table(table).stream = None

    def _shard(self, instance: str, table: str, shard: str) -> tuple[Stream, Shard]:
        stream = self.instance(instance).table(table).stream
        if stream is None:
            raise invalid(f"table {table!r} has no stream")
        if shard not in stream.shards:
            raise invalid(f"stream {stream.id!r} has no shard {shard!r}")
        return stream, stream.shards[shard]

    def _split(self, instance: str, table: str, shard: str, children: list[str], now_us: int) -> None:
        stream, parent = self._shard(instance, table, shard)
        halves = _halves(parent.ranges)
        parent.closed = True
        for number, (child, ranges) in enumerate(zip(children, halves, strict=True)):
            created = now_us + number
            shard_id = _stamped(child, created)
            stream.shards[shard_id] = _child(shard_id, created, ranges, parent)

    def _merge(self, instance: str, table: str, shards: list[str], child: str, now_us: int) -> None:
        stream, first = self._shard(instance, table, shards[0])
        _, second = self._shard(instance, table, shards[1])
        first.closed = second.closed = True
        ranges = sorted(first.ranges + second.ranges)
        merged = _child(_stamped(child, now_us), now_us, ranges, first, second)
        stream.shards[merged.id] = merged

    def _trim(self, instance: str, table: str, shard: str, offset: int, now_us: int) -> None:
        self._shard(instance, table, shard)[1].trim(offset, now_us)

    def _retire(self, instance: str, table: str, shard: str) -> None:
        self._shard(instance, table, shard)[1].retired = True

    def _epoch(self, instance: str, table: str, shard: str, by: int, shift_us: int) -> None:
        target = self._shard(instance, table, shard)[1]
        target.epoch += by
        target.shift_us += shift_us
        if by:
            target.last_ts_us = 0  # times are monotone inside an epoch only

    def _blank(self, instance: str, table: str, shard: str, offset: int, count: int) -> None:
        blanks = self._shard(instance, table, shard)[1].blanks
        blanks[offset] = blanks.get(offset, 0) + count

    def _seed(self, instance: str, table: str, plan: dict[str, Any]) -> None:
        target = self.instance(instance).table(table)
        if target.stream is None:
            raise invalid(f"table {table!r} has no stream")
        parsed = SeedPlan(**plan)
        for shard, segment in parsed.segments(target.schema, target.stream.open_shards()):
            shard.log.extend(segment)
            shard.last_ts_us = max(shard.last_ts_us, segment.last_ts_us)


def _stamped(name: str, now_us: int) -> str:
    """Return an id as the service forms it: ``<name>_<16 digits of microseconds>``."""
    return f"{name}_{now_us:016d}"


def _child(name: str, created_us: int, ranges: list[tuple[int, int]], *parents: Shard) -> Shard:
    """Return a shard that goes on where its parents end: nothing in it is older than anything in them."""
    shard = Shard(
        name,
        created_us,
        ranges,
        parents[0].id,
        parents[1].id if len(parents) > 1 else "",
        epoch=max(p.epoch for p in parents),
        shift_us=max(p.shift_us for p in parents),
    )
    shard.last_ts_us = max(p.last_ts_us for p in parents)
    return shard


def _halves(ranges: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    total = sum(high - low for low, high in ranges)
    left: list[tuple[int, int]] = []
    right: list[tuple[int, int]] = []
    room = total // 2
    for low, high in ranges:
        cut = min(high, low + room)
        room -= cut - low
        left += [(low, cut)] if cut > low else []
        right += [(cut, high)] if high > cut else []
    return [left, right]


def _set_options(options: Options, message: Any) -> None:
    names = {
        "time_to_live": "ttl",
        "max_versions": "max_versions",
        "deviation_cell_version_in_sec": "deviation",
        "allow_update": "allow_update",
        "update_full_row": "update_full_row",
    }
    for theirs, ours in names.items():
        if message.HasField(theirs):
            setattr(options, ours, getattr(message, theirs))
