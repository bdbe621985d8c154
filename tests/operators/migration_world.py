"""A migration's task group run as Airflow runs it, task by task, against real services."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.operators.migration import MigrationCopyOperator
from airflow_provider_sync.operators.migration_group import object_migration

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
KEY, SECRET = "test-key", "test-secret"


class MigrationWorld:
    """``s3`` and ``oss`` are the servers; connections are in the environment."""

    def __init__(
        self, s3: Any, oss: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.s3, self.oss, self.bucket = s3, oss, bucket
        self.state = tmp_path / "state"
        s3.bucket(bucket, {})
        aws = {"endpoint_url": s3.url, "region_name": "us-east-1"}
        keys = {"login": KEY, "password": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", **keys, "extra": aws}))
        region = {"region": "cn-hangzhou"}
        host = {"conn_type": "oss", "host": oss.url}
        monkeypatch.setenv("AIRFLOW_CONN_OSS_DEFAULT", json.dumps({**host, **keys, "extra": region}))

    def group(self, **arguments: Any) -> Group:
        return Group(self, arguments)

    def folder(self, job: str) -> JobFolder:
        return JobFolder(LocalFiles(self.state), job)


class Group:
    """One task group; each :meth:`run` is a run of its DAG, with nothing retried."""

    def __init__(self, world: MigrationWorld, arguments: dict[str, Any]) -> None:
        self.said = {
            "source": {"type": "s3", "bucket": world.bucket},
            "target": {"type": "oss", "bucket": "lake"},
            "state": str(world.state),
            "options": {"task_object_count": 10, "threads": 4, "scan_threads": 1},
            "verify": "",
            **arguments,
        }
        self.runs = 0

    def run(self, **conf: Any) -> Run:
        self.runs += 1
        return Run(self, f"run-{self.runs}", START + self.runs * timedelta(minutes=5), conf)


class Run:
    """One run: its tasks, and what they told each other."""

    def __init__(self, group: Group, run_id: str, run_after: datetime, conf: dict[str, Any]) -> None:
        with DAG("move", schedule=None) as self.dag:
            object_migration("all", **group.said)
        self.group, self.conf = group, conf
        self.dag_run = SimpleNamespace(run_id=run_id, run_after=run_after, conf=conf)
        self.told: dict[str, dict[str, Any]] = {}

    def context(self, task: str) -> Any:
        told = self.told.setdefault(task, {})
        ti = SimpleNamespace(
            xcom_push=told.__setitem__,
            xcom_pull=lambda task_ids, key: self.told.get(task_ids, {}).get(key),
        )
        return {"dag_run": self.dag_run, "params": {}, "ti": ti}

    def plan(self, task: str = "all.plan") -> list[int]:
        operator: Any = self.dag.get_task(task)
        if operator.audit_of is not None:
            operator.audit_of = self.planned()
        return operator.execute(self.context(task))

    def planned(self, task: str = "all.plan") -> Any:
        return json.loads(json.dumps(self.told[task]["planned"]))

    def copy(self, index: int, plan: str = "all.plan", task: str = "all.copy") -> dict[str, Any]:
        mapped: Any = self.dag.get_task(task)
        given = {
            name: value
            for name, value in mapped.partial_kwargs.items()
            if name in {"source", "target", "state", "job", "config", "system_config", "sharers"}
            or name.endswith(("_conn_id", "_per_second"))
        }
        with DAG("move", schedule=None, default_args={}) as dag:
            operator = MigrationCopyOperator(task_id="copy", planned=self.planned(plan), index=index, **given)
        operator.job = operator.job or "move-all"
        dag.fileloc = self.dag.fileloc
        return operator.execute(self.context(task))

    def report(self) -> dict[str, Any]:
        operator: Any = self.dag.get_task("all.report")
        return operator.execute(self.context("all.report"))

    def all(self) -> dict[str, Any]:
        """Run everything; the first failure is raised."""
        for index in self.plan():
            self.copy(index)
        if self.group.said["verify"]:
            for index in self.plan("all.compare"):
                self.copy(index, "all.compare", "all.verify")
        return self.report()
