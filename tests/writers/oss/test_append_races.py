"""Appending where another run of the same window comes in between, or what was noted before is wrong."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_sync.engine.contract import Output, Writer
from airflow_provider_sync.testing.writer_suite import FIRST, prepare_all

APPEND = {"writeMode": "append", "writeSingleObject": True, "object": "log.csv"}
IDS = pa.schema([("id", pa.int64())])
OUTPUT = Output("orders", IDS, ("s0",), FIRST)


def commit(writer: Writer) -> None:
    with writer:
        writer.commit(prepare_all(writer, OUTPUT, {"s0": [pa.record_batch([pa.array([1, 2])], schema=IDS)]}))


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_another_run_of_the_window_that_appends_between_two_requests_is_noticed(
    oss: Any, requests: int
) -> None:
    writer = oss.writer(**APPEND)
    rows = {"s0": [pa.record_batch([pa.array([1, 2])], schema=IDS)]}
    with writer:
        receipts = prepare_all(writer, OUTPUT, rows)
        left = requests
        client = writer._client

        def then_the_other(method: Any) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                answer = method(*arguments, **named)
                left -= 1
                if left == 0:
                    commit(oss.writer(**APPEND))
                return answer

            return call

        for name in ("head", "get", "put"):
            setattr(client, name, then_the_other(getattr(client, name)))
        writer.commit(receipts)
    assert oss.content("log.csv") == b"1\n2\n"


def test_a_tail_is_found_though_the_checksum_noted_before_it_is_wrong(oss: Any) -> None:
    commit(oss.writer(**APPEND))
    key = next(one for one in oss.visible() if "_manifests" in one)
    manifest = oss.manifest(key)
    manifest["append"]["base_crc64"] = "1"
    oss.bucket.put_object(key, json.dumps({**manifest, "state": "pending"}))
    commit(oss.writer(**APPEND))
    assert oss.content("log.csv") == b"1\n2\n"
    assert oss.manifest(key)["state"] == "final"
