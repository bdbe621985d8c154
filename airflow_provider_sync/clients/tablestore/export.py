"""Stream records as rows, in the two forms DataX users know.

``SingleVersionExport``: one row per PUT or UPDATE with the chosen columns; a key column and an attribute share
one name space and the attribute wins, several versions of one column give the last cell, deleted cells are
null. ``MultiVersionExport``: one row per cell with key columns, column name, version, value and op (``U`` put,
``DO`` one version deleted, ``DA`` all versions deleted, ``DR`` row deleted; a PUT starts with a ``DR`` row,
because it replaces the whole row).

Everything is done by column: a cell's bytes become Arrow memory without passing through Python objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_provider_sync.clients.tablestore.columns import (
    BLOB,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    NO_VALUE,
    NULL,
    STRING,
    CellTable,
    Run,
)
from airflow_provider_sync.engine.record import Rejected
from airflow_provider_sync.errors import ConfigError

__all__ = ["Column", "Exported", "MultiVersionExport", "SingleVersionExport"]

ColumnType = Literal["string", "long", "double", "bool", "bytes"]
_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "bytes": pa.binary(),
}
_KINDS = {INTEGER: "INTEGER", DOUBLE: "DOUBLE", BOOLEAN: "BOOLEAN", STRING: "STRING", BLOB: "BINARY"}
_PUT, _UPDATE, _DELETE = 1, 2, 3
_ACTIONS = np.array(["", "PUT", "UPDATE", "DELETE"])
_OPS = np.array(["U", "DA", "", "DO"])  # by cell op: none, delete all versions, -, delete one version
_SHOWN = 80
_PLAIN_FROM, _PLAIN_TO = 1e-5, 1e9  # between them Arrow writes doubles without an exponent
_TAGS = "_tags"

_Ints = NDArray[np.int64]
_Cells = _Ints | slice  # which ones, in rising order of record, and inside a record in its own


@dataclass(frozen=True, slots=True)
class Column:
    """One exported column: its name in the table, its type in the target.

    ``is_timeseries_tag`` reads it from the tags of a time-series row instead.
    """

    name: str
    type: ColumnType = "string"
    is_timeseries_tag: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """Rows of one page, what was left out and why, and what could not be converted."""

    rows: pa.RecordBatch
    counters: Mapping[str, int] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()


class SingleVersionExport:
    """``single_version_and_update_only``: one row per PUT or UPDATE, columns as configured.

    ``sequence`` appends ``epoch_time_row_shard``. ``operation`` exports what this form leaves out otherwise:
    it appends the op (PUT, UPDATE, DELETE) and the names of deleted columns, and keeps DELETE records.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        sequence: bool = False,
        operation: bool = False,
        timeseries: bool = False,
    ) -> None:
        if not columns:
            raise ConfigError(
                "reader.parameter.column",
                [],
                allowed="at least one column in mode 'single_version_and_update_only'",
                cure="name the columns to export",
            )
        self._columns = tuple(columns)
        self._sequence = sequence
        self._operation = operation
        self._timeseries = timeseries
        fields = [pa.field(column.name, _ARROW[column.type]) for column in columns]
        if sequence:
            fields.append(pa.field("sequence_info", pa.string()))
        if operation:
            fields += [pa.field("operation", pa.string()), pa.field("deleted_columns", pa.string())]
        self.schema = pa.schema(fields)

    def export(self, cells: CellTable, actions: Sequence[int], shard_id: str) -> Exported:
        """Turn records into rows."""
        action = np.asarray(actions, np.int64)
        names = [name.split(":", 1)[0] for name in cells.names] if self._timeseries else cells.names
        tags = self._tags(cells, names) if any(c.is_timeseries_tag for c in self._columns) else []
        bad = np.zeros(cells.count, np.bool_)
        present = np.zeros(cells.count, np.bool_)
        rejected: list[Rejected] = []
        arrays: list[pa.Array] = []
        for column in self._columns:
            if column.is_timeseries_tag:
                values = pa.array([one.get(column.name) for one in tags], pa.string())
                present |= np.asarray(values.is_valid())
                arrays.append(values.cast(_ARROW[column.type]))
                continue
            chosen = _last_cells(cells, [i for i, name in enumerate(names) if name == column.name])
            present |= True if isinstance(chosen, Run) else chosen >= 0
            values, failures = _convert_chosen(cells, chosen, column.type)
            for record, value in failures:
                bad[record] = True
                rejected.append(
                    Rejected(
                        _where(cells, record, shard_id), f"not a {column.type}", column.name, value[:_SHOWN]
                    )
                )
            arrays.append(values)
        counters = self._counters(cells, action, present)
        keep = (
            (present | (action == _DELETE)) & ~bad
            if self._operation
            else present & ~bad & (action != _DELETE)
        )
        if self._sequence:
            arrays.append(_sequence_texts(cells, np.arange(cells.count), shard_id))
        if self._operation:
            arrays += [pa.array(_ACTIONS[action], pa.string()), _deleted_columns(cells)]
        rows = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        if not keep.all():
            rows = rows.filter(pa.array(keep))
        return Exported(rows, counters, tuple(rejected))

    def _counters(self, cells: CellTable, action: _Ints, present: NDArray[np.bool_]) -> dict[str, int]:
        counts = {"records_without_chosen_columns": int((~present & (action != _DELETE)).sum())}
        if not self._operation:
            counts["delete_records_dropped"] = int((action == _DELETE).sum())
            counts["deleted_cells_dropped"] = sum(
                run.last - run.first for run in cells.runs if run.kind == NO_VALUE
            )
        return {name: count for name, count in counts.items() if count}

    @staticmethod
    def _tags(cells: CellTable, names: Sequence[str]) -> list[dict[str, str]]:
        """Read ``_tags``, a JSON list of ``name=value`` texts (inferred from the vendor's own parser)."""
        chosen = _last_cells(cells, [i for i, name in enumerate(names) if name == _TAGS])
        texts, _ = _convert_chosen(cells, chosen, "string")
        return [
            dict(one.partition("=")[::2] for one in json.loads(text)) if text else {}
            for text in texts.to_pylist()
        ]


