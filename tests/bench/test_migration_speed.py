"""The bench says what it promises to say; how fast anything is, is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "migration_speed.py"
SUBJECTS = {
    "rclone_s3_to_s3",
    "ours_s3_to_s3",
    "ours_s3_to_s3_two_workers",
    "ours_s3_to_oss",
    "ours_s3_to_oss_two_workers",
    "ours_s3_to_far_oss",
    "ours_s3_to_far_oss_two_workers",
    "ours_s3_to_folder",
}
KEYS = {"name", "objects_s", "mb_s", "cpu_ms", "cpu_s", "seconds", "peak_mb", "ratio", "ratio_to"}


def test_every_subject_has_its_line_and_its_ratio() -> None:
    command = [sys.executable, str(BENCH), "--objects", "60", "--large", "2", "--large-mb", "17"]
    command += ["--keys", "5000", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    plan = lines.pop("plan")
    assert {name.removeprefix("small_") for name in lines} >= SUBJECTS
    assert {name.removeprefix("large_") for name in lines} >= SUBJECTS
    assert all(set(line) == KEYS for line in lines.values())
    for kind in ("small", "large"):
        assert lines[f"{kind}_ours_s3_to_s3"]["ratio_to"] == f"{kind}_rclone_s3_to_s3"
        assert lines[f"{kind}_ours_s3_to_s3"]["ratio"] > 0
    assert plan["keys"] >= 5000
    assert plan["to_move"] == plan["keys"] // 2
    assert plan["tasks"] == 1
    assert plan["peak_mb"] >= plan["base_mb"] > 0
