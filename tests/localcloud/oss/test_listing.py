from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.localcloud.oss.listing import list_objects, list_uploads, list_versions
from airflow_provider_sync.localcloud.oss.model import Bucket, Upload, Version

_KEYS = st.text(alphabet="ab/é\U0010ffff", min_size=1, max_size=5)
_PREFIXES = st.text(alphabet="ab/", max_size=2)
_DELIMITERS = st.sampled_from(["", "/", "a", "b/"])


def bucket_with(keys: dict[str, list[bool]]) -> Bucket:
    """Keys with their versions, oldest first; True is a delete marker."""
    bucket = Bucket("b", 0.0)
    number = 0
    for key, markers in keys.items():
        bucket.index.add(key)
        for marker in markers:
            number += 1
            bucket.objects.setdefault(key, []).append(Version(f"v{number:03d}", number, 0.0, marker=marker))
    return bucket


def grouped(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """The oracle: what a listing in one page holds."""
    seen: list[str] = []
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            name = prefix + head + found if found else key
            if name not in seen:
                seen.append(name)
    return seen


@given(
    st.dictionaries(_KEYS, st.lists(st.booleans(), min_size=1, max_size=3), max_size=20),
    _PREFIXES,
    _DELIMITERS,
    st.integers(1, 4),
)
def test_pages_of_any_size_tile_the_listing(
    keys: dict[str, list[bool]], prefix: str, delimiter: str, most: int
) -> None:
    bucket = bucket_with(keys)
    found: list[str] = []
    after, truncated = "", True
    while truncated:
        page = list_objects(bucket, prefix=prefix, delimiter=delimiter, after=after, most=most)
        names = sorted([key for key, _ in page.contents] + page.prefixes, key=str.encode)
        assert len(names) <= most
        found += names
        after, truncated = page.marker, page.truncated
    assert found == grouped([key for key, markers in keys.items() if not markers[-1]], prefix, delimiter)


@given(
    st.dictionaries(_KEYS, st.lists(st.booleans(), min_size=1, max_size=3), max_size=12),
    _PREFIXES,
    st.integers(1, 4),
)
def test_pages_of_versions_tile_the_history(keys: dict[str, list[bool]], prefix: str, most: int) -> None:
    bucket = bucket_with(keys)
    found: list[tuple[str, str]] = []
    key_marker = version_marker = ""
    truncated = True
    while truncated:
        page = list_versions(
            bucket,
            prefix=prefix,
            delimiter="",
            key_marker=key_marker,
            version_marker=version_marker,
            most=most,
        )
        found += [(key, version.version_id) for key, version, _ in page.entries]
        key_marker, version_marker, truncated = page.key_marker, page.version_marker, page.truncated
    wanted = [
        (key, version.version_id)
        for key in sorted(keys, key=str.encode)
        if key.startswith(prefix)
        for version in reversed(bucket.objects[key])
    ]
    assert found == wanted


@given(st.lists(_KEYS, max_size=12), _PREFIXES, _DELIMITERS, st.integers(1, 4))
def test_pages_of_uploads_tile_them(keys: list[str], prefix: str, delimiter: str, most: int) -> None:
    bucket = Bucket("b", 0.0)
    for number, key in enumerate(keys):
        bucket.uploads[f"U{number:02d}"] = Upload(f"U{number:02d}", key, 0.0, Version("null", 0, 0.0))
    found: list[tuple[str, str]] = []
    key_marker = upload_marker = ""
    truncated = True
    while truncated:
        page = list_uploads(
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            key_marker=key_marker,
            upload_marker=upload_marker,
            most=most,
        )
        found += [(upload.key, upload.upload_id) for upload in page.uploads] + [
            (p, "") for p in page.prefixes
        ]
        key_marker, upload_marker, truncated = page.key_marker, page.upload_marker, page.truncated
    names = grouped(keys, prefix, delimiter)
    plain = {
        (key, f"U{number:02d}")
        for number, key in enumerate(keys)
        if key in names and not _folded(key, prefix, delimiter)
    }
    groups = {(name, "") for name in names if _folded(name, prefix, delimiter)}
    assert len(found) == len(set(found))
    assert set(found) == plain | groups


def _folded(key: str, prefix: str, delimiter: str) -> bool:
    return bool(delimiter) and delimiter in key[len(prefix) :]