class MultiVersionExport:
    """Every change of every cell, one row each; ``primary_key`` gives the key columns and their types."""

    def __init__(self, primary_key: Sequence[tuple[str, ColumnType]], *, sequence: bool = False) -> None:
        self._key = tuple(primary_key)
        self._sequence = sequence
        fields = [pa.field(name, _ARROW[kind]) for name, kind in primary_key]
        fields += [
            pa.field("column_name", pa.string()),
            pa.field("timestamp", pa.int64()),
            pa.field("value", pa.string()),
            pa.field("op_type", pa.string()),
        ]
        if sequence:
            fields.append(pa.field("sequence_info", pa.string()))
        self.schema = pa.schema(fields)

    def export(self, cells: CellTable, actions: Sequence[int], shard_id: str) -> Exported:
        """Turn records into rows, in record order, the row delete of a PUT before its cells."""
        action = np.asarray(actions, np.int64)
        attributes = np.flatnonzero(~cells.in_key)
        whole_row = np.flatnonzero(action != _UPDATE)  # a PUT replaces the row, a DELETE removes it
        record = np.concatenate([whole_row, cells.record[attributes]])
        cell = np.concatenate([np.full(len(whole_row), -1, np.int64), attributes])
        order = np.argsort(record, kind="stable")
        record, cell = record[order], cell[order]
        is_cell = cell >= 0
        op = np.where(is_cell, _OPS[cells.op[cell]], "DR")
        names = np.where(is_cell, cells.name[cell], 0)
        values, failures = convert(cells, cell, "string")
        version = cells.version[cell]
        arrays: list[pa.Array] = []
        for name, kind in self._key:
            numbers = [i for i, one in enumerate(cells.names) if one == name]
            key, _ = _convert_chosen(cells, _last_cells(cells, numbers, in_key=True), kind)
            arrays.append(key.take(pa.array(record)))
        arrays += [
            pa.array(np.array(cells.names, object)[names], pa.string(), mask=~is_cell),
            pa.array(version, pa.int64(), mask=~is_cell | (version < 0)),
            values,
            pa.array(op, pa.string()),
        ]
        if self._sequence:
            index = _positions_in_record(record)
            suffix = pc.utf8_lpad(pc.cast(pa.array(index), pa.string()), 10, "0")
            arrays.append(pc.binary_join_element_wise(_sequence_texts(cells, record, shard_id), suffix, ":"))
        rows = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        if not failures:
            return Exported(rows)
        keep = np.ones(len(record), np.bool_)
        keep[[row for row, _ in failures]] = False
        rejected = tuple(
            Rejected(
                _where(cells, int(record[row]), shard_id),
                "binary value that is not text",
                cells.names[int(names[row])],
                value[:_SHOWN],
            )
            for row, value in failures
        )
        return Exported(rows.filter(pa.array(keep)), rejected=rejected)


