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
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.wire import Call

__all__ = ["FLOW_KEYS", "SUBTASK_KEYS", "TASK_KEYS", "page", "passes"]

T = TypeVar("T")
Check = Callable[[str, str], bool]
_IDS = 10
_TEXT = 1024
_PATH = 1023
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ")


def _ids(value: str, wanted: str) -> bool:
    return any(part in value for part in _listed(wanted, _IDS))


def _any(value: str, wanted: str) -> bool:
    return value in _listed(wanted, _TEXT)


def _equal(value: str, wanted: str) -> bool:
    return value == wanted


def _part(value: str, wanted: str) -> bool:
    return wanted in value


def _not_before(value: str, wanted: str) -> bool:
    return bool(value) and _minute(value) >= _minute(wanted)


def _not_after(value: str, wanted: str) -> bool:
    return bool(value) and _minute(value) <= _minute(wanted)


FLOW_KEYS: Mapping[str, tuple[str, Check]] = {
    "DataFlowIds": ("DataFlowId", _ids),
    "FsetIds": ("FsetId", _ids),
    "FileSystemPath": ("FileSystemPath", _part),
    "SourceStorage": ("SourceStorage", _equal),
    "SourceStoragePath": ("SourceStoragePath", _part),
    "ThroughputList": ("Throughput", _any),
    "Description": ("Description", _part),
    "Status": ("Status", _any),
}
TASK_KEYS: Mapping[str, tuple[str, Check]] = {
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
SUBTASK_KEYS: Mapping[str, tuple[str, Check]] = {
    "DataFlowIds": ("DataFlowId", _ids),
    "DataFlowTaskIds": ("DataFlowTaskId", _ids),
    "DataFlowSubTaskIds": ("DataFlowSubTaskId", _ids),
    "Status": ("Status", _any),
    "SrcFilePath": ("SrcFilePath", _part),
    "DstFilePath": ("DstFilePath", _part),
}


def passes(
    data: Mapping[str, object], filters: Iterable[tuple[str, str]], keys: Mapping[str, tuple[str, Check]]
) -> bool:
    """Tell whether a described thing meets every filter."""
    for key, wanted in filters:
        field, check = keys[key]
        if not check(str(data.get(field, "")), wanted):
            return False
    return True


def page(
    call: Call,
    names: Sequence[str],
    describe: Callable[[str], Mapping[str, object] | None],
    keys: Mapping[str, tuple[str, Check]],
    smallest: int,
) -> tuple[list[Mapping[str, object]], str]:
    """Return one page of the sorted ``names`` that pass the filters, and the token of the next, empty at the end.

    ``describe`` gives None for what is not shown. ``smallest`` is the least MaxResults allowed.
    """
    filters = call.filters()
    _check(filters, keys)
    size = call.number("MaxResults", 20, smallest, 100)
    token = call.text("NextToken")
    if token and not token.startswith("after:"):
        raise NasError.invalid("NextToken", "it is not one of this service")
    found: list[Mapping[str, object]] = []
    last = ""
    for at in range(bisect.bisect_right(names, token[6:]) if token else 0, len(names)):
        data = describe(names[at])
        if data is None or not passes(data, filters, keys):
            continue
        if len(found) == size:
            return found, f"after:{last}"
        found.append(data)
        last = names[at]
    return found, ""


def _check(filters: Iterable[tuple[str, str]], keys: Mapping[str, tuple[str, Check]]) -> None:
    for key, wanted in filters:
        if key not in keys:
            raise NasError.invalid("FilterKey", f"one of {', '.join(keys)} is expected")
        if not wanted:
            raise NasError.invalid("FilterValue", f"{key} is empty")
        if keys[key][1] is _ids:
            _listed(wanted, _IDS)
        elif keys[key][1] in (_not_before, _not_after):
            _minute(wanted)
        elif key in {"SrcFilePath", "DstFilePath"} and len(wanted) > _PATH:
            raise NasError.invalid("FilterValue", f"{key} may have {_PATH} characters")


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
