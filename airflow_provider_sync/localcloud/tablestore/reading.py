"""Reading rows: which columns and versions a request selects, and the row as it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.errors import invalid
from airflow_provider_sync.localcloud.tablestore.filters import RowFilter, compile_filter
from airflow_provider_sync.localcloud.tablestore.table import StoredRow, Table, Version

__all__ = ["Selection", "selection_of"]

_MAX_COLUMNS_TO_GET = 128


@dataclass(slots=True)
class Selection:
    """What a read asks for; times are milliseconds, [start, end)."""

    oldest: int
    start: int
    end: int | None
    max_versions: int
    names: frozenset[str]
    start_column: str | None
    end_column: str | None
    filter: RowFilter | None

    def read(self, table: Table, row: StoredRow) -> bytes | None:
        """Return the selected part of a row without the buffer's header, or None if the row is left out.

        Left out are rows that the filter drops, and rows that have none of the columns asked for. Columns
        come in the order of their names, versions newest first; the primary key is always there.
        """
        if self._takes_all(table):
            if row.plain is None:
                row.plain = self._encode(row, self._visible(row, table))
            return row.plain
        visible = self._visible(row, table)
        if self.filter is not None and not self.filter.passes(_values(row, table, visible)):
            return None
        if self.names:
            wanted_key = any(column.name in self.names for column in table.schema)
            visible = {name: versions for name, versions in visible.items() if name in self.names}
            if not visible and not wanted_key:
                return None
        return self._encode(row, self._cut(visible))

    def _takes_all(self, table: Table) -> bool:
        """Tell whether every cell that is stored is asked for, so that an encoded row can be kept."""
        return (
            self.filter is None
            and not self.names
            and self.start_column is None
            and self.end_column is None
            and self.start == 0
            and self.end is None
            and self.oldest == 0
            and self.max_versions >= table.options.max_versions
        )

    def _visible(self, row: StoredRow, table: Table) -> dict[str, list[Version]]:
        keep = min(self.max_versions, table.options.max_versions)
        visible = {}
        for name, versions in row.columns.items():
            inside = [
                v
                for v in versions
                if v.ts >= self.oldest and v.ts >= self.start and (self.end is None or v.ts < self.end)
            ][:keep]
            if inside:
                visible[name] = inside
        return visible

    def _cut(self, visible: dict[str, list[Version]]) -> dict[str, list[Version]]:
        """Keep the range of column names and the page of columns that were asked for."""
        kept = [
            name
            for name in sorted(visible)
            if (self.start_column is None or name >= self.start_column)
            and (self.end_column is None or name < self.end_column)
        ]
        if self.filter is not None and self.filter.limit is not None:
            kept = kept[self.filter.offset : self.filter.offset + self.filter.limit]
        return {name: visible[name] for name in kept}

    def _encode(self, row: StoredRow, visible: dict[str, list[Version]]) -> bytes:
        cells = [(v.encoded, v.checksum) for name in sorted(visible) for v in visible[name]]
        return pb.encode_row(row.key_cells, cells)


def _values(row: StoredRow, table: Table, visible: dict[str, list[Version]]) -> dict[str, list[bytes]]:
    """Return what a filter sees: all columns with their versions, the key's included."""
    values = {name: [v.value for v in versions] for name, versions in visible.items()}
    for (encoded, _), column in zip(row.key_cells, table.schema, strict=True):
        values[column.name] = [encoded[11 + len(column.name.encode()) : -2]]
    return values


def selection_of(request: Any, table: Table, now_ms: int) -> Selection:
    """Return what a GetRow, GetRange or BatchGetRow table entry asks for."""
    names = frozenset(request.columns_to_get)
    if len(names) > _MAX_COLUMNS_TO_GET:
        raise invalid(f"The number of columns from the request exceeds the limit {_MAX_COLUMNS_TO_GET}.")
    times = request.time_range
    if not request.HasField("time_range") and not request.HasField("max_versions"):
        raise invalid("No version condition is specified while querying row.")
    if request.HasField("max_versions") and request.max_versions < 1:
        raise invalid("Invalid max versions.")
    start, end = 0, None
    if times.HasField("specific_time"):
        start, end = times.specific_time, times.specific_time + 1
    elif request.HasField("time_range"):
        start, end = times.start_time, times.end_time
        if not 0 <= start < end:
            raise invalid("Invalid time range.")
    return Selection(
        oldest=0 if table.options.ttl < 0 else max(0, now_ms - table.options.ttl * 1000),
        start=start,
        end=end,
        max_versions=request.max_versions if request.HasField("max_versions") else 1 << 30,
        names=names,
        start_column=request.start_column if request.HasField("start_column") else None,
        end_column=request.end_column if request.HasField("end_column") else None,
        filter=compile_filter(request.filter) if request.HasField("filter") else None,
    )