def _convert_chosen(
    cells: CellTable, chosen: Run | _Ints, target: ColumnType
) -> tuple[pa.Array, list[tuple[int, str]]]:
    if not isinstance(chosen, Run):
        return convert(cells, chosen, target)
    if chosen.kind == NULL:
        return pa.nulls(cells.count, _ARROW[target]), []
    return _convert_kind(cells, slice(chosen.first, chosen.last), chosen.kind, target)


def convert(cells: CellTable, chosen: _Ints, target: ColumnType) -> tuple[pa.Array, list[tuple[int, str]]]:
    """Build a column from one cell per row (-1, or a cell without a value: null) by DataX's rules of conversion.

    Also returns the rows that do not convert, with a text of their value; they are null in the column.
    """
    kinds = np.where(chosen >= 0, cells.kind[chosen], NO_VALUE)
    parts: list[pa.Array] = []
    place = np.full(len(chosen), -1, np.int64)
    failures: list[tuple[int, str]] = []
    offset = 0
    there = np.bincount(kinds, minlength=NO_VALUE)
    for kind in (INTEGER, DOUBLE, BOOLEAN, STRING, BLOB):
        if not there[kind]:
            continue
        rows = np.flatnonzero(kinds == kind)
        part, failed = _convert_kind(cells, chosen[rows], kind, target)
        failures += [(int(rows[index]), text) for index, text in failed]
        parts.append(part)
        place[rows] = np.arange(offset, offset + len(rows))
        offset += len(rows)
    if not parts:
        return pa.nulls(len(chosen), _ARROW[target]), failures
    whole = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
    if len(parts) == 1 and len(whole) == len(chosen):
        return whole, failures
    return whole.take(pa.array(place, mask=place < 0)), sorted(failures)


def _convert_kind(
    cells: CellTable, chosen: _Cells, kind: int, target: str
) -> tuple[pa.Array, list[tuple[int, str]]]:
    if kind in (STRING, BLOB) and target == "string":
        return _texts(cells, chosen)
    values: pa.Array | None = None
    if kind in (STRING, BLOB) and target == "bytes":
        values = _gather(cells, chosen, pa.binary())
    elif kind == INTEGER and target == "bool":
        values = pa.array(cells.integers(chosen) != 0)
    elif kind == INTEGER and target != "bytes":
        values = pa.array(cells.integers(chosen)).cast(_ARROW[target], safe=target != "double")
    elif kind == DOUBLE and target == "double":
        values = pa.array(cells.doubles(chosen))
    elif kind == DOUBLE and target == "string":
        values = _double_texts(cells.doubles(chosen))
    elif kind == BOOLEAN and target != "bytes":
        values = pa.array(cells.booleans(chosen)).cast(_ARROW[target])
    return (values, []) if values is not None else _one_by_one(cells, chosen, kind, target)


def _texts(cells: CellTable, chosen: _Cells) -> tuple[pa.Array, list[tuple[int, str]]]:
    raw = _gather(cells, chosen, pa.binary())
    try:
        return raw.cast(pa.string()), []
    except pa.ArrowInvalid:  # some value is not UTF-8: find out which
        values: list[str | None] = []
        failures = []
        for index, one in enumerate(raw.to_pylist()):
            try:
                values.append(one.decode())
            except UnicodeDecodeError:
                values.append(None)
                failures.append((index, repr(one[:_SHOWN])))
        return pa.array(values, pa.string()), failures


def _one_by_one(
    cells: CellTable, chosen: _Cells, kind: int, target: str
) -> tuple[pa.Array, list[tuple[int, str]]]:
    """Convert what needs a look at each value: numbers out of text, integers out of doubles."""
    values: list[Any] = []
    failures = []
    for index, one in enumerate(_objects(cells, chosen, kind)):
        try:
            values.append(_parse(one, target))
        except (ValueError, ArithmeticError):
            values.append(None)
            failures.append((index, f"{_KINDS[kind]} {one!r}"))
    return pa.array(values, _ARROW[target]), failures


def _objects(cells: CellTable, chosen: _Cells, kind: int) -> list[Any]:
    if kind == STRING:
        return [one.decode(errors="replace") for one in _gather(cells, chosen, pa.binary()).to_pylist()]
    if kind == BLOB:
        return list(_gather(cells, chosen, pa.binary()).to_pylist())
    numbers = {DOUBLE: cells.doubles, INTEGER: cells.integers, BOOLEAN: cells.booleans}
    return list(numbers[kind](chosen).tolist())


