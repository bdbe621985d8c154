"""The bench says what it promises to say; how fast anything is, is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "stream_speed.py"
KEYS = {"name", "rows_s", "mb_s", "cpu_s", "peak_mb", "ratio", "ratio_to"}
DECODERS = {
    "decode_crc",
    "decode_crc_page_100",
    "decode_crc_page_5000",
    "decode_crc_as_text",
    "decode_crc_mixed_actions",
    "decode_parse_only",
    "decode_nocrc",
    "decode_record_by_record",
    "decode_sdk",
}
ENCODERS = {"csv_encoder", "csv_encoder_batch_1000", "csv_pandas", "csv_pyarrow"}
WAYS = {
    "source_limit",
    "stream_to_null",
    "stream_to_csv",
    "stream_to_csv_four_shards",
    "generator_to_null",
    "generator_to_csv",
}
WITHOUT_ROWS = {"airflow_task", "dag_import", "empty_window"}


def run(*arguments: str) -> dict[str, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, str(BENCH), *arguments], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines}


@pytest.mark.timeout(600)  # twenty-two processes, six of which load Airflow
def test_every_subject_gives_one_line_of_figures():
    lines = run("--rows", "1000")
    assert set(lines) == DECODERS | ENCODERS | WAYS | WITHOUT_ROWS
    for name, line in lines.items():
        assert set(line) >= KEYS, name
        assert line["cpu_s"] >= 0, name
        assert line["peak_mb"] > 5, name
        if name in WITHOUT_ROWS:
            assert line["rows_s"] is None, name
        else:
            assert line["rows"] >= 20, name
            assert line["rows_s"] > 0, line
            assert line["mb_s"] > 0, line
        if line["ratio_to"] in lines:
            peer = lines[line["ratio_to"]]
            assert line["ratio"] == pytest.approx(line["rows_s"] / peer["rows_s"], rel=0.1, abs=0.01), name
    assert lines["stream_to_csv"]["written"] == 1000
    assert lines["empty_window"]["requests"] > 0
    assert lines["dag_import"]["ratio"] > 0


def test_one_subject_can_be_asked_for():
    lines = run("--rows", "1000", "--only", "decode_crc")
    assert list(lines) == ["decode_crc"]
    assert lines["decode_crc"]["ratio_to"] == "decode_sdk"
    assert lines["decode_crc"]["ratio"] is None
