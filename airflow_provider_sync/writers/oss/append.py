"""Adding a window to one growing object, exactly once.

The window's manifest is written first as ``pending``, with the place and checksum of the tail to come, then
the tail is appended at that place, then the manifest becomes ``final``. Whatever crashes in between, length
and checksum of the object tell whether the tail is there. Windows of one object are to be committed one
after the other: two at once both succeed, in any order, unless they hold the very same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_sync.clients.oss import OssClient
from airflow_provider_sync.clients.oss.crc import combine, crc64
from airflow_provider_sync.clients.oss.errors import AppendPositionError
from airflow_provider_sync.clients.oss.model import ObjectInfo
from airflow_provider_sync.engine.contract import Committed, CommittedObject, Output
from airflow_provider_sync.engine.record import Rejected
from airflow_provider_sync.errors import PermanentError, TargetConflictError, TransientError
from airflow_provider_sync.writers.oss.manifest import (
    FINAL,
    PENDING,
    Manifest,
    columns_of,
    read_manifest,
    write_error_list,
    write_manifest,
)
from airflow_provider_sync.writers.oss.names import Names
from airflow_provider_sync.writers.oss.spool import Joined, Spool

__all__ = ["Appender"]

_MAX_SIZE = 5 * 1024**3  # of an appendable object (documented)
_CHUNK = 8 * 1024 * 1024
_TRIES = 20
_KIND = "Appendable"


@dataclass(frozen=True, slots=True)
class Appender:
    """Commits one output by one AppendObject call."""

    client: OssClient
    bucket: str
    names: Names
    output: Output
    headers: Mapping[str, str]
    object_headers: Mapping[str, str]

    @property
    def key(self) -> str:
        """The growing object."""
        return self.names.object(0, 0)

    def check_target(self) -> None:
        """Refuse to begin if what stands there cannot grow."""
        read_manifest(self.client, self.bucket, self.names.manifest, self.output.job)
        self._found()

    def commit(self, spools: Sequence[Spool], rejected: Sequence[Rejected], prologue: bytes) -> Committed:
        """Append the spools, with ``prologue`` before them if the object is empty; nothing if there are no rows."""
        body = Joined(b"", spools)
        rows = sum(spool.rows for spool in spools)
        for _ in range(_TRIES):
            # Length first, manifest second: another run of this window that appends in between is then either
            # seen in its manifest, or makes the append below fail.
            found = self._found()
            previous = read_manifest(self.client, self.bucket, self.names.manifest, self.output.job)
            if (
                previous is not None
                and (previous.append or not rows)
                and self._is_there(previous, self._found())
            ):
                self._check_same(previous, body)
                return self._finish(previous, rejected)
            size, checksum = (found.size, found.crc64 or 0) if found else (0, 0)
            tail = Joined(b"" if size else prologue, spools)
            pending = self._pending(tail, body, rows, size, checksum)
            if not rows:
                return self._finish(replace(pending, objects=(), append={}), rejected)
            write_manifest(self.client, self.bucket, self.names.manifest, pending, self.headers)
            try:
                self._append(tail, size, checksum)
            except AppendPositionError:
                continue  # somebody else's tail came first: look again
            return self._finish(pending, rejected)
        raise TransientError(
            f"{self.bucket}/{self.key} grew {_TRIES} times while window {self.names.label!r} was to be appended; "
            "run windows of one object one after the other"
        )

    def _append(self, tail: Joined, size: int, checksum: int) -> None:
        if size + tail.size > _MAX_SIZE:
            raise PermanentError(
                f"{self.bucket}/{self.key} has {size} bytes and would grow by {tail.size} beyond the service's limit "
                f"of {_MAX_SIZE}; put a date into writer.parameter.object, or set writeSingleObject to false"
            )
        # The service takes metadata and storage class with the first call only.
        first = {} if size else {**self.headers, **self.object_headers}
        self.client.append(
            self.bucket,
            self.key,
            tail,
            size=tail.size,
            checksum=tail.crc,
            position=size,
            base=checksum,
            headers={**first, "content-md5": tail.md5()},  # a damaged tail could never be taken back
        )

    def _found(self) -> ObjectInfo | None:
        found = self.client.head(self.bucket, self.key)
        if found is not None and (found.kind != _KIND or found.crc64 is None):
            raise TargetConflictError(
                f"{self.bucket}/{self.key} is there and is of kind {found.kind or 'unknown'}, which cannot grow; "
                "choose another writer.parameter.object, remove it, or use writeMode truncate"
            )
        return found

    def _is_there(self, manifest: Manifest, found: ObjectInfo | None) -> bool:
        """Tell whether the tail that a manifest speaks of is in the object."""
        if not manifest.append:
            return True
        place = manifest.append
        start, size, checksum = place["position"], place["size"], int(place["crc64"])
        if found is None or found.size < start + size:
            return False
        if found.size == start + size and found.crc64 == combine(int(place["base_crc64"]), checksum, size):
            return True  # without reading it; what was noted of the content before may have been damaged
        actual = 0
        for offset in range(start, start + size, _CHUNK):
            piece = self.client.get(self.bucket, self.key, offset, min(offset + _CHUNK, start + size))
            if piece is None:
                return False
            actual = crc64(piece, actual)
        return actual == checksum

    def _check_same(self, manifest: Manifest, body: Joined) -> None:
        place = manifest.append or {"body_size": 0, "body_crc64": "0"}
        if (place["body_size"], int(place["body_crc64"])) != (body.size, body.crc):
            raise TargetConflictError(
                f"window {self.names.label!r} of job {self.output.job!r} is already in {self.bucket}/{self.key} with "
                f"other content ({place['body_size']} bytes, now {body.size}): appended bytes stay; remove the "
                "object with its manifests and run all windows again, or use writeMode truncate"
            )

    def _pending(self, tail: Joined, body: Joined, rows: int, position: int, base: int) -> Manifest:
        window = self.output.window
        place: dict[str, Any] = {
            "position": position,
            "base_crc64": str(base),
            "size": tail.size,
            "crc64": str(tail.crc),
            "body_size": body.size,
            "body_crc64": str(body.crc),
        }
        return Manifest(
            job=self.output.job,
            window=window.to_json() if window else None,
            objects=(CommittedObject(self.key, tail.size, rows, tail.crc),),
            schema=columns_of(self.output.schema),
            state=PENDING,
            append=place,
        )

    def _finish(self, manifest: Manifest, rejected: Sequence[Rejected]) -> Committed:
        error_list = self.names.errors if rejected else ""
        if rejected:
            write_error_list(self.client, self.bucket, error_list, rejected, self.headers)
        elif manifest.error_list:
            self.client.delete(self.bucket, manifest.error_list)
        final = replace(manifest, state=FINAL, error_list=error_list)
        if final != manifest:
            write_manifest(self.client, self.bucket, self.names.manifest, final, self.headers)
        return final.committed(self.names.manifest)
