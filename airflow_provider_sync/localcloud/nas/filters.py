"""Filters and pages of the Describe operations.

Documented: ids match as a whole or in part and there are at most ten of them; statuses, actions, data types and
throughputs may be several; of a dataflow FileSystemPath, Description and SourceStoragePath match in part, the others
as a whole (one page says so of ids too, another the opposite; in part here, the harder case for a client). That
the paths of a subtask match in part is invented. Several filters must all match. The order of a list is that of the
random ids.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.wire import Call

__all__ = ["FLOW_KEYS", "SUBTASK_KEYS", "TASK_KEYS", "Listing", "page"]

Check = Callable[[str], bool]
_IDS = 10
_TEXT = 1024
_PATH = 1023
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ")


def _ids(wanted: str) -> Check:
    parts = re.compile("|".join(map(re.escape, _listed(wanted, _IDS))))
    return lambda value: parts.search(value) is not None


def _any(wanted: str) -> Check:
    return frozenset(_listed(wanted, _TEXT)).__contains__


def _equal(wanted: str) -> Check:
    return lambda value: value == wanted


def _part(wanted: str) -> Check:
    return lambda value: wanted in value


def _path(wanted: str) -> Check:
    if len(wanted) > _PATH:
        raise NasError.invalid("FilterValue", f"a path may have {_PATH} characters")
    return _part(wanted)


def _not_before(wanted: str) -> Check:
    minute = _minute(wanted)
    return lambda value: bool(value) and _minute(value) >= minute


def _not_after(wanted: str) -> Check:
    minute = _minute(wanted)
    return lambda value: bool(value) and _minute(value) <= minute


Keys = Mapping[str, tuple[str, Callable[[str], Check]]]
FLOW_KEYS: Keys = {
    "DataFlowIds": ("DataFlowId", _ids),
    "FsetIds": ("FsetId", _ids),
    "FileSystemPath": ("FileSystemPath", _part),
    "SourceStorage": ("SourceStorage", _equal),
    "SourceStoragePath": ("SourceStoragePath", _part),
    "ThroughputList": ("Throughput", _any),
    "Description": ("Description", _part),
    "Status": ("Status", _any),
}
TASK_KEYS: Keys = {
    "DataFlowIds": ("DataFlowId", _ids),
    "TaskIds": ("TaskId", _ids),
    "TaskId": ("TaskId", _ids),
    "Originator": ("Originator", _equal),
    "TaskActions": ("TaskAction", _any),
    "DataTypes": ("DataType", _any),
    "Status": ("Status", _any),
    "CreateTimeBegin": ("CreateTime", _not_before),
    "CreateTimeEnd": ("CreateTime", _not_after),
    "StartTimeBegin": ("StartTime", _not_before),
    "StartTimeEnd": ("StartTime", _not_after),
    "EndTimeBegin": ("EndTime", _not_before),
    "EndTimeEnd": ("EndTime", _not_after),
}
SUBTASK_KEYS: Keys = {
    "DataFlowIds": ("DataFlowId", _ids),
    "DataFlowTaskIds": ("DataFlowTaskId", _ids),
    "DataFlowSubTaskIds": ("DataFlowSubTaskId", _ids),
    "Status": ("Status", _any),
    "SrcFilePath": ("SrcFilePath", _path),
    "DstFilePath": ("DstFilePath", _path),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list is made of: sorted names, the ids of a name (cheap) and its description (None: not shown)."""

    names: Sequence[str]
    ids: Callable[[str], Mapping[str, str]]
    describe: Callable[[str], Mapping[str, object] | None]


def page(call: Call, listing: Listing, keys: Keys, smallest: int) -> tuple[list[Mapping[str, object]], str]:
    """Return one page of what passes the filters, and the token of the next, empty at the end.

    ``smallest`` is the least MaxResults allowed.
    """
    checks = [_compiled(key, wanted, keys) for key, wanted in call.filters()]
    size = call.number("MaxResults", 20, smallest, 100)
    token = call.text("NextToken")
    if token and not token.startswith("after:"):
        raise NasError.invalid("NextToken", "it is not one of this service")
    names = listing.names
    found: list[Mapping[str, object]] = []
    last = ""
    for at in range(bisect.bisect_right(names, token[6:]) if token else 0, len(names)):
        ids = listing.ids(names[at])
        # Thousands are dropped by their ids before one is described.
        if not all(check(ids[field]) for field, check in checks if field in ids):
            continue
        data = listing.describe(names[at])
        if data is None or not all(check(str(data.get(field, ""))) for field, check in checks):
            continue
        if len(found) == size:
            return found, f"after:{last}"
        found.append(data)
        last = names[at]
    return found, ""


def _compiled(key: str, wanted: str, keys: Keys) -> tuple[str, Check]:
    if key not in keys:
        raise NasError.invalid("FilterKey", f"one of {', '.join(keys)} is expected")
    if not wanted:
        raise NasError.invalid("FilterValue", f"{key} is empty")
    field, make = keys[key]
    return field, make(wanted)


def _listed(wanted: str, most: int) -> list[str]:
    found = [part for part in wanted.split(",") if part]
    if len(found) > most:
        raise NasError.invalid("FilterValue", f"at most {most} values are allowed")
    return found


def _minute(text: str) -> datetime:
    """Read ``2026-11-20T21:12Z``, or a time with seconds as the service shows it."""
    short = f"{text[:16]}Z"
    if not _TIME.fullmatch(short):
        raise NasError.invalid("FilterValue", "yyyy-MM-ddThh:mmZ is expected")
    try:
        return datetime.strptime(short, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    except ValueError:
        raise NasError.invalid("FilterValue", "yyyy-MM-ddThh:mmZ is expected") from None
