"""Answers that are none of the messages asked for become errors of this package."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.clients.tablestore import messages
from airflow_provider_sync.clients.tablestore.answers import parse
from airflow_provider_sync.errors import CorruptDataError


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(CorruptDataError, match="the answer to ListStream is not a ListStreamResponse"):
        parse(messages.ListStreamResponse, b"<html>", "ListStream")


def test_a_missing_required_field_is_named() -> None:
    with pytest.raises(CorruptDataError, match="the answer to GetShardIterator lacks shard_iterator"):
        parse(messages.GetShardIteratorResponse, b"", "GetShardIterator")


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        (messages.GetShardIteratorResponse, b"\x0a\x01\xff", "shard_iterator"),
        (messages.ListTableResponse, b"\x0a\x01t\x0a\x01\xff", "table_names"),
        (messages.ListStreamResponse, b"\x0a\x08\x0a\x01s\x12\x01\xff\x18\x01", "streams.table_name"),
        (messages.GetStreamRecordResponse, b"\x12\x01\xff", "next_shard_iterator"),
    ],
)
def test_text_that_is_not_utf8_is_refused(kind: Any, data: bytes, field: str) -> None:
    with pytest.raises(CorruptDataError, match=f"UTF-8 in {field}$"):
        parse(kind, data, "it")


def test_records_are_bytes_and_left_alone() -> None:
    page = parse(messages.GetStreamRecordResponse, b"\x0a\x05\x08\x01\x12\x01\xff", "it")

    assert page.stream_records[0].record == b"\xff"
