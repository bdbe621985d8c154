"""A window spread over several workers: plan, copy in mapped tasks, commit.

For streams that one worker cannot follow. Each task costs Airflow about a second, so a small stream is faster in
one task (``concurrent``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context, TaskGroup, XComArg

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks._errors import airflow_errors
from airflow_provider_sync.operators._labels import share_label
from airflow_provider_sync.operators.ots_stream import OTSStreamToOSSOperator

if TYPE_CHECKING:
    from airflow_provider_sync.operators._session import Session

__all__ = ["ots_stream_task_group"]

_MOST_TASKS = 512


def ots_stream_task_group(
    group_id: str,
    *,
    tasks: int = 8,
    pool: str | None = None,
    **arguments: Any,
) -> TaskGroup:
    """Return a task group that does what :class:`OTSStreamToOSSOperator` does, in up to ``tasks`` mapped tasks.

    ``arguments`` are that operator's. ``plan`` completes windows that earlier runs left open (alone), then cuts
    the run's own; ``copy`` writes the parts, invisible; ``commit`` makes them visible together. ``append`` to a
    single object needs one writer and is refused. ``pool`` holds the copying tasks; give it fewer slots
    than there are workers, so that other DAGs keep theirs.

    When two runs of one window meet, the later one's ``commit`` fails and says so: clear the group.
    """
    if not 1 <= tasks <= _MOST_TASKS:
        raise ConfigError("tasks", tasks, allowed=f"1 to {_MOST_TASKS}")
    if arguments.get("write_mode") == "append":
        raise ConfigError("write_mode", "append", reason="one object cannot be appended to by several tasks")
    with TaskGroup(group_id) as group:
        plan = _PlanOperator(task_id="plan", tasks=tasks, **arguments)
        job_name = arguments.pop("job_name", None) or f"{{{{ dag.dag_id }}}}.{plan.task_id}"
        plan.job_name = job_name
        copy = _CopyOperator.partial(
            task_id="copy",
            job_name=job_name,
            planned=XComArg(plan, "planned"),
            **({"pool": pool} if pool else {}),
            **{"map_index_template": "{{ task.part_label }}", **arguments},
        ).expand(index=plan.output)
        commit = _CommitOperator(
            task_id="commit",
            job_name=job_name,
            planned=XComArg(plan, "planned"),
            done=XComArg(plan, "completed"),
            results=copy.output,
            **arguments,
        )
        copy >> commit
    return group


class _PlanOperator(OTSStreamToOSSOperator):
    """Completes what earlier runs left open, then plans the run's window."""

    def __init__(self, *, tasks: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks = tasks

    def _work(self, session: Session) -> list[int]:
        """Return the numbers of the splits, which is what Airflow can map over; the plan goes beside it."""
        from airflow_provider_sync.engine.job import plan_window  # noqa: PLC0415 - pyarrow, not for parsing

        *open_before, own = session.due()
        done = [session.complete(window).window for window in open_before]
        with session.job(own) as job:
            planned = plan_window(job, own, parallelism=self.tasks)
        push = session.context["ti"].xcom_push
        push("planned", planned.to_json())
        push("completed", [window.to_json() for window in done if window is not None])
        return list(range(len(planned.plan.splits)))


class _CopyOperator(OTSStreamToOSSOperator):
    """Copies one split, durable but invisible."""

    template_fields: Sequence[str] = (*OTSStreamToOSSOperator.template_fields, "planned", "index")

    def __init__(self, *, planned: Any, index: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.planned = planned
        self.index = index

    @property
    def part_label(self) -> str:
        """What people call this part: ``part 2 of 8 · 3 shards``; only its number while the plan is not known.

        Airflow asks for it before the task, too, and after a failure: it never raises.
        """
        planned: Any = self.planned
        if not isinstance(self.index, int):
            return "part"
        if not isinstance(planned, Mapping):
            return f"part {self.index + 1}"
        splits = planned["splits"]
        shards = sum(len(family) for family in splits[self.index]["detail"]["families"])
        return share_label("part", self.index, len(splits), shards, "shard")

    def _work(self, session: Session) -> dict[str, Any]:
        from airflow_provider_sync.engine.job import PlannedWindow, copy_split  # noqa: PLC0415 - as above

        planned = PlannedWindow.from_json(self.planned)
        with session.job(planned.window) as job:
            return copy_split(job, planned, planned.plan.splits[self.index]).to_json()


class _CommitOperator(OTSStreamToOSSOperator):
    """Makes all splits visible together, then moves the job's progress."""

    template_fields: Sequence[str] = (*OTSStreamToOSSOperator.template_fields, "planned", "done", "results")

    def __init__(self, *, planned: Any, done: Any, results: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.planned = planned
        self.done = done
        self.results = results

    def _work(self, session: Session) -> dict[str, Any]:
        from airflow_provider_sync.engine.job import PlannedWindow, SplitResult  # noqa: PLC0415 - as above

        planned = PlannedWindow.from_json(self.planned)
        results = [SplitResult.from_json(one) for one in self.results]
        report = session.commit(planned, results)
        own = [] if report.window is None else [report.window.to_json()]
        return {**report.to_json(), "windows": [*self.done, *own]}

    def execute(self, context: Context) -> Any:
        """Commit; nothing is waited for, the plan has done that."""
        with airflow_errors():
            return self._execute(context)
