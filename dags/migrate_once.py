"""A bucket moves from S3 to OSS: everything once, compared afterwards.

Trigger it by hand. A run that failed is gone on with by clearing what failed, or by the next run: what has arrived
is not copied again. ``anew`` in the trigger's form forgets all progress first; ``dry_run`` only says, in the log of
``plan``, what would be moved.

Connections: ``aws_default`` (type aws) and ``oss_default`` (type oss). The state folder holds the plan, the
progress and the lists of failed objects; any bucket that the workers may write will do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_sync.operators.migration_group import object_migration

with DAG(
    "migrate_once",
    schedule=None,
    start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00"),
    max_active_runs=1,
    params={"anew": False, "dry_run": False},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    tags=["migration"],
    doc_md=__doc__,
) as dag:
    object_migration(
        "photos",
        source={"type": "s3", "bucket": "photos-tokyo", "prefix": ""},
        target={"type": "oss", "bucket": "photos", "prefix": ""},
        state="oss://sync-state/migration/",
        source_conn_id="aws_default",
        target_conn_id="oss_default",
        slices=64,
        side_by_side=8,  # and pool="…" with fewer slots than workers, so that other DAGs keep theirs
        verify="checksum",
    )
