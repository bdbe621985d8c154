"""Which troubles a run may meet: kills at requests, and faults of both services, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from faults.settings import Settings

__all__ = ["BROKEN", "draw_faults", "draw_kill", "may_fail"]

# By operation: how many requests of that name a run may make before the one that matters. Reads come first.
_READS = {
    "tablestore.DescribeTable": 1,
    "tablestore.DescribeStream": 2,
    "tablestore.GetShardIterator": 3,
    "tablestore.GetStreamRecord": 12,
    "oss.GetObject": 3,
}
_PROGRESS = {
    "tablestore.GetRow": 3,
    "tablestore.PutRow": 2,
    "tablestore.GetRange": 1,
    "tablestore.CreateTable": 0,
}
_STATUS = {
    "tablestore.BatchWriteRow": 1,
    "tablestore.DeleteRow": 1,
    "tablestore.PutRow": 2,
    "tablestore.GetRange": 2,
}
_OBJECTS = {
    "oss.ListObjectsV2": 1,
    "oss.InitiateMultipartUpload": 2,
    "oss.UploadPart": 3,
    "oss.CompleteMultipartUpload": 2,
    "oss.ListMultipartUploads": 1,
    "oss.AbortMultipartUpload": 0,
    "oss.PutObject": 2,
}
_STALE = {"oss.DeleteObject": 0, "oss.DeleteMultipleObjects": 0, "oss.HeadObject": 1}
_SINGLE = {"oss.HeadObject": 2, "oss.CompleteMultipartUpload": 2, "oss.InitiateMultipartUpload": 2}
_GROWING = {"oss.AppendObject": 2, "oss.PutObject": 3, "oss.HeadObject": 3}
_VERSIONED = {"oss.GetBucketInfo": 1}
_WITHOUT_EFFECT = frozenset(("Describe", "Get", "List", "Head"))


def _operations(settings: Settings) -> dict[str, int]:
    operations = dict(_READS)
    if settings.store == "tablestore":
        operations |= _PROGRESS
    if settings.store == "oss":
        operations |= {"oss.PutObject": 6, "oss.ListObjectsV2": 4}
    if settings.status:
        operations |= _STATUS
    if settings.form == "grow":
        return operations | _GROWING
    operations |= _OBJECTS
    if settings.varied:
        operations |= _STALE
    if settings.form == "single":
        operations |= _SINGLE
    if settings.form == "nonConflict":
        operations |= _VERSIONED | {"oss.HeadObject": 1}
    return operations


def draw_kill(chance: random.Random, settings: Settings) -> dict[str, Any]:
    """Return where a process dies.

    A request of the dead arrives late only where it can do harm; not the start of an upload, which then would stay
    behind for as long as nobody runs that window again.
    """
    operations = _operations(settings)
    reads = [name for name in operations if _is_read(name)]
    writes = [name for name in operations if not _is_read(name)]
    operation = chance.choice(reads if chance.random() < 0.3 else writes)
    late = not _is_read(operation) and operation != "oss.InitiateMultipartUpload"
    return {
        "operation": operation,
        "skip": 0 if chance.random() < 0.6 else chance.randint(0, operations[operation]),
        "when": chance.choice(("before", "after", "late") if late else ("before", "after")),
        "delay": chance.uniform(0.001, 0.06),
    }


def _is_read(operation: str) -> bool:
    name = operation.partition(".")[2]
    return any(name.startswith(one) for one in _WITHOUT_EFFECT)


def draw_faults(chance: random.Random, settings: Settings) -> list[dict[str, Any]]:
    """Return faults that the clients must get over by themselves."""
    faults = []
    for _ in range(chance.choice((0, 1, 2, 3, 5))):
        operations = _operations(settings)
        service, _, operation = chance.choice(list(operations)).partition(".")
        action = chance.choice(
            (
                "error",
                "throttle",
                "drop_before",
                "lost_reply",
                "lost_reply",
                "cut",
                "delay",
                "wrong_crc",
                "duplicate",
            )
        )
        fault: dict[str, Any] = {
            "service": service,
            "action": action,
            "operation": operation,
            "after": chance.randint(0, 4),
            "count": chance.randint(1, 2),
        }
        if service == "tablestore" and operation == "BatchWriteRow":
            fault["key"] = "datax_status"  # not the history's own writes
        if action == "error":
            fault["status"] = chance.choice((500, 502, 503))
            if service == "tablestore":
                fault["code"] = chance.choice(
                    ("OTSServerUnavailable", "OTSTimeout", "OTSPartitionUnavailable")
                )
        if action == "cut":
            fault["bytes"] = chance.randint(0, 60)
        if action == "delay":
            fault["seconds"] = chance.uniform(0.001, 0.03)
        faults.append(fault)
    return faults


def may_fail(faults: Sequence[dict[str, Any]]) -> bool:
    """Tell whether a run may give up: an object that is said to be damaged when it is whole is not accepted."""
    final = ("CompleteMultipartUpload", "AppendObject", "HeadObject")
    return any(one["action"] == "wrong_crc" and one["operation"] in final for one in faults)


BROKEN = (
    {
        "service": "oss",
        "key": "out/",
        "action": "error",
        "status": 403,
        "code": "AccessDenied",
        "operation": "PutObject",
    },
    {
        "service": "oss",
        "key": "out/",
        "action": "error",
        "status": 403,
        "code": "AccessDenied",
        "operation": "UploadPart|AppendObject",
    },
    {
        "service": "oss",
        "key": "out/",
        "action": "error",
        "status": 403,
        "code": "AccessDenied",
        "operation": "Complete.*|Append.*",
    },
    {"service": "oss", "key": "out/", "action": "error", "status": 500, "operation": "PutObject"},
    {"service": "oss", "key": "out/", "action": "throttle", "operation": "Initiate.*|Append.*"},
    {
        "service": "tablestore",
        "action": "error",
        "code": "OTSNoPermissionAccess",
        "operation": "GetStreamRecord",
    },
    {
        "service": "tablestore",
        "action": "error",
        "code": "OTSServerUnavailable",
        "operation": "DescribeStream",
    },
)
"""Faults that last: a run that meets one must fail, and leave everything to the next. Progress can be kept."""
