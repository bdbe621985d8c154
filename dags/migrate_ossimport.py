"""A job of ossimport, its files as they are: ``ossimport/local_job.cfg`` and ``ossimport/sys.properties``.

Put your own files there (a ``job.cfg`` of the distributed mode will do as well). Every setting means what it
meant, or the DAG says at once what it cannot mean; the log of ``plan`` tells what is ignored, and why. A job with
``isIncremental=true`` runs every ``incrementalModeInterval`` seconds.

Keys in the files are used as they are; better is an Airflow connection: leave the keys out of the file and pass
``source_conn_id`` and ``target_conn_id``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_sync.operators.migration_group import ossimport_migration, ossimport_schedule

FOLDER = Path(__file__).parent / "ossimport"
CONFIG = FOLDER / "local_job.cfg"

with DAG(
    "migrate_ossimport",
    schedule=ossimport_schedule(CONFIG),
    start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00"),
    catchup=False,
    max_active_runs=1,
    params={"anew": False, "dry_run": False},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    tags=["migration"],
    doc_md=__doc__,
) as dag:
    ossimport_migration(
        CONFIG,
        FOLDER / "sys.properties",
        state="oss://sync-state/migration/",  # without it: workingDir of sys.properties
        source_conn_id="aws_default",
        target_conn_id="oss_default",
    )
