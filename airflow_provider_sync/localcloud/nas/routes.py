"""Which operation runs what, once only for each client token, and no faster than the quotas."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from airflow_provider_sync.localcloud.nas import flow_routes, rules, subtask_routes, task_routes
from airflow_provider_sync.localcloud.nas.errors import NasError
from airflow_provider_sync.localcloud.nas.moving import settle
from airflow_provider_sync.localcloud.nas.store import Options, Store
from airflow_provider_sync.localcloud.nas.wire import Call

__all__ = ["Quotas", "identify", "run"]

_HANDLERS: dict[str, Callable[[Store, Call, float], dict[str, Any]]] = {
    **flow_routes.HANDLERS,
    **task_routes.HANDLERS,
    **subtask_routes.HANDLERS,
}
_OF_SUBTASKS = frozenset(subtask_routes.HANDLERS)


def identify(call: Call) -> str:
    """Return the operation's name; refuse one that is not served."""
    if call.action not in _HANDLERS:
        message = "Specified api is not found, please check your url and method."
        raise NasError(404, "InvalidAction.NotFound", message)
    return call.action


def run(store: Store, call: Call, now: float) -> dict[str, Any]:
    """Run one operation and return its answer.

    Documented: the same client token with the same parameters repeats the first answer, with others it is refused,
    and one that was refused may be used again. How long tokens are kept is unknown: for ever here. A dry run keeps
    nothing.
    """
    settle(store, now)
    token = call.text("ClientToken")
    if not token:
        return _HANDLERS[call.action](store, call, now)
    rules.check_token(token)
    params = {name: value for name, value in call.params.items() if name not in {"ClientToken", "DryRun"}}
    key = (call.action, token)
    known = store.tokens.get(key)
    if known is not None:
        if known[0] != params:
            raise NasError.token_mismatch()
        return known[1]
    answer = _HANDLERS[call.action](store, call, now)
    if not call.flag("DryRun"):
        store.tokens[key] = (params, answer)
    return answer


class Quotas:
    """The documented rates: each subtask operation 100 times in a second, each other one 120 times in a minute."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = {}

    def take(self, action: str, options: Options, now: float) -> None:
        """Count a call; Throttling.User when there were too many (that code for it is not documented)."""
        subtasks = action in _OF_SUBTASKS
        most = options.subtask_calls_per_second if subtasks else options.other_calls_per_minute
        if most is None:
            return
        calls = self._calls.setdefault(action, deque())
        while calls and calls[0] <= now - (1.0 if subtasks else 60.0):
            calls.popleft()
        if len(calls) >= most:
            raise NasError.throttled()
        calls.append(now)

    def reset(self) -> None:
        """Forget all calls."""
        self._calls.clear()
