from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_sync.clients.oss.multipart import MultipartUpload, PartPool, parts_of
from airflow_provider_sync.errors import AccessDeniedError, PermanentError, TransientError

BUCKET, PART = "lake", 200_000


@pytest.fixture
def pool(oss: Any) -> Iterator[PartPool]:
    pool = PartPool(oss.client(), threads=2)
    yield pool
    pool.close()


def upload(pool: PartPool) -> MultipartUpload:
    return MultipartUpload(pool, BUCKET, "big", part_size=PART, headers={})


def test_parts_are_cut_by_size_however_the_bytes_come(pool: PartPool) -> None:
    data = bytes(range(256)) * 2500  # three parts and a rest
    receipts = []
    for step in (7_777, 300_000, len(data)):
        one = upload(pool)
        for start in range(0, len(data), step):
            one.write(data[start : start + step])
        receipt = one.finish()
        assert [part.size for part in parts_of(receipt)] == [PART, PART, PART, 40_000]
        receipts.append((receipt["size"], receipt["crc64"], [part.crc64 for part in parts_of(receipt)]))
        pool.client.complete(BUCKET, "big", receipt["upload_id"], parts_of(receipt))
        assert pool.client.get(BUCKET, "big") == data
    assert receipts[0] == receipts[1] == receipts[2]


def test_writing_waits_while_all_threads_are_busy(oss: Any, pool: PartPool) -> None:
    oss.fault("delay", "UploadPart", count=-1, seconds=0.2)
    one = upload(pool)
    started = time.monotonic()
    one.write(bytes(PART * 6))
    assert time.monotonic() - started >= 0.35  # four of six parts have gone before the last two are in flight
    assert one.finish()["size"] == PART * 6
    one.abort()


def test_a_failed_part_shows_in_the_next_write_or_at_the_end(oss: Any, pool: PartPool) -> None:
    oss.fault("error", "UploadPart", count=-1, status=403, code="AccessDenied")
    one = upload(pool)
    with pytest.raises(AccessDeniedError):
        one.write(bytes(PART * 20))
    one.abort()
    assert oss.control("uploads", method="GET") == []


def test_an_upload_that_another_run_has_aborted_is_worth_another_try(pool: PartPool) -> None:
    one = upload(pool)
    one.write(bytes(PART))
    one._parts[0].result()
    (open_upload,) = pool.client.list_uploads(BUCKET, "big")
    pool.client.abort(BUCKET, "big", open_upload.upload_id)
    one.write(bytes(PART))
    with pytest.raises(TransientError, match="another run that writes the same object has aborted it"):
        one.finish()


def test_too_many_parts_name_the_cure(pool: PartPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_sync.clients.oss.multipart._MAX_PARTS", 2)
    one = upload(pool)
    with pytest.raises(PermanentError, match=r"raise writer\.parameter.blockSizeInMB"):
        one.write(bytes(PART * 3))
    one.abort()
