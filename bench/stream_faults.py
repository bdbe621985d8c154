"""Kill the main job at every step and see that nothing is lost: stream to OSS through random histories.

``python bench/stream_faults.py --schedules N --seed S [--only K] [--minutes M] [--no-backfill] [--verbose]``

A schedule is a random history of a table (writes, shard splits and merges, clocks that step back, empty pages,
trimmed logs) and of a job that follows it window by window in processes of its own, which are killed (-9) at
chosen requests, meet lost replies, throttling, damage and outages, run twice at once, and are run again. At the
end an independent reader compares the objects with the source's log. Then a day of 288 windows is run in random
order, partly twice.

The last line is one JSON object; the exit code is 1 if anything was lost, duplicated, out of order or otherwise
not as it must be.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

from faults.backfill import run_backfill
from faults.oracle import Findings
from faults.play import Schedule
from faults.task import preload
from faults.world import World, local_cloud


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the schedules, print a table of the kills and the verdict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="play this one schedule alone")
    parser.add_argument("--minutes", type=float, help="begin no schedule after this time")
    parser.add_argument("--no-backfill", action="store_true", help="leave the day of 288 windows out")
    parser.add_argument("--verbose", action="store_true", help="say what happens")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    total = Findings()
    numbers = range(options.schedules) if options.only is None else [options.only]
    played = windows = 0
    preload()
    gc.freeze()  # forked processes share what is loaded by now
    with local_cloud() as world:
        for number in numbers:
            if options.minutes is not None and time.monotonic() - began > options.minutes * 60:
                break
            schedule = Schedule(world, options.seed, number, print if options.verbose else _silent)
            started = time.monotonic()
            findings = schedule.play()
            _tell(number, findings, time.monotonic() - started, verbose=options.verbose)
            total.add(findings)
            played += 1
            windows += schedule.windows
        backfilled = 0
        if not options.no_backfill and options.only is None:
            findings, backfilled = run_backfill(world, options.seed)
            _tell("backfill", findings, 0.0, verbose=options.verbose)
            total.add(findings)
    _print_kills(world)
    verdict = {
        "schedules": played,
        **total.counts(),
        "kills": world.kills.total(),
        "faults_fired": world.faults.total(),
        "windows": windows,
        "backfill_windows": backfilled,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(verdict))
    return 0 if total.good else 1


def _silent(_text: str) -> None:
    """Say nothing."""


def _tell(number: int | str, findings: Findings, seconds: float, *, verbose: bool) -> None:
    if verbose or not findings.good:  # say it at once, a run takes minutes
        wrong = {name: count for name, count in findings.counts().items() if count}
        print(f"schedule {number}: {wrong or 'good'} in {seconds:.1f} s")
        for note in findings.notes:
            print(f"  {note}")
        sys.stdout.flush()


def _print_kills(world: World) -> None:
    operations = sorted({operation for operation, _ in world.kills})
    times = ("before", "after", "late", "timer")
    print(f"{'killed at':40}" + "".join(f"{when:>8}" for when in times))
    for operation in operations:
        print(f"{operation:40}" + "".join(f"{world.kills[operation, when]:8}" for when in times))
    faults: Counter[str] = world.faults
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))


if __name__ == "__main__":
    sys.exit(main())
