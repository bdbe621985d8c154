"""Whole objects through the encoder that parameters ask for, read back by others' tools."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.formats.options import FormatOptions
from airflow_provider_sync.spec.options import describe_options, parse_options

ROWS = pa.record_batch({"id": list(range(1000)), "name": [f"n{i % 7}" for i in range(1000)]})
PLAIN = "id,name\n" + "".join(f"{i},n{i % 7}\n" for i in range(1000))


def options(**parameter: Any) -> FormatOptions:
    return parse_options(FormatOptions, parameter, "writer.parameter")


def whole(chosen: FormatOptions, step: int = 300) -> bytes:
    encoder = chosen.encoder(ROWS.schema)
    pieces = [encoder.header()]
    pieces += [bytes(encoder.encode(ROWS.slice(start, step)).data) for start in range(0, 1000, step)]
    return b"".join([*pieces, encoder.finish()])


def test_gzip_is_one_member_and_the_same_bytes_however_cut() -> None:
    chosen = options(fileFormat="csv", compress="gzip", header=["id", "name"])
    assert gzip.decompress(whole(chosen)).decode() == PLAIN
    assert whole(chosen) == whole(chosen, 17)
    assert chosen.extension == ".csv.gz"


def test_zstd_is_one_frame() -> None:
    chosen = options(fileFormat="csv", compress="zstd", header=["id", "name"])
    assert zstandard.ZstdDecompressor().stream_reader(io.BytesIO(whole(chosen))).read().decode() == PLAIN
    assert whole(chosen) == whole(chosen)
    assert chosen.extension == ".csv.zst"


@pytest.mark.parametrize("compress", ["", "none", "gzip", "zstd", "snappy"])
def test_parquet_holds_the_rows_and_their_types(compress: str) -> None:
    chosen = options(fileFormat="parquet", compress=compress)
    file = pq.ParquetFile(io.BytesIO(whole(chosen)))
    assert file.read().to_pylist() == ROWS.to_pylist()
    assert file.schema_arrow.equals(ROWS.schema)
    assert file.metadata.row_group(0).column(0).compression == {"": "SNAPPY", "none": "UNCOMPRESSED"}.get(
        compress, compress.upper()
    )
    assert chosen.extension == ".parquet"


def test_parquet_row_groups_are_bounded() -> None:
    encoder = options(fileFormat="parquet", compress="none").encoder(pa.schema([("a", pa.int64())]))
    batch = pa.record_batch({"a": pa.array(range(400_000))})
    pieces = [encoder.header()] + [bytes(encoder.encode(batch).data) for _ in range(5)] + [encoder.finish()]
    assert [len(piece) > 0 for piece in pieces] == [True, False, False, True, False, False, True]
    metadata = pq.ParquetFile(io.BytesIO(b"".join(pieces))).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1_200_000, 800_000]


def test_an_object_may_be_joined_from_several_encoders() -> None:
    for parameter in ({"compress": "gzip"}, {"encoding": "utf-16"}, {}):
        chosen = options(fileFormat="csv", header=["id", "name"], **parameter)
        data = chosen.prologue(ROWS.schema)
        for start in (0, 500):
            encoder = chosen.encoder(ROWS.schema)
            data += bytes(encoder.encode(ROWS.slice(start, 500)).data) + encoder.finish()
        plain = gzip.decompress(data) if "compress" in parameter else data
        assert plain.decode(parameter.get("encoding", "utf-8")) == PLAIN


def test_no_prologue_without_a_header() -> None:
    assert options(fileFormat="csv", compress="gzip").prologue(ROWS.schema) == b""


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"fileFormat": "sql"}, "fileFormat: DataX's sql files"),
        ({"fileFormat": "orc"}, "fileFormat: Arrow's ORC"),
        ({"fileFormat": "xml"}, "fileFormat: got 'xml'; allowed: 'csv', 'text'"),
        ({"fileFormat": "csv", "compress": "snappy"}, "compress"),
        ({"fileFormat": "csv", "compress": "bzip2"}, "compress"),
        ({"fileFormat": "parquet", "header": ["a"]}, "header: parquet has its own names"),
        ({"fileFormat": "jsonl", "encoding": "GBK"}, "encoding: jsonl is UTF-8"),
        ({"fileFormat": "csv", "escape": "\\"}, "escape"),
        (
            {"fileFormat": "csv", "csvWriterConfig": {"quote": "'"}},
            "csvWriterConfig.quote: unknown parameter",
        ),
    ],
)
def test_what_does_not_fit_is_refused(parameter: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(**parameter)
    assert str(caught.value).startswith(f"writer.parameter.{message}")


def test_every_parameter_is_documented() -> None:
    assert all(row["doc"] for row in describe_options(FormatOptions))
