"""Which shards follow which: families of shards, parents before children."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_sync.clients.tablestore.descriptions import Shard
from airflow_provider_sync.errors import CorruptDataError

__all__ = ["families", "parents_of"]


def parents_of(shards: Iterable[Shard]) -> dict[str, tuple[str, ...]]:
    """Return each shard's parents, those that are in ``shards``: a parent not listed any more is done."""
    shards = list(shards)
    known = {shard.shard_id for shard in shards}
    return {
        shard.shard_id: tuple(
            dict.fromkeys(
                one
                for one in (shard.parent_id, shard.parent_sibling_id)
                if one in known and one != shard.shard_id
            )
        )
        for shard in shards
    }


def families(parents: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Group shards that a split or a merge connects; each group lists parents before children.

    The result depends on the lineage alone, not on the order of the input. Raise :class:`CorruptDataError`
    when a shard is its own ancestor.
    """
    root = {shard: shard for shard in parents}

    def find(shard: str) -> str:
        while root[shard] != shard:
            root[shard] = root[root[shard]]
            shard = root[shard]
        return shard

    for shard, above in parents.items():
        for parent in above:
            root[find(shard)] = find(parent)
    groups: dict[str, list[str]] = {}
    for shard in _topological(parents):
        groups.setdefault(find(shard), []).append(shard)
    return sorted(groups.values())


def _topological(parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    done: dict[str, None] = {}
    waiting = sorted(parents)
    while waiting:
        ready = [shard for shard in waiting if all(parent in done for parent in parents[shard])]
        if not ready:
            raise CorruptDataError(f"shards {', '.join(waiting)} are each other's ancestors")
        done.update(dict.fromkeys(ready))
        waiting = [shard for shard in waiting if shard not in done]
    return list(done)
