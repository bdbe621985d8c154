"""What a migration shall do: frozen, checked once, JSON both ways."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.options import option, parse_options

__all__ = ["MigrationSpec", "check_job_name"]

_JOB = re.compile(r"[A-Za-z0-9_-]{4,128}")
_MAX_COUNT = 50_000
_MIB = 1024 * 1024
_SMALLEST_PART = 100 * 1024
_RANGES: dict[str, tuple[int, int]] = {
    "task_object_count": (1, _MAX_COUNT),
    "task_object_bytes": (1, 2**63),
    "scan_threads": (1, 64),
    "scan_depth": (1, 16),
    "threads": (1, 256),
    "part_threads": (1, 64),
    "part_size": (_SMALLEST_PART, 5 * 1024 * _MIB),
    "multipart_threshold": (1, 5 * 1024 * _MIB),
    "bytes_in_flight": (_MIB, 2**40),
}


def check_job_name(job: str) -> str:
    """Return a name that is safe as a folder's, in any store; others raise ConfigError."""
    if not _JOB.fullmatch(job):
        raise ConfigError("migration.job", job, allowed="4 to 128 letters, digits, _ or -")
    return job


@dataclass(frozen=True, slots=True)
class MigrationSpec:
    """One migration; times are seconds since the Unix epoch, sizes are bytes."""

    job: str = option("job", "Name of the job: 4 to 128 letters, digits, `_` or `-`; its folder.")
    job_type: Literal["import", "audit"] = option(
        "job_type", "`import` copies; `audit` only compares source and target.", default="import"
    )
    overwrite: Literal["auto", "changed", "older", "never", "always"] = option(
        "overwrite",
        "What to do with an object that the target has: `changed` replaces it unless it has the same size and "
        "is not older; `older` replaces it only if the source is newer, and never what somebody writes "
        "meanwhile; `never`; `always`; `auto` is `older` if `import_since` is set, else `changed`.",
        default="auto",
    )
    compare: Literal["time", "checksum"] = option(
        "compare",
        "How `changed` tells: `time` by size and time; `checksum` by CRC-64 or MD5 where both sides have a "
        "comparable one, by time elsewhere.",
        default="time",
    )
    include: tuple[str, ...] = option(
        "include", "Patterns (`*`, `?`, `[…]`) of keys below the prefix to take; empty takes all.", default=()
    )
    exclude: tuple[str, ...] = option("exclude", "Patterns of keys to leave out; wins.", default=())
    import_since: float = option(
        "import_since", "Only objects modified after this time (seconds); 0 takes all.", default=0.0
    )
    since_margin: float = option(
        "since_margin", "Seconds that are taken off `import_since`, because clocks differ.", default=300.0
    )
    target_since: float = option(
        "target_since",
        "When the application began to write to the target (seconds): `older` keeps what the target got since "
        "then, and replaces what is older wherever the source differs; 0 compares the objects' times.",
        default=0.0,
    )
    last_modify: float = option(
        "last_modify", "Leave out objects modified after this time (seconds); 0 takes all.", default=0.0
    )
    min_size: int = option("min_size", "Smallest object to take, in bytes.", default=0)
    max_size: int | None = option("max_size", "Largest object to take, in bytes; null: any.", default=None)
    task_object_count: int = option(
        "task_object_count", "Objects per task, up to 50,000 (taskObjectCountLimit).", default=10_000
    )
    task_object_bytes: int = option(
        "task_object_bytes", "Bytes per task (taskObjectSizeLimit).", default=1_000_000_000
    )
    scan_threads: int = option("scan_threads", "Listings side by side.", default=4)
    scan_depth: int = option("scan_depth", "Depth of folders to list side by side.", default=1)
    threads: int = option("threads", "Small objects side by side in one task.", default=24)
    part_threads: int = option("part_threads", "Parts of large objects side by side in one task.", default=4)
    multipart_threshold: int = option(
        "multipart_threshold", "Objects larger than this are moved in parts, in bytes.", default=16 * _MIB
    )
    part_size: int = option(
        "part_size", "Bytes per part; grows for objects of more than 10,000 parts.", default=8 * _MIB
    )
    bytes_in_flight: int = option(
        "bytes_in_flight", "Bytes in memory at once in one task.", default=96 * _MIB
    )
    bytes_per_second: int | None = option("bytes_per_second", "Limit of one task; null: none.", default=None)
    objects_per_second: int | None = option(
        "objects_per_second", "Limit of one task; null: none.", default=None
    )
    strict_attributes: bool = option(
        "strict_attributes",
        "Fail an object whose metadata, tags or class cannot be carried over whole; else they are reported.",
        default=False,
    )
    report_extra: bool = option(
        "report_extra", "List what only the target has (it is counted anyway).", default=False
    )
    audit_level: Literal["size", "time", "checksum", "content"] = option(
        "audit_level",
        "What an audit compares: `size`; `time`: and that the target is not older; `checksum`: and CRC-64 or "
        "MD5, reading the source where the services' differ; `content`: and every byte of both.",
        default="checksum",
    )

    def __post_init__(self) -> None:
        check_job_name(self.job)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"migration.{name}", value, allowed=f"{low} to {high}")
        for name in ("bytes_per_second", "objects_per_second"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"migration.{name}", value, allowed="a positive number, or null for none")
        for name in ("import_since", "since_margin", "target_since", "last_modify", "min_size"):
            if getattr(self, name) < 0:
                raise ConfigError(f"migration.{name}", getattr(self, name), allowed="0 or more")
        if self.part_size > self.bytes_in_flight or self.multipart_threshold > self.bytes_in_flight:
            raise ConfigError(
                "migration.bytes_in_flight",
                self.bytes_in_flight,
                allowed="at least part_size and multipart_threshold",
            )

    @property
    def rule(self) -> str:
        """The overwrite rule in force: ``auto`` resolved."""
        if self.overwrite != "auto":
            return self.overwrite
        return "older" if self.import_since else "changed"

    @property
    def protects(self) -> bool:
        """Whether an object that appears in the target after planning must not be replaced."""
        return self.rule in {"older", "never"}

    @classmethod
    def of(cls, data: Mapping[str, Any], path: str = "migration") -> MigrationSpec:
        """Read from JSON; unknown keys and wrong values raise :class:`ConfigError`."""
        return parse_options(cls, data, path)

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`of` reads."""
        return {**dataclasses.asdict(self), "include": list(self.include), "exclude": list(self.exclude)}
