"""What tests may do beside the API, under ``/_control``.

=============================  ==========================================================================
``POST /_control/options``     set fields of :class:`.store.Options`; answers with all of them
``POST /_control/outcomes``    one :class:`.store.Outcome` or a list; ``DELETE`` removes all. First match decides
``POST /_control/file_system`` ``{"id", "version", "status", "description"}``: make or change one
``POST /_control/ids``         a list of what the next ids end in, so that one can be a part of another
``POST /_control/sts``         ``{"access_key_id", "access_key_secret", "token"}``: a temporary key
``GET /_control/moves``        every file that was moved, in order: ``{"id", "source", "target", "bytes"}``; 0 = skipped
``GET /_control/calls``        operations served: ``{"operation", "token", "status", "at"}``
``GET /_control/subtasks``     every subtask as described now, hidden or not
=============================  ==========================================================================
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import asdict, fields
from typing import Any

from airflow_provider_sync.localcloud.control import Clock, ControlError
from airflow_provider_sync.localcloud.nas.moving import settle
from airflow_provider_sync.localcloud.nas.store import Options, Outcome, Store
from airflow_provider_sync.localcloud.nas.wire import Verifier

__all__ = ["Knobs"]

_CALLS = 100_000


class Knobs:
    """Serves the control routes of one service and keeps its call log."""

    def __init__(self, store: Store, verifier: Verifier, clock: Clock) -> None:
        self.calls: deque[dict[str, Any]] = deque(maxlen=_CALLS)
        self._store = store
        self._verifier = verifier
        self._clock = clock

    def run(self, method: str, route: str, body: bytes) -> object | None:
        """Serve one route; None if there is no such one."""
        match method, route:
            case "GET", "moves":
                settle(self._store, self._clock.now())
                return list(self._store.moves)
            case "GET", "calls":
                return list(self.calls)
            case "GET", "subtasks":
                return self._subtasks()
            case "DELETE", "outcomes":
                self._store.outcomes.clear()
                return {"outcomes": 0}
            case "POST", "options" | "outcomes" | "file_system" | "ids" | "sts":
                return dict(getattr(self, f"_{route}")(json.loads(body or b"{}")))
            case _:
                return None

    def _subtasks(self) -> list[dict[str, Any]]:
        now = self._clock.now()
        settle(self._store, now)
        return [
            {
                "id": one.subtask_id,
                "source": one.source,
                "target": one.target,
                "status": one.timeline.state(now),
            }
            for one in self._store.subtasks.values()
        ]

    def _options(self, data: dict[str, Any]) -> dict[str, Any]:
        _check_fields(data, Options)
        for name, value in data.items():
            setattr(self._store.options, name, value)
        self._verifier.max_skew = self._store.options.max_skew_seconds
        return asdict(self._store.options)

    def _outcomes(self, data: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
        for item in data if isinstance(data, list) else [data]:
            _check_fields(item, Outcome)
            outcome = Outcome(**item)
            try:
                re.compile(outcome.path)
            except re.error as error:
                raise ControlError(f"path is not a regular expression: {error}") from error
            self._store.outcomes.append(outcome)
        return {"outcomes": len(self._store.outcomes)}

    def _file_system(self, data: dict[str, Any]) -> dict[str, Any]:
        system = self._store.add_file_system(str(data["id"]), self._clock.now())
        for name in ("version", "status", "description"):
            if name in data:
                setattr(system, name, str(data[name]))
        return asdict(system)

    def _ids(self, data: list[str]) -> dict[str, Any]:
        self._store.next_ids.extend(data)
        return {"ids": len(self._store.next_ids)}

    def _sts(self, data: dict[str, Any]) -> dict[str, Any]:
        key = str(data["access_key_id"])
        self._verifier.keys[key] = str(data["access_key_secret"])
        self._verifier.tokens[key] = str(data["token"])
        return {"access_key_id": key}


def _check_fields(data: dict[str, Any], kind: type[Options | Outcome]) -> None:
    known = {one.name for one in fields(kind)}
    if set(data) - known:
        raise ControlError(f"expected an object with fields of {', '.join(sorted(known))}")
