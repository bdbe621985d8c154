"""An independent reader: the source's log against the objects, found through the manifests alone."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import oss2

from faults.settings import COLUMNS, JOB, ROOT, Settings
from faults.world import BUCKET, TABLE, World

__all__ = ["Findings", "Source", "check_manifests", "judge", "visible"]

Row = tuple[str | None, ...]
_MANIFESTS = "/_manifests/"


@dataclass
class Findings:
    """What is wrong; each count is 0 in a good world."""

    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    misplaced: int = 0
    orphan_uploads: int = 0
    partial_manifests: int = 0
    unlisted_objects: int = 0
    changed_windows: int = 0
    skipped_windows: int = 0
    missing_windows: int = 0
    unexpected_failures: int = 0
    notes: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.counts().values())

    def add(self, other: Findings) -> None:
        """Add another's."""
        for name, value in other.counts().items():
            setattr(self, name, getattr(self, name) + value)
        self.notes += other.notes


@dataclass(frozen=True)
class Source:
    """The source's own log: the rows it stands for, their order, and the time from which each may be exported."""

    rows: Counter[Row]
    place: dict[str, tuple[str, int]]
    """By sequence: the key, and how manieth change of that key it is."""
    due: dict[str, int]
    """By sequence: milliseconds. The window that holds it is the first that could."""

    @classmethod
    def of(cls, world: World) -> Source:
        """Ask the service's side door."""
        rows: Counter[Row] = Counter()
        place: dict[str, tuple[str, int]] = {}
        due: dict[str, int] = {}
        changes: Counter[str] = Counter()
        reached: dict[str, int] = {}
        # Parents come before their children here, so that a key's changes come in their order.
        for shard in world.control("tablestore", "GET", f"log?table={TABLE}")["shards"]:
            high = max((reached.get(one, 0) for one in (shard["parent"], shard["sibling"])), default=0)
            for record in shard["log"]:
                high = max(high, record["ts_us"] // 1000)
                row = _expected(shard["shard"], record)
                key, sequence = str(row[0]), str(row[3])
                rows[row] += 1
                place[sequence] = (key, changes[key])
                due[sequence] = high
                changes[key] += 1
            reached[shard["shard"]] = high
        return cls(rows, place, due)


def _expected(shard: str, record: Mapping[str, Any]) -> Row:
    values = {cell["name"]: cell["value"] for cell in record["cells"] if cell["op"] == "PUT"}
    deleted = [cell["name"] for cell in record["cells"] if cell["op"] != "PUT"]
    sequence = f"{record['epoch']:010d}_{record['ts_us']:020d}_{record['row_index']:010d}_{shard}"
    return (
        record["pk"][0][1],
        str(values["v"]) if "v" in values else None,
        values.get("w"),
        sequence,
        record["action"],
        ",".join(deleted) or None,
    )


def visible(world: World) -> dict[str, str]:
    """Return names and checksums of all objects, as the service's side door tells them."""
    listed = world.control("oss", "GET", f"objects?bucket={BUCKET}&prefix=out/")
    return {one["key"]: one["crc64"] for one in listed}


def check_manifests(world: World, findings: Findings) -> dict[str, tuple[Any, ...]]:
    """Check that every manifest which is there names whole objects; return each window's names and checksums.

    Asks the service's side door and reads as anybody may, at a moment when nobody is writing.
    """
    objects = {one["key"]: one for one in world.control("oss", "GET", f"objects?bucket={BUCKET}&prefix=out/")}
    windows: dict[str, tuple[Any, ...]] = {}
    for key, one in objects.items():
        if _MANIFESTS not in key:
            continue
        body = world.peek(key)
        manifest = json.loads(body or b"null")
        if manifest is None or manifest["state"] != "final":
            continue
        for named in manifest["objects"]:
            found = objects.get(named["name"])
            whole = found is not None and (
                found["size"] >= manifest["append"]["position"] + named["size"]
                if manifest.get("append")
                else (found["size"], found["crc64"]) == (named["size"], named["crc64"])
            )
            if not whole:
                findings.partial_manifests += 1
                findings.notes.append(f"{key} names {named}, there is {found}")
        named_keys = [] if manifest.get("append") else [one["name"] for one in manifest["objects"]]
        seen = [(name, objects[name]["crc64"]) for name in named_keys if name in objects]
        windows[_label(manifest["window"])] = ((key, one["crc64"]), *seen)
    return windows


def judge(
    world: World, settings: Settings, source: Source, expected: list[tuple[int, int]], *, exact: bool
) -> Findings:
    """Compare everything; ``expected`` are the windows (ms) that must be there, in order.

    ``exact``: no clock stepped back, so that each record's window follows from its time alone.
    """
    findings = Findings()
    bucket = world.bucket()
    keys = [one.key for one in oss2.ObjectIterator(bucket, prefix="out/")]
    manifests = {}
    for key in keys:
        if _MANIFESTS in key:
            data = json.loads(bucket.get_object(key).read())
            manifests[data["window"]["start"], data["window"]["end"]] = data
    named = {one["name"] for data in manifests.values() for one in data["objects"]}
    named |= {data["error_list"] for data in manifests.values()}
    unlisted = [key for key in keys if _MANIFESTS not in key and key not in named]
    findings.unlisted_objects += len(unlisted)
    findings.notes += [f"no manifest names {key}" for key in unlisted]
    missing = [window for window in expected if window not in manifests]
    findings.missing_windows += len(missing)
    findings.notes += [f"no manifest for {window}" for window in missing]
    found: list[tuple[tuple[int, int], Row]] = []
    for window, data in sorted(manifests.items()):
        try:
            found += [(window, row) for row in _rows(bucket, settings, data)]
        except (oss2.exceptions.OssError, ValueError) as error:
            findings.partial_manifests += 1
            findings.notes.append(f"window {window}: {error!r}")
    if settings.form == "grow":
        _check_tiles(bucket, manifests, findings)
    uploads = world.control("oss", "GET", "uploads")
    findings.orphan_uploads += len(uploads)
    findings.notes += [f"left behind: upload of {one['key']}" for one in uploads]
    _compare(source, found, findings, exact=exact)
    return findings


def _compare(
    source: Source, found: list[tuple[tuple[int, int], Row]], findings: Findings, *, exact: bool
) -> None:
    rows = Counter(row for _, row in found)
    lost, more = source.rows - rows, rows - source.rows
    findings.lost += lost.total()
    findings.duplicated += more.total()
    findings.notes += [f"lost: {row}"[:300] for row in list(lost)[:5]]
    findings.notes += [f"too many: {row}"[:300] for row in list(more)[:5]]
    by_key: dict[str, list[int]] = defaultdict(list)
    for window, row in found:
        sequence = str(row[3])
        if sequence not in source.place:
            continue
        key, index = source.place[sequence]
        by_key[key].append(index)
        due = source.due[sequence]
        if due >= window[1] or (exact and due < window[0]):
            findings.misplaced += 1
            findings.notes.append(f"{sequence}, due at {due}, is in {window}")
    for key, indexes in by_key.items():
        wrong = sum(second < first for first, second in pairwise(indexes))
        findings.out_of_order += wrong
        if wrong:
            findings.notes.append(f"key {key!r}: {indexes}")


def _rows(bucket: oss2.Bucket, settings: Settings, manifest: Mapping[str, Any]) -> Iterator[Row]:
    assert (manifest["job"], manifest["state"]) == (JOB, "final"), manifest
    place = manifest.get("append")
    count = 0
    for one in manifest["objects"]:
        span = (place["position"], place["position"] + place["size"] - 1) if place else None
        data = bucket.get_object(one["name"], byte_range=span).read()
        if len(data) != one["size"]:
            raise ValueError(f"{one['name']}: {len(data)} bytes, {one['size']} promised")
        text = (gzip.decompress(data) if settings.gzip else data).decode()
        rows = list(_parse(text))
        if settings.header and (place is None or place["position"] == 0):
            if not rows or rows[0] != COLUMNS:
                raise ValueError(f"{one['name']}: no header")
            del rows[0]
        if len(rows) != one["rows"]:
            raise ValueError(f"{one['name']}: {len(rows)} rows, {one['rows']} promised")
        count += len(rows)
        yield from rows
    if count != manifest["rows"]:
        raise ValueError(f"{count} rows, {manifest['rows']} promised")


def _parse(text: str) -> Iterator[Row]:
    """Read CSV where an unquoted ``null`` is NULL, which the standard library can't tell from a quoted one."""
    row: list[str | None] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"' or text[end : end + 2] == '""':
                end += 2 if text[end] == '"' else 1
            row.append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = at
            while text[end] not in ",\n":
                end += 1
            value = text[at:end]
            row.append(None if value == "null" else value)
            at = end
        if text[at] == "\n":
            yield tuple(row)
            row = []
        at += 1
    if row:
        raise ValueError(f"the last line does not end: {row}")


def _check_tiles(bucket: oss2.Bucket, manifests: Mapping[Any, Any], findings: Findings) -> None:
    places = sorted(
        (data["append"]["position"], data["append"]["size"])
        for data in manifests.values()
        if data.get("append")
    )
    end = 0
    for position, size in places:
        if position != end:
            findings.partial_manifests += 1
            findings.notes.append(f"tails do not tile the object: {places}")
        end = position + size
    if places and bucket.head_object(ROOT).content_length != end:
        findings.duplicated += 1
        findings.notes.append(f"the object has more than its windows: {places}")


def _label(window: Mapping[str, int]) -> str:
    return f"{window['start']}-{window['end']}"
