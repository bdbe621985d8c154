"""Compares one object of the source with the target's, by checksum or byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import CorruptDataError
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.decide import NEWER_THERE, Verdict, compare, is_kept
from airflow_provider_sync.migration.errors import SizeMismatchError, SourceGoneError, TargetChangedError
from airflow_provider_sync.migration.journal import DONE, Outcome
from airflow_provider_sync.migration.objects import UNKNOWN_SIZE, ObjectInfo
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.tasks import Entry

__all__ = ["Auditor"]


class Auditor:
    """Shared by the threads of a task; ``read`` hears of bytes that were compared.

    ``checksum`` takes both services' word where they have a comparable one, and reads the source only where
    they have none; ``content`` reads both.
    """

    def __init__(
        self,
        spec: MigrationSpec,
        source: Source,
        target: Target,
        environment: Environment,
        read: Callable[[int], None],
    ) -> None:
        self._spec = spec
        self._content = spec.audit_level == "content"
        self._piece = spec.part_size
        self._source = source
        self._target = target
        self._environment = environment
        self._read = read

    def compare(self, entry: Entry) -> Outcome:
        """Return an outcome if both are the same, raise the difference if not.

        A job that keeps what is newer in the target finds nothing wrong with a difference there.
        """
        there = self._target.head(entry.info.key)
        if there is None:
            raise TargetChangedError(f"{self._target.name}{entry.info.key} is not there any more")
        try:
            return self._compare(entry.info, there)
        except (CorruptDataError, SizeMismatchError):
            if is_kept(self._spec, entry.info, there):
                return self._same(there, NEWER_THERE)
            raise

    def _compare(self, item: ObjectInfo, there: ObjectInfo) -> Outcome:
        if item.size == UNKNOWN_SIZE:
            found = self._source.head(item)
            if found is None:
                raise SourceGoneError(f"{self._source.name}{item.key} is not there")
            item = found._replace(locator=item.locator)
        if item.size not in (UNKNOWN_SIZE, there.size):
            raise SizeMismatchError(
                f"{item.key}: {item.size} bytes in the source, {there.size} in the target"
            )
        here = item
        if not self._content:
            here = self._source.head(item) or item
            if compare(here, there) is Verdict.SAME:
                return self._same(there, "by the services' checksums")
        checksum = self._compare_bytes(item, there)
        if there.crc64 is not None and checksum != there.crc64:
            raise CorruptDataError(
                f"{item.key}: crc-64 {checksum} in the source, {there.crc64} in the target"
            )
        return self._same(there, "by content" if self._content or there.crc64 is None else "by crc-64")

    def _compare_bytes(self, item: ObjectInfo, there: ObjectInfo) -> int:
        reads_both = self._content or there.crc64 is None
        checksum = offset = 0
        for body in self._pieces(item, there.size):
            self._environment.check_cancelled()
            checksum = crc64(body, checksum)
            end = offset + len(body)
            if reads_both and self._target.read(item.key, offset, end) != body:
                raise CorruptDataError(f"{item.key}: bytes {offset} to {end} differ")
            offset = end
            self._read(len(body))
        if offset != there.size:
            raise SizeMismatchError(f"{item.key}: {offset} bytes read, {there.size} in the target")
        return checksum

    def _pieces(self, item: ObjectInfo, size: int) -> Iterator[bytes | memoryview]:
        if not self._source.ranges(item):
            yield from self._source.stream(item, self._piece)
        elif size <= self._piece:
            if size:
                yield self._source.get(item).body
        else:
            for start in range(0, size, self._piece):
                yield self._source.get(item, start, min(start + self._piece, size)).body

    def _same(self, there: ObjectInfo, how: str) -> Outcome:
        return Outcome(
            DONE, there.key, there.size, there.etag, there.crc64, self._environment.clock(), note=how
        )
