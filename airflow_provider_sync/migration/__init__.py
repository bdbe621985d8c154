"""Object migration: plan, copy, track and verify, from S3, OSS, HTTP lists and folders to OSS, S3 and folders.

Runs without Airflow. :func:`plan.plan_job` lists both sides and cuts the work into task files,
:class:`run.TaskRunner` does one task, :class:`folder.JobFolder` tells and keeps the state.
"""

from __future__ import annotations
