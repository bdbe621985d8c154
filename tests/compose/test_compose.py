from __future__ import annotations

import csv
import json
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

import oss2
import psutil
import pytest

from tests.airflow.standalone import Dag
from tests.compose.stack import PATIENCE, ROOT, Stack, services, started_by_default

COLUMNS = ("order_id", "customer", "amount", "status", "updated_at")
FIVE_MS = 5 * 60 * 1000
WORKERS = ("worker-1", "worker-2")


# The file itself


def test_every_published_port_is_open_to_this_machine_only() -> None:
    ports = [port for one in services().values() for port in one.get("ports", [])]
    assert len(ports) > 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_real_databases_start_only_when_asked_for() -> None:
    asked = set(services()) - set(started_by_default())
    assert asked == {"mariadb", "source-postgres", "mongo", "opensearch", "s3", "ftp"}
    assert all(services()[name]["profiles"] == ["databases"] for name in asked)
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]+", services()[name]["image"]) for name in asked)


def test_the_image_is_of_the_tested_airflow_and_holds_all_that_the_package_is_built_from() -> None:
    tested = re.search(r"^apache-airflow==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert tested is not None
    recipes = {one["build"]["dockerfile_inline"] for one in started_by_default().values() if "build" in one}
    assert len(recipes) == 1
    recipe = recipes.pop()
    assert f"FROM apache/airflow:{tested[1]}-python3.11\n" in recipe
    assert f'"apache-airflow=={tested[1]}"' in recipe
    copied = {
        name for line in re.findall(r"^COPY \S+ (.*) \S+$", recipe, re.MULTILINE) for name in line.split()
    }
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert copied == {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel,
    }


def test_every_default_service_has_a_command_and_waits_only_for_what_is_there() -> None:
    found = started_by_default()
    for name, one in found.items():
        assert "command" in one or name == "postgres", name
        for other, how in one.get("depends_on", {}).items():
            assert other in found, (name, other)
            healthy = how["condition"] == "service_healthy"
            assert (
                ("healthcheck" in found[other])
                if healthy
                else how == {"condition": "service_completed_successfully"}
            )


def test_every_volume_is_declared_and_every_mounted_folder_is_in_the_checkout() -> None:
    declared = {"postgres", "localcloud", "logs", "state"}
    for one in services().values():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in declared


# The services, running


@dataclass
class Shore:
    """What arrived, and what was written, by others' means."""

    stack: Stack
    prefix: str
    bucket: oss2.Bucket = field(init=False)

    def __post_init__(self) -> None:
        auth = oss2.ProviderAuthV4(
            oss2.credentials.StaticCredentialsProvider("localcloud", "localcloud-secret")
        )
        self.bucket = oss2.Bucket(
            auth, self.stack.url(8801), "demo", region="cn-hangzhou", is_path_style=True
        )

    def close(self) -> None:
        self.bucket.session.session.close()

    def manifests(self) -> list[dict[str, Any]]:
        """Return the manifests in the windows' order."""
        found = oss2.ObjectIteratorV2(self.bucket, prefix=f"{self.prefix}/_manifests/")
        read = [json.loads(self.bucket.get_object(one.key).read()) for one in found]
        return sorted(read, key=lambda one: one["window"]["start"])

    def objects(self) -> set[str]:
        """Return all objects that hold rows, whoever lists them."""
        found = oss2.ObjectIteratorV2(self.bucket, prefix=f"{self.prefix}/")
        return {one.key for one in found if "/_" not in one.key.removeprefix(self.prefix)}

    def rows(self, manifests: list[dict[str, Any]]) -> list[list[str]]:
        rows: list[list[str]] = []
        for manifest in manifests:
            for one in manifest["objects"]:
                rows += csv.reader(self.bucket.get_object(one["name"]).read().decode().splitlines())
        return rows

    def written(self, start_ms: int, end_ms: int) -> list[list[str]]:
        """Return the rows of the table's own log: puts and updates, null as text."""
        rows = []
        for shard in self.stack.control("GET", "log?table=orders")["shards"]:
            for record in shard["log"]:
                if start_ms <= record["ts_us"] // 1000 < end_ms and record["action"] != "DELETE":
                    values = dict(record["pk"]) | {cell["name"]: cell["value"] for cell in record["cells"]}
                    rows.append(
                        ["null" if values.get(name) is None else str(values[name]) for name in COLUMNS]
                    )
        return rows

    def assert_everything_once(self, manifests: list[dict[str, Any]]) -> None:
        """Check that the windows tile time, and that all their objects together are what was written, in order."""
        starts = [one["window"]["start"] for one in manifests]
        assert starts == list(range(starts[0], starts[-1] + 1, FIVE_MS))
        rows = self.rows(manifests)
        assert rows == self.written(starts[0], starts[-1] + FIVE_MS)
        assert len(rows) > 90 * len(manifests)  # a hundred changes in each, a few of them deletes
        named = [one["name"] for manifest in manifests for one in manifest["objects"]]
        assert len(named) == len(set(named))
        assert set(named) <= self.objects()


def _taken(stack: Stack, worker: str) -> int:
    return len(re.findall(r"Task \S*execute_workload\[[\w-]+\] received", stack.output(worker)))


@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_the_first_windows_land_and_both_workers_take_part(stack: Stack) -> None:
    shore = Shore(stack, "tablestore/orders")
    # Half an hour of history: five windows were due at the start, or four if the clock stood just so.
    stack.wait_for(lambda: len(shore.manifests()) >= 4, "4 windows")
    shore.assert_everything_once(shore.manifests())
    dag = Dag(stack, "ots_stream_to_oss")  # type: ignore[arg-type]
    assert len(dag.runs()) < 12  # none of the days before the stack was there
    # Which worker takes a task is chance: a few more runs, each of the last window again, until both had one.
    for _ in range(20):
        if all(_taken(stack, worker) for worker in WORKERS):
            break
        assert dag.finished(dag.trigger()) == "success"
    assert all(_taken(stack, worker) for worker in WORKERS)
    shore.assert_everything_once(shore.manifests())
    shore.close()


@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_every_service_stays_up_and_passes_its_health_check(stack: Stack) -> None:
    once = {"init", "history"}
    for name, one in stack.services.items():
        if name in once:
            assert stack.processes[name].poll() == 0
        elif "healthcheck" in one:
            stack.wait_healthy(name)
    assert {name for name, one in stack.services.items() if "healthcheck" not in one} - once == {"traffic"}
    assert stack.processes["traffic"].poll() is None


@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_other_dags_wait_until_they_are_switched_on(stack: Stack) -> None:
    paused = {one["dag_id"]: one["is_paused"] for one in stack.call("GET", "/api/v2/dags")["dags"]}
    assert not paused.pop("ots_stream_to_oss")
    assert paused
    assert all(paused.values())
    assert stack.call("GET", "/api/v2/importErrors")["import_errors"] == []


@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_a_window_is_written_once_though_its_worker_was_killed(stack: Stack) -> None:
    sample = Dag(stack, "ots_stream_to_oss")  # type: ignore[arg-type]
    sample.pause()
    sample.wait(lambda states: not {"running", "queued"} & set(states), "to end", PATIENCE)
    dag, shore = Dag(stack, "killed"), Shore(stack, "tablestore/killed")  # type: ignore[arg-type]
    slow = {"action": "delay", "operation": "GetStreamRecord", "seconds": 600, "count": -1}
    stack.control("POST", "faults", slow)
    dag.pause(paused=False)
    stack.wait_for(lambda: stack.control("GET", "faults")[0]["fired"], "a task in the middle of its reading")
    run = dag.runs()[0]["dag_run_id"]
    task = f"/dagRuns/{run}/taskInstances/orders"
    before = dag.call("GET", task)
    assert (before["state"], before["try_number"]) == ("running", 1)
    above = {one.pid for one in psutil.Process(before["pid"]).parents()}
    lost = next(worker for worker in WORKERS if stack.processes[worker].pid in above)
    stack.kill(lost)
    assert shore.manifests() == []
    stack.control("DELETE", "faults")
    dag.wait(lambda states: len(states) >= 3 and set(states) == {"success"}, "to catch up", PATIENCE)
    after = dag.call("GET", task)
    assert (after["state"], after["try_number"]) == ("success", 2)
    shore.assert_everything_once(shore.manifests())
    assert shore.objects() == {one["name"] for manifest in shore.manifests() for one in manifest["objects"]}
    dag.pause()
    sample.pause(paused=False)
    shore.close()
