"""The notifier: which news, told once.

Use it at the DAG, not at the task: a task's own failure callback does not run when its process is killed or
somebody marks it failed, the DAG's does. What happened is read from the XComs that the task left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from airflow.sdk import BaseNotifier, BaseXCom, Context, DagRunState, Variable, conf
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.notifications.incident import (
    Failure,
    Incident,
    close,
    open_or_repeat,
    read_incidents,
    write_incidents,
)
from airflow_provider_sync.notifications.message import Message
from airflow_provider_sync.operators._observe import FAILURE_KEY
from airflow_provider_sync.spec.window import Window, to_millis
from airflow_provider_sync.timetables.deadline import RunCreatedDeadline

__all__ = ["SyncAlert", "sync_alerts"]

Event = Literal["failed", "recovered", "late"]
_EVENTS = ("failed", "recovered", "late")
_REPORT_KEY = "return_value"
_QUARTER = timedelta(minutes=15)


def sync_alerts(*, late_after: timedelta | None = _QUARTER, **channels: Any) -> dict[str, Any]:
    """Return the arguments that make a DAG tell of failures, of runs that come late, and of recovery.

    ``DAG(…, **sync_alerts(webhook_conn_id="ops"))``. A run is late when it is not a success ``late_after``
    (None: never) after it was created. ``channels`` are those of :class:`SyncAlert`.
    """
    arguments: dict[str, Any] = {
        "on_failure_callback": SyncAlert(event="failed", **channels),
        "on_success_callback": SyncAlert(event="recovered", **channels),
    }
    if late_after is not None:
        arguments["deadline"] = DeadlineAlert(
            reference=RunCreatedDeadline(),
            interval=late_after,
            callback=AsyncCallback(SyncAlert, kwargs={"event": "late", **channels}),
        )
    return arguments


class SyncAlert(BaseNotifier):
    """Tell people about a window that is late, has failed, or is there after all: once per incident.

    Open incidents are kept in the Airflow variable ``sync_incidents.<dag id>``: callbacks run in the
    dag-processor and the triggerer, where variables are the only state there is.

    :param event: which news this callback brings: ``failed``, ``recovered`` or ``late``.
    :param log: write to the log.
    :param webhook_conn_id: connection of a webhook that takes JSON.
    :param dingtalk_conn_id: connection of a DingTalk robot.
    :param email: addresses; sent by Airflow's SMTP provider with ``smtp_conn_id`` from ``email_from``.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        event: Event = "failed",
        log: bool = True,
        webhook_conn_id: str | None = None,
        dingtalk_conn_id: str | None = None,
        email: Sequence[str] = (),
        email_from: str | None = None,
        smtp_conn_id: str = "smtp_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if event not in _EVENTS:
            raise ConfigError("event", event, allowed=", ".join(_EVENTS))
        self.event = event
        self.log_it = log
        self.webhook_conn_id = webhook_conn_id
        self.dingtalk_conn_id = dingtalk_conn_id
        self.email = [email] if isinstance(email, str) else list(email)
        self.email_from = email_from
        self.smtp_conn_id = smtp_conn_id

    def notify(self, context: Context) -> None:
        """Work out whether there is news, tell it, and remember that it was told."""
        dag_id, run_id = _identity(context)
        key = f"sync_incidents.{dag_id}"
        incidents = read_incidents(Variable.get(key, default=None, deserialize_json=True))
        if self.event == "recovered":
            if not incidents:
                return
            left, closed = close(incidents, run_id, _committed(context, dag_id, run_id))
            messages = [_message("recovered", dag_id, run_id, one) for one in closed]
        else:
            if self.event == "late" and _has_succeeded(dag_id, run_id):
                return  # done after all, while this callback waited for its turn
            now = datetime.now(UTC).isoformat(timespec="seconds")
            failure = _failure(context, dag_id, run_id, "late" if self.event == "late" else "failed")
            left, news = open_or_repeat(incidents, failure, now)
            messages = [_message(self.event, dag_id, run_id, left[failure.key])] if news else []
        for message in messages:
            self._send(message)
        if left != incidents:
            if left:
                Variable.set(key, write_incidents(left), serialize_json=True)
            else:
                Variable.delete(key)

    async def async_notify(self, context: Context) -> None:
        """Do the same in the triggerer, off its event loop."""
        await asyncio.to_thread(self.notify, context)

    def _send(self, message: Message) -> None:
        """Use every channel; fail (and try again at the next failure) only if none works."""
        from airflow_provider_sync.notifications import channels  # noqa: PLC0415 - HTTP stays out of DAG parsing

        ways: list[Callable[[], None]] = []
        if self.log_it:
            ways.append(partial(channels.send_log, message))
        if self.webhook_conn_id:
            ways.append(partial(channels.send_webhook, message, self.webhook_conn_id))
        if self.dingtalk_conn_id:
            ways.append(partial(channels.send_dingtalk, message, self.dingtalk_conn_id))
        if self.email:
            ways.append(partial(channels.send_email, message, self.email, self.smtp_conn_id, self.email_from))
        failures = []
        for way in ways:
            try:
                way()
            except Exception as error:
                self.log.exception("a channel failed for: %s", message.title)
                failures.append(error)
        if failures and len(failures) == len(ways):
            raise failures[0]


