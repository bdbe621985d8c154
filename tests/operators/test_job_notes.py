"""What a job file says and this package leaves out is told in the task's log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.operators.test_sync import Run


def test_what_is_ignored_in_a_job_file_is_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = {
        "job": {
            "setting": {"speed": {"channel": 1}},
            "content": [
                {
                    "reader": {"name": "streamreader", "parameter": {"sliceRecordCount": 3}},
                    "writer": {"name": "streamwriter", "parameter": {"print": True}},
                }
            ],
        },
        "core": {"container": {"trace": {"enable": "false"}}},
    }
    run = Run(tmp_path / "progress")
    with caplog.at_level(logging.INFO, "airflow_provider_sync.operators.sync"):
        report = run.operator(job=job).execute(run.context(0))
    assert report["written"] == 3
    told = [record.getMessage() for record in caplog.records if record.name.endswith("operators.sync")]
    assert sorted(told) == [
        "job file: core.container: tunes DataX itself, ignored",
        "job file: job.setting.errorLimit: none, so that any number of rejected records is let through, as in DataX",
    ]
