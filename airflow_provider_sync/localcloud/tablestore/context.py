"""What every handler works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sync.localcloud.tablestore.messages import message
from airflow_provider_sync.localcloud.tablestore.store import Instance, Store

__all__ = ["Context", "StreamOptions", "capacity"]

_CAPACITY_UNIT_BYTES = 4096


@dataclass(slots=True)
class StreamOptions:
    """How the stream operations behave where the real service's behaviour is not documented.

    ``page_rows`` and ``page_bytes`` cap a GetStreamRecord page; ``may_more_record`` says whether that field is
    sent; ``describe_shards`` caps a DescribeStream page and ``describe_reversed`` lists children before parents;
    ``seek_pages`` is how many rounds with a token a search by time takes; ``seek_early`` is how many records
    before the exact one such a search ends; ``trimmed_as_tunnel_error`` chooses the other published form of that
    error.
    """

    page_rows: int = 1000
    page_bytes: int = 1024 * 1024
    may_more_record: bool = True
    describe_shards: int = 100
    describe_reversed: bool = False
    seek_pages: int = 0
    seek_early: int = 0
    trimmed_as_tunnel_error: bool = False


@dataclass(slots=True)
class Context:
    """One request's surroundings: all data, the instance asked, and one reading of the clock."""

    store: Store
    instance_name: str
    now_us: int
    options: StreamOptions = field(default_factory=StreamOptions)

    @property
    def instance(self) -> Instance:
        """The instance asked."""
        return self.store.instance(self.instance_name)

    @property
    def now_ms(self) -> int:
        """The time in milliseconds."""
        return self.now_us // 1000


def capacity(*, read_bytes: int | None = None, write_bytes: int | None = None) -> Any:
    """Return a ConsumedCapacity: whole units of 4 KB, at least one for what was touched."""

    def units(size: int | None) -> int:
        return 0 if size is None else max(1, -(-size // _CAPACITY_UNIT_BYTES))

    unit = message("CapacityUnit", read=units(read_bytes), write=units(write_bytes))
    return message("ConsumedCapacity", capacity_unit=unit)
