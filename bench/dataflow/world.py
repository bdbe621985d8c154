"""The local NAS, the DAG that moves files through it, and what an outsider sees of both."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from airflow_provider_sync.clients.nas import DataflowRequest, NasClient, TaskRequest
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret

__all__ = ["KEY", "SECRET", "Files", "Nas", "Slots", "write_dag"]

KEY, SECRET = "bench-key", "bench-secret-of-dataflows"
_ENDED = {"COMPLETE", "FAILED", "CANCELED", "EXPIRED"}
_GRACE = 30.0  # on a busy machine Airflow itself may take half of it to note what a task has told it


@dataclass(frozen=True)
class Files:
    """``count`` files in ``groups`` mapped tasks."""

    count: int
    groups: int

    def of(self, group: int) -> list[str]:
        """Return the paths that a task has to move."""
        return [f"/g{group:02}/f{n:05}.bin" for n in range(group, self.count, self.groups)]

    def all(self) -> list[str]:
        """Return all paths."""
        return [path for group in range(self.groups) for path in self.of(group)]


class Nas:
    """The running service and side doors into it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.connection = {
            "conn_type": "cpfs",
            "host": server.url,
            "login": KEY,
            "password": SECRET,
            "extra": {"region": "local"},
        }

    def control(self, route: str, data: Any = None, method: str = "POST") -> Any:
        """Use a control route."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        with closing(connection):
            connection.request(method, f"/_control/{route}", json.dumps({} if data is None else data))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return json.loads(body)

    def prepare(self, seconds: float, rng: random.Random, files: int) -> tuple[str, str]:
        """Make a dataflow and its tunnel; files take up to ``seconds``; some replies are lost, some calls fail."""
        self.control("options", {"flow_seconds": 0.0, "task_seconds": 0.0, "subtask_seconds": seconds})
        client = NasClient(ConnectionInfo("cpfs", self._server.url, KEY, Secret(SECRET), region="local"))
        flow = client.create_dataflow(
            DEFAULT_FILE_SYSTEM, DataflowRequest("oss://bench", "/oss/", "/in/"), client_token="flow"
        )
        request = TaskRequest("StreamImport", "OVERWRITE_EXISTING", "/a/", "/b/")
        task = client.create_task(DEFAULT_FILE_SYSTEM, flow, request, client_token="task")
        for digit in range(10):
            part = seconds * (1 + digit) / 10
            self.control("outcomes", {"path": f"{digit}.bin", "seconds": part})
        for operation, action in (
            ("CreateDataFlowSubTask", "lost_reply"),
            ("CreateDataFlowSubTask", "drop_before"),
            ("DescribeDataFlowSubTasks", "error"),
        ):
            for _ in range(max(3, files // 100)):
                key = f"{rng.randrange(1000):03}" if operation.startswith("Create") else ".*"
                fault = {"operation": operation, "action": action, "key": key, "count": 1}
                self.control("faults", fault if action != "error" else {**fault, "status": 503})
        return flow, task

    def subtasks(self) -> list[dict[str, Any]]:
        """Return every subtask with its status."""
        found: list[dict[str, Any]] = self.control("subtasks", method="GET")
        return found

    def verdict(self, files: Files) -> dict[str, int]:
        """Compare what was moved, by the service's own record, with what was to be moved."""
        moves = Counter(
            _name(one["source"]) for one in self.control("moves", method="GET") if one["bytes"] > 0
        )
        subtasks = Counter(_name(one["source"]) for one in self.subtasks())
        wanted = files.all()
        return {
            "files": len(wanted),
            "imported_once": sum(moves[path] == 1 and subtasks[path] == 1 for path in wanted),
            "lost": sum(moves[path] == 0 for path in wanted),
            "doubled": sum(max(moves[path], subtasks[path]) > 1 for path in wanted),
            "unasked": len(set(subtasks) - set(wanted)),
        }

    def rates(self) -> dict[str, int]:
        """Return the most calls of one operation in any second (subtasks) and minute (others), and the refusals."""
        calls = self.control("calls", method="GET")
        times: dict[str, list[float]] = defaultdict(list)
        for one in calls:
            times[one["operation"]].append(one["at"])
        of_subtasks = {name for name in times if "SubTask" in name}
        return {
            "max_subtask_calls_per_second": max((_most(times[name], 1.0) for name in of_subtasks), default=0),
            "max_other_calls_per_minute": max(
                (_most(times[name], 60.0) for name in set(times) - of_subtasks), default=0
            ),
            "calls": len(calls),
            "throttled": sum(one["status"] in {400, 429} for one in calls),
        }


@dataclass
class Slots:
    """Counts workers that wait: a task that runs although all its files are submitted and some are under way.

    What it did last needs a moment: it is counted from ``_GRACE`` seconds after its last submission or its start.
    """

    files: Files
    most: int = 0
    samples: int = 0
    _submitted: dict[int, float] = field(default_factory=dict)
    _running: dict[int, tuple[int, float]] = field(default_factory=dict)

    def sample(
        self, now: float, subtasks: Iterable[dict[str, Any]], states: dict[int, tuple[str, int]]
    ) -> None:
        """Look once; ``states`` is (state, try) by map index."""
        seen: dict[int, set[str]] = defaultdict(set)
        active: Counter[int] = Counter()
        for one in subtasks:
            name = _name(one["source"])
            group = int(name[2:4])
            seen[group].add(name)
            active[group] += one["status"] not in _ENDED
        holding = waiting = 0
        for group in range(self.files.groups):
            if len(seen[group]) < len(self.files.of(group)) or not active[group]:
                continue
            waiting += 1
            submitted = self._submitted.setdefault(group, now)
            state, number = states.get(group, ("", 0))
            if state != "running":
                self._running.pop(group, None)
                continue
            tried, started = self._running.get(group, (0, now))
            if tried != number:
                started = now
            self._running[group] = (number, started)
            holding += now - max(started, submitted) > _GRACE
        self.samples += bool(waiting)
        self.most = max(self.most, holding)


def write_dag(folder: Path, files: Files, *, flow: str, task: str, probe: Path, rate: float) -> None:
    """Write the DAG: the files in mapped tasks, and the probe beside them."""
    lists = folder.parent / "files.json"
    lists.write_text(json.dumps([files.of(group) for group in range(files.groups)]))
    text = f"""
    import json
    from datetime import timedelta
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_sync.operators.dataflow_files import CpfsMoveFilesOperator
    from dataflow.loop_probe import LoopProbe

    with DAG(
        "dataflow_faults",
        schedule=None,
        default_args={{"retries": 1000, "retry_delay": timedelta(seconds=1)}},
    ):
        LoopProbe(task_id="probe", folder="{probe}")
        CpfsMoveFilesOperator.partial(
            task_id="move",
            file_system_id="{DEFAULT_FILE_SYSTEM}",
            dataflow_id="{flow}",
            dataflow_task_id="{task}",
            poll_interval=5.0,
            calls_per_second={rate},
        ).expand(files=json.loads(Path("{lists}").read_text()))
    """
    (folder / "dataflow_faults.py").write_text(dedent(text))


def _name(source: str) -> str:
    """Return the path that was asked for; the service reports it below the task's directory."""
    return "/" + "/".join(source.rsplit("/", 2)[-2:])


def _most(times: list[float], width: float) -> int:
    times = sorted(times)
    most = first = 0
    for last, moment in enumerate(times):
        while times[first] <= moment - width:
            first += 1
        most = max(most, last - first + 1)
    return most
