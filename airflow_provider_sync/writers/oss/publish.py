"""Making prepared uploads visible: all objects, then the stale ones away, then the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_provider_sync.clients.oss import ObjectInfo, OssClient
from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.clients.oss.errors import NoSuchUploadError, ObjectExistsError
from airflow_provider_sync.clients.oss.multipart import MultipartUpload, PartPool, parts_of
from airflow_provider_sync.engine.contract import Committed, CommittedObject, Output
from airflow_provider_sync.engine.record import JsonObject, Rejected
from airflow_provider_sync.errors import TargetConflictError, TransientError
from airflow_provider_sync.writers.oss.manifest import (
    Manifest,
    columns_of,
    read_manifest,
    write_error_list,
    write_manifest,
)
from airflow_provider_sync.writers.oss.names import Names

__all__ = ["Publisher"]

_UNIQUE_NAME = (
    "put ${start_time} into writer.parameter.object, use writeMode append, or drop writeSingleObject"
)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Commits one output whose objects are multipart uploads.

    Every step can be repeated: a crash between any two leaves uploads that are invisible, or objects that the
    next try writes again under the same names.
    """

    client: OssClient
    bucket: str
    mode: str
    names: Names
    output: Output
    headers: Mapping[str, str]
    """Sent with everything that is stored: encryption."""
    object_headers: Mapping[str, str]
    """Sent with the objects besides: owner, storage class, metadata."""

    def check_target(self) -> None:
        """Refuse to begin where objects stand that this mode may not replace."""
        previous = read_manifest(self.client, self.bucket, self.names.manifest, self.output.job)
        known = {one.name for one in previous.objects} if previous else set()
        for key in self._existing():
            if key in self._first_names() and (key not in known or self.names.single):
                self._check_replaceable(key)

    def commit(
        self, receipts: Sequence[JsonObject], rejected: Sequence[Rejected], empty: bytes | None
    ) -> Committed:
        """Make the uploads of all receipts visible.

        Without any, an object of the bytes ``empty`` is written (None: no object).
        """
        previous = read_manifest(self.client, self.bucket, self.names.manifest, self.output.job)
        uploads = [upload for receipt in receipts for upload in receipt["objects"]]
        planned = [
            CommittedObject(one["key"], one["size"], one["rows"], int(one["crc64"])) for one in uploads
        ]
        if not uploads and empty is not None:
            planned = [CommittedObject(self.names.object(0, 0), len(empty), 0, crc64(empty))]
        if previous is not None and previous.objects != tuple(planned):
            # Readers that go by the manifest must not see its objects change under it.
            self.client.delete(self.bucket, self.names.manifest)
        for upload in uploads:
            self._complete(upload)
        if not uploads and empty is not None:
            self._put_empty(planned[0], empty)
        self._remove_stale(previous, {one.name for one in planned})
        self._abort_leftovers(previous, {one.name for one in planned})
        error_list = self._write_errors(previous, rejected)
        window = self.output.window
        manifest = Manifest(
            job=self.output.job,
            window=window.to_json() if window else None,
            objects=tuple(planned),
            schema=columns_of(self.output.schema),
            error_list=error_list,
        )
        write_manifest(self.client, self.bucket, self.names.manifest, manifest, self.headers)
        return manifest.committed(self.names.manifest)

    def abort(self, receipts: Sequence[JsonObject]) -> None:
        """Throw prepared uploads away."""
        for receipt in receipts:
            for upload in receipt["objects"]:
                self.client.abort(self.bucket, upload["key"], upload["upload_id"])

    def upload(self, pool: PartPool, key: str, part_size: int) -> MultipartUpload:
        """Return an upload that has not begun, with this output's headers."""
        headers = {**self.headers, **self.object_headers}
        return MultipartUpload(pool, self.bucket, key, part_size=part_size, headers=headers)

    # ── completing ───────────────────────────────────────────────────────────────────────────────────────

    def _complete(self, upload: JsonObject) -> None:
        key = upload["key"]
        if self.names.single or key not in self._first_names():
            self._check_replaceable(key)  # not looked at, or not lately: another window may have come
        forbid = self.mode == "nonConflict"
        try:
            self.client.complete(
                self.bucket, key, upload["upload_id"], parts_of(upload), forbid_overwrite=forbid
            )
        except ObjectExistsError:
            self._accept_own(key, upload["size"], int(upload["crc64"]))
            self.client.abort(self.bucket, key, upload["upload_id"])
        except NoSuchUploadError as error:
            raise TransientError(
                f"the upload of {self.bucket}/{key} is gone, and what stands there is something else: another run of "
                f"this window has aborted it; run the window again ({error})"
            ) from error

    def _put_empty(self, planned: CommittedObject, content: bytes) -> None:
        if self.names.single:
            self._check_replaceable(planned.name)
        try:
            self.client.put(
                self.bucket,
                planned.name,
                content,
                headers={**self.headers, **self.object_headers},
                forbid_overwrite=self.mode == "nonConflict",
            )
        except ObjectExistsError:
            self._accept_own(planned.name, planned.size, planned.crc64)

    def _accept_own(self, key: str, size: int, checksum: int | None) -> None:
        """Return if ``key`` is what an earlier try of this very output made; raise otherwise."""
        found = self.client.head(self.bucket, key)
        if found is None or not self._is_ours(found) or (found.size, found.crc64) != (size, checksum):
            raise TargetConflictError(
                f"{self.bucket}/{key} exists, and writeMode nonConflict does not replace it; choose another "
                "object name or remove it"
            )

    # ── what is there ────────────────────────────────────────────────────────────────────────────────────

    def _existing(self) -> list[str]:
        if self.names.single:
            return [self.names.object(0, 0)]
        listed = self.client.list_objects(self.bucket, self.names.prefix)
        return [one.key for one in listed if self.names.owns(one.key)]

    def _first_names(self) -> set[str]:
        """Return the names that are certain before a row is written; those of rolled objects are not."""
        return {self.names.object(split, 0) for split in range(len(self.output.splits))}

    def _check_replaceable(self, key: str) -> None:
        found = self.client.head(self.bucket, key)
        if found is None or self._is_ours(found):
            return
        owner = self._owner(found)
        if self.mode == "truncate" and owner is None:
            return
        where = f"{self.bucket}/{key}"
        if owner is None:
            raise TargetConflictError(
                f"{where} exists and was not made by this job, and writeMode {self.mode} does not replace it; "
                "choose another object name, remove it, or use truncate"
            )
        job, label = owner
        raise TargetConflictError(
            f"{where} holds window {label!r} of job {job!r}, and this is window {self.names.label!r} of job "
            f"{self.output.job!r}: writing it would lose what is there; {_UNIQUE_NAME}"
        )

    def _is_ours(self, found: ObjectInfo) -> bool:
        return self._owner(found) == (self.output.job, self.names.label)

    @staticmethod
    def _owner(found: ObjectInfo) -> tuple[str, str] | None:
        job = found.metadata.get("sync-job")
        return None if job is None else (unquote(job), unquote(found.metadata.get("sync-window", "")))

    # ── cleaning ─────────────────────────────────────────────────────────────────────────────────────────

    def _remove_stale(self, previous: Manifest | None, current: set[str]) -> None:
        """Remove what earlier tries of this output left: listed in its manifest, or marked as its own."""
        stale = {one.name for one in previous.objects} - current if previous else set()
        if not self.names.single:
            for key in self._existing():
                if key in current or key in stale:
                    continue
                found = self.client.head(self.bucket, key)
                if found is not None and self._is_ours(found):
                    stale.add(key)
        if stale:
            self.client.delete_many(self.bucket, sorted(stale))

    def _abort_leftovers(self, previous: Manifest | None, current: set[str]) -> None:
        """Abort uploads that killed tries of this output left behind."""
        known = current | ({one.name for one in previous.objects} if previous else set())
        for upload in list(self.client.list_uploads(self.bucket, self.names.prefix)):
            ours = upload.key in known or (self.output.window is not None and self.names.owns(upload.key))
            if ours:
                self.client.abort(self.bucket, upload.key, upload.upload_id)

    def _write_errors(self, previous: Manifest | None, rejected: Sequence[Rejected]) -> str:
        if rejected:
            write_error_list(self.client, self.bucket, self.names.errors, rejected, self.headers)
            return self.names.errors
        if previous is not None and previous.error_list:
            self.client.delete(self.bucket, previous.error_list)
        return ""
