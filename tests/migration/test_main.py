from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sync.migration.__main__ import main

KEYS = {"access_key_id": "test-key", "access_key_secret": "env:THE_SECRET"}


@pytest.fixture
def job(oss, s3, bucket_name, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("THE_SECRET", "test-secret")
    s3.bucket(bucket_name, {"a": b"1", "b": b"22"})
    said: dict[str, Any] = {
        "migration": {"job": "shell-job", "threads": 2},
        "source": {
            "type": "s3",
            "bucket": bucket_name,
            "connection": {"kind": "aws", "endpoint": s3.url, **KEYS},
        },
        "target": {
            "type": "oss",
            "bucket": "lake",
            "connection": {"kind": "oss", "endpoint": oss.url, "region": "cn-hangzhou", **KEYS},
        },
        "state": {"path": str(tmp_path / "state")},
    }
    path = tmp_path / "job.json"
    path.write_text(json.dumps(said))
    return path


def test_a_job_is_planned_run_asked_about_and_cleaned_from_a_shell(job, oss, capsys):
    assert main([str(job), "plan", "--dry-run"]) == 0
    assert "2 objects, 3 bytes" in capsys.readouterr().out
    assert main([str(job), "run"]) == 0
    assert oss.contents() == {"a": b"1", "b": b"22"}
    assert "JobState:Succeed" in capsys.readouterr().out
    assert main([str(job), "stat", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["copied"] == 2
    assert main([str(job), "clean"]) == 0
    assert main([str(job), "stat"]) == 0
    assert "JobState:Unknown" in capsys.readouterr().out


def test_what_failed_is_shown_as_csv_and_retried_by_running_again(job, oss, capsys):
    oss.control("deny", {"key_regex": "b$", "operation": "PutObject"})
    assert main([str(job), "run"]) == 1
    capsys.readouterr()
    assert main([str(job), "errors"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "key,code,note"
    assert [line.split(",")[:2] for line in lines[1:]] == [["b", "ACCESS_DENIED"]]
    oss.control("deny", method="DELETE")
    assert main([str(job), "run"]) == 0
    assert oss.contents() == {"a": b"1", "b": b"22"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda job: job["migration"].update(job="x"), "migration.job"),
        (
            lambda job: job["source"]["connection"].update(access_key_secret="env:NOT_SET"),
            "environment variable",
        ),
        (lambda job: job["source"]["connection"].update(acess_key=""), "source.connection.acess_key"),
        (lambda job: job.pop("target"), "target"),
        (lambda job: job.update(extra=1), "extra"),
        (lambda job: job["source"].update(bucket="no-such-bucket"), "NoSuchBucket"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(job, capsys, change, said):
    content = json.loads(job.read_text())
    change(content)
    job.write_text(json.dumps(content))
    assert main([str(job), "run"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "test-secret" not in error