def _identity(context: Mapping[str, Any]) -> tuple[str, str]:
    run = context.get("dag_run")
    if isinstance(run, Mapping):  # in the triggerer the context is what the REST API says of the run
        return str(run["dag_id"]), str(run["dag_run_id"])
    dag = context.get("dag")
    dag_id = dag.dag_id if dag is not None else context["ti"].dag_id
    return str(dag_id), str(context["run_id"])


def _has_succeeded(dag_id: str, run_id: str) -> bool:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415 - not for parsing

    return bool(RuntimeTaskInstance.get_dagrun_state(dag_id, run_id) == DagRunState.SUCCESS)


def _failure(
    context: Mapping[str, Any], dag_id: str, run_id: str, kind: Literal["late", "failed"]
) -> Failure:
    left = _pull(context, dag_id, run_id, FAILURE_KEY) if kind == "failed" else []
    for one in left:
        window = one.get("window") or {}
        return Failure(
            kind,
            run_id,
            f"{one['error']}: {one['message']}",
            int(window.get("start", 0)),
            int(window.get("end", 0)),
        )
    start, end = _interval(context.get("dag_run"))
    default = "not done in time" if kind == "late" else "the task ended without saying why; see its log"
    reason = context.get("reason") if kind == "failed" else None
    return Failure(kind, run_id, f"{default} ({reason})" if reason else default, start, end)


def _committed(context: Mapping[str, Any], dag_id: str, run_id: str) -> list[tuple[int, int]]:
    reports = _pull(context, dag_id, run_id, _REPORT_KEY)
    return [(one["start"], one["end"]) for report in reports for one in report.get("windows", ())]


def _pull(context: Mapping[str, Any], dag_id: str, run_id: str, key: str) -> list[dict[str, Any]]:
    """Return what the DAG's sync tasks left under ``key``."""
    values = []
    for task in getattr(context.get("dag"), "tasks", ()):
        if not hasattr(task, "self_dependency"):
            continue
        value = BaseXCom.get_one(key=key, dag_id=dag_id, task_id=task.task_id, run_id=run_id)
        if isinstance(value, dict):
            values.append(value)
    return values


def _interval(run: Any) -> tuple[int, int]:
    """Return the run's data interval in milliseconds, zeros if it has none."""
    names = ("data_interval_start", "data_interval_end")
    start, end = (run.get(n) if isinstance(run, Mapping) else getattr(run, n, None) for n in names)
    if not start or not end or start == end:
        return 0, 0
    moments = (datetime.fromisoformat(one) if isinstance(one, str) else one for one in (start, end))
    first, last = (to_millis(one) for one in moments)
    return first, last


def _message(event: Event, dag_id: str, run_id: str, incident: Incident) -> Message:
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    window = str(Window(incident.start, incident.end)) if incident.end else ""
    cause = incident.cause
    if event == "recovered" and incident.repeats:
        cause = f"{cause} ({incident.repeats} more runs met it)"
    link = f"{base}/dags/{dag_id}/runs/{run_id}" if base else ""
    return Message(event, dag_id, run_id, window, cause, incident.since, link)
