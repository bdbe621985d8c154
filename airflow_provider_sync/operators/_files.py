"""Which files a task is to move, and under which paths."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sync.clients.nas.requests import check_file_path
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._ledger import digest

if TYPE_CHECKING:
    from airflow_provider_sync.clients.oss.client import OssClient
    from airflow_provider_sync.spec.window import Window

__all__ = ["FileMove", "Plan", "Refused", "glob_pattern", "list_folder", "list_objects", "parse_files"]

_KEYS = ("source", "target", "size", "modify_time_ns")
_REPORT_KEYS = ("subtask_id", "status", "message")  # a list of failed files is a list of files
_WILDCARD = re.compile(r"[*?\[]")
_NANO = 10**9
_REPORTED = 100
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileMove:
    """One file. ``size`` and ``modify_time_ns`` say which version of the source is meant.

    With ``exact`` the service is to refuse another version.
    """

    source: str
    target: str
    size: int | None = None
    modify_time_ns: int | None = None
    exact: bool = False

    @property
    def name(self) -> str:
        """What the ledger calls it: another version of the source is another file."""
        return digest(self.source, self.target, self.size, self.modify_time_ns)


@dataclass(frozen=True, slots=True)
class Refused:
    """A name that exists but that the API can't express; it is reported and not moved."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a try is to move, and what it can't."""

    moves: Sequence[FileMove]
    refused: Sequence[Refused] = ()
    window: Window | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the report says beside the outcome; of many refused names the first hundred."""
        about = {
            "refused": len(self.refused),
            "refused_names": [asdict(one) for one in self.refused[:_REPORTED]],
        }
        return about if self.window is None else {**about, "window": self.window.to_json()}


def parse_files(files: Any, target_directory: Callable[[], str]) -> list[FileMove]:
    """Check what a user lists: a path, a mapping with ``source`` (and more), a list of those, or a JSON list.

    A file without ``target`` keeps its path below ``target_directory``. Errors name ``files[<n>].<field>``.
    """
    given = _decoded(files)
    if not isinstance(given, Iterable):
        raise ConfigError("files", files, allowed="a path, a mapping, or a list of these")
    moves: dict[FileMove, None] = {}
    targets: dict[str, str] = {}
    for number, one in enumerate(given):
        move = _parse(one, f"files[{number}]", target_directory)
        other = targets.setdefault(move.target, move.source)
        if other != move.source:
            raise ConfigError(
                f"files[{number}].target", move.target, reason=f"{other} is to be moved there already"
            )
        moves[move] = None
    return list(moves)


def _decoded(files: Any) -> Any:
    if isinstance(files, str) and files.lstrip().startswith(("[", "{")):  # a rendered template
        try:
            files = json.loads(files)
        except ValueError as error:
            raise ConfigError("files", files, reason=f"not JSON ({error})") from None
    return [files] if isinstance(files, str | Mapping) else files


def _parse(one: Any, path: str, target_directory: Callable[[], str]) -> FileMove:
    fields: Any = {"source": one} if isinstance(one, str) else one
    if not isinstance(fields, Mapping):
        raise ConfigError(path, one, allowed="a path or a mapping with 'source'")
    for name in fields:
        if name not in _KEYS + _REPORT_KEYS:
            raise ConfigError(f"{path}.{name}", fields[name], allowed=", ".join(_KEYS))
    source = fields.get("source")
    check_file_path(f"{path}.source", source)
    target = fields.get("target") or f"{target_directory().rstrip('/')}{source}"
    check_file_path(f"{path}.target", target)
    for name in ("size", "modify_time_ns"):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise ConfigError(f"{path}.{name}", value, allowed="a whole number, 0 or more")
    size, modified = fields.get("size"), fields.get("modify_time_ns")
    return FileMove(str(source), target, size, modified, exact=size is not None or modified is not None)


def glob_pattern(pattern: str) -> tuple[str, re.Pattern[str]]:
    """Return the fixed beginning of a glob and an expression for whole names.

    ``*`` and ``?`` stop at a slash, ``**`` does not, ``**/`` may also be nothing; ``[…]`` is one character of a set.
    """
    if not pattern:
        raise ConfigError("pattern", pattern, allowed="a glob such as 'incoming/**/*.csv'")
    pattern = pattern.lstrip("/")
    first = _WILDCARD.search(pattern)
    fixed = pattern if first is None else pattern[: first.start()]
    parts = []
    for part in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", pattern, re.DOTALL):
        match part:
            case "**/":
                parts.append("(?:.*/)?")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _ if len(part) > 1:
                inner = part[1:-1].replace("\\", r"\\")
                parts.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
            case _:
                parts.append(re.escape(part))
    return fixed, re.compile("".join(parts), re.DOTALL)


def list_objects(
    client: OssClient,
    bucket: str,
    root: str,
    pattern: str,
    *,
    target_directory: Callable[[], str],
    window: Window | None = None,
) -> tuple[list[FileMove], list[Refused]]:
    """Return the objects below the prefix ``root`` whose rest matches ``pattern``.

    With a window: only those last modified in it (whole seconds, as OSS lists them).
    """
    fixed, expression = glob_pattern(pattern)
    directory = target_directory()
    moves: list[FileMove] = []
    refused: list[Refused] = []
    for one in client.list_objects(bucket, root + fixed):
        rest = one.key[len(root) :]
        if rest.endswith("/") or not expression.fullmatch(rest):
            continue
        if window is not None and not window.start <= one.last_modified * 1000 < window.end:
            continue
        found = _move(rest, directory, one.size, one.last_modified * _NANO)
        if isinstance(found, FileMove):
            moves.append(found)
        else:
            refused.append(found)
    return moves, refused


def list_folder(
    folder: str, pattern: str, target_directory: Callable[[], str]
) -> tuple[list[FileMove], list[Refused]]:
    """Return the files below a local folder, where the task's source directory is mounted, that match ``pattern``."""
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError("mounted_at", folder, reason="there is no such folder on this worker")
    _, expression = glob_pattern(pattern)
    directory = target_directory()
    moves: list[FileMove] = []
    refused: list[Refused] = []
    for path in _walk(root):
        rest = path.relative_to(root).as_posix()
        if not expression.fullmatch(rest):
            continue
        about = path.stat()
        found = _move(rest, directory, about.st_size, about.st_mtime_ns)
        if isinstance(found, FileMove):
            moves.append(found)
        else:
            refused.append(found)
    return moves, refused


def _walk(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _move(rest: str, target_directory: str, size: int, modified: int) -> FileMove | Refused:
    source, target = f"/{rest}", f"{target_directory.rstrip('/')}/{rest}"
    try:
        check_file_path("source", source)
        check_file_path("target", target)
    except ConfigError as error:
        log.warning("not moved: %s", error)
        return Refused(rest, str(error))
    return FileMove(source, target, size, modified)
