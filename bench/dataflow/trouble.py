"""Kills what runs the DAG: processes of tasks, and the triggerer, which is then started again."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["Trouble"]

# Airflow names the process of a task by the id of the task instance.
_NAMES = {
    "task": re.compile(r"airflow worker -- [0-9a-f]{8}-[0-9a-f-]{27}"),
    "triggerer": re.compile(r"triggerer\s*$"),
}


class Trouble:
    """Kills at random times, with a pause of ``pause`` seconds (at least, at most) between two kills."""

    def __init__(
        self,
        rng: random.Random,
        environment: Mapping[str, str],
        log: Path,
        *,
        most: Mapping[str, int],
        pause: tuple[float, float],
        say: Callable[[str], None],
    ) -> None:
        self.kills: Counter[str] = Counter()
        self._rng = rng
        self._environment = environment
        self._log = log
        self._most = most
        self._pause = pause
        self._say = say
        self._next = time.monotonic() + rng.uniform(*pause)
        self._triggerer: subprocess.Popen[bytes] | None = None

    def maybe(self) -> None:
        """Kill something if it is time."""
        if time.monotonic() < self._next:
            return
        kinds = [kind for kind, most in self._most.items() if self.kills[kind] < most]
        kinds = [kind for kind in kinds if self._victims(kind)]
        if not kinds:
            return
        self._next = time.monotonic() + self._rng.uniform(*self._pause)
        kind = self._rng.choice(kinds)
        victims = self._victims(kind)
        if not victims:
            return
        chosen = victims if kind == "triggerer" else [self._rng.choice(victims)]
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.kills[kind] += 1
        self._say(f"killed {kind}: {len(chosen)} processes")
        if kind == "triggerer":
            self._restart()

    def end(self) -> None:
        """Stop the triggerer that was started here."""
        if self._triggerer is not None:
            self._triggerer.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._triggerer.wait(10)
            self._triggerer.kill()
            self._triggerer.wait()

    def _restart(self) -> None:
        if self._triggerer is not None:
            self._triggerer.wait()
        airflow = str(Path(sys.executable).with_name("airflow"))
        with self._log.open("ab") as log:
            self._triggerer = subprocess.Popen(
                [airflow, "triggerer"], env=dict(self._environment), stdout=log, stderr=log
            )

    def _victims(self, kind: str) -> list[psutil.Process]:
        """Return the processes of tasks, or the triggerer with its children, below this process."""
        found = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if _NAMES[kind].search(" ".join(process.cmdline())):
                    found.append(process)
        return found
