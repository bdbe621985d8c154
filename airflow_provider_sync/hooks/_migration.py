"""From what a DAG says about a migration to its source, target and state folder; and what its tasks tell each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_sync.errors import ConfigError, NotFoundError
from airflow_provider_sync.hooks.aws import resolve_s3
from airflow_provider_sync.hooks.connection import resolve_connection
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.ossimport import OssimportJob, load_ossimport

if TYPE_CHECKING:
    from airflow_provider_sync.migration.contract import Source, Target
    from airflow_provider_sync.migration.files import FileStore
    from airflow_provider_sync.migration.folder import JobFolder
    from airflow_provider_sync.migration.spec import MigrationSpec

__all__ = ["MigrationRequest", "Planned", "Series", "job_name", "read_config", "read_order", "write_order"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 100  # what is added to it has room
_DEFAULT_CONNECTIONS = {"s3": "aws_default", "oss": "oss_default"}


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """A migration as the DAG's author wrote it, rendered.

    Connections are those named, else those that the ossimport configuration brings, else Airflow's defaults.
    """

    job: str
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    state: str
    options: Mapping[str, Any]
    source_conn_id: str = ""
    target_conn_id: str = ""
    state_conn_id: str = ""
    source_connection: ConnectionInfo | None = field(default=None, repr=False)
    target_connection: ConnectionInfo | None = field(default=None, repr=False)

    @classmethod
    def of(cls, given: Mapping[str, Any], config: OssimportJob | None) -> MigrationRequest:
        """Put what was given over what the configuration says."""
        if config is not None:
            for info in (config.source_connection, config.target_connection):
                if info is not None:
                    mask_secret(info.access_key_secret.reveal())
            state = given["state"] or config.working_dir
            options = {**config.options, **given["options"]}
            given = {
                **given,
                "job": given["job"] or config.job,
                "source": given["source"] or config.source,
                "target": given["target"] or config.target,
                "state": state,
                "options": options,
                "source_connection": config.source_connection,
                "target_connection": config.target_connection,
            }
        for name in ("source", "target"):
            if not isinstance(given[name], Mapping):
                raise ConfigError(name, reason="missing", cure="give it, or an ossimport configuration")
        if not given["state"]:
            raise ConfigError(
                "state", reason="missing", allowed="oss://bucket/prefix/, or a folder that all workers share"
            )
        return cls(**given)

    @contextmanager
    def files(self) -> Iterator[FileStore]:
        """Open the state folder."""
        from airflow_provider_sync.migration.ends import open_files  # noqa: PLC0415 - not for parsing

        connection = None
        if self.state.startswith("oss://"):
            conn_id = self.state_conn_id or self.target_conn_id
            connection = self._connect("oss", conn_id, self.target_connection)
        with closing(open_files(self.state, connection)) as files:
            yield files

    @contextmanager
    def folder(self) -> Iterator[JobFolder]:
        """Open the job's folder."""
        from airflow_provider_sync.migration.folder import JobFolder  # noqa: PLC0415

        with self.files() as files:
            yield JobFolder(files, self.job)

    @contextmanager
    def ends(self, spec: MigrationSpec) -> Iterator[tuple[Source, Target]]:
        """Open source and target, with as many connections as the job has threads."""
        from airflow_provider_sync.migration.ends import open_source, open_target  # noqa: PLC0415

        with ExitStack() as stack:
            pool = spec.threads + spec.part_threads
            info = self._connect(str(self.source.get("type")), self.source_conn_id, self.source_connection)
            source = open_source(self.source, info, pool_size=pool)
            stack.callback(source.close)
            info = self._connect(str(self.target.get("type")), self.target_conn_id, self.target_connection)
            target = open_target(self.target, info, pool_size=pool)
            stack.callback(target.close)
            yield source, target

    def named(self, job: str) -> MigrationRequest:
        """Return the same migration as another job."""
        return replace(self, job=job)

    def _connect(self, kind: str, conn_id: str, inline: ConnectionInfo | None) -> ConnectionInfo | None:
        if kind not in _DEFAULT_CONNECTIONS:
            return None  # local, http; anything else is refused by who opens it
        if not conn_id and inline is not None:
            return inline
        conn_id = conn_id or _DEFAULT_CONNECTIONS[kind]
        return resolve_s3(conn_id) if kind == "s3" else resolve_connection(conn_id, ("oss",))


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan tells the tasks that carry it out: references, however large the job is.

    ``order`` names the file with the numbers of the tasks to do, which ``slices`` mapped tasks share;
    ``planned_ms`` is the plan's identity. ``started`` is when its listing began (Unix seconds).
    """

    job: str
    planned_ms: int
    order: str
    slices: int
    tasks: int
    started: float
    summary: Mapping[str, Any]
    dry_run: bool = False

    @classmethod
    def from_json(cls, data: Any) -> Planned:
        """Read what :meth:`to_json` wrote; None (no plan was made) raises."""
        if not isinstance(data, Mapping):
            raise NotFoundError("the plan of this run is missing: its task did not succeed; clear that one")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """Return it for XCom."""
        return {name: getattr(self, name) for name in self.__slots__}


def write_order(folder: JobFolder, run: str, numbers: list[int]) -> str:
    """Store which tasks a run has to do; return the file's name."""
    name = f"{folder.root}runs/{_NOT_IN_A_NAME.sub('_', run)}"
    folder.files.write(name, json.dumps(numbers, separators=(",", ":")).encode())
    return name


