"""Which keys a window writes: from the job, the window and the splits alone, so that a retry writes the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from airflow_provider_sync.engine.contract import Output
from airflow_provider_sync.errors import ConfigError

__all__ = ["Names", "check_bucket", "check_object"]

_MAX_KEY = 1023  # bytes of UTF-8 (documented)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def check_bucket(bucket: str) -> None:
    """Refuse what cannot be the name of a bucket."""
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(
            "writer.parameter.bucket",
            bucket,
            allowed="3 to 63 of a-z, 0-9 and '-', not at either end",
            cure="set it here or as extra.bucket of the connection",
        )


def check_object(name: str, *, single: bool) -> None:
    """Refuse what cannot be the name of an object, or the beginning of one."""
    path = "writer.parameter.object"
    if not name.strip("/"):
        raise ConfigError(path, name, allowed="a name or a prefix such as 'instance/table'")
    if name.startswith(("/", "\\")):
        raise ConfigError(path, name, reason="a name must not start with '/' or '\\'", cure="remove it")
    if "${" in name or "$[" in name:
        raise ConfigError(path, name, reason="holds a parameter that nobody replaced")
    if single and name.endswith("/"):
        raise ConfigError(
            path, name, reason="writeSingleObject needs a whole name, not one that ends with '/'"
        )
    if any(part in ("_manifests", "_errors") for part in name.split("/")):
        raise ConfigError(path, name, reason="_manifests and _errors are this writer's own folders")


@dataclass(frozen=True, slots=True)
class Names:
    """All keys of one output.

    ``label`` is the window's label, or the job's name without windows. With ``single`` there is one object of
    exactly that name (``object`` + ``suffix``); otherwise ``{object}/{label}{suffix}``, or
    ``{object}/{label}_{split:05d}{suffix}`` when there are several splits; further objects of one split get
    ``_1``, ``_2`` … before the suffix. Manifest and error list are in folders whose name starts with an
    underscore, which Hive, Spark and DuckDB skip.
    """

    base: str
    label: str
    suffix: str
    single: bool
    splits: int

    @classmethod
    def of(cls, output: Output, base: str, *, suffix: str, single: bool) -> Names:
        """Derive the names of an output; :class:`ConfigError` if one would be too long."""
        label = output.window.label if output.window is not None else output.job
        names = cls(base.rstrip("/"), label, suffix, single, len(output.splits))
        longest = max(names.object(0, 0), names.object(99_999, 9_999), names.manifest, names.errors, key=len)
        if len(longest.encode()) > _MAX_KEY:
            raise ConfigError(
                "writer.parameter.object",
                base,
                reason=f"names would be longer than {_MAX_KEY} bytes of UTF-8",
            )
        return names

    def object(self, split: int, roll: int) -> str:
        """Return the key of a split's ``roll``-th object, both counted from 0."""
        if self.single:
            return f"{self.base}{self.suffix}"
        numbered = f"_{split:05d}" if self.splits > 1 else ""
        rolled = f"_{roll}" if roll else ""
        return f"{self.base}/{self.label}{numbered}{rolled}{self.suffix}"

    @property
    def prefix(self) -> str:
        """What all objects of this output start with; other outputs' may start with it too."""
        return self.object(0, 0) if self.single else f"{self.base}/{self.label}"

    def owns(self, key: str) -> bool:
        """Tell whether ``key`` is a name that this output could write, with any number of splits."""
        if self.single:
            return key == self.object(0, 0)
        pattern = rf"{re.escape(self.prefix)}(_\d{{5}})?(_\d{{1,4}})?{re.escape(self.suffix)}"
        return re.fullmatch(pattern, key) is not None

    @property
    def manifest(self) -> str:
        """The key of the manifest."""
        return self._beside("_manifests", "json")

    @property
    def errors(self) -> str:
        """The key of the list of rejected records."""
        return self._beside("_errors", "jsonl")

    def metadata(self, job: str) -> dict[str, str]:
        """Return the headers that tell later runs whose object this is; ASCII by percent-encoding."""
        return {
            "x-oss-meta-sync-job": quote(job, safe=""),
            "x-oss-meta-sync-window": quote(self.label, safe=""),
        }

    def _beside(self, folder: str, extension: str) -> str:
        if not self.single:
            return f"{self.base}/{folder}/{self.label}.{extension}"
        parent, _, name = self.object(0, 0).rpartition("/")
        return f"{parent}{'/' if parent else ''}{folder}/{name}.{self.label}.{extension}"
