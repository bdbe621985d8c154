"""A whole migration as a task group: plan, copy in mapped tasks, compare, report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from airflow.sdk import TaskGroup, XComArg

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.hooks._migration import read_config
from airflow_provider_sync.operators._migration_base import PLANNED_KEY
from airflow_provider_sync.operators.migration import MigrationCopyOperator, MigrationPlanOperator
from airflow_provider_sync.operators.migration_report import MigrationReportOperator

__all__ = ["object_migration", "ossimport_migration", "ossimport_schedule"]

Verify = Literal["", "size", "time", "checksum", "content"]
_LEVELS = ("", "size", "time", "checksum", "content")


def object_migration(
    group_id: str = "migration",
    *,
    source: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
    state: str = "",
    job: str = "",
    options: Mapping[str, Any] | None = None,
    source_conn_id: str = "",
    target_conn_id: str = "",
    state_conn_id: str = "",
    config: str = "",
    system_config: str = "",
    incremental: bool = False,
    verify: Verify = "size",
    verify_until: float = 0.0,
    slices: int = 64,
    side_by_side: int | None = None,
    bytes_per_second: int | None = None,
    objects_per_second: int | None = None,
    pool: str | None = None,
    keep: int = 24,
    **task: Any,
) -> TaskGroup:
    """Return a task group that brings a target to a source's state.

    ``plan`` lists both sides and cuts what must move into tasks; ``copy`` is mapped over ``slices`` of them,
    ``side_by_side`` at once; ``compare`` lists both sides again, and ``verify`` (mapped) reads what listings do
    not tell; ``report`` says what became of it, and fails unless everything arrived. Failed objects alone are
    tried again by Airflow's retries, by clearing ``copy``, or by the next run.

    :param source: ``{"type": "s3" | "oss" | "local" | "http", …}``: bucket and prefix, or path.
    :param target: ``{"type": "oss" | "s3" | "local", …}``.
    :param state: where plan, progress and lists are kept: ``oss://bucket/prefix/``, or a folder that all
        workers share.
    :param job: name of the job; ``<dag id>-<group id>`` unless the configuration has one.
    :param options: what to take and how to copy it.
    :param source_conn_id: of type ``aws`` or ``oss``; their default unless given.
    :param target_conn_id: likewise.
    :param state_conn_id: of type ``oss``; the target's unless given.
    :param config: path of ossimport's ``local_job.cfg`` or ``job.cfg``; see :func:`ossimport_migration`.
    :param system_config: path of its ``sys.properties``.
    :param incremental: each run takes what changed since the listing of the last one that succeeded whole.
    :param verify: level of the comparison: ``size`` and ``time`` cost two listings; ``checksum`` takes the
        services' word where they have a comparable one and reads the source elsewhere; ``content`` reads both
        sides whole; empty for none. What was modified after the plan's listing began is left out.
    :param verify_until: leave out what was modified after this time (Unix seconds) instead.
    :param slices: mapped tasks at most, 1 to 512; a task of Airflow costs about a second.
    :param side_by_side: how many of them run at once; None leaves that to pool and executor.
    :param bytes_per_second: limit of the whole job.
    :param objects_per_second: limit of the whole job.
    :param pool: of ``copy`` and ``verify``. Give it fewer slots than there are workers, so that other DAGs
        keep theirs.
    :param keep: how many jobs of an incremental migration keep their folders.
    :param task: more arguments of all tasks, such as ``retries``.
    """
    if verify not in _LEVELS:
        raise ConfigError("verify", verify, allowed=", ".join(repr(one) for one in _LEVELS))
    if incremental:
        # the target is a copy: what differs is replaced, whatever the two services' clocks say
        options = {"overwrite": "changed", "compare": "checksum", **(options or {})}
    said: dict[str, Any] = {
        "source": source,
        "target": target,
        "state": state,
        "job": job,
        "source_conn_id": source_conn_id,
        "target_conn_id": target_conn_id,
        "state_conn_id": state_conn_id,
        "config": config,
        "system_config": system_config,
        **task,
    }
    workers: dict[str, Any] = {"pool": pool} if pool else {}
    if side_by_side:
        workers["max_active_tis_per_dagrun"] = side_by_side
    limits = {
        "sharers": side_by_side,
        "bytes_per_second": bytes_per_second,
        "objects_per_second": objects_per_second,
    }

    def carry_out(task_id: str, plan: MigrationPlanOperator) -> Any:
        label = {"map_index_template": "{{ task.slice_label }}"}
        told = {"planned": XComArg(plan, PLANNED_KEY), **label, **said, **workers, **limits}
        return MigrationCopyOperator.partial(task_id=task_id, **told).expand(index=plan.output)

    with TaskGroup(group_id) as group:
        plan = MigrationPlanOperator(
            task_id="plan", options=options, slices=slices, incremental=incremental, **said
        )
        copy = carry_out("copy", plan)
        report = MigrationReportOperator(
            task_id="report",
            plan_task=plan.task_id,
            audit_task=f"{group.group_id}.compare" if verify else "",
            incremental=incremental,
            keep=keep,
            trigger_rule="all_done",
            **said,
        )
        copy >> report
        if verify:
            compare = MigrationPlanOperator(
                task_id="compare",
                options={"audit_level": verify, "last_modify": verify_until},
                slices=slices,
                audit_of=XComArg(plan, PLANNED_KEY),
                trigger_rule="none_failed",
                **said,
            )
            copy >> compare
            carry_out("verify", compare) >> report
    return group


def ossimport_migration(
    config: str | Path, system_config: str | Path = "", group_id: str = "ossimport", **more: Any
) -> TaskGroup:
    """Return :func:`object_migration` for ossimport's ``local_job.cfg`` or ``job.cfg``, as it is.

    Paths are absolute (``Path(__file__).parent / …``), and the workers find the files there too: keys in them go
    through no other place. ``more`` are arguments of :func:`object_migration` and win, such as connections that
    replace the file's keys.
    """
    path, system = _absolute("config", config), _absolute("system_config", system_config)
    found = read_config(path, system, "")
    from_file = {
        "incremental": found.incremental,
        "verify": found.verify,
        "verify_until": found.verify_until,
    }
    return object_migration(group_id, config=path, system_config=system, **{**from_file, **more})


def ossimport_schedule(config: str | Path) -> timedelta | None:
    """Return how often an incremental job runs, None for one that runs once: a DAG's ``schedule``."""
    found = read_config(_absolute("config", config), "", "")
    return timedelta(seconds=found.interval) if found.incremental else None


def _absolute(name: str, path: str | Path) -> str:
    if path and not Path(path).is_absolute():
        raise ConfigError(name, str(path), allowed="an absolute path", cure="write Path(__file__).parent / …")
    return str(path)
