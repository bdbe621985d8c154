"""Moves one object: read, write, compare, and say what became of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from airflow_provider_sync.clients.oss.crc import combine, crc64
from airflow_provider_sync.clients.oss.errors import NoSuchUploadError
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.limits import RateLimit
from airflow_provider_sync.errors import (
    CancelledError,
    CorruptDataError,
    SyncError,
    TargetConflictError,
    TransientError,
)
from airflow_provider_sync.migration.budget import ByteBudget
from airflow_provider_sync.migration.contract import MIB, Source, Target
from airflow_provider_sync.migration.decide import needs_copy
from airflow_provider_sync.migration.errors import (
    MigrationError,
    SizeMismatchError,
    SourceChangedError,
    SourceGoneError,
    TargetChangedError,
)
from airflow_provider_sync.migration.journal import DONE, SKIPPED, Journal, Outcome, Past
from airflow_provider_sync.migration.objects import (
    UNKNOWN_SIZE,
    Attributes,
    ObjectInfo,
    Part,
    Prepared,
    Stored,
)
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.tasks import Entry
from airflow_provider_sync.migration.uploads import Uploads

__all__ = ["Copier"]

log = logging.getLogger(__name__)


class Copier:
    """Shared by the threads of a task; ``parts`` are the threads that move pieces of large objects."""

    def __init__(
        self,
        spec: MigrationSpec,
        source: Source,
        target: Target,
        *,
        rate: RateLimit,
        parts: ThreadPoolExecutor,
        journal: Journal,
        past: Past,
        environment: Environment,
        moved: Callable[[int], None],
    ) -> None:
        self._spec = spec
        self._source = source
        self._target = target
        self._rate = rate
        self._parts = parts
        self._uploads = Uploads(source, target, journal, past, alone=not spec.protects)
        self._environment = environment
        self._moved = moved
        self._budget = ByteBudget(spec.bytes_in_flight)
        self._by_service = target.copies_from(source)

    def is_large(self, entry: Entry) -> bool:
        """Tell whether an object is known to be moved in parts."""
        return not self._by_service and entry.info.size > self._spec.multipart_threshold

    def copy(self, entry: Entry) -> Outcome:
        """Move an object; one that changed since the plan is moved as it is now, once.

        Raises what prevented it. Parts of a large object stay in the target if a later try can use them.
        """
        try:
            outcome = self._copy(entry)
        except (CancelledError, TransientError):
            raise
        except Exception:
            self._uploads.forget(entry.info)
            raise
        self._uploads.forget(entry.info)
        return outcome

    def _copy(self, entry: Entry) -> Outcome:
        item = entry.info
        note = ""
        if item.size == UNKNOWN_SIZE:
            item = self._sized(item)
            if entry.target_etag is not None:
                reason = needs_copy(self._spec, item, self._target.head(item.key))
                if reason:
                    return self._skipped(item, reason)
        try:
            return self._checked(item, entry, note)
        except (SourceChangedError, SizeMismatchError) as error:
            if isinstance(error, SizeMismatchError) and item.etag:
                raise  # the listed version, but not all of it
            found = self._source.head(item)
            if found is None:
                raise SourceGoneError(
                    f"{self._source.name}{item.key} was deleted after it was listed"
                ) from None
            note = "changed after it was listed"
        item = found._replace(locator=item.locator)
        if self._spec.rule == "older":
            other = self._target.head(item.key)
            reason = needs_copy(self._spec, item, other)
            if reason:
                return self._skipped(item, reason)
        return self._checked(item, entry, note)

    def _checked(self, item: ObjectInfo, entry: Entry, note: str) -> Outcome:
        only_new = self._spec.protects and entry.target_etag is None
        if self._spec.protects and (entry.target_etag is not None or not self._target.exclusive):
            found = self._target.head(item.key)
            if found is None:
                only_new = True
            elif found.etag != entry.target_etag:
                reason = needs_copy(self._spec, item, found)
                if reason:
                    return self._skipped(item, reason)
        expected = entry.target_etag if self._spec.protects and not only_new else None
        try:
            return self._transfer(item, note, only_new=only_new, expected=expected)
        except _TakenError as taken:
            return self._resolve(item, note, taken)

    def _resolve(self, item: ObjectInfo, note: str, taken: _TakenError) -> Outcome:
        """Decide about an object that appeared in the target after the plan: ours, newer, or in the way."""
        found = self._target.head(item.key)
        if found is not None:
            if taken.crc64 is not None and (found.size, found.crc64) == (taken.size, taken.crc64):
                return self._done(item, Stored(found.etag, found.crc64), Prepared(), "was there already")
            reason = needs_copy(self._spec, item, found)
            if reason:
                return self._skipped(item, reason)
        expected = found.etag if found is not None and self._spec.protects else None
        try:
            return self._transfer(item, note, only_new=False, expected=expected)
        except _TakenError as again:
            raise TargetChangedError(f"{self._target.name}{item.key}: {again.error}") from again.error

    def _transfer(
        self, item: ObjectInfo, note: str, *, only_new: bool, expected: str | None = None
    ) -> Outcome:
        if self._by_service:
            self._rate.take(0, 1)
            try:
                stored = self._target.copy(self._source, item, only_new=only_new)
            except TargetConflictError as error:
                raise _TakenError(error, item.size, item.crc64) from error
            self._moved(item.size)
            return self._done(item, stored, Prepared(), note)
        if item.size == UNKNOWN_SIZE or item.size > self._spec.multipart_threshold:
            return self._large(item, note, only_new=only_new, expected=expected)
        return self._small(item, note, only_new=only_new, expected=expected)

    def _sized(self, item: ObjectInfo) -> ObjectInfo:
        found = self._source.head(item)
        if found is None:
            raise SourceGoneError(f"{self._source.name}{item.key} is not there")
        return found._replace(locator=item.locator)

    # ── one request each way ─────────────────────────────────────────────────────────────────────────────

    def _small(self, item: ObjectInfo, note: str, *, only_new: bool, expected: str | None) -> Outcome:
        self._rate.take(item.size, 1)
        with self._budget.hold(item.size):
            content = self._source.get(item)
            body, size = content.body, len(content.body)
            if size != item.size:
                raise SizeMismatchError(
                    f"{self._source.name}{item.key}: listed with {item.size} bytes, {size} were read"
                )
            prepared = self._prepare(item, content.attributes)
            if expected is not None:
                self._require_expected(item, expected, size=size, checksum=crc64(body))
            try:
                stored = self._target.put(item.key, body, prepared, item=item, only_new=only_new)
            except TargetConflictError as error:
                raise _TakenError(error, size, crc64(body)) from error
            self._moved(size)
        return self._done(content.info, stored, prepared, note)

    # ── in parts ─────────────────────────────────────────────────────────────────────────────────────────

    def _large(self, item: ObjectInfo, note: str, *, only_new: bool, expected: str | None) -> Outcome:
        self._rate.take(0, 1)
        prepared = self._prepare(item, self._source.attributes(item))
        begun = self._uploads.resume(item)
        if begun is not None:
            upload, known = begun
            try:
                return self._in_parts(
                    item, note, prepared, upload=upload, known=known, only_new=only_new, expected=expected
                )
            except NoSuchUploadError:
                # a killed run had thrown the upload away, without a chance to say so
                log.info("%s%s: upload %s is gone, begun anew", self._target.name, item.key, upload)
        upload = self._uploads.begin(item, prepared)
        return self._in_parts(
            item, note, prepared, upload=upload, known={}, only_new=only_new, expected=expected
        )

    def _in_parts(
        self,
        item: ObjectInfo,
        note: str,
        prepared: Prepared,
        *,
        upload: str,
        known: dict[int, Part],
        only_new: bool,
        expected: str | None,
    ) -> Outcome:
        piece = self._piece(item)
        try:
            if item.size != UNKNOWN_SIZE and self._source.ranges(item):
                parts = self._by_ranges(item, upload, piece, known)
            else:
                parts = self._by_stream(item, upload, piece)
            size, checksum = _sum(parts)
            if item.size not in (UNKNOWN_SIZE, size):
                raise SizeMismatchError(
                    f"{self._source.name}{item.key}: listed with {item.size} bytes, {size} were read"
                )
            if item.crc64 is not None and item.crc64 != checksum:
                raise CorruptDataError(
                    f"{self._source.name}{item.key}: crc-64 {checksum} was read, the source says {item.crc64}"
                )
            if item.size != UNKNOWN_SIZE and not item.etag and self._source.ranges(item):
                self._require_unchanged(item)
            if expected is not None:
                self._require_expected(item, expected, size=size, checksum=checksum)
            try:
                stored = self._target.complete(
                    item.key, upload, parts, item=item._replace(size=size), only_new=only_new
                )
            except TargetConflictError as error:
                raise _TakenError(error, size, checksum) from error
        except BaseException as error:
            if not (isinstance(error, (CancelledError, TransientError)) and self._uploads.can_resume(item)):
                self._uploads.abandon(item, upload)
            raise
        return self._done(item._replace(size=size), stored, prepared, note)

    def _piece(self, item: ObjectInfo) -> int:
        limits = self._target.limits
        least = -(-max(item.size, 0) // limits.most)
        return max(self._spec.part_size, limits.smallest, -(-least // MIB) * MIB)

    def _by_ranges(self, item: ObjectInfo, upload: str, piece: int, known: dict[int, Part]) -> list[Part]:
        failed = threading.Event()

        def move(number: int, start: int, end: int) -> Part:
            try:
                if failed.is_set():
                    raise _SiblingError
                self._environment.check_cancelled()
                self._rate.take(end - start, 0)
                body = self._source.get(item, start, end).body
                if len(body) != end - start:
                    raise SizeMismatchError(
                        f"{self._source.name}{item.key}: bytes {start}-{end} have {len(body)}"
                    )
                part = self._target.put_part(item.key, upload, number, start, body)
            except BaseException:
                failed.set()
                raise
            finally:
                self._budget.give(end - start)
            self._moved(part.size)
            self._uploads.wrote(item, upload, part)
            return part

        futures: list[Future[Part] | Part] = []
        for number, start in enumerate(range(0, item.size, piece), 1):
            end = min(start + piece, item.size)
            done = known.get(number)
            if done is not None and done.size == end - start:
                futures.append(done)
                continue
            self._budget.take(end - start)
            if failed.is_set():
                self._budget.give(end - start)
                break
            futures.append(self._parts.submit(move, number, start, end))
        return _results(futures)

    def _by_stream(self, item: ObjectInfo, upload: str, piece: int) -> list[Part]:
        parts: list[Part] = []
        offset = 0
        for number, body in enumerate(self._source.stream(item, piece), 1):
            self._environment.check_cancelled()
            self._rate.take(len(body), 0)
            parts.append(self._target.put_part(item.key, upload, number, offset, body))
            offset += len(body)
            self._moved(len(body))
        return parts

    def _require_unchanged(self, item: ObjectInfo) -> None:
        """Compare size and time once more, where nothing pins the version while its parts are read."""
        found = self._source.head(item)
        if found is None or (found.size, found.modified) != (item.size, item.modified):
            raise SourceChangedError(f"{self._source.name}{item.key} changed while it was read")

    def _require_expected(self, item: ObjectInfo, etag: str, *, size: int, checksum: int) -> None:
        """Look again at what is to be replaced: moving the parts has taken its time."""
        found = self._target.head(item.key)
        if found is not None and found.etag != etag:
            error = TargetConflictError(f"{self._target.name}{item.key} was written while it was copied")
            raise _TakenError(error, size, checksum)

    # ── results ──────────────────────────────────────────────────────────────────────────────────────────

    def _prepare(self, item: ObjectInfo, attributes: Attributes) -> Prepared:
        prepared = self._target.prepare(attributes)
        if prepared.lost and self._spec.strict_attributes:
            raise MigrationError(f"{self._source.name}{item.key}: {'; '.join(prepared.lost)}")
        return prepared

    def _done(self, item: ObjectInfo, stored: Stored, prepared: Prepared, note: str) -> Outcome:
        text = "; ".join([note, *prepared.lost] if note else prepared.lost)
        return Outcome(
            DONE, item.key, item.size, item.etag, stored.crc64, self._environment.clock(), note=text
        )

    def _skipped(self, item: ObjectInfo, reason: str) -> Outcome:
        return Outcome(SKIPPED, item.key, item.size, item.etag, None, self._environment.clock(), note=reason)


class _TakenError(Exception):
    """The target has an object of that name; ``size`` and ``crc64`` are those of ours."""

    def __init__(self, error: SyncError, size: int, checksum: int | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.size = size
        self.crc64 = checksum


class _SiblingError(Exception):
    """Another part of the object failed first."""


def _sum(parts: list[Part]) -> tuple[int, int]:
    size = checksum = 0
    for part in parts:
        size += part.size
        checksum = combine(checksum, part.crc64, part.size)
    return size, checksum


def _results(futures: list[Future[Part] | Part]) -> list[Part]:
    """Wait for all, then raise the first real failure: no part may be on its way when the upload is aborted."""
    parts: list[Part] = []
    failure: BaseException | None = None
    for future in futures:
        if isinstance(future, Part):
            parts.append(future)
            continue
        error: Any = future.exception()
        if error is None:
            parts.append(future.result())
        elif failure is None or isinstance(failure, _SiblingError):
            failure = error
    if failure is not None:
        raise failure
    return parts
