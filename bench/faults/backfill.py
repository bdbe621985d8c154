"""A day of five-minute windows, run in random order, partly twice, by two processes at once."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path

from airflow_provider_sync.spec.window import Window
from faults.history import History
from faults.oracle import Findings, Source, check_manifests, judge, visible
from faults.play import START
from faults.settings import Settings
from faults.task import Outcome, Task, start
from faults.trouble import draw_kill
from faults.world import WORKERS, World

__all__ = ["run_backfill"]

_WIDTH = 300
_WINDOWS = 288
_TURN = 24  # windows that one process does
_RUNNERS = 2


def run_backfill(world: World, seed: int) -> tuple[Findings, int]:
    """Return what is wrong, and how many windows were committed, those done twice counted twice."""
    chance = random.Random(f"{seed}:backfill")
    settings = replace(
        Settings.draw(chance),
        width=_WIDTH,
        store="sql",
        form="truncate",
        concurrent=2,
        varied=False,
        mapped=False,
        large=False,
        status=False,
        stream_hours=168,
    )
    with tempfile.TemporaryDirectory(dir=world.folder) as folder:
        world = replace(world, folder=Path(folder))
        world.real_time()
        world.reset(START + 1)
        world.control("tablestore", "POST", "options", {"page_rows": 100})
        history = History(world, chance, stream_hours=168, writes=80)
        try:
            for moment in sorted(chance.uniform(1, _WINDOWS * _WIDTH) for _ in range(500)):
                world.at(START + moment)
                history.event()
        finally:
            history.close()
        world.at(START + _WINDOWS * _WIDTH + 600)
        return _run(world, settings, chance, exact=not history.stepped_back)


def _run(world: World, settings: Settings, chance: random.Random, *, exact: bool) -> tuple[Findings, int]:
    findings = Findings()
    windows = [
        Window((START + index * _WIDTH) * 1000, (START + (index + 1) * _WIDTH) * 1000)
        for index in range(_WINDOWS)
    ]
    queue = windows + chance.sample(windows, _WINDOWS // 4)
    chance.shuffle(queue)
    seen: dict[str, str] = {}
    done = 0
    while queue:
        turns = [queue[at : at + _TURN] for at in range(0, _RUNNERS * _TURN, _TURN)]
        queue = queue[_RUNNERS * _TURN :]
        outcomes = _together(world, settings, chance, [turn for turn in turns if turn])
        for turn, outcome in zip(turns, outcomes, strict=False):
            if outcome.status == "killed":
                queue += turn
            elif outcome.ok:
                done += len(turn)
            else:
                findings.unexpected_failures += 1
                findings.notes.append(f"backfill: {outcome}")
        world.settle()
        for key, checksum in visible(world).items():
            if seen.setdefault(key, checksum) != checksum:
                findings.changed_windows += 1
                findings.notes.append(f"{key} changed")
    check_manifests(world, findings)
    source = Source.of(world)
    world.real_time()
    expected = [(one.start, one.end) for one in windows]
    findings.add(judge(world, settings, source, expected, exact=exact))
    return findings, done


def _together(
    world: World, settings: Settings, chance: random.Random, turns: list[list[Window]]
) -> list[Outcome]:
    children = []
    for turn, worker in zip(turns, WORKERS, strict=False):
        task = Task.of(world, settings, worker, chance.getrandbits(32))
        child = start(lambda task=task, turn=turn: [task.run(one, heal=False, advance=False) for one in turn])  # type: ignore[misc]
        if chance.random() < 0.3:
            kill = draw_kill(chance, settings)
            world.arm_kill(worker, child.pid, {**kill, "skip": kill["skip"] + chance.randint(0, 20)})
        children.append(child)
    for child in children:
        child.release()
    outcomes = [child.finish() for child in children]
    world.disarm()
    return outcomes
