"""What a parameter may be: the documented forms of paths, tokens, storages and descriptions."""

from __future__ import annotations

import json
import re

from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.store import FileSystem, Store
from airflow_provider_sync.localcloud.nas.wire import Call

__all__ = [
    "bucket_of",
    "check_description",
    "check_token",
    "choice",
    "directory",
    "entries",
    "file_path",
    "folders",
    "running_file_system",
]

_PATH = 1023
_ENTRIES = 64 * 1024
_FOLDERS = 3000
_TOKEN = 64
_STORAGE = re.compile(r"oss://(?:(\d+):)?([a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?)")
_DESCRIPTION = re.compile(r"[^\W\d_][\w:.\- ]{1,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def running_file_system(store: Store, call: Call, since: str, *, lingjun: bool = False) -> FileSystem:
    """Return the file system a call is about, of a version and kind that has the operation."""
    found = store.file_system(call.required("FileSystemId"))
    if lingjun and not found.lingjun:
        raise NasError.denied("NotSupported", "Only CPFS for Lingjun file systems support the operation.")
    if found.lingjun and not found.since(since):
        raise NasError.denied("VersionNotSupported", f"Version {since} of the file system is required.")
    if found.status != "Running":
        raise NasError.wrong_status(f"the file system is {found.status}")
    return found


def check_token(token: str) -> None:
    """Refuse a client token that is too long or not ASCII."""
    if not token.isascii():
        raise NasError.illegal_characters()
    if len(token) > _TOKEN:
        raise NasError.invalid("ClientToken", f"it must be at most {_TOKEN} characters long")


def choice(call: Call, name: str, allowed: tuple[str, ...], *, required: bool = True) -> str:
    """Return one of a few words."""
    value = call.required(name) if required else call.text(name)
    if value and value not in allowed:
        raise NasError.invalid(name, f"one of {', '.join(allowed)} is expected")
    return value


def directory(call: Call, name: str, *, required: bool = False) -> str:
    """Return a directory: 1 to 1,023 characters, a slash at both ends, no way up."""
    value = call.required(name) if required else call.text(name)
    if value:
        _check_path(name, value)
        if not value.endswith("/"):
            raise NasError.invalid(name, "it must start and end with a forward slash (/)")
    return value


def file_path(call: Call, name: str) -> str:
    """Return the path of a file: 1 to 1,023 characters, from a slash to a file name."""
    value = call.required(name)
    _check_path(name, value)
    if value.endswith("/"):
        raise NasError.invalid(name, "it must end with a file name")
    return value


def folders(call: Call) -> list[str]:
    """Return the directories of Includes: a JSON list or a text with commas (the form is not documented)."""
    text = call.text("Includes")
    if not text:
        return []
    if not call.text("Directory"):
        raise NasError.invalid("Includes", "it takes effect only with Directory")
    found = _json_list("Includes", text) if text.startswith("[") else text.split(",")
    if sum(map(len, found)) > _FOLDERS:
        raise NasError.invalid("Includes", f"all paths together may have {_FOLDERS} characters")
    for one in found:
        _check_path("Includes", one)
        if not one.endswith("/"):
            raise NasError.invalid("Includes", "each path must start and end with a forward slash (/)")
    return found


def entries(text: str) -> list[str]:
    """Return the paths of EntryList: a JSON list in a text of less than 64 KB."""
    if not text:
        return []
    if len(text.encode()) >= _ENTRIES:
        raise NasError.invalid("EntryList", "it must be smaller than 64 KB")
    found = _json_list("EntryList", text)
    for one in found:
        _check_path("EntryList", one)
    return found


def bucket_of(storage: str, file_system: FileSystem) -> str:
    """Return the bucket of ``oss://[<account>:]<bucket>``."""
    match = _STORAGE.fullmatch(storage)
    if match is None:
        raise NasError.invalid("SourceStorage", "oss://[<account id>:]<bucket> is expected")
    if match[1] and not (file_system.lingjun and file_system.since("2.6.0")):
        raise NasError.invalid("SourceStorage", "other accounts need CPFS for Lingjun 2.6.0")
    return match[2]


def check_description(text: str) -> None:
    """Refuse a description that is not 2 to 128 characters long, does not begin with a letter, or is an address."""
    if text and (not _DESCRIPTION.fullmatch(text) or text.startswith(("http://", "https://"))):
        raise NasError.invalid("Description", "2 to 128 characters are expected, a letter first")


def _check_path(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise NasError.illegal_characters()
    if len(value) > _PATH:
        raise NasError.invalid(name, f"it must be 1 to {_PATH} characters long")
    if not value.startswith("/"):
        raise NasError.invalid(name, "it must start with a forward slash (/)")
    if ".." in value.split("/"):
        raise NasError.invalid(name, "it must not contain /../")


def _json_list(name: str, text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found) or not found:
        raise NasError.invalid(name, "a JSON list of paths is expected")
    return found
