"""The local Tablestore and OSS in a process of their own, with a switch that kills a client at a chosen request.

Control routes on the Tablestore's port, beside those that every local service has:

===================== ======================================================================================
``POST kills``        ``{"worker", "pid", "operation", "skip", "when", "delay"}``: when the client that signs as
                      ``worker`` has made ``skip`` matching requests and sends one more, ``SIGKILL`` to ``pid``.
                      ``operation`` is ``service.Name``; ``when`` is ``before`` (the request has no effect),
                      ``after`` (it has, and nobody hears of it) or ``late`` (it has, ``delay`` seconds after the
                      client's death)
``DELETE kills``      disarm; answers what has fired since the last time
``GET kills``         ``{"pending"}``: late requests that are still on their way
===================== ======================================================================================
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sync.localcloud.control import Control
from airflow_provider_sync.localcloud.http import Request, Response, Server
from airflow_provider_sync.localcloud.oss import routes
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.oss.wire import Addressing
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService

_WORKER = re.compile(r"Credential=([^/,]+)/")


@dataclass(slots=True)
class Rule:
    """One armed kill; ``process`` is a file descriptor that can't come to mean another process."""

    worker: str
    operation: str
    skip: int
    when: str
    delay: float
    process: int


@dataclass(slots=True)
class KillSwitch:
    """The armed kills of both services."""

    rules: list[Rule] = field(default_factory=list)
    fired: list[dict[str, str]] = field(default_factory=list)
    pending: int = 0

    def arm(self, data: dict[str, Any]) -> None:
        """Add a rule."""
        process = os.pidfd_open(data["pid"])
        self.rules.append(
            Rule(data["worker"], data["operation"], data["skip"], data["when"], data["delay"], process)
        )

    def disarm(self) -> list[dict[str, str]]:
        """Forget all rules, return what they did."""
        for rule in self.rules:
            os.close(rule.process)
        self.rules.clear()
        fired, self.fired = self.fired, []
        return fired

    def rule_for(self, worker: str, operation: str) -> Rule | None:
        """Return the rule that this request sets off."""
        for rule in self.rules:
            if (rule.worker, rule.operation) == (worker, operation):
                if rule.skip == 0:
                    self.rules.remove(rule)
                    return rule
                rule.skip -= 1
        return None

    def kill(self, rule: Rule) -> None:
        """End the client, at once and without asking it."""
        signal.pidfd_send_signal(rule.process, signal.SIGKILL)
        os.close(rule.process)
        self.fired.append({"operation": rule.operation, "when": rule.when})


class WatchedService:
    """A service whose requests pass the switch first."""

    def __init__(self, service: TablestoreService | OssService, switch: KillSwitch) -> None:
        self.name = service.name
        self.control = service.control
        self._service = service
        self._switch = switch
        self._addressing = Addressing()

    def reset(self) -> None:
        """Forget all data."""
        self._service.reset()

    def on_control(self, method: str, route: str, body: bytes) -> object | None:
        """Serve the switch's routes, then the service's own."""
        match method, route:
            case "POST", "kills":
                self._switch.arm(json.loads(body))
                return {}
            case "DELETE", "kills":
                return self._switch.disarm()
            case "GET", "kills":
                return {"pending": self._switch.pending}
            case _:
                return self._service.on_control(method, route, body)

    async def handle(self, request: Request) -> Response:
        """Answer one request, or kill who sent it."""
        rule = None
        if self._switch.rules:
            rule = self._switch.rule_for(_worker(request), f"{self.name}.{self._operation(request)}")
        if rule is None:
            return await self._service.handle(request)
        if rule.when == "after":
            await self._service.handle(request)
        self._switch.kill(rule)
        if rule.when == "late":
            self._switch.pending += 1
            await asyncio.sleep(rule.delay)
            await self._service.handle(request)
            self._switch.pending -= 1
        return Response(drop=True)

    def _operation(self, request: Request) -> str:
        if self.name == "tablestore":
            return request.path.strip("/")
        try:
            return routes.identify(self._addressing.parse(request))
        except OssError:
            return ""


def _worker(request: Request) -> str:
    found = _WORKER.search(request.headers.get("Authorization", ""))
    return found[1] if found else request.headers.get("x-ots-accesskeyid", "")


async def serve(keys: dict[str, str]) -> None:
    """Serve until standard input ends; first print ``{"tablestore": url, "oss": url}``."""
    switch = KillSwitch()
    tablestore = TablestoreService(keys)
    # One clock for both: set on either port, it moves both.
    oss = OssService(keys, control=Control(clock=tablestore.control.clock))
    servers = [Server(WatchedService(one, switch)) for one in (tablestore, oss)]
    runners = [await server.serve() for server in servers]
    sys.stdout.write(json.dumps({server.service.name: server.url for server in servers}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for runner in runners:
        await runner.cleanup()


if __name__ == "__main__":
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # requests of the killed break off
    asyncio.run(serve(dict.fromkeys(sys.argv[1:], "secret")))
