from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.compose.stack import ROOT, Stack

# A worker that fell silent is given up soon, where the default is five minutes.
QUICK = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Start all default services, with a second DAG beside the sample: it waits for the test that kills a worker."""
    folder = Path(tempfile.mkdtemp(prefix="sync-compose-"))
    folder.chmod(0o711)  # the database runs as another user, and passes through
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags", dags)
    _write_killed(dags)
    with Stack(folder / "services", {"./dags": dags}, QUICK) as running:
        yield running
    shutil.rmtree(folder)


def _write_killed(dags: Path) -> None:
    text = (dags / "ots_stream_to_oss.py").read_text()
    first = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
    for old, new in (
        (r'"ots_stream_to_oss"', '"killed"'),
        (r'"tablestore/orders"', '"tablestore/killed"'),
        (r'fromisoformat\("[^"]*"\)', f'fromisoformat("{first}")'),
        (r'"retry_delay": timedelta\(minutes=2\)', '"retry_delay": timedelta(seconds=2)'),
    ):
        text, count = re.subn(old, new, text)
        assert count == 1, old
    (dags / "killed.py").write_text(text)
