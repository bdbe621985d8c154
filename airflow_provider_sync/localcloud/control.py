"""Test knobs that every local service shares: the clock and the faults, set under ``/_control``.

============================  ===========================================================================
``POST /_control/reset``      forget everything: data, faults, request log, clock
``POST /_control/clock``      ``{"now": s}`` freezes, ``{"offset": s}`` shifts, ``{}`` is real time; seconds
``POST /_control/faults``     one rule or a list of them, see :class:`Fault`; ``DELETE`` removes all
``GET /_control/requests``    operations served so far: ``[{"operation", "status", "fault"}]``
``GET /_control/faults``      rules that are still armed, with how often each one fired
============================  ===========================================================================

Services add routes of their own (seed, shard split …) beside these.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["Clock", "Control", "ControlError", "Fault"]

ACTIONS = ("error", "throttle", "drop_before", "lost_reply", "cut", "delay", "wrong_crc", "duplicate")
_LOG_LENGTH = 100_000


class ControlError(Exception):
    """A control request that makes no sense; answered as 400 with this text."""


@dataclass(slots=True)
class Clock:
    """Seconds since the epoch: real, shifted, or frozen."""

    offset: float = 0.0
    frozen: float | None = None

    def now(self) -> float:
        """Return the service's idea of the time, in seconds."""
        return self.frozen if self.frozen is not None else time.time() + self.offset

    def now_us(self) -> int:
        """Return the same in whole microseconds."""
        return int(self.now() * 1_000_000)


@dataclass(slots=True)
class Fault:
    """One armed fault.

    ``operation`` is a regular expression that must match the whole operation name (``GetStreamRecord``,
    ``CompleteMultipartUpload``). The first ``after`` matches pass, the next ``count`` fire (-1: all).
    ``key`` is a regular expression searched in the service's own subject (table, bucket/key); empty matches
    all.

    ============== ===============================================================================
    action         effect
    ============== ===============================================================================
    error          answer ``status`` / ``code`` / ``message`` instead of doing anything
    throttle       the service's own throttling answer, with Retry-After when ``seconds`` is set
    drop_before    close the connection without doing anything
    lost_reply     do it, then close the connection without an answer
    cut            do it, send only ``bytes`` bytes of the answer's body, then close
    delay          wait ``seconds``, then go on normally
    wrong_crc      do it, answer with a wrong checksum
    duplicate      do it twice, answer the second time
    ============== ===============================================================================
    """

    action: str
    operation: str = ".*"
    key: str = ""
    after: int = 0
    count: int = 1
    status: int = 500
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    bytes: int = 0
    fired: int = 0

    def matches(self, operation: str, subject: str) -> bool:
        """Tell whether this fault fires now, and count it."""
        if self.count == 0 or not re.fullmatch(self.operation, operation):
            return False
        if self.key and not re.search(self.key, subject):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.count > 0:
            self.count -= 1
        self.fired += 1
        return True


@dataclass(slots=True)
class Control:
    """The knobs of one service."""

    clock: Clock = field(default_factory=Clock)
    faults: list[Fault] = field(default_factory=list)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))

    def reset(self) -> None:
        """Back to the state after start."""
        self.clock.offset, self.clock.frozen = 0.0, None
        self.faults.clear()
        self.log.clear()

    def fault_for(self, operation: str, subject: str = "") -> Fault | None:
        """Return the first armed fault that fires for this call, or None."""
        return next((fault for fault in self.faults if fault.matches(operation, subject)), None)

    def record(self, operation: str, status: int, fault: Fault | None) -> None:
        """Append one line to the request log."""
        self.log.append({"operation": operation, "status": status, "fault": fault.action if fault else None})

    def handle(self, method: str, route: str, body: bytes) -> object | None:
        """Serve one of the shared routes; None when ``route`` is not one of them (then the service's own)."""
        match method, route:
            case "POST", "clock":
                data = _object(body)
                self.clock.frozen = data.get("now")
                self.clock.offset = float(data.get("offset", 0.0))
                return {"now": self.clock.now()}
            case "POST", "faults":
                data = json.loads(body or b"{}")
                self.faults.extend(_fault(item) for item in (data if isinstance(data, list) else [data]))
                return {"armed": len(self.faults)}
            case "DELETE", "faults":
                self.faults.clear()
                return {"armed": 0}
            case "GET", "faults":
                return [asdict(fault) for fault in self.faults]
            case "GET", "requests":
                return list(self.log)
            case _:
                return None


def _object(body: bytes) -> dict[str, Any]:
    data = json.loads(body or b"{}")
    if not isinstance(data, dict):
        raise ControlError("expected a JSON object")
    return data


def _fault(data: Mapping[str, Any]) -> Fault:
    known = {f.name for f in fields(Fault)} - {"fired"}
    unknown = set(data) - known
    if unknown or data.get("action") not in ACTIONS:
        raise ControlError(
            f"a fault has an action of {', '.join(ACTIONS)} and fields of {', '.join(sorted(known))}"
        )
    return Fault(**data)
