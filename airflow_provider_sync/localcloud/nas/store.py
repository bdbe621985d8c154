"""What there is: file systems, dataflows, tasks, subtasks; and how the world decides what becomes of them."""

from __future__ import annotations

import bisect
import itertools
import random
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.timeline import Timeline
from airflow_provider_sync.localcloud.nas.world import FileInfo, World

__all__ = [
    "ACTIVE",
    "DEFAULT_FILE_SYSTEM",
    "IMAGINED_SIZE",
    "FileSystem",
    "Flow",
    "Options",
    "Outcome",
    "Store",
    "Subtask",
    "Task",
]

DEFAULT_FILE_SYSTEM = "bmcpfs-localcloud"
ACTIVE = ("CREATED", "RUNNING", "CANCELING")
IMAGINED_SIZE = 68  # of the documentation's example
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_HEX = "0123456789abcdef"


@dataclass(slots=True)
class Options:
    """How long things take, in seconds, and what is unknown or contradictory in the documentation.

    The times are invented, and much shorter than the service's minutes. The limits are the documented ones; None
    turns a quota off. ``import_into_task_directory`` puts an imported file under the task's DstDirectory, as the
    documentation's words say, instead of the dataflow's FileSystemPath, as its example shows.
    ``cancel_executing`` lets an Executing task be canceled (the documents disagree). ``keep_seconds`` is how long a
    finished subtask can still be described; None is for ever (unknown).
    """

    flow_seconds: float = 1.0
    task_seconds: float = 0.5
    batch_seconds: float = 1.0
    subtask_start_seconds: float = 0.2
    subtask_seconds: float = 0.5
    bytes_per_second: float = 100e6
    cancel_seconds: float = 1.0
    subtask_cancel_seconds: float = 0.2
    subtask_calls_per_second: int | None = 100
    other_calls_per_minute: int | None = 120
    max_skew_seconds: float = 900.0
    flows_per_file_system: int = 10
    batch_tasks_per_flow: int = 4
    import_into_task_directory: bool = False
    cancel_executing: bool = True
    keep_seconds: float | None = None


@dataclass(slots=True)
class Outcome:
    """What becomes of the next things whose path matches: per-file results for tests, all invented.

    ``of`` is ``subtask`` (``path`` is searched in SrcFilePath), ``task`` (in Directory) or ``flow`` (in
    FileSystemPath). ``count`` things are affected (-1: all). ``start`` and ``seconds`` replace the times before and
    while it runs. ``result`` is the state it ends in, with ``message`` as its error. ``status`` is shown while it
    runs. ``hidden`` is how many seconds Describe does not show it after it was created. ``lag`` is how many seconds
    COMPLETE comes with a Progress below 10000. ``size`` is that of an imagined file.
    """

    path: str = ""
    of: str = "subtask"
    count: int = -1
    start: float | None = None
    seconds: float | None = None
    result: str = ""
    message: str = ""
    status: str = ""
    hidden: float = 0.0
    lag: float = 0.0
    size: int = IMAGINED_SIZE

    def matches(self, of: str, path: str) -> bool:
        """Tell whether this one decides, and count it."""
        if self.of != of or self.count == 0 or not re.search(self.path, path):
            return False
        if self.count > 0:
            self.count -= 1
        return True


@dataclass(slots=True, eq=False)
class FileSystem:
    """A file system; ``bmcpfs-`` is CPFS for Lingjun, ``cpfs-`` is general CPFS."""

    file_system_id: str
    created: float
    version: str = "2.6.0"
    status: str = "Running"
    description: str = ""

    @property
    def lingjun(self) -> bool:
        """Whether this is CPFS for Lingjun."""
        return self.file_system_id.startswith("bmcpfs-")

    def since(self, version: str) -> bool:
        """Tell whether the file system has at least this version."""
        return _numbers(self.version) >= _numbers(version)


@dataclass(slots=True, eq=False)
class Flow:
    """A dataflow. ``settings`` are its parameters by their names in the API."""

    flow_id: str
    file_system: FileSystem
    settings: dict[str, Any]
    bucket: str
    created: float
    updated: float
    timeline: Timeline = field(default_factory=Timeline)
    message: str = ""

    @property
    def path(self) -> str:
        """The directory in the file system."""
        return str(self.settings.get("FileSystemPath") or "/")

    @property
    def storage_path(self) -> str:
        """The prefix in the bucket."""
        return str(self.settings.get("SourceStoragePath") or "/")


