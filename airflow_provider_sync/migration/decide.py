"""Whether an object is taken, and what becomes of it: filters, overwrite rules, comparisons. No I/O."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from enum import Enum

from airflow_provider_sync.migration.objects import UNKNOWN_SIZE, ObjectInfo
from airflow_provider_sync.migration.spec import MigrationSpec

__all__ = ["NEWER_THERE", "Verdict", "compare", "is_kept", "make_filter", "needs_copy"]

NEWER_THERE = "differs, and the target is newer"
"""What a comparison says of objects that somebody wrote in the target, if the job keeps such."""

_MD5 = re.compile(r"[0-9A-Fa-f]{32}")


class Verdict(Enum):
    """Outcome of a comparison; ``UNKNOWN`` where nothing comparable is there."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


def make_filter(spec: MigrationSpec) -> Callable[[ObjectInfo], bool]:
    """Return what tells whether a source object is taken.

    Times compare as ossimport's do: later than ``import_since`` (less the margin), not later than
    ``last_modify``. An object of unknown size passes the size limits, one of unknown time those of time.
    """
    include, exclude = _pattern(spec.include), _pattern(spec.exclude)
    since = spec.import_since - spec.since_margin if spec.import_since else 0.0
    until, smallest, largest = spec.last_modify, spec.min_size, spec.max_size

    def takes(item: ObjectInfo) -> bool:
        if item.modified and ((since and item.modified <= since) or (until and item.modified > until)):
            return False
        if item.size != UNKNOWN_SIZE and (
            item.size < smallest or (largest is not None and item.size > largest)
        ):
            return False
        if include is not None and not include.match(item.key):
            return False
        return exclude is None or not exclude.match(item.key)

    return takes


def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(fnmatch.translate(one) for one in patterns)) if patterns else None


def compare(source: ObjectInfo, target: ObjectInfo) -> Verdict:
    """Compare contents by what listings say: CRC-64 or MD5.

    An ETag counts only if both look like an MD5; equal ones prove equal content, while different ones prove
    nothing (encrypted and multipart objects have ETags that are no MD5).
    """
    if UNKNOWN_SIZE not in (source.size, target.size) and source.size != target.size:
        return Verdict.DIFFERENT
    if source.crc64 is not None and target.crc64 is not None:
        return Verdict.SAME if source.crc64 == target.crc64 else Verdict.DIFFERENT
    if _MD5.fullmatch(source.etag) and source.etag.lower() == target.etag.lower():
        return Verdict.SAME
    return Verdict.UNKNOWN


def needs_copy(spec: MigrationSpec, source: ObjectInfo, target: ObjectInfo | None) -> str:
    """Return empty if the object must be copied, else why not.

    Of an object of unknown size only ``never`` is decided here: the rest when its headers have been asked for.
    """
    rule = spec.rule
    if target is None or rule == "always":
        return ""
    if rule == "never":
        return "exists"
    if source.size == UNKNOWN_SIZE:
        return ""
    return _newer_there(spec, source, target) if rule == "older" else _same_there(spec, source, target)


def is_kept(spec: MigrationSpec, source: ObjectInfo, target: ObjectInfo) -> bool:
    """Tell whether the target's object is somebody's newer one, which the job does not replace."""
    if spec.rule != "older":
        return False
    return target.modified >= spec.target_since if spec.target_since else target.modified > source.modified


def _newer_there(spec: MigrationSpec, source: ObjectInfo, target: ObjectInfo) -> str:
    if not source.modified:
        return "exists, and the source's time is unknown"
    if spec.target_since:
        if is_kept(spec, source, target):
            return "target was written since the switch"
        # an earlier copy: when it was made says nothing about which version it is of
        return _same_there(spec, source, target)
    return "target is not older" if target.modified >= source.modified else ""


def _same_there(spec: MigrationSpec, source: ObjectInfo, target: ObjectInfo) -> str:
    verdict = compare(source, target)
    if verdict is Verdict.SAME:
        return "same content"
    if verdict is Verdict.DIFFERENT or _both_md5(spec, source, target):
        return ""
    # A source that goes on changing may do so just after a copy, and the two clocks differ.
    margin = spec.since_margin if spec.import_since else 0.0
    not_older = source.modified > 0 and target.modified >= source.modified + margin
    return "same size, target is not older" if not_older else ""


def _both_md5(spec: MigrationSpec, source: ObjectInfo, target: ObjectInfo) -> bool:
    return (
        (spec.compare == "checksum" or spec.target_since > 0)
        and _MD5.fullmatch(source.etag) is not None
        and _MD5.fullmatch(target.etag) is not None
    )
