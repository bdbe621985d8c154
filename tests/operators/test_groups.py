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


def test_people_read_which_part_a_mapped_task_is_and_how_many_shards_it_has() -> None:
    dag = build()
    copy: Any = dag.get_task("orders.copy")
    template = dag.get_template_env().from_string(copy.map_index_template)
    one, three = [[{"shard": "a"}]], [[{"shard": "b"}, {"shard": "c"}], [{"shard": "d"}]]
    splits = [{"id": str(n), "detail": {"families": families}} for n, families in enumerate((one, three))]

    def label(index: Any, planned: Any) -> str:
        said = {"table": "orders", "object_name": "orders", "columns": ["id"]}
        return template.render(task=copy.operator_class(task_id="copy", planned=planned, index=index, **said))

    labels = [label(index, {"splits": splits}) for index in range(2)]
    assert labels == ["part 1 of 2 · 1 shard", "part 2 of 2 · 3 shards"]
    assert (label(1, None), label(None, None)) == ("part 2", "part")  # what is known, and never an error


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"tasks": 0}, "tasks"), ({"tasks": 513}, "tasks"), ({"write_mode": "append"}, "write_mode")],
)
def test_what_cannot_work_is_refused(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**arguments)
    assert caught.value.field == field
