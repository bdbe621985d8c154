"""What to create, checked before it is asked for: the SDK itself sends anything, even an empty request."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_sync.clients.nas.model import ConflictPolicy, TaskAction
from airflow_provider_sync.errors import ConfigError

__all__ = ["DataflowRequest", "TaskRequest", "check_client_token", "check_directory", "check_file_path"]

_PATH = 1023
_TOKEN = 64
_ENTRIES = 64 * 1024
_STORAGE = re.compile(r"oss://(?:\d+:)?[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?")
_DESCRIPTION = re.compile(r"(?!https?://)[^\W\d_].{1,127}", re.DOTALL)
_DIRECTORY = "a path of 1 to 1,023 characters that starts and ends with '/', without '..'"
_FILE = "a path of 1 to 1,023 characters that starts with '/' and ends with a file name, without '..'"
_SECURITY = ("None", "SSL")


@dataclass(frozen=True, slots=True)
class DataflowRequest:
    """A dataflow of CPFS for Lingjun: ``oss://[<account>:]<bucket>``, and a directory on each side."""

    source_storage: str
    file_system_path: str
    source_storage_path: str
    description: str = ""
    source_security_type: str = "None"

    def check(self) -> None:
        """Raise :class:`ConfigError` for what the service would refuse by its documented rules."""
        if not _STORAGE.fullmatch(self.source_storage):
            raise ConfigError("source_storage", self.source_storage, allowed="oss://[<account id>:]<bucket>")
        check_directory("file_system_path", self.file_system_path)
        check_directory("source_storage_path", self.source_storage_path)
        check_description(self.description)
        if self.source_security_type not in _SECURITY:
            raise ConfigError(
                "source_security_type", self.source_security_type, allowed=" or ".join(_SECURITY)
            )


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A task of CPFS for Lingjun.

    A streaming one takes ``directory`` and ``dst_directory``; a batch takes one of ``directory``, ``entries``
    (paths of files, less than 64 KB as JSON) and ``transfer_file_list_path``. For an import the source is relative
    to the dataflow's prefix and the target to its directory; for an export the other way round (documented; for a
    streaming import's target the examples say otherwise, so take the paths that the service reports).
    """

    action: str
    conflict_policy: str
    directory: str = ""
    dst_directory: str = ""
    entries: Sequence[str] = ()
    transfer_file_list_path: str = ""
    create_dir_if_not_exist: bool = False

    @property
    def streaming(self) -> bool:
        """Whether its files come as subtasks."""
        return self.action.startswith("Stream")

    def check(self) -> None:
        """Raise :class:`ConfigError` for what the service would refuse by its documented rules."""
        actions = ("Import", "Export", "StreamImport", "StreamExport")
        if self.action not in actions:
            raise ConfigError("action", str(self.action), allowed=", ".join(actions))
        if self.conflict_policy not in tuple(ConflictPolicy):
            raise ConfigError("conflict_policy", str(self.conflict_policy), allowed=", ".join(ConflictPolicy))
        self._check_ways()
        if self.create_dir_if_not_exist and self.action != TaskAction.IMPORT:
            raise ConfigError(
                "create_dir_if_not_exist",
                self.create_dir_if_not_exist,
                reason="has an effect with Import only",
            )

    def _check_ways(self) -> None:
        ways = {
            "directory": self.directory,
            "entries": self.entries,
            "transfer_file_list_path": self.transfer_file_list_path,
        }
        given = [name for name, value in ways.items() if value]
        if self.streaming and given != ["directory"]:
            raise ConfigError(
                "directory", self.directory, reason=f"{self.action} takes a directory and no list"
            )
        if len(given) != 1:
            raise ConfigError(
                "directory", reason=f"exactly one of {', '.join(ways)} is needed, got {len(given)}"
            )
        if self.streaming or self.dst_directory:
            check_directory("dst_directory", self.dst_directory)
        if self.directory:
            check_directory("directory", self.directory)
        if self.transfer_file_list_path:
            check_directory("transfer_file_list_path", self.transfer_file_list_path)
        for number, entry in enumerate(self.entries):
            check_file_path(f"entries[{number}]", entry)
        if len(self.entry_list().encode()) >= _ENTRIES:
            raise ConfigError(
                "entries", reason="64 KB or more as JSON", cure="split the list or use a directory"
            )

    def entry_list(self) -> str:
        """Return the entries as the API wants them: a JSON list in a text; empty without any."""
        return json.dumps(list(self.entries), ensure_ascii=False) if self.entries else ""


def check_directory(field: str, path: Any) -> None:
    """Refuse what is no directory by the documented rules."""
    if not _is_path(path) or not path.endswith("/"):
        raise ConfigError(field, path, allowed=_DIRECTORY)


def check_file_path(field: str, path: Any) -> None:
    """Refuse what is no file's path by the documented rules."""
    if not _is_path(path) or path.endswith("/"):
        raise ConfigError(field, path, allowed=_FILE)


def check_description(text: str) -> None:
    """Refuse a description that is not 2 to 128 characters long with a letter first, or that is an address."""
    if text and not _DESCRIPTION.fullmatch(text):
        raise ConfigError(
            "description", text, allowed="2 to 128 characters, a letter first, no http:// address"
        )


def check_client_token(token: str, *, required: bool = True) -> None:
    """Refuse a client token that is missing, longer than 64 characters or not ASCII."""
    if (required and not token) or len(token) > _TOKEN or not token.isascii():
        raise ConfigError("client_token", token, allowed="1 to 64 ASCII characters")


def _is_path(path: Any) -> bool:
    if not isinstance(path, str) or not path.startswith("/") or len(path) > _PATH:
        return False
    return ".." not in path.split("/") and path.isprintable()
