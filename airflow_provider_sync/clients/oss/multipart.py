"""One object, written as bytes come, sent in parts by a few threads, invisible until completed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from airflow_provider_sync.clients.objects.errors import NoSuchUploadError
from airflow_provider_sync.clients.objects.model import Part
from airflow_provider_sync.clients.oss.client import OssClient
from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.errors import PermanentError, TransientError

__all__ = ["MultipartUpload", "PartPool", "parts_of"]

_MAX_PARTS = 10_000


class PartPool:
    """The threads that send parts, shared by all uploads of a job; at most ``threads`` parts wait in memory."""

    def __init__(self, client: OssClient, threads: int = 4) -> None:
        self.client = client
        self._threads = threads
        self._slots = threading.BoundedSemaphore(threads)
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def send(self, bucket: str, key: str, upload_id: str, number: int, body: memoryview) -> Future[Part]:
        """Send a part in the background; blocks while all threads are busy."""
        self._slots.acquire()  # released by the task, whatever becomes of it

        def task() -> Part:
            try:
                return self.client.upload_part(bucket, key, upload_id, number, body)
            except NoSuchUploadError as error:
                # Whoever finishes the same object first throws unfinished uploads of it away.
                raise TransientError(
                    f"the upload of {bucket}/{key} is gone: another run that writes the same object has aborted it; "
                    f"run this one again ({error})"
                ) from error
            finally:
                self._slots.release()

        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="oss-part")
            return self._executor.submit(task)

    def close(self) -> None:
        """Wait for running parts and end the threads; may be called twice."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()


class MultipartUpload:
    """Cuts a stream into parts of exactly ``part_size`` bytes (the last may be shorter); used by one thread.

    The upload starts with the first byte that is written. Parts are cut by size alone, so that the same bytes
    give the same parts. More than 10,000 parts (documented limit) raise :class:`PermanentError`.
    """

    def __init__(
        self, pool: PartPool, bucket: str, key: str, *, part_size: int, headers: Mapping[str, str]
    ) -> None:
        self.key = key
        self.size = 0
        self._pool = pool
        self._bucket = bucket
        self._part_size = part_size
        self._headers = headers
        self._upload_id = ""
        self._crc = 0
        self._waiting: list[bytes | memoryview] = []
        self._waiting_size = 0
        self._parts: list[Future[Part]] = []
        self._pending: list[Future[Part]] = []

    def write(self, data: bytes | memoryview) -> None:
        """Take bytes; blocks while too many parts are in flight; raises what a part in flight met."""
        if not data:
            return
        self.size += len(data)
        self._crc = crc64(data, self._crc)
        self._waiting.append(data)
        self._waiting_size += len(data)
        while self._waiting_size >= self._part_size:
            self._send(self._part_size)

    def finish(self) -> dict[str, Any]:
        """Send the rest, wait for all parts, and return what :func:`parts_of` and Complete need, as JSON.

        Something must have been written: an upload without parts cannot be completed.
        """
        if self._waiting_size:
            self._send(self._waiting_size)
        parts = [future.result() for future in self._parts]
        return {
            "key": self.key,
            "upload_id": self._upload_id,
            "parts": [[part.number, part.etag, part.size, part.crc64] for part in parts],
            "size": self.size,
            "crc64": self._crc,
        }

    def abort(self) -> None:
        """Let parts in flight end, then throw the upload away; may be called at any time, also twice."""
        for future in self._parts:
            if not future.cancel():
                future.exception()
        self._waiting.clear()
        if self._upload_id:
            self._pool.client.abort(self._bucket, self.key, self._upload_id)

    def _send(self, size: int) -> None:
        self._raise_failure()
        number = len(self._parts) + 1
        if number > _MAX_PARTS:
            raise PermanentError(
                f"{self._bucket}/{self.key} has more than {_MAX_PARTS} parts of {self._part_size} bytes; "
                "raise writer.parameter.blockSizeInMB or set writer.parameter.maxFileSize"
            )
        if not self._upload_id:
            self._upload_id = self._pool.client.initiate(self._bucket, self.key, headers=self._headers)
        everything = memoryview(self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting))
        body, rest = everything[:size], everything[size:]
        self._waiting = [rest] if rest else []
        self._waiting_size = len(rest)
        future = self._pool.send(self._bucket, self.key, self._upload_id, number, body)
        self._parts.append(future)
        self._pending.append(future)

    def _raise_failure(self) -> None:
        still = []
        for future in self._pending:
            if future.done():
                future.result()
            else:
                still.append(future)
        self._pending = still


def parts_of(receipt: Mapping[str, Any]) -> list[Part]:
    """Return the parts that a receipt of :meth:`MultipartUpload.finish` lists."""
    return [Part(int(number), str(etag), int(size), int(crc)) for number, etag, size, crc in receipt["parts"]]
