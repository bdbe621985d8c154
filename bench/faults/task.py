"""One task of the job, as Airflow would run it: a process of its own that may be killed at any request."""

from __future__ import annotations

import json
import logging
import os
import random
import select
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy

from airflow_provider_sync.engine.chain import Chain, advance, begin, run_chain, watermark
from airflow_provider_sync.engine.contract import CheckpointStore, Environment
from airflow_provider_sync.engine.job import (
    Job,
    PlannedWindow,
    SplitResult,
    commit_window,
    copy_split,
    plan_window,
)
from airflow_provider_sync.errors import PermanentError, TransientError
from airflow_provider_sync.readers.otsstream import OTSStreamReader
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.job import Endpoint, JobSpec, Limits
from airflow_provider_sync.spec.options import parse_options
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.state.file import FileStore
from airflow_provider_sync.state.oss import OssStore
from airflow_provider_sync.state.sql import SqlStore
from airflow_provider_sync.state.tablestore import TablestoreStore
from airflow_provider_sync.writers.oss import OssWriter
from faults.settings import JOB, Settings
from faults.world import BUCKET, REGION, SECRET, World

__all__ = ["Child", "Outcome", "Task", "preload", "start"]

_STORES: dict[str, Any] = {"tablestore": TablestoreStore, "sql": SqlStore, "file": FileStore, "oss": OssStore}
_PATIENCE = 60.0
_LONGEST_SLEEP = 0.002


