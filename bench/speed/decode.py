"""Stream pages to Arrow columns: ours, in parts and as a whole, and the vendor's decoder on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from measure import Measured, Stopwatch

from airflow_provider_sync.clients.tablestore import columns as column_decoder
from airflow_provider_sync.clients.tablestore.columns import parse_records
from airflow_provider_sync.clients.tablestore.export import Column, SingleVersionExport
from airflow_provider_sync.clients.tablestore.plainbuffer import decode_stream_record
from speed.rows import COLUMNS, TEXT_COLUMNS, records

__all__ = ["SUBJECTS"]

_SAMPLE = 10_000  # records held in memory; they are gone over again until all rows are done
_SLOW_SHARE = 20  # decoders that go record by record get this part of the rows

_Page = tuple[list[bytes], list[int]]


def _decode(
    rows: int,
    *,
    page: int = 1000,
    columns: Sequence[dict[str, Any]] | None = COLUMNS,
    mixed: bool = False,
) -> Measured:
    export = SingleVersionExport([Column(**one) for one in columns]) if columns else None

    def work(one: _Page) -> None:
        cells = parse_records(one[0])
        if export is not None:
            export.export(cells, one[1], "shard")

    return _over_pages(rows, page, work, mixed=mixed)


def _over_pages(rows: int, page: int, work: Callable[[_Page], None], *, mixed: bool = False) -> Measured:
    sample, actions = records(max(page, min(rows, _SAMPLE) // page * page), mixed=mixed)
    pages = [(sample[at : at + page], actions[at : at + page]) for at in range(0, len(sample), page)]
    sizes = [sum(map(len, one)) for one, _ in pages]
    work(pages[0])
    done = nbytes = index = 0
    with Stopwatch() as watch:
        while done < rows:
            work(pages[index])
            done, nbytes = done + len(pages[index][0]), nbytes + sizes[index]
            index = (index + 1) % len(pages)
    return watch.measured(done, nbytes)


def _without_crc(rows: int) -> Measured:
    """Take the checksums out of the decoder for this process; the product itself has no such switch."""
    parser: Any = column_decoder._Parser  # noqa: SLF001
    parser._cell_crcs = lambda _, flat: flat.crc  # noqa: SLF001
    return _decode(rows)


def _plain(rows: int) -> Measured:
    def work(one: _Page) -> None:
        for record in one[0]:
            decode_stream_record(record)

    return _over_pages(max(rows // _SLOW_SHARE, 1), 1000, work)


def _sdk(rows: int) -> Measured:
    """Decode with the vendor's package: the same rows without their extension, which it cannot read."""
    from tablestore.plainbuffer.plain_buffer_coded_stream import (  # noqa: PLC0415 - only this process has it
        PlainBufferCodedInputStream,
    )
    from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream  # noqa: PLC0415

    def work(one: _Page) -> None:
        for record in one[0]:
            PlainBufferCodedInputStream(PlainBufferInputStream(_without_extension(record))).read_row()

    return _over_pages(max(rows // _SLOW_SHARE, 1), 1000, work)


def _without_extension(record: bytes) -> bytes:
    """Cut the 29 bytes of sequence info out; no checksum covers them."""
    return record[:-31] + record[-2:]


SUBJECTS: dict[str, Callable[[int], Measured]] = {
    "decode_crc": _decode,
    "decode_crc_page_100": lambda rows: _decode(rows, page=100),
    "decode_crc_page_5000": lambda rows: _decode(rows, page=5000),
    "decode_crc_as_text": lambda rows: _decode(rows, columns=TEXT_COLUMNS),
    "decode_crc_mixed_actions": lambda rows: _decode(rows, mixed=True),
    "decode_parse_only": lambda rows: _decode(rows, columns=None),
    "decode_nocrc": _without_crc,
    "decode_record_by_record": _plain,
    "decode_sdk": _sdk,
}
