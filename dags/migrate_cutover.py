"""An application moves from S3 to OSS while it is running, and nothing it writes is lost.

1. ``full`` copies everything. T1 is when its listing began.
2. ``warm_up`` copies what changed meanwhile, so that little is left for the last step.
3. ``switched`` waits for a person, who lets OSS fetch what it misses from S3 (back-to-origin), then points the
   application's reads and writes at OSS, and approves once nothing writes to S3 any more. That moment is T2.
4. ``catch_up`` copies what was written to S3 between T1 and T2. What OSS got after ``warm_up`` is the
   application's, and is kept: a plain copy would overwrite it with S3's older content. What OSS got before is a
   copy, and is replaced wherever S3 has something else.

Deletions are not carried over. Keep the S3 bucket until you are satisfied. Until ``catch_up`` is done, an object
that changed shortly before the switch may be read in its older version.

Connections: ``aws_default`` (type aws) and ``oss_default`` (type oss).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_provider_sync.operators.migration_group import object_migration

T1 = "{{ ti.xcom_pull(task_ids='full.plan', key='planned')['started'] }}"
BEFORE_SWITCH = "{{ ti.xcom_pull(task_ids='warm_up.report')['finished'] }}"

BUCKETS: dict[str, Any] = {
    "source": {"type": "s3", "bucket": "photos-tokyo", "prefix": ""},
    "target": {"type": "oss", "bucket": "photos", "prefix": ""},
    "state": "oss://sync-state/migration/",
}

with DAG(
    "migrate_cutover",
    schedule=None,
    start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00"),
    max_active_runs=1,
    params={"anew": False},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2)},
    tags=["migration"],
    doc_md=__doc__,
) as dag:
    full = object_migration("full", **BUCKETS, slices=64, side_by_side=8, verify="checksum")
    changes = {"import_since": T1, "overwrite": "changed", "compare": "checksum"}
    warm_up = object_migration("warm_up", **BUCKETS, options=changes, slices=16, verify="")
    switched = ApprovalOperator(
        task_id="switched",
        subject="Has the application been switched from S3 to OSS?",
        body=(
            "1. Set a back-to-origin rule on the OSS bucket that fetches from the S3 bucket.\n"
            "2. Point the application's reads and writes at OSS.\n"
            "3. Make sure that nothing writes to S3 any more, then approve."
        ),
        fail_on_reject=True,
        retries=0,  # clear it to be asked again
    )
    kept = {"import_since": T1, "overwrite": "older", "target_since": BEFORE_SWITCH}
    catch_up = object_migration("catch_up", **BUCKETS, options=kept, slices=64)
    full >> warm_up >> switched >> catch_up
