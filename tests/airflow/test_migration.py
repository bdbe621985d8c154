"""The cut-over's DAG in a real Airflow: full, warm up, a person, catch up, while the application writes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import oss2
import pytest

from tests.airflow.conftest import World
from tests.airflow.standalone import Dag, wait_for
from tests.migration.conftest import KEY, SECRET, s3_server

__all__ = ["s3_server"]

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
SHIPPED = Path(__file__).parents[2] / "dags" / "migrate_cutover.py"
BUCKET = "photos-tokyo"


def shipped(world: World, state: Path) -> str:
    """The DAG as it is shipped, with this test's places and fewer slices."""
    text = SHIPPED.read_text()
    for old, new in (
        ('"bucket": "photos", "prefix": ""', '"bucket": "lake", "prefix": "photos/"'),
        ("oss://sync-state/migration/", str(state)),
        ("slices=64", "slices=2"),
        ("slices=16", "slices=2"),
        ('"import_since": T1,', '"import_since": T1, "task_object_count": 20,'),
        ('verify="checksum"', 'verify="checksum", options={"task_object_count": 20}'),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


def state_of(dag: Dag, run_id: str, task: str) -> str:
    return str(dag.call("GET", f"/dagRuns/{run_id}/taskInstances/{task}")["state"])


def test_the_shipped_cut_over_loses_nothing_and_overwrites_nothing(
    world: World, s3_server: Any, tmp_path: Path
) -> None:
    aws = {"endpoint_url": s3_server.url, "region_name": "us-east-1"}
    connection = {"connection_id": "aws_default", "conn_type": "aws", "login": KEY, "password": SECRET}
    world.airflow.call("POST", "/api/v2/connections", {**connection, "extra": json.dumps(aws)})
    before = {f"d/{n:02d}": b"first %d" % n for n in range(50)}
    s3_server.bucket(BUCKET, before)
    (world.airflow.dags / "migrate_cutover.py").write_text(shipped(world, tmp_path / "state"))
    dag = world.airflow.dag("migrate_cutover")
    dag.pause(paused=False)
    run_id = dag.trigger()
    wait_for(lambda: state_of(dag, run_id, "full.report") == "success", 240, "the full copy")
    s3_server.bucket(BUCKET, {"d/01": b"before the switch, warm", "d/new": b"before the switch"})
    wait_for(lambda: state_of(dag, run_id, "switched") == "awaiting_input", 240, "the question")
    late = {"d/02": b"changed late", "d/03": b"changed late, too", "d/late": b"new, and late"}
    s3_server.bucket(BUCKET, late)
    time.sleep(1.1)
    written = {
        "d/03": b"the application's, in OSS",
        "d/late": b"this, too",
        "d/04": b"and this",
        "mine": b"new",
    }
    for key, body in written.items():
        world.lake.bucket.put_object(f"photos/{key}", body)
    path = f"/dagRuns/{run_id}/taskInstances/switched/-1/hitlDetails"
    dag.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
    assert dag.finished(run_id) == "success"
    expected = {
        **before,
        "d/01": b"before the switch, warm",
        "d/new": b"before the switch",
        **late,
        **written,
    }
    listed = [one.key for one in oss2.ObjectIteratorV2(world.lake.bucket, prefix="photos/")]
    found = {key.removeprefix("photos/"): world.lake.bucket.get_object(key).read() for key in listed}
    assert found == expected
    report = dag.xcom(run_id, "catch_up.report")
    assert report["copy"]["failed_objects"] == 0
    counts = report["plan"]["counts"]
    assert sum(count for name, count in counts.items() if "since the switch" in name) >= 2
    mapped = dag.call("GET", f"/dagRuns/{run_id}/taskInstances/full.copy/listMapped")["task_instances"]
    labels = {one["map_index"]: one["rendered_map_index"] for one in mapped}
    assert labels == {0: "slice 1 of 2 · 2 tasks", 1: "slice 2 of 2 · 1 task"}
    full = dag.xcom(run_id, "full.report")
    assert (full["copy"]["copied"], full["verify"]) == (50, {"verified": 50})
