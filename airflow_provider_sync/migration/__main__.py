"""Migrate from a shell: ``python -m airflow_provider_sync.migration <job.json> <command>``.

The file says what an Airflow DAG would::

    {"migration": {"job": "photos", "threads": 24},
     "source": {"type": "s3", "bucket": "old", "connection": {"kind": "aws", "region": "us-east-1",
                "access_key_id": "env:AWS_ACCESS_KEY_ID", "access_key_secret": "env:AWS_SECRET_ACCESS_KEY"}},
     "target": {"type": "oss", "bucket": "new", "prefix": "photos/", "connection": {...}},
     "state": {"path": "/var/lib/migrations"}}

A text ``env:NAME`` is read from the environment. Commands: ``plan`` (``--dry-run``, ``--anew``), ``run``
(plan if needed, then every task that has not succeeded: resumes and retries), ``stat`` (``--json``), ``errors``
(CSV), ``clean``. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.errors import ConfigError, SyncError
from airflow_provider_sync.migration.ends import open_files, open_source, open_target
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.spec import MigrationSpec
from airflow_provider_sync.migration.status import failed_objects, stat, tasks_to_run
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

__all__ = ["main"]

_SECRETS = ("access_key_secret", "security_token")
_FIELDS = ("kind", "endpoint", "access_key_id", *_SECRETS, "region", "extra")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run the command, return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        job = json.loads(Path(options.file).read_text())
        return _Command(job).run(options)
    except (SyncError, OSError, json.JSONDecodeError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_sync.migration")
    parser.add_argument("file", help="the job, as JSON")
    parser.add_argument("command", choices=["plan", "run", "stat", "errors", "clean"])
    parser.add_argument("--dry-run", action="store_true", help="plan: show what would be done, write nothing")
    parser.add_argument("--anew", action="store_true", help="plan, run: forget an earlier plan and progress")
    parser.add_argument("--json", action="store_true", help="stat: for programs")
    return parser


class _Command:
    def __init__(self, job: Mapping[str, Any]) -> None:
        unknown = set(job) - {"migration", "source", "target", "state"}
        if unknown:
            raise ConfigError(min(unknown), reason="unknown", allowed="migration, source, target, state")
        self._job = job
        self._spec = MigrationSpec.of(job.get("migration", {}))
        state, connection = _end(job, "state")
        self._folder = JobFolder(open_files(str(state.get("path", "")), connection), self._spec.job)

    def run(self, options: argparse.Namespace) -> int:
        folder = self._folder
        if options.command in {"plan", "run"}:
            return self._move(options)
        if options.command == "clean":
            folder.clean()
        elif options.command == "errors":
            writer = csv.DictWriter(sys.stdout, ["key", "code", "note"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(failed_objects(folder))
        else:
            found = stat(folder)
            sys.stdout.write(f"{json.dumps(found.as_json()) if options.json else found.as_text()}\n")
        return 0

    def _move(self, options: argparse.Namespace) -> int:
        environment = Environment()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: environment.cancelled.set())
        threads = self._spec.threads + self._spec.part_threads
        source = open_source(*_end(self._job, "source"), pool_size=threads)
        target = open_target(*_end(self._job, "target"), pool_size=threads)
        try:
            summary = plan_job(
                self._spec,
                source,
                target,
                self._folder,
                environment=environment,
                dry_run=options.dry_run,
                anew=options.anew,
            )
            sys.stdout.write(f"{summary.as_text()}\n")
            if options.command == "plan" or options.dry_run:
                return 0
            runner = TaskRunner(self._spec, source, target, self._folder, environment=environment)
            for seq in tasks_to_run(self._folder):
                runner.run(seq)
        finally:
            source.close()
            target.close()
        found = stat(self._folder)
        sys.stdout.write(f"{found.as_text()}\n")
        return 0 if found.state == "Succeed" else 1


def _end(job: Mapping[str, Any], name: str) -> tuple[dict[str, Any], ConnectionInfo | None]:
    given = job.get(name)
    if not isinstance(given, Mapping):
        raise ConfigError(name, given, allowed="an object")
    said = given.get("connection")
    rest = {key: value for key, value in given.items() if key != "connection"}
    if said is None:
        return rest, None
    if not isinstance(said, Mapping):
        raise ConfigError(f"{name}.connection", reason="not an object", allowed=", ".join(_FIELDS))
    values = {key: _resolved(value, f"{name}.connection.{key}") for key, value in said.items()}
    for key in values:
        if key not in _FIELDS:
            raise ConfigError(f"{name}.connection.{key}", reason="unknown", allowed=", ".join(_FIELDS))
    for key in _SECRETS:
        if key in values:
            values[key] = Secret(values[key])
    return rest, ConnectionInfo(**{"kind": "", **values})


def _resolved(value: Any, path: str) -> Any:
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    found = os.environ.get(value.removeprefix("env:"))
    if found is None:
        raise ConfigError(path, value, reason="no such environment variable", cure="export it")
    return found


if __name__ == "__main__":
    sys.exit(main())
