"""What a DAG file costs to import, and what an Airflow task weighs before it does anything."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from measure import Measured, Stopwatch, peak_mb

__all__ = ["IMPORT_BUDGET_S", "SUBJECTS"]

IMPORT_BUDGET_S = 0.1
_TIMES = 5
_DAG = Path(__file__).parents[2] / "dags" / "ots_stream_to_oss.py"
_PROGRAM = """
import sys, time
from airflow.sdk import DAG
wall, cpu = time.perf_counter(), time.process_time()
source = compile(open(sys.argv[1]).read(), sys.argv[1], "exec")
exec(source, {"__name__": "dag", "__file__": sys.argv[1]})
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def _dag_import(_rows: int) -> Measured:
    """Import the five-minute DAG on top of what any DAG file imports; the median of several new processes."""
    command = [sys.executable, "-c", _PROGRAM, str(_DAG)]
    runs = []
    for _ in range(_TIMES):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs.append(tuple(map(float, done.stdout.splitlines()[-1].split())))
    wall, cpu = (statistics.median(one) for one in zip(*runs, strict=True))
    return Measured(0, 0, wall, cpu, peak_mb())


def _airflow_task(_rows: int) -> Measured:
    """Load what the process of an Airflow task loads before the operator runs."""
    with Stopwatch() as watch:
        importlib.import_module("airflow.sdk.execution_time.task_runner")
        importlib.import_module("airflow_provider_sync.operators.ots_stream")
    return watch.measured(0, 0)


SUBJECTS: dict[str, Callable[[int], Measured]] = {"airflow_task": _airflow_task, "dag_import": _dag_import}