@dataclass(frozen=True)
class Task:
    """What a process of the job knows: its settings, where the services are, and who it is."""

    settings: Settings
    tablestore: str
    oss: str
    folder: str
    now: float
    worker: str
    seed: int

    @classmethod
    def of(cls, world: World, settings: Settings, worker: str, seed: int) -> Task:
        """Return a task at the world's present time."""
        return cls(settings, world.tablestore, world.oss, str(world.folder), world.now, worker, seed)

    def run(self, window: Window, *, heal: bool, advance: bool) -> list[dict[str, Any]]:
        """Complete a window, and with ``heal`` those that earlier runs left open, in this process."""
        chain = Chain(heal=heal, advance=advance, width=self.settings.width * 1000)
        with closing(self._store()) as store:
            if self.settings.form != "single":
                with self._job(window, store) as job:
                    return [report.to_json() for report in run_chain(job, window, chain)]
            return [
                one
                for due in self._due(store, window, heal=heal)
                for one in self._alone(store, due, advance=advance)
            ]

    def plan(self, window: Window) -> dict[str, Any]:
        """Complete what was left open, then cut the window itself; the first of the mapped tasks."""
        with closing(self._store()) as store:
            *before, own = self._due(store, window, heal=True)
            done = [one for due in before for one in self._alone(store, due, advance=True)]
            with self._job(own, store) as job:
                planned = plan_window(job, own, parallelism=self.settings.concurrent)
                return {"done": done, "planned": planned.to_json()}

    def copy(self, planned: dict[str, Any], index: int) -> dict[str, Any]:
        """Copy one split."""
        plan = PlannedWindow.from_json(planned)
        with closing(self._store()) as store, self._job(plan.window, store) as job:
            return copy_split(job, plan, plan.plan.splits[index]).to_json()

    def commit(self, planned: dict[str, Any], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make all splits visible, move the job's progress."""
        plan = PlannedWindow.from_json(planned)
        with closing(self._store()) as store, self._job(plan.window, store) as job:
            report = commit_window(job, plan, [SplitResult.from_json(one) for one in results])
            advance(job, plan.window)
            return [report.to_json()]

    def _alone(self, store: CheckpointStore, window: Window, *, advance: bool) -> list[dict[str, Any]]:
        with self._job(window, store) as job:
            return [one.to_json() for one in run_chain(job, window, Chain(heal=False, advance=advance))]

    def _due(self, store: CheckpointStore, own: Window, *, heal: bool) -> list[Window]:
        mark = watermark(store, JOB)
        if heal and mark is None:
            begin(store, JOB, own)
        if not heal or mark is None or mark >= own.start:
            return [own]
        return [*Window(mark, own.start).split(self.settings.width * 1000), own]

    def _environment(self) -> Environment:
        return Environment(
            clock=lambda: self.now,
            sleep=lambda seconds: time.sleep(min(seconds, _LONGEST_SLEEP)),
            random=random.Random(self.seed),
        )

    def _store(self) -> CheckpointStore:
        plugin, parameter = self.settings.checkpoint(self.folder)
        connection = {"tablestore": self._tablestore(), "oss": self._oss()}.get(plugin)
        store = _STORES[plugin]
        options = parse_options(store.Options, parameter, "checkpoint.parameter")
        return store(options, connection, self._environment())

    def _job(self, window: Window | None, store: CheckpointStore) -> _OpenJob:
        reader = self.settings.reader()
        writer = self.settings.writer(window.label if window else "")
        spec = JobSpec(
            JOB,
            Endpoint("otsstream", reader),
            Endpoint("oss", writer),
            Limits(concurrent=self.settings.concurrent, batch_records=50),
        )
        read = parse_options(OTSStreamReader.Options, reader, "reader.parameter")
        write = parse_options(OssWriter.Options, writer, "writer.parameter")
        environment = self._environment()
        return _OpenJob(
            Job(
                spec,
                OTSStreamReader(read, self._tablestore(), environment),
                OssWriter(write, self._oss(), environment),
                store,
                environment,
            )
        )

    def _tablestore(self) -> ConnectionInfo:
        return ConnectionInfo(
            "tablestore", self.tablestore, self.worker, Secret(SECRET), extra={"instance": "demo"}
        )

    def _oss(self) -> ConnectionInfo:
        return ConnectionInfo(
            "oss", self.oss, self.worker, Secret(SECRET), region=REGION, extra={"bucket": BUCKET}
        )


class _OpenJob:
    def __init__(self, job: Job) -> None:
        self._job = job

    def __enter__(self) -> Job:
        return self._job

    def __exit__(self, *_: object) -> None:
        self._job.reader.close()
        self._job.writer.close()


@dataclass(frozen=True)
class Outcome:
    """How a process ended: ``ok`` with a result, ``failed`` with an error, ``killed``, or ``hung``."""

    status: str
    result: Any = None
    error: str = ""
    kind: str = ""
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether the task succeeded."""
        return self.status == "ok"

    def __str__(self) -> str:
        return (
            self.status if self.status != "failed" else f"failed: {self.kind} {self.error}: {self.text[:300]}"
        )


@dataclass
class Child:
    """A process that waits at a gate until :meth:`release`."""

    pid: int
    gate: int
    answer: int

    def release(self) -> None:
        """Let it work."""
        os.write(self.gate, b"g")

    def kill(self) -> None:
        """End it wherever it is."""
        os.kill(self.pid, signal.SIGKILL)

    def finish(self) -> Outcome:
        """Wait for its end and tell how it was."""
        data = b""
        until = time.monotonic() + _PATIENCE
        hung = False
        while True:
            ready, _, _ = select.select([self.answer], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                hung = True
                self.kill()
                break
            piece = os.read(self.answer, 1 << 16)
            if not piece:
                break
            data += piece
        os.close(self.answer)
        os.close(self.gate)
        _, code = os.waitpid(self.pid, 0)
        if hung:
            return Outcome("hung", text=f"no end after {_PATIENCE} s")
        if os.WIFSIGNALED(code):
            return Outcome("killed")
        return Outcome(**json.loads(data))


def preload() -> None:
    """Load what the tasks would load by themselves, after the fork: a second each."""
    logging.getLogger().addHandler(logging.NullHandler())  # runs through faults have much to say
    sqlalchemy.create_engine("sqlite://").dispose()
    pa.array([pd.Timestamp(0)])  # makes Arrow look for pandas


def start(work: Callable[[], Any]) -> Child:
    """Fork a process that will do ``work`` and answer with its JSON result."""
    gate_in, gate_out = os.pipe()
    answer_in, answer_out = os.pipe()
    pid = os.fork()
    if pid:
        os.close(gate_in)
        os.close(answer_out)
        return Child(pid, gate_out, answer_in)
    try:
        os.read(gate_in, 1)
        answer = json.dumps(_outcome(work)).encode()
        while answer:
            answer = answer[os.write(answer_out, answer) :]
    finally:
        os._exit(0)


def _outcome(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"status": "ok", "result": work()}
    except BaseException as error:  # noqa: BLE001 - told to the parent
        kinds = {"transient": TransientError, "permanent": PermanentError}
        kind = next((name for name, one in kinds.items() if isinstance(error, one)), "unknown")
        text = str(error) if kind != "unknown" else traceback.format_exc()
        return {"status": "failed", "error": type(error).__name__, "kind": kind, "text": text}
