"""How fast the main job is, and how far from its limits: one JSON object a line.

``python bench/stream_speed.py --rows N [--only NAME …]``. Keys: ``name``, ``rows_s``, ``mb_s`` (bytes of the
source), ``cpu_s``, ``peak_mb``, ``ratio`` of rows per second to those of the subject ``ratio_to`` in the same
run (of seconds where that is a budget), then ``seconds``, ``rows`` and ``rows_cpu_s``, rows per second of CPU
time, which says more on a busy machine; null where something does not apply. Each subject runs in a process
of its own, so that its peak of memory is its own; the local cloud runs in another.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from measure import Measured, in_fresh_process, local_cloud, print_measured

_PLAIN = {
    "decode_crc": "decode_sdk",
    "decode_crc_page_100": "decode_crc",
    "decode_crc_page_5000": "decode_crc",
    "decode_crc_as_text": "decode_crc",
    "decode_crc_mixed_actions": "decode_crc",
    "decode_parse_only": "decode_crc",
    "decode_nocrc": "decode_crc",
    "decode_record_by_record": "decode_sdk",
    "decode_sdk": None,
    "csv_encoder": "csv_pyarrow",
    "csv_encoder_batch_1000": "csv_pyarrow",
    "csv_pandas": "csv_pyarrow",
    "csv_pyarrow": None,
    "airflow_task": None,
    "dag_import": "budget of 0.1 s",
}
_WITH_CLOUD = {
    "source_limit": None,
    "stream_to_null": "source_limit",
    "stream_to_csv": "source_limit",
    "stream_to_csv_four_shards": "stream_to_csv",
    "generator_to_null": None,
    "generator_to_csv": "generator_to_null",
    "empty_window": None,
}
_SUBJECTS = _PLAIN | _WITH_CLOUD
"""What can be measured, and what its ratio is to."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--only", nargs="+", choices=sorted(_SUBJECTS), default=sorted(_SUBJECTS))
    parser.add_argument("--measure", choices=sorted(_SUBJECTS), help="one subject, in this process")
    parser.add_argument("--scene", type=json.loads, help="what --measure needs to know of the local cloud")
    options = parser.parse_args(arguments)
    if options.measure:
        print_measured(_measure(options.measure, options.rows, options.scene))
    else:
        _report(options.rows, [name for name in _SUBJECTS if name in options.only])
    return 0


def _measure(name: str, rows: int, scene: dict[str, object] | None) -> Measured:
    """Import only what the subject needs: its memory is measured, too."""
    if name in _WITH_CLOUD:
        from speed import stream  # noqa: PLC0415

        return stream.SUBJECTS[name](rows, stream.Scene(**scene))  # type: ignore[arg-type]
    if name.startswith("decode"):
        from speed import decode  # noqa: PLC0415

        return decode.SUBJECTS[name](rows)
    if name.startswith("csv"):
        from speed import encode  # noqa: PLC0415

        return encode.SUBJECTS[name](rows)
    from speed import start  # noqa: PLC0415

    return start.SUBJECTS[name](rows)


def _report(rows: int, names: Sequence[str]) -> None:
    """Measure peers before what is compared with them, print in the order asked for as far as that goes."""
    done: dict[str, Measured] = {}
    waiting = sorted(names, key=lambda name: (_SUBJECTS[name] is not None, list(_SUBJECTS).index(name)))
    with ExitStack() as stack:
        scene = []
        if set(names) & set(_WITH_CLOUD):
            from speed.stream import set_scene  # noqa: PLC0415

            cloud = stack.enter_context(local_cloud())
            scene = ["--scene", json.dumps(asdict(set_scene(cloud.tablestore, cloud.oss, rows)))]
        for name in waiting:
            arguments = ["--measure", name, "--rows", str(rows), *(scene if name in _WITH_CLOUD else [])]
            done[name] = in_fresh_process(Path(__file__), arguments)
            print(json.dumps(_line(name, done)), flush=True)


def _line(name: str, done: dict[str, Measured]) -> dict[str, object]:
    one, peer = done[name], _SUBJECTS[name]
    return {
        "name": name,
        "rows_s": _rounded(one.rows_s, 0),
        "mb_s": _rounded(one.mb_s, 3),
        "cpu_s": _rounded(one.cpu_s, 3),
        "peak_mb": _rounded(one.peak_mb, 0),
        "ratio": _rounded(_ratio(one, peer, done), 2),
        "ratio_to": peer,
        "seconds": _rounded(one.seconds, 4),
        "rows": one.rows or None,
        "rows_cpu_s": _rounded(one.rows / one.cpu_s, 0) if one.rows else None,
        **one.extra,
    }


def _ratio(one: Measured, peer: str | None, done: dict[str, Measured]) -> float | None:
    if peer == "budget of 0.1 s":
        return one.seconds / 0.1
    if peer not in done or one.rows_s is None:
        return None
    other = done[peer].rows_s
    return one.rows_s / other if other else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


if __name__ == "__main__":
    sys.exit(main())