@dataclass(slots=True, eq=False)
class Task:
    """A task. ``files`` are the (source, target) paths of a batch, found when it was created."""

    task_id: str
    flow: Flow
    settings: dict[str, Any]
    created: float
    timeline: Timeline = field(default_factory=Timeline)
    message: str = ""
    files: list[tuple[str, str, FileInfo]] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    @property
    def action(self) -> str:
        """What it does."""
        return str(self.settings["TaskAction"])

    @property
    def streaming(self) -> bool:
        """Whether its files come as subtasks."""
        return self.action.startswith("Stream")


@dataclass(slots=True, eq=False)
class Subtask:
    """A subtask. ``moved`` is what was really transferred, None until it ended."""

    subtask_id: str
    task: Task
    source: str
    target: str
    created: float
    info: FileInfo | None
    timeline: Timeline = field(default_factory=Timeline)
    message: str = ""
    moved: int | None = None
    hidden_until: float = 0.0
    whole_from: float = 0.0
    wanted: dict[str, int] = field(default_factory=dict)


class Store:
    """Everything of one account."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.options = Options()
        self.outcomes: list[Outcome] = []
        self.file_systems: dict[str, FileSystem] = {}
        self.flows: dict[str, Flow] = {}
        self.tasks: dict[str, Task] = {}
        self.subtasks: dict[str, Subtask] = {}
        self.order: dict[str, list[str]] = {"flow": [], "task": [], "subtask": []}
        self.moves: list[dict[str, Any]] = []
        self.tokens: dict[tuple[str, str], tuple[dict[str, str], dict[str, Any]]] = {}
        self.next_ids: deque[str] = deque()
        self.agenda: list[tuple[float, int, Task | Subtask]] = []
        self.numbers = itertools.count()
        self._rng = rng

    def clear(self) -> None:
        """Forget everything but the world's real files."""
        self.__init__(self.world, self._rng)  # type: ignore[misc]  # the one place that lists what there is
        self.world.reset()

    def add_file_system(self, file_system_id: str, now: float) -> FileSystem:
        """Make a file system unless it is there."""
        return self.file_systems.setdefault(file_system_id, FileSystem(file_system_id, now))

    def new_id(self, kind: str) -> str:
        """Return a fresh id of a flow, task or subtask, in the service's form; its order is random, as a list's is."""
        prefix, letters, length = {
            "flow": ("df-", _HEX, 16),
            "task": ("task-", _HEX, 16),
            "subtask": ("subTaskId-", _LETTERS, 19),
        }[kind]
        suffix = self.next_ids.popleft() if self.next_ids else "".join(self._rng.choices(letters, k=length))
        found = f"{prefix}{suffix}"
        bisect.insort(self.order[kind], found)
        return found

    def outcome(self, of: str, path: str) -> Outcome:
        """Return what was set for a thing, or what becomes of it otherwise."""
        return next((one for one in self.outcomes if one.matches(of, path)), Outcome())

    def file_system(self, file_system_id: str) -> FileSystem:
        """Return a file system that must be there."""
        found = self.file_systems.get(file_system_id)
        if found is None:
            raise NasError.not_found("FileSystem", "file system")
        return found

    def flow(self, file_system: FileSystem, flow_id: str, now: float) -> Flow:
        """Return a dataflow that must be there."""
        found = self.flows.get(flow_id)
        if found is None or found.file_system is not file_system or not found.timeline.state(now):
            raise NasError.not_found("DataFlow", "data flow")
        return found

    def task(self, flow: Flow, task_id: str) -> Task:
        """Return a task that must be there."""
        found = self.tasks.get(task_id)
        if found is None or found.flow is not flow:
            raise NasError.not_found("DataFlowTask", "data flow task")
        return found

    def subtask(self, task: Task, subtask_id: str) -> Subtask:
        """Return a subtask that must be there."""
        found = self.subtasks.get(subtask_id)
        if found is None or found.task is not task:
            raise NasError.not_found("DataFlowSubTask", "data flow subtask")
        return found

    def flow_state(self, flow: Flow, now: float) -> tuple[str, str]:
        """Return a dataflow's state and error: Running becomes Misconfigured while its bucket is unfit (invented)."""
        state = flow.timeline.state(now)
        trouble = self.world.trouble(flow.bucket) if state == "Running" else ""
        return (
            ("Misconfigured", trouble)
            if trouble
            else (state, flow.message if state == "Misconfigured" else "")
        )

    def live_flows(self, file_system: FileSystem, now: float) -> list[Flow]:
        """Return the dataflows of a file system that were not deleted, by id."""
        flows = (self.flows[one] for one in self.order["flow"])
        return [flow for flow in flows if flow.file_system is file_system and flow.timeline.state(now)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
