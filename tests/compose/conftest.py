from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.compose.stack import ROOT, Stack

SLICES, PER_TASK = 6, 10
"""More slices than a worker takes at once (4), so that two workers share them."""

# A worker that fell silent is given up soon, where the default is five minutes.
QUICK = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


@pytest.fixture(scope="session")
def started() -> Iterator[Stack]:
    """Start all default services, with more DAGs beside the sample: they wait for the tests that kill a worker."""
    folder = Path(tempfile.mkdtemp(prefix="sync-compose-"))
    folder.chmod(0o711)  # the database runs as another user, and passes through
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags", dags)
    _write_killed(dags)
    _write_moved(dags)
    with Stack(folder / "services", {"./dags": dags}, QUICK) as running:
        running.wait_for(
            lambda: {"ots_stream_to_oss", "killed", "moved"} <= _read(running), "the DAGs to be read"
        )
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def stack(started: Stack) -> Stack:
    """Return the services with all workers alive, whatever the test before has done to them."""
    started.revive()
    return started


def _read(stack: Stack) -> set[str]:
    return {one["dag_id"] for one in stack.call("GET", "/api/v2/dags")["dags"]}


def _write_killed(dags: Path) -> None:
    text = (dags / "ots_stream_to_oss.py").read_text()
    # Three windows are due at once, whatever the clock says, and the history has them all.
    first = (datetime.now(UTC) - timedelta(minutes=25)).isoformat()
    for old, new in (
        (r'"ots_stream_to_oss"', '"killed"'),
        (r'"tablestore/orders"', '"tablestore/killed"'),
        (r'fromisoformat\("[^"]*"\)', f'fromisoformat("{first}")'),
        (r'"retry_delay": timedelta\(minutes=2\)', '"retry_delay": timedelta(seconds=2)'),
    ):
        text, count = re.subn(old, new, text)
        assert count == 1, old
    (dags / "killed.py").write_text(text)


def _write_moved(dags: Path) -> None:
    text = (dags / "migrate_once.py").read_text()
    # One thread lists, so that the tasks are in the order of the names.
    options = {"task_object_count": PER_TASK, "scan_threads": 1}
    for old, new in (
        ('"migrate_once"', '"moved"'),
        (
            '"type": "oss", "bucket": "photos", "prefix": ""',
            '"type": "oss", "bucket": "demo", "prefix": "moved/"',
        ),
        ("oss://sync-state/", "oss://demo/state/"),
        ("slices=64", f"slices={SLICES}"),
        ('verify="checksum"', f'verify="checksum", options={options}'),
        ("timedelta(minutes=2)", "timedelta(seconds=2)"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (dags / "moved.py").write_text(text)