def _parse(value: Any, target: str) -> Any:
    if isinstance(value, str | float) and target == "long":
        number = int(Decimal(value))  # cut towards zero, as DataX does
        if not -(2**63) <= number < 2**63:
            raise ValueError(value)
        return number
    if isinstance(value, str) and target == "double":
        return float(value)
    if isinstance(value, str) and target == "bool" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(value)


def _double_texts(values: NDArray[np.float64]) -> pa.Array:
    """Return for each double the shortest text that reads back as the same one, without an exponent.

    Arrow's texts have the same digits, but no point in whole numbers, and exponents outside a range.
    """
    texts = pa.array(values).cast(pa.string())
    size = np.abs(values)
    usual = (size >= _PLAIN_FROM) & (size < _PLAIN_TO)
    usual |= size == 0
    whole = usual & (np.trunc(values) == values)
    if whole.any():
        texts = pc.if_else(pa.array(whole), pc.binary_join_element_wise(texts, ".0", ""), texts)
    if not usual.all():
        others = pa.array([_plain(one) for one in values[~usual].tolist()], pa.string())
        texts = pc.replace_with_mask(texts, pa.array(~usual), others)
    return texts


def _plain(value: float) -> str:
    text = repr(value)
    return f"{Decimal(text):f}" if "e" in text else text


def _gather(cells: CellTable, chosen: _Cells, kind: pa.DataType) -> pa.Array:
    """Copy the bytes of variable-length cells into one Arrow array.

    Cells lie in the buffer in the order they are asked for: values and the gaps between them are an array that
    is there already, of which every second item is taken.
    """
    start, length = cells.start[chosen], cells.length[chosen]
    if not len(start):
        return pa.array([], kind)
    wide = len(cells.data) >= 2**31
    bounds = np.empty(2 * len(start), np.int64 if wide else np.int32)
    bounds[::2] = start
    bounds[1::2] = start + length
    everything = pa.Array.from_buffers(
        pa.large_binary() if wide else pa.binary(),
        len(bounds) - 1,
        [None, pa.py_buffer(bounds), pa.py_buffer(cells.data)],
    )
    taken = everything.take(pa.array(np.arange(0, len(bounds), 2)))
    return taken.cast(kind) if wide else taken


def _last_cells(cells: CellTable, names: Sequence[int], *, in_key: bool = False) -> Run | _Ints:
    """Return, per record, the last putting cell whose name is among ``names``; -1 where there is none.

    A run is returned where it is just that: one cell of every record.
    """
    runs = [
        run
        for run in cells.runs
        if run.kind != NO_VALUE and run.name in names and (run.in_key or not in_key) and run.first < run.last
    ]
    if len(runs) == 1 and runs[0].last - runs[0].first == cells.count:
        return runs[0]
    chosen = np.full(cells.count, -1, np.int64)
    for run in runs:  # a later cell of the same record overwrites an earlier one
        chosen[cells.record[run.first : run.last]] = np.arange(run.first, run.last)
    return chosen


def _deleted_columns(cells: CellTable) -> pa.Array:
    texts: list[str | None] = [None] * cells.count
    for index in np.flatnonzero(cells.kind == NO_VALUE):
        record, name = int(cells.record[index]), cells.names[int(cells.name[index])]
        before = texts[record]
        texts[record] = name if before is None else f"{before},{name}"
    return pa.array(texts, pa.string())


def _sequence_texts(cells: CellTable, records: _Ints, shard_id: str) -> pa.Array:
    """Return ``epoch_time_row_shard``, padded as DataX pads it, so that texts sort like the log."""

    def padded(numbers: _Ints, width: int) -> pa.Array:
        return pc.utf8_lpad(pc.cast(pa.array(numbers[records]), pa.string()), width, "0")

    shard = pa.repeat(shard_id, len(records)) if len(records) else pa.array([], pa.string())
    return pc.binary_join_element_wise(
        padded(cells.epoch, 10), padded(cells.time_us, 20), padded(cells.row_index, 10), shard, "_"
    )


def _positions_in_record(record: _Ints) -> _Ints:
    """Return each row's place among the rows of its record, from 0; ``record`` is sorted."""
    starts = np.flatnonzero(np.diff(record, prepend=-1))
    return np.arange(len(record)) - np.repeat(starts, np.diff(np.append(starts, len(record))))


def _where(cells: CellTable, record: int, shard_id: str) -> str:
    return (
        f"shard {shard_id} epoch {int(cells.epoch[record])} "
        f"time {int(cells.time_us[record])} row {int(cells.row_index[record])}"
    )
