import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "bench" / "stream_faults.py"
ZERO = (
    "lost",
    "duplicated",
    "out_of_order",
    "misplaced",
    "orphan_uploads",
    "partial_manifests",
    "unlisted_objects",
    "changed_windows",
    "skipped_windows",
    "missing_windows",
    "unexpected_failures",
)


def run(*arguments: str) -> tuple[int, dict, str]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False, timeout=280
    )
    *before, last = done.stdout.splitlines()
    return done.returncode, json.loads(last), "\n".join(before) + done.stderr


@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_out_of_order_whatever_kills_the_job():
    code, verdict, said = run("--schedules", "6", "--seed", "11", "--no-backfill")
    assert {name: verdict[name] for name in ZERO} == dict.fromkeys(ZERO, 0), said
    assert code == 0, said
    assert verdict["schedules"] == 6
    assert verdict["kills"] > 5
    assert verdict["faults_fired"] > 5
    assert verdict["windows"] > 30


def test_the_same_seed_draws_the_same_schedule():
    settings = [run("--only", "3", "--seed", "11", "--verbose")[2].splitlines()[0] for _ in range(2)]
    assert settings[0] == settings[1]
    assert "Settings(" in settings[0]
