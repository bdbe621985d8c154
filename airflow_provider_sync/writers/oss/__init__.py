"""Rows to OSS objects: whole windows, under names that a retry writes again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from airflow_provider_sync.clients.oss import OssClient
from airflow_provider_sync.clients.oss.multipart import MultipartUpload, PartPool
from airflow_provider_sync.engine.contract import Committed, Environment, Output, SplitWriter, Writer
from airflow_provider_sync.engine.record import JsonObject, Rejected
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.base import Encoder
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.writers.oss.names import Names, check_bucket
from airflow_provider_sync.writers.oss.options import OssOptions
from airflow_provider_sync.writers.oss.publish import Publisher

__all__ = ["OssWriter"]


class OssWriter(Writer):
    """Writes csv, text, parquet or JSON Lines to OSS in two phases.

    While splits are written, their rows go into multipart uploads, which nobody sees. The commit completes
    all of them, removes what an earlier try of the same window left, and writes the manifest last. See
    :class:`Names` for where everything is.
    """

    Options = OssOptions
    connection_kinds = ("oss",)

    def __init__(self, options: OssOptions, connection: ConnectionInfo, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._bucket = options.bucket or str(connection.extra.get("bucket", ""))
        check_bucket(self._bucket)
        retry = RetryPolicy(
            sleep=environment.sleep, random=environment.random, cancelled=environment.cancelled
        )
        self._client = OssClient(connection, retry=retry, clock=environment.clock)
        self._pool = PartPool(self._client)
        self._publisher: Publisher | None = None

    def begin(self, output: Output) -> None:
        """Check bucket, access, names and schema, and that nothing stands in the way."""
        options = self._options
        options.encoder(output.schema)
        names = Names.of(
            output, options.object, suffix=options.name_suffix, single=options.write_single_object
        )
        publisher = Publisher(
            client=self._client,
            bucket=self._bucket,
            mode=options.write_mode,
            names=names,
            output=output,
            headers=options.headers,
            object_headers={**options.object_headers, **names.metadata(output.job)},
        )
        if options.write_mode == "nonConflict":
            self._refuse_versioning()
        publisher.check_target()
        self._publisher = publisher

    def open(self, split_id: str) -> SplitWriter:
        """Start one split; the first upload begins with its first row."""
        publisher = self._begun()
        return _UploadingSplit(
            self._options, self._environment, self._pool, publisher, publisher.output.splits.index(split_id)
        )

    def commit(self, receipts: Sequence[JsonObject], rejected: Sequence[Rejected] = ()) -> Committed:
        """Make the window visible: objects, stale ones away, error list, manifest."""
        self._environment.check_cancelled()
        publisher = self._begun()
        empty = None
        if self._options.generate_empty_file:
            encoder = self._options.encoder(publisher.output.schema)
            empty = encoder.header() + encoder.finish()
        return publisher.commit(receipts, rejected, empty)

    def abort(self, receipts: Sequence[JsonObject]) -> None:
        """Throw prepared uploads away."""
        self._begun().abort(receipts)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._pool.close()
        self._client.close()

    def _begun(self) -> Publisher:
        if self._publisher is None:
            raise RuntimeError("begin() comes first")
        return self._publisher

    def _refuse_versioning(self) -> None:
        state = self._client.bucket_info(self._bucket).versioning
        if state:
            raise ConfigError(
                "writer.parameter.writeMode",
                "nonConflict",
                reason=f"versioning of bucket {self._bucket} is {state}, where the service ignores the ban on "
                "overwriting that this mode stands on",
                cure="use truncate or append, or a bucket without versioning",
            )


class _UploadingSplit(SplitWriter):
    """Rows of one split into one or more uploads."""

    def __init__(
        self,
        options: OssOptions,
        environment: Environment,
        pool: PartPool,
        publisher: Publisher,
        index: int,
    ) -> None:
        self._options = options
        self._environment = environment
        self._pool = pool
        self._publisher = publisher
        self._index = index
        self._split = publisher.output.splits[index]
        self._uploads: list[MultipartUpload] = []
        self._current: tuple[MultipartUpload, Encoder] | None = None
        self._done: list[JsonObject] = []
        self._rows = 0

    def write(self, rows: pa.RecordBatch) -> Sequence[Rejected]:
        """Encode rows and send whole parts in the background."""
        self._environment.check_cancelled()
        if rows.num_rows == 0:
            return ()
        upload, encoder = self._current = self._current or self._start()
        encoded = encoder.encode(rows)
        upload.write(encoded.data)
        self._rows += encoded.rows
        if self._options.max_bytes is not None and upload.size >= self._options.max_bytes:
            self._finish(upload, encoder)
        return [replace(one, where=f"split {self._split} {one.where}") for one in encoded.rejected]

    def prepare(self) -> JsonObject:
        """Send what is left; the receipt lists uploads and parts."""
        if self._current is not None:
            self._finish(*self._current)
        return {"split": self._split, "objects": self._done}

    def abort(self) -> None:
        """Abort all uploads of this split."""
        for upload in self._uploads:
            upload.abort()

    def _start(self) -> tuple[MultipartUpload, Encoder]:
        publisher = self._publisher
        upload = MultipartUpload(
            self._pool,
            publisher.bucket,
            publisher.names.object(self._index, len(self._uploads)),
            part_size=self._options.part_size,
            headers={**publisher.headers, **publisher.object_headers},
        )
        self._uploads.append(upload)
        encoder = self._options.encoder(publisher.output.schema)
        upload.write(encoder.header())
        return upload, encoder

    def _finish(self, upload: MultipartUpload, encoder: Encoder) -> None:
        upload.write(encoder.finish())
        if upload.size:
            self._done.append({**upload.finish(), "rows": self._rows})
        self._current, self._rows = None, 0
