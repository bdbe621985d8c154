"""Configuration of ossimport (``local_job.cfg``, ``job.cfg``, ``sys.properties``), as a migration of ours.

Every documented key is mapped, ignored with a note that says why, or refused with the reason. Names, defaults and
ranges are those of ossimport's manual and of its published samples.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.properties import Property, read_properties

__all__ = ["OssimportJob", "load_ossimport"]

_KIB = 1024
_MIB = 1024 * _KIB
_LEAST_IN_FLIGHT = 96 * _MIB
_LEAST_INTERVAL = 900
_UNITS = {"": 1, "k": _KIB, "m": _MIB, "g": 1024 * _MIB}
_SIZE = re.compile(r"(\d+)\s*([kmg]?)b?", re.IGNORECASE)
_S3_HOST = re.compile(r"^s3[.-](?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$")
_AUDIT_MODES = {"simple": "size", "general": "time", "detailed": "checksum"}
_JOB_TYPES = ("import", "audit")
_SOURCES = ("local", "oss", "s3", "http")
_SPEAKS_S3 = ("qiniu", "bos", "ks3", "cos")
_NO_S3 = ("youpai", "azure")

_ELSEWHERE = "belongs to sources that are not supported, or reached as s3"
_IGNORED: Mapping[str, str] = {
    "appId": _ELSEWHERE,
    "getObjectMetaMode": _ELSEWHERE,
    "isDownloadFromCdn": _ELSEWHERE,
    "cdnDomain": _ELSEWHERE,
    "incrementalModeCount": "not a key of ossimport",
    "isSubObject": "not a key of ossimport",
    "expressTunnelProxyHost": "counts only with isUseExpressTunnel",
    "expressTunnelProxyType": "counts only with isUseExpressTunnel",
    "expressTunnelProxyUser": "counts only with isUseExpressTunnel",
    "expressTunnelProxyDest": "counts only with isUseExpressTunnel",
    "expressTunnelAuthToken": "counts only with isUseExpressTunnel",
}
_SYSTEM_IGNORED: Mapping[str, str] = {
    "workerUserName": "airflow's executor starts the workers",
    "workerUser": "airflow's executor starts the workers",
    "workerPassword": "airflow's executor starts the workers",
    "privateKeyFile": "airflow's executor starts the workers",
    "sshPort": "airflow's executor starts the workers",
    "dispatcherThreadNum": "airflow's scheduler hands out the tasks",
    "javaHeapMaxSize": "there is no java; bytes_in_flight bounds the memory",
}
_OWN_KEYS = {
    "jobName", "jobType", "isIncremental", "incrementalModeInterval", "importSince", "lastModify",
    "isSkipExistFile", "srcType", "srcAccessKey", "srcSecretKey", "srcDomain", "srcBucket", "srcPrefix",
    "destAccessKey", "destSecretKey", "destDomain", "destBucket", "destPrefix", "taskObjectCountLimit",
    "taskObjectSizeLimit", "scanThreadCount", "maxMultiThreadScanDepth", "multipartUploadThreshold",
    "multipartUploadPartSize", "uploadThreadNumPerLargeFile", "isServerSideEncryption",
    "isAllowSymbolicLink", "isAuditAfterImport", "auditMode", "httpListFilePath", "httpPrefixColumn",
    "relativePathColumn", "isUseExpressTunnel",
}  # fmt: skip
_SYSTEM_KEYS = {
    "workingDir", "workerTaskThreadNum", "workerMaxThroughput(KB/s)", "workerAbortWhenUncatchedException",
    "workerRecordMd5",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OssimportJob:
    """What a configuration asks for, in the words of object migration.

    ``source``, ``target`` and ``options`` are JSON for them; connections are None where none is needed or the
    file has no keys. ``incremental`` jobs rescan every ``interval`` seconds. ``verify`` is the audit's level,
    empty for none; ``verify_until`` leaves objects out of it that were modified later (Unix seconds, 0: none).
    ``working_dir`` is where ossimport kept its state, empty if unknown. ``notes`` say what is ignored or done
    differently.
    """

    job: str
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    source_connection: ConnectionInfo | None
    target_connection: ConnectionInfo | None
    options: Mapping[str, Any]
    incremental: bool = False
    interval: float = 86_400.0
    verify: str = ""
    verify_until: float = 0.0
    working_dir: str = ""
    notes: tuple[str, ...] = ()


def load_ossimport(
    job: str, system: str = "", *, where: str = "job.cfg", system_where: str = "sys.properties"
) -> OssimportJob:
    """Read the text of a job's configuration and of the system's.

    Raises :class:`ConfigError` with file, line and key; a secret is never in it.
    """
    return _Loader(job, system, where, system_where).load()


class _Keys:
    """One file's values, asked for by key; knows which line to blame."""

    def __init__(self, text: str, where: str, known: set[str], ignored: Mapping[str, str]) -> None:
        self.where = where
        self.notes: list[str] = []
        self._found = read_properties(text, where)
        for one in self._found.values():
            if one.name in ignored:
                if one.value:
                    self.note(one.name, f"ignored: {ignored[one.name]}")
            elif one.name not in known:
                near = difflib.get_close_matches(one.name, known, 1)
                raise self.error(one.name, reason="unknown key", cure=f"is {near[0]} meant?" if near else "")

    def path(self, key: str) -> str:
        """Return how errors name a key."""
        one = self._found.get(key)
        return f"{self.where}, line {one.line}: {key}" if one else f"{self.where}: {key}"

    def error(self, key: str, value: object = ..., **said: str) -> ConfigError:
        return ConfigError(self.path(key), value, **said)

    def note(self, key: str, text: str) -> None:
        self.notes.append(f"{self.path(key)}: {text}")

    def has(self, key: str) -> bool:
        return bool(self.text(key))

    def text(self, key: str, default: str = "") -> str:
        one: Property | None = self._found.get(key)
        return one.value if one and one.value else default

    def need(self, key: str, why: str) -> str:
        value = self.text(key)
        if not value:
            raise self.error(key, reason=f"missing; {why}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.text(key).lower()
        if value not in {"", "true", "false"}:
            raise self.error(key, self.text(key), allowed="true or false")
        return value == "true" if value else default

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self.text(key)
        if not value:
            return default
        if not value.isascii() or not value.isdecimal() or not low <= int(value) <= high:
            raise self.error(key, value, allowed=f"a whole number from {low} to {high}")
        return int(value)

    def size(self, key: str, default: int) -> int:
        value = self.text(key)
        match = _SIZE.fullmatch(value)
        if value and match is None:
            raise self.error(key, value, allowed="bytes, or a number with k, m or g")
        return int(match[1]) * _UNITS[match[2].lower()] if match else default

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key, default)
        if value not in allowed:
            raise self.error(key, value, allowed=", ".join(allowed))
        return value

    def refuse_true(self, key: str, reason: str, cure: str) -> None:
        if self.flag(key, default=False):
            raise self.error(key, reason=reason, cure=cure)


