from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sync.clients.nas import DataflowRequest, TaskRequest
from airflow_provider_sync.errors import ConfigError

FLOW = DataflowRequest("oss://bucket", "/cpfs/", "/oss/")
STREAM = TaskRequest("StreamExport", "KEEP_LATEST", "/a/", "/b/")
BATCH = TaskRequest("Import", "SKIP_THE_FILE", entries=("/a", "/ü b"))


@pytest.mark.parametrize(
    "request_",
    [
        FLOW,
        replace(FLOW, source_storage="oss://12345:bucket-1", description="数据 flow 1"),
        replace(FLOW, file_system_path="/", source_storage_path="/", source_security_type="SSL"),
        STREAM,
        BATCH,
        replace(BATCH, entries=(), directory="/a/", create_dir_if_not_exist=True),
        replace(BATCH, entries=(), transfer_file_list_path="/lists/", dst_directory="/x/"),
    ],
)
def test_what_the_documentation_allows_passes(request_: Any) -> None:
    request_.check()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (replace(FLOW, source_storage="bucket"), "source_storage"),
        (replace(FLOW, source_storage="oss://Bucket"), "source_storage"),
        (replace(FLOW, file_system_path="/cpfs"), "file_system_path"),
        (replace(FLOW, source_storage_path="oss/"), "source_storage_path"),
        (replace(FLOW, source_storage_path="/" + "x" * 1022 + "/"), "source_storage_path"),
        (replace(FLOW, description="x"), "description"),
        (replace(FLOW, description="1 flow"), "description"),
        (replace(FLOW, description="http://flow"), "description"),
        (replace(FLOW, source_security_type="TLS"), "source_security_type"),
        (replace(STREAM, action="streamexport"), "action"),
        (replace(STREAM, action="Evict"), "action"),
        (replace(STREAM, conflict_policy="REPLACE"), "conflict_policy"),
        (replace(STREAM, directory=""), "directory"),
        (replace(STREAM, dst_directory=""), "dst_directory"),
        (replace(STREAM, dst_directory="/a/../b/"), "dst_directory"),
        (replace(STREAM, entries=("/a",)), "directory"),
        (replace(BATCH, directory="/a/"), "directory"),
        (replace(BATCH, entries=()), "directory"),
        (replace(BATCH, entries=("/a", "b")), r"entries\[1\]"),
        (replace(BATCH, entries=tuple(f"/{n:01000}" for n in range(66))), "entries"),
        (replace(STREAM, create_dir_if_not_exist=True), "create_dir_if_not_exist"),
    ],
)
def test_what_the_service_would_refuse_is_named(request_: Any, field: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{field}"):
        request_.check()


def test_the_example_with_the_wrong_action_shows_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match="StreamImport, StreamExport"):
        replace(STREAM, action="StreamMove").check()


def test_entries_become_a_json_text() -> None:
    assert BATCH.entry_list() == '["/a", "/ü b"]'
    assert STREAM.entry_list() == ""
