"""Keeps large contents in files, small ones and all records in SQLite, for a restart to find.

Making a file costs far more than writing a row, so contents up to 64 KiB are rows. A file has a name of its own
that no record knows before it is whole; a file that no record names is removed at the start. What one request
changes is one transaction. Files are not synced to the medium: a process may be killed at any point, a machine
may not lose power.
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
create table if not exists content (name text primary key, bytes blob not null);
create table if not exists upload (bucket text, id text, record text not null, primary key (bucket, id)) without rowid;
create table if not exists part (bucket text, upload text, number integer, record text not null,
  primary key (bucket, upload, number)) without rowid;
"""
_SMALL = 64 * 1024
_SMALL_PREFIX = "row-"
_BUCKET_FIELDS = ("name", "created", "acl", "storage_class", "redundancy", "versioning", "tags")


class DiskStorage:
    """Keeps everything below one folder: ``oss-blobs/xx/…`` and ``oss.sqlite``."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "oss-blobs"
        self._make_folders()
        self._database = sqlite3.connect(folder / "oss.sqlite", check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_SCHEMA)
        self._references: Counter[str] = Counter()
        self._dropped: list[str] = []

    def write(self, data: bytes) -> Segment:
        """Write a row, or a file under a new name."""
        name = uuid.uuid4().hex
        if len(data) <= _SMALL:
            name = _SMALL_PREFIX + name
            self._database.execute("insert into content values (?, ?)", (name, data))
        else:
            with self._path(name).open("xb") as file:
                file.write(data)
        self._references[name] = 1
        return Segment(len(data), name)

    def read(self, segment: Segment, start: int, stop: int) -> bytes:
        """Read a range of a row or a file."""
        name = str(segment.blob)
        if name.startswith(_SMALL_PREFIX):
            select = "select bytes from content where name = ?"
            data: bytes = self._database.execute(select, (name,)).fetchone()[0]
            return data if stop - start == len(data) else data[start:stop]
        with self._path(name).open("rb") as file:
            if start:
                file.seek(start)
            return file.read(stop - start)

    def retain(self, segments: Iterable[Segment]) -> None:
        """Count one more reference to each."""
        for segment in segments:
            self._references[str(segment.blob)] += 1

    def release(self, segments: Iterable[Segment]) -> None:
        """Count one less; what nothing needs goes with the next commit."""
        for segment in segments:
            name = str(segment.blob)
            self._references[name] -= 1
            if self._references[name] <= 0:
                del self._references[name]
                if name.startswith(_SMALL_PREFIX):
                    self._database.execute("delete from content where name = ?", (name,))
                else:
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
        """Read all records, count the references, remove contents that nothing names."""
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
        kept = {name for name in self._references if name.startswith(_SMALL_PREFIX)}
        stored = [name for (name,) in self._database.execute("select name from content")]
        unused = [(name,) for name in stored if name not in kept]
        self._database.executemany("delete from content where name = ?", unused)
        self.commit()
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
        for table in ("bucket", "version", "content", "upload", "part"):
            self._database.execute(f"delete from {table}")  # noqa: S608 - the names are the five above
        self._dropped.clear()
        self._references.clear()
        self.commit()
        shutil.rmtree(self._blobs)
        self._make_folders()

    def close(self) -> None:
        """Commit and close the database."""
        self.commit()
        self._database.close()

    def _make_folders(self) -> None:
        for number in range(256):
            (self._blobs / f"{number:02x}").mkdir(parents=True, exist_ok=True)

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
