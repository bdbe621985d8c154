"""Move files by subtasks in a real Airflow while its workers and its triggerer are killed.

``python bench/dataflow_faults.py --subtasks N --seed S [--kills K] [--seconds T] [--home DIR]``

One DAG run has N files moved by the local NAS in mapped tasks, with lost replies and failing calls; meanwhile
processes of tasks and the triggerer are killed (-9) at random times. Beside them a probe measures how long the
triggerer's event loop is held up: ``max_loop_late_ms`` in all, ``max_loop_block_ms`` without the time that it had no
processor because the machine was busy.

The last line is one JSON object: ``files, imported_once, lost, doubled, max_slots_while_waiting,
max_loop_block_ms`` and more; the exit code is 1 if a file was lost or moved twice, a worker was held by waiting, the
service was asked more often than its quotas allow, the event loop was blocked for more than 100 ms, or any of it was
not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataflow import ROOT
from dataflow.trouble import Trouble
from dataflow.world import KEY, SECRET, Files, Nas, Slots, write_dag

from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from tests.airflow.standalone import Dag, Standalone

_LOOP_BUDGET_MS = 100.0
_LEAST_LOOKS = 500  # at the loop, a hundred a second: with fewer the probe has not run
_GROUPS = 4
_RATE = 15.0  # calls a second of each mapped task: four of them and the triggerer stay below the service's hundred


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the verdict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subtasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=8, help="of tasks; half as many of the triggerer")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long the slowest files take")
    parser.add_argument("--limit", type=float, default=900.0, help="give up after so many seconds")
    parser.add_argument("--home", type=Path, help="keep Airflow's folder here")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        verdict = _run(options, options.home or Path(folder))
    good = (
        verdict["imported_once"] == verdict["files"]
        and not verdict["lost"]
        and not verdict["doubled"]
        and not verdict["unasked"]
        and not verdict["max_slots_while_waiting"]
        and verdict["state"] == "success"
        and verdict["max_subtask_calls_per_second"] <= 100
        and verdict["max_other_calls_per_minute"] <= 120
        and verdict["max_loop_block_ms"] <= _LOOP_BUDGET_MS
        and verdict["samples_while_waiting"] > 0
        and verdict["loop_samples"] > _LEAST_LOOKS
    )
    print(json.dumps(verdict), flush=True)
    return 0 if good else 1


def _run(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    rng = random.Random(options.seed)
    files = Files(options.subtasks, min(_GROUPS, options.subtasks))
    dags, probe = home / "dags", home / "probe"
    for folder in (dags, probe):
        folder.mkdir(parents=True, exist_ok=True)
    with Server(NasService({KEY: SECRET})) as server:
        nas = Nas(server)
        flow, task = nas.prepare(options.seconds, rng, options.subtasks)
        write_dag(dags, files, flow=flow, task=task, probe=probe, rate=_RATE)
        airflow = Standalone(home / "airflow", dags, {"cpfs_default": nas.connection})
        airflow.environment |= {
            "PYTHONPATH": f"{ROOT / 'bench'}{os.pathsep}{ROOT}",
            # A triggerer that was killed is given up by the others after this; the default is 30.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        }
        with airflow.running():
            trouble = Trouble(
                rng,
                airflow.environment,
                home / "triggerer.log",
                most={"task": options.kills, "triggerer": options.kills // 2},
                pause=(2.0, max(3.0, options.seconds / 6)),
                say=_say,
            )
            try:
                state, slots, seconds = _follow(
                    airflow.dag("dataflow_faults"), nas, files, trouble, options.limit
                )
                (probe / "stop").touch()
                time.sleep(3)
            finally:
                trouble.end()
        sleeps, delays = _delays(probe)
        return {
            **nas.verdict(files),
            "max_slots_while_waiting": slots.most,
            "max_loop_block_ms": round(max((late - queued for _, late, queued in delays), default=0.0), 1),
            "loop_samples": sleeps,
            "max_loop_late_ms": max((late for _, late, _ in delays), default=0.0),
            "state": state,
            "seconds": round(seconds, 1),
            "samples_while_waiting": slots.samples,
            **{f"killed_{kind}": count for kind, count in sorted(trouble.kills.items())},
            **nas.rates(),
        }


def _follow(dag: Dag, nas: Nas, files: Files, trouble: Trouble, limit: float) -> tuple[str, Slots, float]:
    """Trigger a run, watch it, and make trouble until its files are moved."""
    dag.pause(paused=False)
    run = dag.trigger()
    slots = Slots(files)
    began, said = time.monotonic(), 0.0
    while (seconds := time.monotonic() - began) < limit:
        trouble.maybe()
        listed = dag.call("GET", f"/dagRuns/{run}/taskInstances?task_id=move&limit=100")["task_instances"]
        states = {
            one["map_index"]: (one["state"], one["try_number"]) for one in listed if one["task_id"] == "move"
        }
        subtasks = nas.subtasks()
        slots.sample(time.monotonic(), subtasks, states)
        if seconds - said > 10:
            said = seconds
            done = sum(one["status"] == "COMPLETE" for one in subtasks)
            _say(f"{seconds:.0f} s: {len(subtasks)} submitted, {done} moved, {sorted(states.items())}")
        found = {state for state, _ in states.values()}
        if found and found <= {"success", "failed", "upstream_failed"}:
            return ("success" if found == {"success"} else "failed"), slots, seconds
        time.sleep(0.5)
    return "unfinished", slots, seconds


def _delays(probe: Path) -> tuple[int, list[tuple[float, float, float]]]:
    """Return how often the probe has slept, in all triggerers, and each sleep that was late."""
    # a triggerer that is killed may leave an empty file
    found = [json.loads(text) for text in (file.read_text() for file in probe.glob("*.json")) if text]
    return sum(one["sleeps"] for one in found), [tuple(late) for one in found for late in one["late"]]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