@dataclass
class _Loader:
    job: str
    system: str
    where: str
    system_where: str
    keys: _Keys = field(init=False)
    settings: _Keys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = _Keys(self.job, self.where, _OWN_KEYS, _IGNORED)
        self.settings = _Keys(self.system, self.system_where, _SYSTEM_KEYS, _SYSTEM_IGNORED)

    def load(self) -> OssimportJob:
        keys = self.keys
        keys.refuse_true(
            "isUseExpressTunnel",
            "a leased line through ossimport's proxy cannot be used",
            "let srcDomain be an address that the workers reach over the line",
        )
        keys.refuse_true(
            "isServerSideEncryption",
            "uploads follow the bucket's own encryption",
            "set the bucket's default encryption and write false",
        )
        job_type = keys.choice("jobType", "import", _JOB_TYPES)
        incremental = keys.flag("isIncremental", default=False)
        interval = keys.number("incrementalModeInterval", 86_400, _LEAST_INTERVAL, 2**31)
        source, source_connection = self._source()
        target, target_connection = self._target()
        options = {"job_type": job_type, **self._rules(job_type, incremental=incremental)}
        options |= self._sizes() | self._system_options()
        verify, until = self._verify(job_type)
        if job_type == "audit":
            options["audit_level"] = _AUDIT_MODES[self._audit_mode()]
        return OssimportJob(
            job=keys.text("jobName", "local_test"),
            source=source,
            target=target,
            source_connection=source_connection,
            target_connection=target_connection,
            options=options,
            incremental=incremental,
            interval=float(interval),
            verify=verify,
            verify_until=float(until),
            working_dir=self.settings.text("workingDir"),
            notes=(*keys.notes, *self.settings.notes),
        )

    # ── both ends ────────────────────────────────────────────────────────────────────────────────────────

    def _source(self) -> tuple[dict[str, Any], ConnectionInfo | None]:
        keys = self.keys
        kind = keys.need("srcType", f"allowed: {', '.join(_SOURCES)}")
        if kind in _SPEAKS_S3:
            cure = "write s3, and that service's S3-compatible address as srcDomain"
            raise keys.error("srcType", kind, reason="not spoken natively", cure=cure)
        if kind in _NO_S3:
            cure = "export a list of its URLs and write http"
            raise keys.error("srcType", kind, reason="this service is not supported", cure=cure)
        if kind not in _SOURCES:
            raise keys.error("srcType", kind, allowed=f"{', '.join(_SOURCES)} (case counts)")
        if kind == "http":
            columns = {
                "prefix_column": keys.number("httpPrefixColumn", 1, 1, 2),
                "key_column": keys.number("relativePathColumn", 2, 1, 2),
            }
            if columns["prefix_column"] == columns["key_column"]:
                raise keys.error("relativePathColumn", columns["key_column"], allowed="the other column")
            return {
                "type": kind,
                "path": keys.need("httpListFilePath", "it is the list of URLs"),
                **columns,
            }, None
        if kind == "local":
            path = keys.need("srcPrefix", "it is the folder")
            if not path.startswith("/"):
                raise keys.error("srcPrefix", path, allowed="an absolute path")
            follow = keys.flag("isAllowSymbolicLink", default=False)
            return {"type": kind, "path": path.rstrip("/") or "/", "follow_links": follow}, None
        bucket = keys.need("srcBucket", "it is the bucket to read")
        end = {"type": kind, "bucket": bucket, "prefix": self._prefix("srcPrefix")}
        return end, self._connection("src", "aws" if kind == "s3" else "oss")

    def _target(self) -> tuple[dict[str, Any], ConnectionInfo | None]:
        bucket = self.keys.need("destBucket", "it is the bucket to write")
        end = {"type": "oss", "bucket": bucket, "prefix": self._prefix("destPrefix")}
        return end, self._connection("dest", "oss")

    def _prefix(self, key: str) -> str:
        prefix = self.keys.text(key)
        if prefix.startswith("/"):
            raise self.keys.error(key, prefix, allowed="a prefix without a slash at the start")
        if prefix and not prefix.endswith("/"):
            raise self.keys.error(key, prefix, allowed="a prefix that ends with /")
        return prefix

    def _connection(self, side: str, kind: str) -> ConnectionInfo | None:
        """Return the connection written in the file; None without any key of it: Airflow has one."""
        keys = self.keys
        names = [f"{side}{name}" for name in ("AccessKey", "SecretKey", "Domain")]
        if not any(keys.has(name) for name in names):
            return None
        access_key, secret, domain = (
            keys.need(name, f"give all of {', '.join(names)}, or none and name a connection")
            for name in names
        )
        keys.note(names[1], "whoever reads this file can read the key; an airflow connection keeps it")
        host = domain.split("://")[-1].split("/")[0].partition(":")[0]
        match = _S3_HOST.match(host) if kind == "aws" else None
        return ConnectionInfo(
            kind,
            endpoint=domain.rstrip("/"),
            access_key_id=access_key,
            access_key_secret=Secret(secret),
            region=match["region"] if match else "",
        )

    # ── what to do ───────────────────────────────────────────────────────────────────────────────────────

    def _rules(self, job_type: str, *, incremental: bool) -> dict[str, Any]:
        keys = self.keys
        since = keys.number("importSince", 0, 0, 2**40)
        skips = keys.flag("isSkipExistFile", default=False)
        if job_type == "audit":
            return {"import_since": float(since)}
        if incremental:
            # rounds after the first see only what changed; the target is a copy, so that differences count
            return {"import_since": float(since), "overwrite": "changed", "compare": "checksum"}
        if since:
            keys.note(
                "isSkipExistFile",
                "what is newer in the target is kept; ossimport would replace what was written there after the "
                "switch (the option overwrite: always does so too)",
            )
            return {"import_since": float(since), "overwrite": "auto"}
        return {"import_since": 0.0, "overwrite": "changed" if skips else "always"}

    def _verify(self, job_type: str) -> tuple[str, int]:
        mode = self._audit_mode()
        until = self.keys.number("lastModify", 0, 0, 2**40)
        if job_type == "audit" or not self.keys.flag("isAuditAfterImport", default=True):
            return "", 0
        return _AUDIT_MODES[mode], until

    def _audit_mode(self) -> str:
        mode = self.keys.choice("auditMode", "general", tuple(_AUDIT_MODES))
        if mode == "general" and self.keys.has("auditMode"):
            self.keys.note("auditMode", "sizes and times are compared; headers are checked when copying")
        return mode

    def _sizes(self) -> dict[str, Any]:
        keys = self.keys
        options: dict[str, Any] = {
            "task_object_count": keys.number("taskObjectCountLimit", 10_000, 1, 50_000),
            "task_object_bytes": keys.number("taskObjectSizeLimit", 1_000_000_000, 1, 2**62),
        }
        if keys.has("scanThreadCount"):
            asked = keys.number("scanThreadCount", 1, 1, 1_000_000)
            options["scan_threads"] = min(asked, 32)
            if asked > options["scan_threads"]:
                keys.note("scanThreadCount", f"{asked} is more than ossimport's own limit: 32 are used")
        if keys.has("maxMultiThreadScanDepth"):
            options["scan_depth"] = keys.number("maxMultiThreadScanDepth", 1, 1, 16)
        if keys.has("uploadThreadNumPerLargeFile"):
            options["part_threads"] = keys.number("uploadThreadNumPerLargeFile", 3, 1, 64)
        if keys.has("multipartUploadThreshold") or keys.has("multipartUploadPartSize"):
            options |= self._parts()
        return options

    def _parts(self) -> dict[str, int]:
        keys = self.keys
        threshold = keys.size("multipartUploadThreshold", 150 * _MIB)
        if threshold <= _MIB:
            raise keys.error(
                "multipartUploadThreshold", keys.text("multipartUploadThreshold"), allowed="more than 1m"
            )
        part = keys.size("multipartUploadPartSize", 50 * _MIB)
        if part <= 100 * _KIB:
            keys.note("multipartUploadPartSize", "not more than 100k: 50m is used, as ossimport does")
            part = 50 * _MIB
        return {
            "multipart_threshold": threshold,
            "part_size": part,
            "bytes_in_flight": max(_LEAST_IN_FLIGHT, threshold, 2 * part),
        }

    def _system_options(self) -> dict[str, Any]:
        settings = self.settings
        settings.refuse_true(
            "workerAbortWhenUncatchedException",
            "one bad object never stops the others",
            "write false, and look at error.list",
        )
        settings.refuse_true(
            "workerRecordMd5", "no MD5 is computed", "write false: audit.log has the CRC-64 of every object"
        )
        options: dict[str, Any] = {}
        if settings.has("workerTaskThreadNum"):
            options["threads"] = settings.number("workerTaskThreadNum", 60, 1, 256)
        kilobytes = settings.number("workerMaxThroughput(KB/s)", 0, 0, 2**50)
        if kilobytes:
            options["bytes_per_second"] = kilobytes * _KIB
            settings.note("workerMaxThroughput(KB/s)", "holds for every mapped task, not for a machine")
        return options
