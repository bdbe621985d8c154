"""One schedule: a history, a job that runs every window through kills and faults, and the verdict."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_provider_sync.spec.window import Window
from faults.history import FURTHEST_BACK, History
from faults.oracle import Findings, Source, check_manifests, judge
from faults.settings import Settings
from faults.task import Child, Outcome, Task, start
from faults.trouble import BROKEN, draw_faults, draw_kill, may_fail
from faults.world import WORKERS, World

__all__ = ["START", "Schedule"]

START = 1_790_000_100  # a multiple of 300 seconds, whatever the day
_RETRIES = 3


@dataclass(frozen=True)
class _Try:
    """What happens to one process: a kill at a request, or after some seconds, or faults."""

    kill: dict[str, Any] | None = None
    after: float | None = None
    faults: Sequence[dict[str, Any]] = ()

    @property
    def deadly(self) -> bool:
        return self.kill is not None or self.after is not None


class Schedule:
    """Plays one schedule, the same one for the same seed and number but for real timing."""

    def __init__(self, world: World, seed: int, number: int, say: Callable[[str], None]) -> None:
        self._chance = random.Random(f"{seed}:{number}")
        self._say = say
        self.settings = Settings.draw(self._chance)
        self._findings = Findings()
        self._world = world
        self._seen: dict[str, Any] = {}
        self._committed: set[Window] = set()
        self._dirty: set[Window] = set()
        self._oldest = 0
        self.windows = 0

    def play(self) -> Findings:
        """Play it; everything is over when this returns."""
        world, settings = self._world, self.settings
        self._say(f"  {settings}")
        with tempfile.TemporaryDirectory(dir=world.folder) as folder:
            self._world = world = replace(world, folder=Path(folder))
            world.real_time()
            world.reset(START + 1)
            world.control("tablestore", "POST", "options", settings.stream)
            self._history = History(
                world, self._chance, stream_hours=settings.stream_hours, large=settings.large
            )
            try:
                self._live()
                self._finish()
                return self._verdict()
            finally:
                self._history.close()

    def _live(self) -> None:
        """Let time go by; at each due time let happen what the schedule says."""
        settings, chance = self.settings, self._chance
        for _ in range(chance.randint(0, 3)):
            self._history.split()
        for index in range(settings.windows):
            due = START + (index + 1) * settings.width + settings.delay
            moments = sorted(chance.uniform(self._world.now, due) for _ in range(chance.randint(1, 7)))
            for moment in moments:
                self._world.at(moment)
                self._history.event()
            self._world.at(due)
            plots = [
                self._calm,
                self._killed,
                self._killed,
                self._killed,
                self._outage,
                self._broken,
                self._twins,
            ]
            plot = chance.choice(plots)
            if plot == self._outage and not index:
                plot = self._broken  # a job begins with its first run, whatever becomes of that
            own = self._window(index)
            self._say(f"  {own.label}: {plot.__name__.strip('_')}")
            plot(own)
            if chance.random() < 0.3:
                self._again()
            if chance.random() < 0.2:
                self._trim(index)

    # ── what may happen to a run ─────────────────────────────────────────────────────────────────────────

    def _calm(self, own: Window) -> None:
        self._until_done(own, [self._faulty()])

    def _killed(self, own: Window) -> None:
        tries = [self._deadly() for _ in range(self._chance.randint(1, 3))]
        self._until_done(own, [*tries, self._faulty()])

    def _outage(self, own: Window) -> None:
        """Nobody runs; the next one that is due has to."""

    def _broken(self, own: Window) -> None:
        fault = {**self._chance.choice(BROKEN), "count": -1}
        outcome = self._run(own, _Try(faults=[fault]))
        # A growing object takes no part of a window without rows: nothing may have been refused.
        if outcome.ok and self._world_faults_fired:
            self._wrong(f"{own.label} succeeded although {fault} fired")

    def _twins(self, own: Window) -> None:
        """Two runs of the same window at once, perhaps one of them dying."""
        tries = [self._faulty(), self._deadly() if self._chance.random() < 0.3 else _Try()]
        outcomes = self._together(
            [(one, self._runner(own, heal=True, advance=True)) for one in tries], own, contended=True
        )
        if not any(outcome.ok for outcome in outcomes):
            self._until_done(own, [_Try()])

    def _again(self) -> None:
        """Clear and rerun an old window, perhaps beside nobody, perhaps dying on the way."""
        candidates = sorted(one for one in self._committed if self._index(one) >= self._oldest)
        if candidates:
            own = self._chance.choice(candidates)
            tries = [self._deadly()] if self._chance.random() < 0.5 else []
            self._say(f"    again: {own.label}")
            self._until_done(own, [*tries, self._faulty()], alone=True)

    def _trim(self, index: int) -> None:
        """Let retention pass what no run will ask for again."""
        done = 0
        while self._window(done) in self._committed:
            done += 1
        oldest = min([done, *(self._index(one) for one in self._dirty)])
        if 0 < oldest <= index + 1:
            self._oldest = max(self._oldest, oldest)
            start = START + oldest * self.settings.width
            self._history.trim(start - FURTHEST_BACK - 120, closed_before=start)

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────

    def _until_done(self, own: Window, tries: Sequence[_Try], *, alone: bool = False) -> None:
        """Try as Airflow does: until it worked, with no trouble left at last."""
        for one in [*tries, *[_Try()] * _RETRIES]:
            mapped = self.settings.mapped and not alone
            outcome = self._mapped(own, one) if mapped else self._run(own, one, alone=alone)
            if outcome.ok:
                return
        self._wrong(f"{own.label} was never done")

    def _run(self, own: Window, one: _Try, *, alone: bool = False) -> Outcome:
        runner = self._runner(own, heal=not alone, advance=not alone)
        return self._together([(one, runner)], own, alone=alone)[0]

    def _runner(self, own: Window, *, heal: bool, advance: bool) -> Callable[[Task], Any]:
        return lambda task: task.run(own, heal=heal, advance=advance)

    def _mapped(self, own: Window, one: _Try) -> Outcome:
        """Plan, copies side by side, commit: each a process, each retried alone; one of them meets the trouble."""
        victim = self._chance.choice(("plan", "copy", "commit"))
        step = self._steps(own, {victim: one})
        planned = step("plan", [lambda task: task.plan(own)])
        if planned is None:
            return Outcome("failed")
        plan = planned[0]["planned"]
        copies = [lambda task, index=index: task.copy(plan, index) for index in range(len(plan["splits"]))]
        results = step("copy", copies)
        if results is None:
            return Outcome("failed")
        committed = step("commit", [lambda task: task.commit(plan, results)])
        return Outcome("failed") if committed is None else Outcome("ok")

    def _steps(
        self, own: Window, trouble: dict[str, _Try]
    ) -> Callable[[str, Sequence[Callable[[Task], Any]]], list[Any] | None]:
        def step(name: str, works: Sequence[Callable[[Task], Any]]) -> list[Any] | None:
            results: list[Any] = [None] * len(works)
            left = list(range(len(works)))
            one = trouble.get(name, _Try())
            for _ in range(1 + _RETRIES):
                outcomes = self._together([(one if i == left[0] else _Try(), works[i]) for i in left], own)
                for index, outcome in zip(list(left), outcomes, strict=True):
                    if outcome.ok:
                        results[index] = outcome.result
                        left.remove(index)
                if not left:
                    return results
                if any(outcome.error == "BoundaryMovedError" for outcome in outcomes):
                    return None
                one = _Try()
            return None

        return step

    def _together(
        self,
        tasks: Sequence[tuple[_Try, Callable[[Task], Any]]],
        own: Window,
        *,
        alone: bool = False,
        contended: bool = False,
    ) -> list[Outcome]:
        """Run processes side by side, with their troubles, while the source goes on changing."""
        world, chance = self._world, self._chance
        settings = self._settings_now(contended=contended)
        writing = [chance.random() for _ in range(0 if self._over else chance.choice((0, 0, 1, 3)))]
        world.arm([fault for one, _ in tasks for fault in one.faults])
        children: list[Child] = []
        for (one, work), worker in zip(tasks, WORKERS, strict=False):
            task = Task.of(world, settings, worker, chance.getrandbits(32))
            child = start(lambda task=task, work=work: work(task))  # type: ignore[misc]
            if one.kill is not None:
                world.arm_kill(worker, child.pid, one.kill)
            children.append(child)
        for child in children:
            child.release()
        for moment in writing:
            time.sleep(moment * 0.02)
            self._history.event()
        for (one, _), child in zip(tasks, children, strict=False):
            if one.after is not None:
                time.sleep(one.after)
                child.kill()
                world.kills["anywhere", "timer"] += 1
        outcomes = [child.finish() for child in children]
        fired_before = world.faults.total()
        world.disarm()
        self._world_faults_fired = world.faults.total() - fired_before
        for (one, _), outcome in zip(tasks, outcomes, strict=True):
            met = [fault for other, _ in tasks for fault in other.faults]  # whoever they were meant for
            self._note(outcome, replace(one, faults=met), own, contended=contended, alone=alone)
        if chance.random() < 0.5:
            self._inspect()
        return outcomes

    def _settings_now(self, *, contended: bool) -> Settings:
        if self.settings.varied and not contended:
            return self.settings.with_splits(self._chance.randint(1, 3))
        return self.settings

    def _note(self, outcome: Outcome, one: _Try, own: Window, *, contended: bool, alone: bool) -> None:
        """Remember what is done and what is not, and refuse failures that nothing explains."""
        self._say(
            f"    {'alone ' if alone else ''}{one.kill or one.after or ''} {list(one.faults) or ''} → {outcome}"
        )
        if outcome.ok:
            self._committed_by(outcome.result)
            return
        index = self._index(own)
        self._dirty |= (
            {own}
            if alone
            else {
                window
                for window in map(self._window, range(self._oldest, index + 1))
                if window not in self._committed
            }
            | {own}
        )
        lasting = any(fault["count"] == -1 for fault in one.faults)
        explained = {
            "killed": one.deadly,
            "failed": outcome.kind != "unknown"
            and (
                lasting
                or may_fail(one.faults)
                or outcome.error in ("CheckpointConflictError", "BoundaryMovedError")
                or (contended and outcome.kind == "transient")
                or self._after_late
            ),
        }.get(outcome.status, False)
        self._after_late = one.kill is not None and one.kill["when"] == "late"
        if not explained:
            self._wrong(f"{own.label}: {one} ended as {outcome.status}: {outcome.error} {outcome.text}")

    _over = False
    _after_late = False
    _world_faults_fired = 0

    def _committed_by(self, result: Any) -> None:
        reports = result if isinstance(result, list) else result.get("done", [])
        for report in reports:
            window = Window(report["window"]["start"], report["window"]["end"])
            self._committed.add(window)
            self._dirty.discard(window)
            self.windows += 1

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self) -> None:
        """Run what is due without trouble, then what failed and was not made good, then some old windows again."""
        settings, world = self.settings, self._world
        self._over = True
        last = int(world.now - START) // settings.width
        world.at(START + (last + 1) * settings.width + settings.delay)
        self._until_done(self._window(last), [])
        self._world.settle()
        there = check_manifests(world, self._findings)
        for window in map(self._window, range(last + 1)):
            if f"{window.start}-{window.end}" not in there:
                self._findings.skipped_windows += 1
                self._findings.notes.append(f"{window.label}: the runs after it did not make it good")
        for window in sorted(self._dirty):
            self._until_done(window, [], alone=True)
        for window in self._chance.sample(sorted(self._committed), min(2, len(self._committed))):
            if self._index(window) >= self._oldest:
                self._until_done(window, [], alone=True)
        self._last = last
        self._inspect()

    def _verdict(self) -> Findings:
        world = self._world
        source = Source.of(world)
        world.real_time()
        expected = [(one.start, one.end) for one in map(self._window, range(self._last + 1))]
        found = judge(world, self.settings, source, expected, exact=not self._history.stepped_back)
        self._findings.add(found)
        return self._findings

    def _inspect(self) -> None:
        """Look at what readers see: whole windows, and of each window what they saw before."""
        self._world.settle()
        for label, seen in check_manifests(self._world, self._findings).items():
            before = self._seen.setdefault(label, seen)
            if before != seen and not self.settings.varied:
                self._findings.changed_windows += 1
                self._findings.notes.append(f"{label} was {before}, is {seen}")

    def _wrong(self, text: str) -> None:
        self._findings.unexpected_failures += 1
        self._findings.notes.append(text)

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────

    def _faulty(self) -> _Try:
        return _Try(faults=draw_faults(self._chance, self.settings))

    def _deadly(self) -> _Try:
        faults = draw_faults(self._chance, self.settings) if self._chance.random() < 0.3 else []
        if self._chance.random() < 0.15:
            return _Try(after=self._chance.uniform(0, 0.08), faults=faults)
        return _Try(kill=draw_kill(self._chance, self.settings), faults=faults)

    def _window(self, index: int) -> Window:
        width = self.settings.width * 1000
        return Window(START * 1000 + index * width, START * 1000 + (index + 1) * width)

    def _index(self, window: Window) -> int:
        return (window.start - START * 1000) // (self.settings.width * 1000)
