"""Uploads of large objects that are under way, and what killed or failed runs have left of them."""

from __future__ import annotations

import logging

from airflow_provider_sync.errors import SyncError
from airflow_provider_sync.migration.contract import Source, Target
from airflow_provider_sync.migration.journal import ABANDONED, PART, UPLOAD, Journal, Past
from airflow_provider_sync.migration.objects import ObjectInfo, Part, Prepared

__all__ = ["Uploads"]

log = logging.getLogger(__name__)


class Uploads:
    """Begins, resumes and throws away uploads, and writes down each step before others depend on it.

    ``alone`` tells that nobody else writes to the target, so that an unknown upload of a key of ours is ours.
    """

    def __init__(self, source: Source, target: Target, journal: Journal, past: Past, *, alone: bool) -> None:
        self._source = source
        self._target = target
        self._journal = journal
        self._past = past
        self._alone = alone

    def begin(self, item: ObjectInfo, prepared: Prepared) -> str:
        """Begin an upload and return its name."""
        self._journal.add([UPLOAD, item.key, "", item.etag])
        upload = self._target.begin(item.key, item.size, prepared)
        self._journal.add([UPLOAD, item.key, upload, item.etag])
        return upload

    def resume(self, item: ObjectInfo) -> tuple[str, dict[int, Part]] | None:
        """Return the upload that an earlier run began, and its parts, if it is of this very version."""
        begun = self._past.uploads.get(item.key)
        if begun is None:
            return None
        upload, etag, parts = begun
        if upload and etag == item.etag and self.can_resume(item):
            self._past.uploads.pop(item.key)
            return upload, parts
        self.forget(item)
        return None

    def can_resume(self, item: ObjectInfo) -> bool:
        """Tell whether parts of two runs are sure to be of one version."""
        return bool(item.etag) and self._source.ranges(item)

    def wrote(self, item: ObjectInfo, upload: str, part: Part) -> None:
        """Remember a part."""
        self._journal.add([PART, item.key, upload, part.number, part.etag, part.size, part.crc64])

    def abandon(self, item: ObjectInfo, upload: str) -> None:
        """Throw an upload away; if that fails it is logged: what led here is what the caller must hear."""
        try:
            self._target.abort(item.key, upload)
        except SyncError as error:
            log.warning("%s%s: upload %s is left behind: %s", self._target.name, item.key, upload, error)
        else:
            self._journal.add([ABANDONED, item.key])

    def forget(self, item: ObjectInfo) -> None:
        """Throw away what an earlier run began of an object that needs it no more."""
        begun = self._past.uploads.pop(item.key, None)
        if begun is None:
            return
        if begun[0]:
            self.abandon(item, begun[0])
        elif self._alone:
            # killed before it heard the upload's name; elsewhere it could be somebody else's
            for upload in self._target.uploads(item.key):
                self._target.abort(item.key, upload)
