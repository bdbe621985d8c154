"""The fault bench finds nothing wrong, and would find it: a few kills here, many by hand."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "migration_faults.py"


def test_killed_at_random_writes_nothing_is_wrong_missing_or_left() -> None:
    command = [sys.executable, str(BENCH), "--objects", "600", "--kills", "6", "--seed", "3"]
    command += ["--large", "1", "--large-mb", "12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout.splitlines()[-1])
    assert verdict["objects"] == 601
    assert verdict["kills"] >= 4
    names = ("wrong", "missing", "extra", "error_list_wrong", "uploads_left", "crashes")
    assert {name: verdict[name] for name in names} == dict.fromkeys(names, 0)
    assert verdict["copied_twice"] <= verdict["copied_twice_allowed"]
    assert verdict["retried"] == verdict["failed_on_purpose"] / 2
