"""Airflow settings of docker-compose.yaml: the sample DAG runs at once, from the day its sample data begins.

Airflow imports this module by its name wherever a DAG is parsed. Your own deployment does not need it: there
you set ``start_date`` in your DAG and switch it on in the UI.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG

_SAMPLE = "ots_stream_to_oss"


def dag_policy(dag: DAG) -> None:
    """Let the sample start with the stack's first start, not with the day written in its file.

    The moment is kept in a file, so that later starts of the stack go on where the earlier ones ended.
    """
    if dag.dag_id != _SAMPLE:
        return
    first = datetime.fromisoformat(
        (Path(os.environ["AIRFLOW_HOME"]) / "state" / "first-run").read_text().strip()
    )
    dag.start_date = first
    for task in dag.tasks:
        task.start_date = first
    dag.is_paused_upon_creation = False
