"""The listing of a window's objects: written last, read first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from airflow_provider_sync.clients.oss import OssClient
from airflow_provider_sync.engine.contract import Committed, CommittedObject
from airflow_provider_sync.engine.record import Rejected
from airflow_provider_sync.errors import CorruptDataError, TargetConflictError

__all__ = [
    "FINAL",
    "PENDING",
    "Manifest",
    "columns_of",
    "read_manifest",
    "write_error_list",
    "write_manifest",
]

_VERSION = 1
FINAL, PENDING = "final", "pending"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one committed window made.

    ``state`` is ``final``, or ``pending`` while an append is on its way; ``append`` is what tells whether that
    append happened. Everything derives from the data: the same window gives the same bytes.
    """

    job: str
    window: Mapping[str, int] | None
    objects: tuple[CommittedObject, ...]
    schema: tuple[Mapping[str, str], ...]
    error_list: str = ""
    state: str = FINAL
    append: Mapping[str, Any] = field(default_factory=dict)

    def committed(self, key: str) -> Committed:
        """Return what the contract of writers asks for; ``key`` is the manifest's own."""
        return Committed(self.objects, key, self.error_list)


def columns_of(schema: pa.Schema) -> tuple[Mapping[str, str], ...]:
    """Return names and types as a manifest lists them."""
    return tuple({"name": column.name, "type": str(column.type)} for column in schema)


def read_manifest(client: OssClient, bucket: str, key: str, job: str) -> Manifest | None:
    """Return the manifest under ``key``, None if there is none.

    One of another job is a :class:`TargetConflictError`: two jobs would replace each other's objects.
    """
    body = client.get(bucket, key)
    if body is None:
        return None
    try:
        data = json.loads(body)
        manifest = Manifest(
            job=data["job"],
            window=data["window"],
            objects=tuple(
                CommittedObject(one["name"], one["size"], one["rows"], int(one["crc64"]))
                for one in data["objects"]
            ),
            schema=tuple(data["schema"]),
            error_list=data["error_list"],
            state=data["state"],
            append=data.get("append", {}),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(
            f"{bucket}/{key} is not a manifest of this writer ({error}); remove it if nobody needs it"
        ) from error
    if manifest.job != job:
        raise TargetConflictError(
            f"{bucket}/{key} belongs to job {manifest.job!r}, this is job {job!r}: give each job an object prefix "
            "of its own, or remove that manifest if the job was renamed"
        )
    return manifest


def write_manifest(
    client: OssClient, bucket: str, key: str, manifest: Manifest, headers: Mapping[str, str]
) -> None:
    """Store a manifest, replacing what is there."""
    data: dict[str, Any] = {
        "version": _VERSION,
        "state": manifest.state,
        "job": manifest.job,
        "window": manifest.window,
        "rows": sum(one.rows for one in manifest.objects),
        "objects": [
            {"name": one.name, "size": one.size, "rows": one.rows, "crc64": str(one.crc64)}
            for one in manifest.objects
        ],
        "error_list": manifest.error_list,
        "schema": list(manifest.schema),
    }
    if manifest.append:
        data["append"] = dict(manifest.append)
    body = json.dumps(data, ensure_ascii=False, indent=1).encode()
    client.put(bucket, key, body, headers={**headers, "content-type": "application/json"})


def write_error_list(
    client: OssClient, bucket: str, key: str, rejected: Sequence[Rejected], headers: Mapping[str, str]
) -> None:
    """Store rejected records, one JSON object per line."""
    lines = "".join(f"{json.dumps(one.to_json(), ensure_ascii=False)}\n" for one in rejected)
    client.put(bucket, key, lines.encode(), headers={**headers, "content-type": "application/x-ndjson"})
