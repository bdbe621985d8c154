"""A folder of results from CPFS for Lingjun to OSS, as one batch.

Trigger it when the results are there, by hand or from the DAG that makes them::

    TriggerDagRunOperator(trigger_dag_id="cpfs_export", conf={"folder": "/run-42/"}, ...)

Alibaba Cloud walks the folder and moves the files; Airflow waits without a worker. A retry runs another batch only
if the first one failed; a cleared run exports the folder again.

Connection: ``cpfs_default`` (type cpfs). The bucket has the tag ``cpfs-dataflow=true``, and versioning if several
dataflows export to it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_sync.notifications import sync_alerts
from airflow_provider_sync.operators.dataflow import CpfsCreateDataflowOperator
from airflow_provider_sync.operators.dataflow_tasks import CpfsCreateTaskOperator

FILE_SYSTEM = "bmcpfs-370jz26fkr2st9"  # yours
BUCKET = "examplebucket"

with DAG(
    "cpfs_export",
    schedule=None,
    params={
        "folder": Param(
            "/results/", type="string", pattern="^/(.*/)?$", description="Below /projects/ of CPFS."
        ),
        "conflict_policy": Param(
            "KEEP_LATEST",
            enum=["SKIP_THE_FILE", "KEEP_LATEST", "OVERWRITE_EXISTING"],
            description="What becomes of an object that is in OSS already.",
        ),
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    tags=["cpfs"],
    doc_md=__doc__,
    **sync_alerts(late_after=timedelta(hours=6)),
) as dag:
    dataflow = CpfsCreateDataflowOperator(
        task_id="dataflow",
        file_system_id=FILE_SYSTEM,
        source_storage=f"oss://{BUCKET}",
        source_storage_path="/exports/",
        file_system_path="/projects/",
    )
    CpfsCreateTaskOperator(
        task_id="export",
        file_system_id=FILE_SYSTEM,
        dataflow_id=dataflow.output,
        action="Export",
        direction="export",
        conflict_policy="{{ params.conflict_policy }}",
        directory="{{ params.folder }}",
        dst_directory="{{ params.folder }}",
    )
