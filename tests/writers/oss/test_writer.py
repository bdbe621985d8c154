"""What is OSS's own: names, modes against what is there, manifests, appending, refusals."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_sync.engine.contract import Committed, Environment, Output, Writer
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    TargetConflictError,
    TransientError,
)
from airflow_provider_sync.registry import build_writer
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.testing.writer_suite import FIRST, SECOND, prepare_all, run, sample

LABEL, NEXT = "20261120T184000Z_20261120T184500Z", "20261120T184500Z_20261120T185000Z"
IDS = pa.schema([("id", pa.int64())])


def write(
    writer: Writer,
    splits: Sequence[Sequence[int]] = ((1, 2),),
    *,
    window: Window | None = FIRST,
    job: str = "orders",
) -> Committed:
    """One window of one column, a split per list."""
    output = Output(job, IDS, tuple(f"s{i}" for i in range(len(splits))), window)
    data = {
        f"s{i}": [pa.record_batch([pa.array(ids, pa.int64())], schema=IDS)] for i, ids in enumerate(splits)
    }
    with writer:
        return writer.commit(prepare_all(writer, output, data))


def names(bench: Any) -> list[str]:
    return sorted(bench.visible())


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_split_is_named_by_its_window(oss: Any) -> None:
    committed = write(build_writer(Endpoint("oss", oss.parameter), oss.connection, Environment()))
    assert names(oss) == [f"out/orders/{LABEL}.csv", f"out/orders/_manifests/{LABEL}.json"]
    assert committed.manifest == f"out/orders/_manifests/{LABEL}.json"
    assert oss.content(f"out/orders/{LABEL}.csv") == b"1\n2\n"


def test_several_splits_are_numbered_and_empty_ones_left_out(oss: Any) -> None:
    write(oss.writer(object="out/orders/"), [[1], [], [3]])
    assert names(oss)[:2] == [f"out/orders/{LABEL}_00000.csv", f"out/orders/{LABEL}_00002.csv"]


def test_without_a_window_the_job_names_the_objects(oss: Any) -> None:
    write(oss.writer(), window=None, job="订单")
    assert names(oss) == ["out/orders/_manifests/订单.json", "out/orders/订单.csv"]
    assert write(oss.writer(), [[9]], window=None, job="订单").objects[0].rows == 1


def test_a_single_object_has_exactly_the_name_given(oss: Any) -> None:
    write(oss.writer(writeSingleObject=True, object="out/x.tsv"))
    write(oss.writer(writeSingleObject=True, object="y", suffix="dat"))
    assert names(oss) == [
        f"_manifests/y.dat.{LABEL}.json",
        f"out/_manifests/x.tsv.{LABEL}.json",
        "out/x.tsv",
        "y.dat",
    ]


def test_suffixes_follow_format_and_compression(oss: Any) -> None:
    for parameter in ({"fileFormat": "text"}, {"fileFormat": "jsonl", "compress": "zstd"}, {"suffix": "bak"}):
        write(oss.writer(object=f"o{len(str(parameter))}", **parameter))
    endings = {name.split(".", 1)[1] for name in names(oss)}
    assert endings == {"txt", "jsonl.zst", "bak", "json"}


def test_the_manifest_lists_names_sizes_checksums_rows_and_schema(oss: Any) -> None:
    committed = write(oss.writer(), [[1], [2, 3]])
    assert oss.manifest(committed.manifest) == {
        "version": 1,
        "state": "final",
        "job": "orders",
        "window": {"start": FIRST.start, "end": FIRST.end},
        "rows": 3,
        "objects": [
            {
                "name": f"out/orders/{LABEL}_00000.csv",
                "size": 2,
                "rows": 1,
                "crc64": str(
                    oss.bucket.head_object(f"out/orders/{LABEL}_00000.csv").headers["x-oss-hash-crc64ecma"]
                ),
            },
            {
                "name": f"out/orders/{LABEL}_00001.csv",
                "size": 4,
                "rows": 2,
                "crc64": str(
                    oss.bucket.head_object(f"out/orders/{LABEL}_00001.csv").headers["x-oss-hash-crc64ecma"]
                ),
            },
        ],
        "error_list": "",
        "schema": [{"name": "id", "type": "int64"}],
    }
    assert oss.operations().index("PutObject") > oss.operations().index("CompleteMultipartUpload")


# ── objects ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_object_is_sent_in_parts_of_the_block_size(oss: Any) -> None:
    writer = oss.writer(blockSizeInMB=1, header=["id"])
    committed = write(writer, [list(range(500_000))])
    assert oss.content(committed.objects[0].name).decode() == "id\n" + "".join(
        f"{i}\n" for i in range(500_000)
    )
    size = committed.objects[0].size
    assert oss.operations().count("UploadPart") == -(-size // (1 << 20)) == 4


def test_full_objects_roll_and_repeat_the_header(oss: Any) -> None:
    output = Output("orders", IDS, ("s0",), FIRST)
    batch = pa.record_batch([pa.array(range(100_000, 240_000))], schema=IDS)
    with oss.writer(maxFileSize=1, header=["id"]) as writer:
        committed = writer.commit(prepare_all(writer, output, {"s0": [batch, batch, batch]}))
    assert [one.name.rpartition("/")[2] for one in committed.objects] == [f"{LABEL}.csv", f"{LABEL}_1.csv"]
    assert [one.rows for one in committed.objects] == [280_000, 140_000]
    assert all(oss.content(one.name).startswith(b"id\n100000\n") for one in committed.objects)
    write(oss.writer(), [[1]])
    assert names(oss) == [f"out/orders/{LABEL}.csv", f"out/orders/_manifests/{LABEL}.json"]


def test_compressed_and_parquet_objects_read_back(oss: Any) -> None:
    name = write(oss.writer(compress="gzip", header=["id"])).objects[0].name
    assert gzip.decompress(oss.content(name)) == b"id\n1\n2\n"
    name = write(oss.writer(fileFormat="parquet", object="p")).objects[0].name
    assert pq.read_table(io.BytesIO(oss.content(name))).to_pydict() == {"id": [1, 2]}


def test_headers_go_with_every_object(oss: Any) -> None:
    parameter = {"encrypt": True, "storageClass": "IA", "metadata": {"team": "data"}}
    for ids, mode, single in (([1], "truncate", False), ([], "truncate", False), ([1], "append", True)):
        name = f"{mode}{len(ids)}{single}"
        writer = oss.writer(object=name, writeMode=mode, writeSingleObject=single, **parameter)
        headers = oss.bucket.head_object(write(writer, [ids]).objects[0].name).headers
        assert headers["x-oss-server-side-encryption"] == "AES256"
        assert headers["x-oss-storage-class"] == "IA"
        assert headers["x-oss-meta-team"] == "data"
        assert headers["x-oss-meta-sync-job"] == "orders"


def test_an_empty_window_makes_an_object_with_its_header_or_none(oss: Any) -> None:
    assert oss.content(write(oss.writer(header=["id"]), [[], []]).objects[0].name) == b"id\n"
    assert write(oss.writer(object="no", generateEmptyFile=False), [[]]).objects == ()
    assert f"no/_manifests/{LABEL}.json" in names(oss)
    empty = write(oss.writer(object="p", fileFormat="parquet"), [[]]).objects[0].name
    assert pq.read_table(io.BytesIO(oss.content(empty))).schema.equals(IDS)


# ── modes and what is there ──────────────────────────────────────────────────────────────────────────────


def test_other_windows_and_names_with_the_same_beginning_stay(oss: Any) -> None:
    kept = ["out/orders2/x.csv", "out/orders.csv", f"out/orders/{LABEL}x.csv", f"out/orders/{LABEL}.csv.bak"]
    for name in kept:
        oss.bucket.put_object(name, b"mine")
    write(oss.writer(), window=SECOND)
    write(oss.writer(), [[1], [2]])
    write(oss.writer(), [[1]])
    assert names(oss) == sorted(
        [
            *kept,
            *(f"out/orders/{label}.csv" for label in (LABEL, NEXT)),
            *(f"out/orders/_manifests/{label}.json" for label in (LABEL, NEXT)),
        ]
    )


def test_what_a_killed_try_completed_is_removed_even_without_a_manifest(oss: Any) -> None:
    write(oss.writer(), [[1], [2], [3]])
    oss.bucket.delete_object(f"out/orders/_manifests/{LABEL}.json")
    write(oss.writer(), [[1], [2]])
    assert f"out/orders/{LABEL}_00002.csv" not in names(oss)


def test_a_foreign_object_of_a_matching_name_is_replaced_by_truncate_only_if_the_name_is_used(
    oss: Any,
) -> None:
    used, unused = f"out/orders/{LABEL}.csv", f"out/orders/{LABEL}_00007.csv"
    for name in (used, unused):
        oss.bucket.put_object(name, b"foreign")
    write(oss.writer())
    assert (oss.content(used), oss.content(unused)) == (b"1\n2\n", b"foreign")


@pytest.mark.parametrize("mode", ["nonConflict", "append"])
def test_a_foreign_object_of_the_same_name_is_not_replaced(oss: Any, mode: str) -> None:
    oss.bucket.put_object(f"out/orders/{LABEL}.csv", b"foreign")
    with pytest.raises(TargetConflictError, match="was not made by this job"):
        write(oss.writer(writeMode=mode))
    assert oss.content(f"out/orders/{LABEL}.csv") == b"foreign"


def test_non_conflict_is_enforced_by_the_service_when_somebody_comes_between(oss: Any) -> None:
    output = Output("orders", IDS, ("s0",), FIRST)
    data = {"s0": [pa.record_batch([pa.array([1])], schema=IDS)]}
    with oss.writer(writeMode="nonConflict") as writer:
        receipts = prepare_all(writer, output, data)
        oss.bucket.put_object(f"out/orders/{LABEL}.csv", b"between")
        with pytest.raises(TargetConflictError, match="nonConflict"):
            writer.commit(receipts)
        writer.abort(receipts)
    assert (oss.content(f"out/orders/{LABEL}.csv"), list(oss.hidden())) == (b"between", [])


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
def test_non_conflict_is_refused_where_the_service_would_ignore_it(oss: Any, versioning: str) -> None:
    oss.control("bucket", {"name": "lake", "versioning": versioning})
    with pytest.raises(ConfigError, match=f"versioning of bucket lake is {versioning}"):
        write(oss.writer(writeMode="nonConflict"))


def test_a_single_object_does_not_lose_another_window(oss: Any) -> None:
    write(oss.writer(writeSingleObject=True, object="x.csv"))
    with pytest.raises(TargetConflictError, match=r"window '20261120T184000Z.*put \$\{start_time\} into"):
        write(oss.writer(writeSingleObject=True, object="x.csv"), window=SECOND)


def test_two_jobs_cannot_share_one_prefix_for_one_window(oss: Any) -> None:
    write(oss.writer())
    with pytest.raises(TargetConflictError, match="belongs to job 'orders', this is job 'other'"):
        write(oss.writer(), job="other")


def test_a_rolled_name_that_another_job_holds_is_not_replaced(oss: Any) -> None:
    write(oss.writer(), window=None, job="orders_1")
    output = Output("orders", IDS, ("s0",), None)
    batch = pa.record_batch([pa.array(range(1_000_000, 1_200_000))], schema=IDS)
    with oss.writer(maxFileSize=1) as writer:
        receipts = prepare_all(writer, output, {"s0": [batch, batch]})
        with pytest.raises(TargetConflictError, match="of job 'orders_1'"):
            writer.commit(receipts)


def test_jobs_without_windows_do_not_clear_each_others_objects(oss: Any) -> None:
    write(oss.writer(), window=None, job="orders_00001")
    pending = oss.bucket.init_multipart_upload("out/orders/orders_00001.csv").upload_id
    write(oss.writer(), window=None, job="orders")
    assert "out/orders/orders_00001.csv" in names(oss)
    assert [one["upload_id"] for one in oss.control("uploads", method="GET")] == [pending]


def test_a_window_that_another_run_aborted_is_to_be_run_again(oss: Any) -> None:
    output = Output("orders", IDS, ("s0",), FIRST)
    with oss.writer() as writer:
        receipts = prepare_all(writer, output, {"s0": [pa.record_batch([pa.array([1])], schema=IDS)]})
        write(oss.writer(), [[2]])  # commits the same window and clears leftovers
        with pytest.raises(TransientError, match="run the window again"):
            writer.commit(receipts)


def test_splits_prepared_by_one_process_are_committed_by_another(oss: Any) -> None:
    data = sample(("s-0", "s-1"))
    schema = data["s-0"][0].schema
    with oss.writer() as first:
        receipts = prepare_all(first, Output("orders", schema, ("s-0", "s-1"), FIRST), data)
    with oss.writer() as second:
        second.begin(Output("orders", schema, ("s-0", "s-1"), FIRST))
        assert [one.rows for one in second.commit(receipts).objects] == [100, 100]


# ── appending ────────────────────────────────────────────────────────────────────────────────────────────

APPEND = {"writeMode": "append", "writeSingleObject": True, "object": "log.csv", "header": ["id"]}


def test_windows_are_appended_once_each_under_one_header(oss: Any) -> None:
    for _ in range(2):
        for window, ids in ((FIRST, [1, 2]), (SECOND, [3])):
            write(oss.writer(**APPEND), [ids[:1], ids[1:]], window=window)
    assert oss.content("log.csv") == b"id\n1\n2\n3\n"
    assert oss.manifest(f"_manifests/log.csv.{NEXT}.json")["append"]["position"] == 7


def test_a_window_that_is_in_with_other_bytes_is_a_conflict(oss: Any) -> None:
    write(oss.writer(**APPEND))
    with pytest.raises(TargetConflictError, match=r"is already in lake/log\.csv with other content"):
        write(oss.writer(**APPEND), [[7]])
    assert oss.content("log.csv") == b"id\n1\n2\n"


def test_somebody_elses_tail_in_between_does_not_matter(oss: Any) -> None:
    write(oss.writer(**APPEND))
    oss.fail("drop_before", 4, -1)  # manifest, head, pending manifest … then nothing reaches the service
    with pytest.raises(TransientError):
        write(oss.writer(**APPEND), [[3]], window=SECOND)
    oss.heal()
    oss.bucket.append_object("log.csv", 7, b"else\n")
    for _ in range(2):
        write(oss.writer(**APPEND), [[3]], window=SECOND)
    assert oss.content("log.csv") == b"id\n1\n2\nelse\n3\n"


def test_a_tail_that_was_followed_by_others_is_found_again(oss: Any) -> None:
    write(oss.writer(**APPEND))
    write(oss.writer(**APPEND), [[3]], window=SECOND)
    manifest = f"_manifests/log.csv.{LABEL}.json"
    content = oss.content(manifest)
    oss.bucket.put_object(manifest, content.replace(b'"final"', b'"pending"'))
    write(oss.writer(**APPEND))
    assert oss.content("log.csv") == b"id\n1\n2\n3\n"
    assert oss.content(manifest) == content


def test_an_object_that_was_started_anew_gets_the_window_again(oss: Any) -> None:
    write(oss.writer(**APPEND))
    oss.bucket.delete_object("log.csv")
    write(oss.writer(**APPEND))
    assert oss.content("log.csv") == b"id\n1\n2\n"


def test_compressed_tails_are_members_of_one_stream(oss: Any) -> None:
    for window, ids in ((FIRST, [1]), (SECOND, [2])):
        write(oss.writer(**{**APPEND, "compress": "gzip"}), [ids, []], window=window)
    assert gzip.decompress(oss.content("log.csv")) == b"id\n1\n2\n"


def test_an_object_that_cannot_grow_is_a_conflict(oss: Any) -> None:
    oss.bucket.put_object("log.csv", b"normal")
    with pytest.raises(TargetConflictError, match="of kind Normal, which cannot grow"):
        write(oss.writer(**APPEND))


def test_an_append_cannot_be_committed_by_another_process(oss: Any) -> None:
    output = Output("orders", IDS, ("s0",), FIRST)
    with oss.writer(**APPEND) as first:
        receipts = prepare_all(first, output, {"s0": [pa.record_batch([pa.array([1])], schema=IDS)]})
    with oss.writer(**APPEND) as second:
        second.begin(output)
        with pytest.raises(ConfigError, match="was written by another process"):
            second.commit(receipts)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"object": "/x"}, "object: a name must not start with"),
        ({"object": "\\x"}, "object: a name must not start with"),
        ({"object": ""}, "object: got ''"),
        ({"object": "a/${start_time}"}, "object: holds a parameter that nobody replaced"),
        ({"object": "a/", "writeSingleObject": True}, "object: writeSingleObject needs a whole name"),
        ({"object": "a/_manifests/b"}, "object: _manifests and _errors are this writer's own"),
        ({"bucket": "Bad_Name"}, "bucket: got 'Bad_Name'"),
        (
            {"writeMode": "overwrite"},
            "writeMode: got 'overwrite'; allowed: 'truncate', 'append', 'nonConflict'",
        ),
        (
            {"writeMode": "append", "writeSingleObject": True, "fileFormat": "parquet"},
            "writeMode: parquet cannot grow",
        ),
        ({"partition": ["a"]}, "partition: names from column values"),
        ({"column": [{"name": "a"}]}, "column: columns, their names and types come from the reader"),
        ({"hadoopConfig": {"a": 1}}, "hadoopConfig: no Hadoop"),
        ({"syncMode": "copy"}, "syncMode: copying files"),
        ({"maxFileSize": 0}, "maxFileSize"),
        (
            {"maxFileSize": 10, "writeSingleObject": True},
            "maxFileSize: writeSingleObject asks for one object",
        ),
        ({"blockSizeInMB": 0}, "blockSizeInMB"),
        ({"metadata": {"a_b": 1}}, "metadata: got 'a_b'"),
        ({"metadata": {"a": "é"}}, "metadata.a: got 'é'"),
        ({"storageClass": "Cold"}, "storageClass"),
        ({"fielDelimiter": ","}, "fielDelimiter: unknown parameter"),
    ],
)
def test_bad_parameters_are_refused_before_a_request(
    oss: Any, parameter: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        oss.writer(**parameter)
    assert str(caught.value).startswith(f"writer.parameter.{message}")
    assert oss.requests() == 0


def test_empty_values_of_refused_parameters_are_fine(oss: Any) -> None:
    oss.writer(partition=[], column=[], syncMode="").close()


def test_the_bucket_may_come_from_the_connection(oss: Any) -> None:
    with pytest.raises(ConfigError, match=r"writer\.parameter\.bucket: got ''"):
        oss.writer(bucket="")


@pytest.mark.parametrize("mode", ["truncate", "nonConflict"])
def test_a_missing_bucket_is_named_before_a_byte_is_written(oss: Any, mode: str) -> None:
    with pytest.raises(NotFoundError, match="no-such-bucket"):
        write(oss.writer(bucket="no-such-bucket", writeMode=mode))


def test_a_forbidden_key_is_an_access_error(oss: Any) -> None:
    oss.control("deny", {"key_regex": "^out/", "operation": "InitiateMultipartUpload"})
    try:
        with pytest.raises(AccessDeniedError, match=r"start upload of lake/out/orders.*check the policy"):
            write(oss.writer())
    finally:
        oss.control("deny", method="DELETE")


def test_a_schema_that_the_format_cannot_hold_is_refused_at_the_beginning(oss: Any) -> None:
    schema = pa.schema([("a", pa.list_(pa.int64()))])
    with oss.writer() as writer, pytest.raises(ConfigError, match=r"schema\.a"):
        writer.begin(Output("orders", schema, ("s0",), FIRST))
    with oss.writer(header=["a", "b"]) as writer, pytest.raises(ConfigError, match="2 names for 1 columns"):
        writer.begin(Output("orders", IDS, ("s0",), FIRST))
    with (
        oss.writer(fileFormat="parquet", writeSingleObject=True, object="x") as writer,
        pytest.raises(ConfigError, match="parquet of 2 splits cannot be one object"),
    ):
        writer.begin(Output("orders", IDS, ("s0", "s1"), FIRST))
    with oss.writer(object="é" * 500) as writer, pytest.raises(ConfigError, match="longer than 1023 bytes"):
        writer.begin(Output("orders", IDS, ("s0",), FIRST))


def test_rejected_rows_say_their_split(oss: Any) -> None:
    schema = pa.schema([("a", pa.string())])
    with oss.writer(fileFormat="text") as writer:
        writer.begin(Output("orders", schema, ("s0",), FIRST))
        split = writer.open("s0")
        refused = split.write(pa.record_batch([["x", "a,b"]], schema=schema))
        assert [(one.where, one.column) for one in refused] == [("split s0 row 1 (a = a,b)", "a")]
        committed = writer.commit([split.prepare()], refused)
    assert committed.objects[0].rows == 1
    assert oss.content(committed.error_list).count(b"\n") == 1


def test_a_part_that_fails_for_good_ends_the_split_and_leaves_nothing(oss: Any) -> None:
    oss.control(
        "faults", {"action": "error", "operation": "UploadPart", "status": 403, "code": "AccessDenied"}
    )
    with oss.writer() as writer:
        writer.begin(Output("orders", IDS, ("s0",), FIRST))
        split = writer.open("s0")
        split.write(pa.record_batch([pa.array([1])], schema=IDS))
        with pytest.raises(AccessDeniedError):
            split.prepare()
        split.abort()
    assert list(oss.hidden()) == []


def test_the_window_of_the_suite_is_the_one_of_these_names(oss: Any) -> None:
    assert (FIRST.label, SECOND.label) == (LABEL, NEXT)
    assert run(oss, FIRST, sample(("s",))).objects[0].name.endswith(f"{LABEL}.csv")
