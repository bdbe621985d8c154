"""Keeps bytes in files and records in SQLite, so that a restart finds everything it answered for.

A file gets a temporary name, then its own; a record names it only afterwards; a file that no record names is
removed at the start. What one request changes is one transaction. Files are not synced to the medium: a process
may be killed at any point, a machine may not lose power.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from airflow_provider_sync.localcloud.oss.model import Bucket, Part, Upload, Version
from airflow_provider_sync.localcloud.oss.storage import Segment

__all__ = ["DiskStorage"]

_SCHEMA = """
create table if not exists bucket (name text primary key, record text not null) without rowid;
create table if not exists version (bucket text, key text, sequence integer, record text not null,
  primary key (bucket, sequence)) without rowid;
create table if not exists upload (bucket text, id text, record text not null, primary key (bucket, id)) without rowid;
create table if not exists part (bucket text, upload text, number integer, record text not null,
  primary key (bucket, upload, number)) without rowid;
"""
_BUCKET_FIELDS = ("name", "created", "acl", "storage_class", "redundancy", "versioning", "tags")
_TEMPORARY = ".new"


class DiskStorage:
    """Keeps everything below one folder: ``oss-blobs/xx/…`` and ``oss.sqlite``."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "oss-blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "oss.sqlite", check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_SCHEMA)
        self._references: Counter[str] = Counter()
        self._dropped: list[str] = []

    def write(self, data: bytes) -> Segment:
        """Write a file under a temporary name, then rename it."""
        name = uuid.uuid4().hex
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(_TEMPORARY)
        temporary.write_bytes(data)
        temporary.rename(path)
        self._references[name] = 1
        return Segment(len(data), name)

    def read(self, segment: Segment, start: int, stop: int) -> bytes:
        """Read a range of a file."""
        with self._path(str(segment.blob)).open("rb", buffering=0) as file:
            if start:
                file.seek(start)
            return file.read(stop - start)

    def retain(self, segments: Iterable[Segment]) -> None:
        """Count one more reference to each file."""
        for segment in segments:
            self._references[str(segment.blob)] += 1

    def release(self, segments: Iterable[Segment]) -> None:
        """Count one less; a file that nothing needs goes with the next commit."""
        for segment in segments:
            name = str(segment.blob)
            self._references[name] -= 1
            if self._references[name] <= 0:
                del self._references[name]
                self._dropped.append(name)

    def save_bucket(self, bucket: Bucket) -> None:
        """Write the bucket's record."""
        record = {name: getattr(bucket, name) for name in _BUCKET_FIELDS}
        self._database.execute("replace into bucket values (?, ?)", (bucket.name, json.dumps(record)))

    def drop_bucket(self, bucket: str) -> None:
        """Delete the bucket's record."""
        self._database.execute("delete from bucket where name = ?", (bucket,))

    def save_version(self, bucket: str, key: str, version: Version) -> None:
        """Write the version's record."""
        row = (bucket, key, version.sequence, _dump(version))
        self._database.execute("replace into version values (?, ?, ?, ?)", row)

    def drop_version(self, bucket: str, key: str, sequence: int) -> None:
        """Delete the version's record."""
        self._database.execute(
            "delete from version where bucket = ? and sequence = ? and key = ?", (bucket, sequence, key)
        )

    def save_upload(self, bucket: str, upload: Upload) -> None:
        """Write the upload's record."""
        record = json.dumps(
            {"key": upload.key, "initiated": upload.initiated, "template": _dump(upload.template)}
        )
        self._database.execute("replace into upload values (?, ?, ?)", (bucket, upload.upload_id, record))

    def save_part(self, bucket: str, upload_id: str, part: Part) -> None:
        """Write the part's record."""
        row = (bucket, upload_id, part.number, _dump(part))
        self._database.execute("replace into part values (?, ?, ?, ?)", row)

    def drop_upload(self, bucket: str, upload_id: str) -> None:
        """Delete the records of the upload and its parts."""
        self._database.execute("delete from upload where bucket = ? and id = ?", (bucket, upload_id))
        self._database.execute("delete from part where bucket = ? and upload = ?", (bucket, upload_id))

    def load(self) -> list[Bucket]:
        """Read all records, count the references, remove files that nothing names."""
        rows = self._database.execute("select record from bucket")
        buckets = {bucket.name: bucket for bucket in (Bucket(**json.loads(record)) for (record,) in rows)}
        for name, key, record in self._database.execute("select bucket, key, record from version"):
            version = Version(**_load(record))
            buckets[name].objects.setdefault(key, []).append(version)
            self.retain(version.segments)
        for name, upload_id, record in self._database.execute("select bucket, id, record from upload"):
            data = json.loads(record)
            template = Version(**_load(data["template"]))
            buckets[name].uploads[upload_id] = Upload(upload_id, data["key"], data["initiated"], template)
        for name, upload_id, record in self._database.execute("select bucket, upload, record from part"):
            part = Part(**_load(record))
            buckets[name].uploads[upload_id].parts[part.number] = part
            self.retain(part.segments)
        for path in self._blobs.glob("*/*"):
            if path.name not in self._references:
                path.unlink()
        return list(buckets.values())

    def commit(self) -> None:
        """Commit the records, then remove the files they no longer name."""
        if self._database.in_transaction:
            self._database.commit()
        for name in self._dropped:
            self._path(name).unlink(missing_ok=True)
        self._dropped.clear()

    def clear(self) -> None:
        """Delete all records and files."""
        for table in ("bucket", "version", "upload", "part"):
            self._database.execute(f"delete from {table}")  # noqa: S608 - the names are the four above
        self._dropped.clear()
        self._references.clear()
        self.commit()
        shutil.rmtree(self._blobs)
        self._blobs.mkdir()

    def close(self) -> None:
        """Commit and close the database."""
        self.commit()
        self._database.close()

    def _path(self, name: str) -> Path:
        return self._blobs / name[:2] / name


def _dump(record: Version | Part) -> str:
    data = {field.name: getattr(record, field.name) for field in fields(record)}
    data["segments"] = [(segment.size, segment.blob) for segment in record.segments]
    return json.dumps(data)


def _load(record: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(record)
    data["segments"] = tuple(Segment(size, blob) for size, blob in data["segments"])
    return data
