from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators.groups import ots_stream_task_group


def build(**arguments: Any) -> DAG:
    with DAG("spread", schedule="*/5 * * * *", start_date=datetime(2026, 11, 1, tzinfo=UTC)) as dag:
        ots_stream_task_group(
            "orders", **{"table": "orders", "object_name": "orders", "columns": ["id"], **arguments}
        )
    return dag


def test_plan_comes_before_copies_before_commit() -> None:
    dag = build(pool="copies")
    assert dag.task_ids == ["orders.plan", "orders.copy", "orders.commit"]
    assert dag.get_task("orders.plan").downstream_task_ids == {"orders.copy", "orders.commit"}
    assert dag.get_task("orders.copy").downstream_task_ids == {"orders.commit"}
    assert dag.get_task("orders.copy").pool == "copies"
    assert dag.get_task("orders.plan").pool == "default_pool"


def test_it_survives_airflows_serialization() -> None:
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(build()))))
    assert again.get_task("orders.copy").is_mapped


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"tasks": 0}, "tasks"), ({"tasks": 513}, "tasks"), ({"write_mode": "append"}, "write_mode")],
)
def test_what_cannot_work_is_refused(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**arguments)
    assert caught.value.field == field
