from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_sync.operators import dataflow
from tests.dataflow_world import BUCKET, FS, TaskRun, World

PATHS = {"source_storage": f"oss://{BUCKET}", "source_storage_path": "/in/", "file_system_path": "/data/"}


def create(**arguments: Any) -> Any:
    fields = {**PATHS, "poll_interval": 0.05, **arguments}
    return lambda: dataflow.CpfsCreateDataflowOperator(task_id="flow", file_system_id=FS, **fields)


def flows(dataflows: World) -> list[str]:
    return [one.dataflow_id for one in dataflows.client.list_dataflows(FS)]


def test_a_dataflow_is_created_and_waited_for(dataflows: World) -> None:
    dataflows.control("options", {"flow_seconds": 0.3})
    run = TaskRun()
    assert [run.run(create())] == flows(dataflows)
    assert len(run.deferred) == 1
    assert dataflows.client.dataflow(FS, flows(dataflows)[0]).status_text == "Running"  # type: ignore[union-attr]


def test_one_that_is_there_is_used(dataflows: World) -> None:
    first = TaskRun().run(create())
    assert TaskRun().run(create()) == first
    assert len(dataflows.calls("CreateDataFlow")) == 1


def test_a_lost_reply_makes_no_second_dataflow(dataflows: World) -> None:
    dataflows.fault("CreateDataFlow", "lost_reply")
    found = TaskRun().run(create())
    assert flows(dataflows) == [found]
    assert len(dataflows.calls("CreateDataFlow")) == 2


def test_a_bucket_without_its_tag_is_told_with_the_cure(dataflows: World) -> None:
    dataflows.outcome(
        "/data/", of="flow", result="Misconfigured", message="the bucket has no tag cpfs-dataflow=true"
    )
    with pytest.raises(
        AirflowFailException, match=r"Misconfigured: the bucket has no tag .*; give the bucket"
    ):
        TaskRun().run(create())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source_storage": BUCKET}, "source_storage: got 'examplebucket'; allowed: oss://"),
        ({"file_system_path": "data"}, "file_system_path: got 'data'; allowed: a path"),
        ({"source_storage_path": "/" + "x" * 1023 + "/"}, "source_storage_path"),
        ({"description": "http://x"}, "description"),
        ({"source_security_type": "TLS"}, "source_security_type: got 'TLS'; allowed: None or SSL"),
    ],
)
def test_what_the_service_would_refuse_is_refused_with_its_field(
    dataflows: World, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().run(create(**arguments))
    assert dataflows.calls("CreateDataFlow") == []


def test_an_unknown_file_system_is_told(dataflows: World) -> None:
    make = create()

    def wrong() -> Any:
        operator = make()
        operator.file_system_id = "bmcpfs-nowhere"
        return operator

    with pytest.raises(AirflowFailException, match="check the file system's id"):
        TaskRun().run(wrong)


def test_dataflows_are_described(dataflows: World) -> None:
    flow = dataflows.flow()
    make = lambda: dataflow.CpfsDescribeDataflowsOperator(  # noqa: E731
        task_id="ask", file_system_id=FS, filters={"DataFlowIds": flow}
    )
    (found,) = TaskRun().run(make)
    assert (found["dataflow_id"], found["status"], found["file_system_path"]) == (flow, "Running", "/oss/")


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"DataFlowIds": ",".join(f"df-{n}" for n in range(11))},
            "filters.DataFlowIds: 11 ids; allowed: at most 10",
        ),
        ({"Colour": "red"}, "filters.Colour: got 'red'; allowed: DataFlowIds"),
        ({"Status": ""}, "filters.Status"),
    ],
)
def test_filters_that_the_api_does_not_take_are_refused(
    dataflows: World, filters: dict[str, str], message: str
) -> None:
    make = lambda: dataflow.CpfsDescribeDataflowsOperator(  # noqa: E731
        task_id="ask", file_system_id=FS, filters=filters
    )
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().run(make)


def test_a_description_is_changed(dataflows: World) -> None:
    flow = dataflows.flow()
    TaskRun().run(
        lambda: dataflow.CpfsModifyDataflowOperator(
            task_id="change", file_system_id=FS, dataflow_id=flow, description="Weekly models"
        )
    )
    assert dataflows.client.dataflow(FS, flow).description == "Weekly models"  # type: ignore[union-attr]


def test_a_change_that_takes_its_time_is_asked_for_once(dataflows: World) -> None:
    flow = dataflows.flow()
    dataflows.control("options", {"flow_seconds": 0.4})
    run = TaskRun()
    make = lambda: dataflow.CpfsModifyDataflowOperator(  # noqa: E731
        task_id="change", file_system_id=FS, dataflow_id=flow, description="Weekly models", poll_interval=0.05
    )
    run.run(make)
    assert len(run.deferred) == 1
    assert len(dataflows.calls("ModifyDataFlow")) == 1
    found = dataflows.client.dataflow(FS, flow)
    assert found is not None
    assert (found.status_text, found.description) == ("Running", "Weekly models")


def test_a_dataflow_that_is_not_there_is_not_changed(dataflows: World) -> None:
    with pytest.raises(AirflowFailException, match=r"dataflow_id: .*has no such one, got 'df-nowhere'"):
        TaskRun().run(
            lambda: dataflow.CpfsModifyDataflowOperator(
                task_id="change", file_system_id=FS, dataflow_id="df-nowhere", description="Weekly models"
            )
        )


def test_a_dataflow_is_deleted_and_a_second_time_is_fine(dataflows: World) -> None:
    flow = dataflows.flow()
    make = lambda: dataflow.CpfsDeleteDataflowOperator(  # noqa: E731
        task_id="end", file_system_id=FS, dataflow_id=flow, poll_interval=0.05
    )
    TaskRun().run(make)
    assert flows(dataflows) == []
    TaskRun().run(make)
    assert len(dataflows.calls("DeleteDataFlow")) == 1
