"""What changed in S3 lands in OSS, every fifteen minutes.

Each run takes what was modified since the listing of the last run that succeeded whole began, less five minutes for
clocks that differ; the first run takes everything. OSS is a copy: what differs there is replaced. An object that
fails stays due: the next run tries it again. Deletions are not carried over.

Connections: ``aws_default`` (type aws) and ``oss_default`` (type oss).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_sync.operators.migration_group import object_migration

with DAG(
    "migrate_incremental",
    schedule=timedelta(minutes=15),
    start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00"),
    catchup=False,  # a run takes everything since the last success, however long ago that is
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["migration"],
    doc_md=__doc__,
) as dag:
    object_migration(
        "photos",
        source={"type": "s3", "bucket": "photos-tokyo", "prefix": ""},
        target={"type": "oss", "bucket": "photos", "prefix": ""},
        state="oss://sync-state/migration/",
        incremental=True,
        slices=16,
        verify="",  # every copy is checked as it is made; add a level to compare the buckets each time
    )
