"""The control routes of this service; each takes and returns JSON.

Tables are named without their instance, so a name must be unique over the instances in use. Where ``shard`` may
be left out it means the first open shard (``trim``, ``epoch``: all shards).

======================== ==================================================================================
``POST seed``            ``{"table", "count"}`` and any field of :class:`.seed.SeedPlan`; without ``start_us`` the
                         run ends now; an absent table is created with ``"primary_key": [[name, type], …]`` (by
                         default one STRING ``id``) and a stream; answers the records per shard
``POST seed-rows``       ``{"table", "count"}``, optionally ``columns``, ``first_key``, ``seed``: fills the table
                         itself (and its stream, if it has one) with that many puts
``POST shards/split``    ``{"table", "shard"?}`` → ``{"parent", "children": [a, b]}``
``POST shards/merge``    ``{"table", "shards": [a, b]}`` → ``{"parents", "child"}``
``POST shards/trim``     ``{"table", "shard"?, "before_us"}`` or ``{"all": true}``
``POST shards/retire``   ``{"table"}``: stop listing closed shards that are trimmed to their end
``POST epoch``           ``{"table", "shard"?, "by": 1, "shift_us": -n}``: raise the epoch; the times of later
                         records are shifted by so much (on top of earlier shifts)
``POST empty_page``      ``{"table", "shard"?, "count": 1, "at"?}``: insert empty pages, each with an iterator of
                         its own, before record ``at`` (by default at the end)
``GET shards?table=``    every shard with parents, state, ranges, record count and trim horizon
``GET log?table=``       every record ever written, decoded; ``&shard=&from=&limit=`` take a part of one shard's
``POST options``         any field of :class:`.context.StreamOptions`; ``GET`` shows them
======================== ==================================================================================
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, fields
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_sync.localcloud.control import Clock, ControlError
from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.context import StreamOptions
from airflow_provider_sync.localcloud.tablestore.errors import ServiceError
from airflow_provider_sync.localcloud.tablestore.messages import message
from airflow_provider_sync.localcloud.tablestore.seed import DEFAULT_COLUMNS, SeedPlan, SeedSegment
from airflow_provider_sync.localcloud.tablestore.store import Store
from airflow_provider_sync.localcloud.tablestore.stream import Shard, Stream
from airflow_provider_sync.localcloud.tablestore.table import PUT, Commit, Table

__all__ = ["Knobs"]

_KEY_TYPES = {"INTEGER": 1, "STRING": 2, "BINARY": 3}
_STREAM_HOURS = 168
_ACTIONS = {1: "PUT", 2: "UPDATE", 3: "DELETE"}
_OPS = {None: "PUT", pb.DELETE_ALL: "DELETE_ALL", pb.DELETE_ONE: "DELETE_ONE"}


class Knobs:
    """The routes over one store; ``instance`` is where absent tables are created."""

    def __init__(self, store: Store, clock: Clock, options: StreamOptions, instance: str) -> None:
        self._store = store
        self._clock = clock
        self._options = options
        self._instance = instance

    def handle(self, method: str, route: str, body: bytes) -> object | None:
        """Serve one route; None if there is no such route."""
        path, _, query = route.partition("?")
        data = dict(parse_qsl(query)) if method == "GET" else json.loads(body or b"{}")
        if not isinstance(data, dict):
            raise ControlError("expected a JSON object")
        handlers = {
            ("POST", "seed"): self._seed,
            ("POST", "seed-rows"): self._seed_rows,
            ("POST", "shards/split"): self._split,
            ("POST", "shards/merge"): self._merge,
            ("POST", "shards/trim"): self._trim,
            ("POST", "shards/retire"): self._retire,
            ("POST", "epoch"): self._epoch,
            ("POST", "empty_page"): self._empty_page,
            ("GET", "shards"): self._shards,
            ("GET", "log"): self._log,
            ("POST", "log"): self._log,
            ("POST", "options"): self._set_options,
            ("GET", "options"): self._get_options,
        }
        handler = handlers.get((method, path))
        if handler is None:
            return None
        try:
            return handler(data)
        except ServiceError as error:
            raise ControlError(error.message) from error

    def _seed(self, data: dict[str, Any]) -> object:
        name, key = str(data.pop("table")), data.pop("primary_key", [["id", "STRING"]])
        instance, table, stream = self._ensure_table(name, key)
        count, step = int(data["count"]), int(data.get("step_us", 1000))
        span = -(-count // len(stream.open_shards())) // int(data.get("per_commit", 1)) * step
        latest = max(shard.last_ts_us for shard in stream.open_shards())
        data.setdefault("start_us", max(self._clock.now_us() - span, latest + 1))
        SeedPlan(**data).check()
        before = {shard.id: len(shard.log) for shard in stream.open_shards()}
        self._store.do("seed", instance=instance, table=table.name, plan=data)
        written = {shard.id: len(shard.log) - before[shard.id] for shard in stream.open_shards()}
        return {"stream": stream.id, "start_us": data["start_us"], "records": written}

    def _seed_rows(self, data: dict[str, Any]) -> object:
        instance, table, _ = self._ensure_table(
            str(data.pop("table")), data.pop("primary_key", [["id", "STRING"]]), stream=False
        )
        plan = SeedPlan(
            count=int(data["count"]),
            start_us=self._clock.now_us(),
            puts=1,
            updates=0,
            deletes=0,
            seed=int(data.get("seed", 0)),
            first_key=int(data.get("first_key", 0)),
            columns=data.get("columns", DEFAULT_COLUMNS),
        )
        plan.check()
        segment = SeedSegment.in_key_order(plan, table.schema)
        for start in range(0, plan.count, 1000):
            commit = Commit(self._clock.now_us())
            done = []
            for raw in segment.rows(start, min(1000, plan.count - start)):
                row = pb.decode_row(raw)
                row.sequence = None
                table.write(PUT, row, commit)
                done.append((PUT, raw))
            self._store.write(instance, table, commit, done)
        return {"rows": len(table.rows)}

    def _ensure_table(
        self, name: str, key: list[list[str]], *, stream: bool = True
    ) -> tuple[str, Table, Stream]:
        now = self._clock.now_us()
        if not any(name in i.tables for i in self._store.instances.values()):
            request = message(
                "CreateTableRequest",
                table_meta=message(
                    "TableMeta",
                    table_name=name,
                    primary_key=[message("PrimaryKeySchema", name=n, type=_KEY_TYPES[t]) for n, t in key],
                ),
                reserved_throughput=message(
                    "ReservedThroughput", capacity_unit=message("CapacityUnit", read=0, write=0)
                ),
                table_options=message("TableOptions", time_to_live=-1, max_versions=1),
            )
            text = request.SerializeToString().hex()
            self._store.do("create_table", instance=self._instance, request=text, now_us=now)
        instance, table = self._store.find_table(name)
        if table.stream is None and stream:
            self._store.do(
                "start_stream",
                instance=instance,
                table=name,
                now_us=now,
                hours=_STREAM_HOURS,
                columns=[],
                shard=self._store.new_id(),
            )
        return instance, table, table.stream  # type: ignore[return-value]

    def _where(self, data: dict[str, Any]) -> tuple[dict[str, str], Stream]:
        instance, table = self._store.find_table(str(data["table"]))
        if table.stream is None:
            raise ControlError(f"table {table.name!r} has no stream")
        return {"instance": instance, "table": table.name}, table.stream

    def _chosen(self, stream: Stream, data: dict[str, Any]) -> Shard:
        shard = stream.shards.get(data["shard"]) if "shard" in data else stream.open_shards()[0]
        if shard is None:
            raise ControlError(f"shard: {data['shard']!r} is not one of {', '.join(stream.shards)}")
        return shard

    def _split(self, data: dict[str, Any]) -> object:
        where, stream = self._where(data)
        parent = self._chosen(stream, data)
        if parent.closed:
            raise ControlError(f"shard {parent.id!r} is closed")
        names = [self._store.new_id(), self._store.new_id()]
        self._store.do("split", shard=parent.id, children=names, now_us=self._clock.now_us(), **where)
        return {"parent": parent.id, "children": list(stream.shards)[-2:]}

    def _merge(self, data: dict[str, Any]) -> object:
        where, stream = self._where(data)
        parents = [self._chosen(stream, {"shard": shard}) for shard in data["shards"]]
        if len({p.id for p in parents}) != 2 or any(p.closed for p in parents):  # noqa: PLR2004 - a merge is of two
            raise ControlError("shards: two different open shards are needed")
        ids = [parent.id for parent in parents]
        name = self._store.new_id()
        self._store.do("merge", shards=ids, child=name, now_us=self._clock.now_us(), **where)
        return {"parents": ids, "child": list(stream.shards)[-1]}

    def _trim(self, data: dict[str, Any]) -> object:
        where, stream = self._where(data)
        shards = [self._chosen(stream, data)] if "shard" in data else list(stream.shards.values())
        for shard in shards:
            offset = len(shard.log) if data.get("all") else shard.log.first_at_or_after(data["before_us"])
            self._store.do("trim", shard=shard.id, offset=offset, now_us=self._clock.now_us(), **where)
        return {shard.id: shard.floor.offset for shard in shards}

    def _retire(self, data: dict[str, Any]) -> object:
        where, stream = self._where(data)
        done = [
            shard.id
            for shard in stream.shards.values()
            if shard.closed and not shard.retired and shard.floor.offset >= len(shard.log)
        ]
        for shard_id in done:
            self._store.do("retire", shard=shard_id, **where)
        return {"retired": done}

    def _epoch(self, data: dict[str, Any]) -> object:
        where, stream = self._where(data)
        shards = [self._chosen(stream, data)] if "shard" in data else stream.open_shards()
        by, shift = int(data.get("by", 1)), int(data.get("shift_us", 0))
        for shard in shards:
            self._store.do("epoch", shard=shard.id, by=by, shift_us=shift, **where)
        return {shard.id: shard.epoch for shard in shards}

    def _empty_page(self, data: dict[str, Any]) -> object:
        where, stream = self._where(data)
        shard = self._chosen(stream, data)
        at, count = int(data.get("at", len(shard.log))), int(data.get("count", 1))
        if not 0 <= at <= len(shard.log):
            raise ControlError(f"at: {at} is outside the log, 0 … {len(shard.log)}")
        self._store.do("blank", shard=shard.id, offset=at, count=count, **where)
        return {"shard": shard.id, "at": at}

    def _shards(self, data: dict[str, Any]) -> object:
        _, stream = self._where(data)
        return {"stream": stream.id, "shards": [_describe(shard) for shard in stream.shards.values()]}

    def _log(self, data: dict[str, Any]) -> object:
        _, stream = self._where(data)
        shards = [self._chosen(stream, data)] if "shard" in data else list(stream.shards.values())
        start, limit = int(data.get("from", 0)), data.get("limit")
        return {
            "stream": stream.id,
            "shards": [
                {
                    **_describe(shard),
                    "log": [
                        _decode(record)
                        for record in shard.log.records(
                            start, len(shard.log) if limit is None else int(limit)
                        )
                    ],
                }
                for shard in shards
            ],
        }

    def _set_options(self, data: dict[str, Any]) -> object:
        known = {f.name for f in fields(StreamOptions)}
        if set(data) - known:
            raise ControlError(f"options are {', '.join(sorted(known))}")
        for name, value in data.items():
            setattr(self._options, name, value)
        return asdict(self._options)

    def _get_options(self, _data: dict[str, Any]) -> object:
        return asdict(self._options)


def _describe(shard: Shard) -> dict[str, Any]:
    return {
        "shard": shard.id,
        "parent": shard.parent_id or None,
        "sibling": shard.sibling_id or None,
        "closed": shard.closed,
        "retired": shard.retired,
        "epoch": shard.epoch,
        "ranges": shard.ranges,
        "records": len(shard.log),
        "trimmed": shard.floor.offset,
    }


def _decode(record: bytes) -> dict[str, Any]:
    """Return a StreamRecord message as JSON; BINARY values are ``{"base64": text}``."""
    parsed = type(message("StreamRecord")).FromString(record)
    row = pb.decode_row(parsed.record)
    epoch, ts_us, row_index = row.sequence or (0, 0, 0)
    decoded: dict[str, Any] = {
        "epoch": epoch,
        "ts_us": ts_us,
        "row_index": row_index,
        "action": _ACTIONS[parsed.action_type],
        "pk": [[cell.name, _json_value(cell.value)] for cell in row.key],
        "cells": [
            {
                "name": cell.name,
                "op": _OPS[cell.op],
                "ts": cell.ts,
                "value": None if cell.value is None else _json_value(cell.value),
            }
            for cell in row.cells
        ],
    }
    if parsed.HasField("origin_record"):
        origin = pb.decode_row(parsed.origin_record)
        decoded["origin"] = [[cell.name, _json_value(cell.value)] for cell in origin.cells]
    return decoded


def _json_value(value: bytes | None) -> Any:
    decoded = pb.decode_value(value or b"")
    return {"base64": base64.b64encode(decoded).decode()} if isinstance(decoded, bytes) else decoded
