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
from airflow_provider_sync.writers.oss.append import Appender
from airflow_provider_sync.writers.oss.names import Names, check_bucket
from airflow_provider_sync.writers.oss.options import OssOptions
from airflow_provider_sync.writers.oss.publish import Publisher
from airflow_provider_sync.writers.oss.spool import Joined, Spool, SpoolingSplit, spools_of

__all__ = ["OssWriter"]


class OssWriter(Writer):
    """Writes csv, text, parquet or JSON Lines to OSS in two phases.

    While splits are written, their rows go into multipart uploads, which nobody sees. The commit completes
    all of them, removes what an earlier try of the same window left, and writes the manifest last. One object
    of several splits, and one that grows, wait in local files instead. See :class:`Names` for where all is.

    The connection's user needs GetObject, PutObject, DeleteObject, AbortMultipartUpload, ListObjects and
    ListMultipartUploads, for ``nonConflict`` GetBucketInfo as well.
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
        self._target: Publisher | Appender | None = None
        self._spools: dict[str, Spool] = {}

    def begin(self, output: Output) -> None:
        """Check bucket, access, names and schema, and that nothing stands in the way."""
        options = self._options
        encoder = options.encoder(output.schema)
        if options.write_single_object and len(output.splits) > 1 and not encoder.joinable:
            raise ConfigError(
                "writer.parameter.writeSingleObject",
                value=True,
                reason=f"{options.file_format} of {len(output.splits)} splits cannot be one object",
                cure="set it to false, or write csv, text or jsonl",
            )
        names = Names.of(
            output, options.object, suffix=options.name_suffix, single=options.write_single_object
        )
        if options.write_mode == "nonConflict":
            self._refuse_versioning()
        target = self._appender(output, names) if self._appends else self._publisher(output, names)
        target.check_target()
        self._target = target

    def open(self, split_id: str) -> SplitWriter:
        """Start one split; the first upload begins with its first row."""
        target = self._begun()
        if isinstance(target, Publisher) and not self._is_joined(target):
            index = target.output.splits.index(split_id)
            return _UploadingSplit(self._options, self._environment, self._pool, target, index)
        spool = self._spools[split_id] = Spool(split_id)
        return SpoolingSplit(spool, self._options.encoder(target.output.schema), self._environment)

    def commit(self, receipts: Sequence[JsonObject], rejected: Sequence[Rejected] = ()) -> Committed:
        """Make the window visible: objects, stale ones away, error list, manifest."""
        self._environment.check_cancelled()
        target, options = self._begun(), self._options
        if isinstance(target, Appender):
            spools = spools_of(receipts, self._spools)
            return target.commit(spools, rejected, options.prologue(target.output.schema))
        if self._is_joined(target):
            receipts = self._join(target, spools_of(receipts, self._spools))
        empty = None
        if options.generate_empty_file:
            encoder = options.encoder(target.output.schema)
            empty = encoder.header() + encoder.finish()
        return target.commit(receipts, rejected, empty)

    def abort(self, receipts: Sequence[JsonObject]) -> None:
        """Throw prepared uploads away."""
        target = self._begun()
        if isinstance(target, Publisher):
            target.abort([receipt for receipt in receipts if "spooled" not in receipt])
        self._drop_spools()

    def close(self) -> None:
        """End the threads, close the connections, and give local disk space back."""
        self._pool.close()
        self._client.close()
        self._drop_spools()

    @property
    def _appends(self) -> bool:
        return self._options.write_mode == "append" and self._options.write_single_object

    def _begun(self) -> Publisher | Appender:
        if self._target is None:
            raise RuntimeError("begin() comes first")
        return self._target

    def _publisher(self, output: Output, names: Names) -> Publisher:
        options = self._options
        return Publisher(
            client=self._client,
            bucket=self._bucket,
            mode=options.write_mode,
            names=names,
            output=output,
            headers=options.headers,
            object_headers={**options.object_headers, **names.metadata(output.job)},
        )

    def _appender(self, output: Output, names: Names) -> Appender:
        options = self._options
        return Appender(
            client=self._client,
            bucket=self._bucket,
            names=names,
            output=output,
            headers=options.headers,
            object_headers={**options.object_headers, **names.metadata(output.job)},
        )

    def _is_joined(self, target: Publisher) -> bool:
        return target.names.single and len(target.output.splits) > 1

    def _join(self, target: Publisher, spools: Sequence[Spool]) -> Sequence[JsonObject]:
        """Upload all splits as one object, in order, and return its receipt."""
        rows = sum(spool.rows for spool in spools)
        if not rows:
            return ()
        upload = target.upload(self._pool, target.names.object(0, 0), self._options.part_size)
        whole = Joined(self._options.prologue(target.output.schema), spools)
        try:
            while piece := whole.read(self._options.part_size):
                self._environment.check_cancelled()
                upload.write(piece)
            return ({"split": "", "objects": [{**upload.finish(), "rows": rows}]},)
        except BaseException:
            upload.abort()
            raise

    def _drop_spools(self) -> None:
        for spool in self._spools.values():
            spool.file.close()
        self._spools.clear()

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
        key = publisher.names.object(self._index, len(self._uploads))
        upload = publisher.upload(self._pool, key, self._options.part_size)
        self._uploads.append(upload)
        encoder = self._options.encoder(publisher.output.schema)
        upload.write(encoder.header())
        return upload, encoder

    def _finish(self, upload: MultipartUpload, encoder: Encoder) -> None:
        upload.write(encoder.finish())
        if upload.size:
            self._done.append({**upload.finish(), "rows": self._rows})
        self._current, self._rows = None, 0