def read_order(folder: JobFolder, planned: Planned) -> list[int]:
    """Return the tasks of a plan; raises if the job has been planned anew meanwhile."""
    data = folder.files.read(planned.order)
    if data is None or folder.planned()["planned_ms"] != planned.planned_ms:
        raise NotFoundError(
            f"job {folder.job!r} in {folder.files.name} was planned anew or cleaned by another run; "
            "clear the plan of this one, or let the other go on"
        )
    return [int(one) for one in json.loads(data)]


class Series:
    """Where an incremental migration stands: kept beside its jobs, moved only after a whole success."""

    def __init__(self, files: FileStore, name: str) -> None:
        self._files = files
        self._path = f"master/series/{name}"

    def read(self) -> dict[str, Any]:
        """Return ``since`` (Unix seconds; 0 before the first success) and ``jobs``, newest last."""
        data = self._files.read(self._path)
        return json.loads(data) if data else {"since": 0.0, "jobs": []}

    def begin(self, job: str) -> float:
        """Note a job of the series and return from which time it has to look for changes."""
        state = self.read()
        if job not in state["jobs"]:
            self._write({**state, "jobs": [*state["jobs"], job]})
        return float(state["since"])

    def advance(self, started: float, keep: int) -> list[str]:
        """Set the time from which the next job looks, never back; return the jobs beyond the last ``keep``."""
        state = self.read()
        old, rest = state["jobs"][:-keep], state["jobs"][-keep:]
        self._write({"since": max(state["since"], started), "jobs": rest})
        return list(old)

    def _write(self, state: Mapping[str, Any]) -> None:
        self._files.write(self._path, json.dumps(state, indent=1).encode())


def job_name(text: str) -> str:
    """Return a text as the name of a job: letters, digits, ``_`` and ``-``."""
    return _NOT_IN_A_NAME.sub("_", text)[:_LONGEST_NAME]


def read_config(config: str, system: str, dag_file: str) -> OssimportJob:
    """Read ossimport's files; paths are relative to the DAG's."""

    def text(field: str, name: str) -> str:
        path = Path(name) if Path(name).is_absolute() else Path(dag_file).parent / name
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigError(field, name, reason=f"there is no file {path}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(field, name, reason=f"not UTF-8 ({error})") from error

    return load_ossimport(
        text("config", config),
        text("system_config", system) if system else "",
        where=Path(config).name,
        system_where=Path(system).name,
    )
