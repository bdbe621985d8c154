"""Every five minutes, the new objects of an OSS prefix into CPFS for Lingjun, one subtask each.

The run at 10:10 imports what was last modified in [10:00, 10:05). Alibaba Cloud moves the files; Airflow submits
them, waits without a worker, and names those that failed. A retry moves only what has not arrived; a cleared run
moves its window again.

Before the first run: the bucket has the tag ``cpfs-dataflow=true`` and is in the file system's region, the prefix and
the directory exist, the file system is of version 2.6.0 or newer.

Connections: ``cpfs_default`` (type cpfs) to ask for it, ``oss_default`` (type oss) to list the bucket.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_sync.notifications import sync_alerts
from airflow_provider_sync.operators.dataflow import CpfsCreateDataflowOperator
from airflow_provider_sync.operators.dataflow_files import CpfsMoveFilesOperator
from airflow_provider_sync.operators.dataflow_tasks import CpfsCreateTaskOperator
from airflow_provider_sync.timetables.safety_lag import SafetyLagTimetable

FILE_SYSTEM = "bmcpfs-370jz26fkr2st9"  # yours
BUCKET = "examplebucket"

with DAG(
    "cpfs_import",
    schedule=SafetyLagTimetable("*/5 * * * *", timezone="UTC", lag=timedelta(minutes=5)),
    start_date=datetime.fromisoformat("2026-11-20T00:00:00+00:00"),  # set it to your first day
    catchup=True,  # a scheduler that was down leaves no gap
    max_active_runs=4,  # windows are independent: a slow file does not keep the next window waiting
    params={
        "conflict_policy": Param(
            "SKIP_THE_FILE",
            enum=["SKIP_THE_FILE", "KEEP_LATEST", "OVERWRITE_EXISTING"],
            description="What becomes of a file that is in CPFS already; KEEP_LATEST takes overwritten objects.",
        ),
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    tags=["cpfs"],
    doc_md=__doc__,
    **sync_alerts(late_after=timedelta(hours=1)),
) as dag:
    dataflow = CpfsCreateDataflowOperator(
        task_id="dataflow",
        file_system_id=FILE_SYSTEM,
        source_storage=f"oss://{BUCKET}",
        source_storage_path="/incoming/",
        file_system_path="/data/",
    )
    tunnel = CpfsCreateTaskOperator(
        task_id="tunnel",
        file_system_id=FILE_SYSTEM,
        dataflow_id=dataflow.output,
        action="StreamImport",
        direction="import",
        conflict_policy="{{ params.conflict_policy }}",
        directory="/",
        dst_directory="/",
    )
    CpfsMoveFilesOperator(
        task_id="files",
        file_system_id=FILE_SYSTEM,
        dataflow_id=dataflow.output,
        dataflow_task_id=tunnel.output["task_id"],
        pattern="**",
        changed_only=True,
    )
