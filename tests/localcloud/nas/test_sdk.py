"""The vendor's SDK, sync and async, is the judge of the wire; the documentation's examples of the content."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alibabacloud_nas20170626 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FS = "bmcpfs-localcloud"


def test_a_streaming_import_goes_as_in_the_documentation(nas: Any) -> None:
    flow, task = nas.stream()
    subtask = nas.subtask(flow, task)
    assert nas.of(subtask).status == "CREATED"
    nas.wait(0.3)
    assert nas.of(subtask).status == "RUNNING"
    nas.wait(2)
    found = nas.of(subtask)
    assert (found.status, found.progress, found.error_msg) == ("COMPLETE", 10000, "")
    assert (found.src_file_path, found.dst_file_path) == ("/bmcpfs/test/file.xml", "/oss/mnt/file.xml")
    assert found.progress_stats.to_map() == {
        "BytesTotal": 68,
        "BytesDone": 68,
        "ActualBytes": 68,
        "AverageSpeed": 68,
    }
    assert found.file_detail.to_map() == {
        "ModifyTime": 1725897600000000000,
        "Size": 68,
        "Checksum": "crc64:850309505450944",
    }


NAMES = [
    "/a b.xml",
    "/a+b",
    "/100%25",
    "/x%2Fy",
    "/ü漢字",
    "/a&b=c;d,e~f",
    "/'\"q\"'",
    "/who?#me",
    "/a=b&c",
    "/[x]{y}|z^`",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_signed_and_read_right_by_both_clients(nas: Any, name: str) -> None:
    flow, task = nas.stream()
    nas.subtask(flow, task, name)
    request = models.CreateDataFlowSubTaskRequest(
        file_system_id=FS,
        data_flow_id=flow,
        data_flow_task_id=task,
        src_file_path=name,
        dst_file_path=f"/async{name}",
        condition=models.CreateDataFlowSubTaskRequestCondition(size=68),
        dry_run=False,
    )
    asyncio.run(nas.client.create_data_flow_sub_task_async(request))
    assert {one["target"] for one in nas.get("subtasks")} == {f"/oss/mnt{name}", f"/oss/async{name}"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=60))
def test_any_text_is_signed_as_the_service_reads_it(nas: Any, text: str) -> None:
    nas.control("options", {"other_calls_per_minute": None})
    wanted = models.DescribeDataFlowsRequestFilters(key="Description", value=text)
    request = models.DescribeDataFlowsRequest(file_system_id=FS, filters=[wanted])
    assert nas.client.describe_data_flows(request).body.data_flow_info.data_flow == []


def test_a_wrong_secret_and_an_unknown_key_are_refused(nas: Any) -> None:
    for key, secret, code in [
        ("test-id", "wrong", "SignatureDoesNotMatch"),
        ("nobody", "test-secret", "InvalidAccessKeyId.NotFound"),
    ]:
        with pytest.raises(ClientException) as caught:
            nas.client_of(key, secret).describe_data_flows(models.DescribeDataFlowsRequest(file_system_id=FS))
        assert caught.value.code == code
