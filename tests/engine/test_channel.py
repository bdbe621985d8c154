import threading

import pyarrow as pa
import pytest

from airflow_provider_sync.engine.channel import Channel, ChannelClosedError
from airflow_provider_sync.engine.record import RecordBatch


def batch(rows: int, nbytes: int = 0) -> RecordBatch:
    return RecordBatch(pa.RecordBatch.from_pydict({"n": list(range(rows))}), {}, rows, nbytes)


def test_batches_come_out_in_order_and_then_it_ends():
    channel = Channel(10, 100)
    first, second = batch(1), batch(2)
    channel.put(first)
    channel.put(second)
    channel.finish()
    assert list(channel) == [first, second]


@pytest.mark.parametrize(("size", "limits"), [((6, 0), (10, 100)), ((1, 60), (10, 100))])
def test_a_full_channel_makes_the_reading_side_wait(size, limits):
    channel = Channel(*limits)
    channel.put(batch(*size))
    waiting = threading.Thread(target=channel.put, args=(batch(*size),))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    next(iter(channel))
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_batch_larger_than_the_channel_still_passes():
    channel = Channel(1, 1)
    channel.put(batch(50, 5000))
    channel.finish()
    assert sum(one.rows.num_rows for one in channel) == 50


def test_closing_frees_a_waiting_reader():
    channel = Channel(1, 1)
    channel.put(batch(1))
    seen: list[type[BaseException]] = []

    def put() -> None:
        try:
            channel.put(batch(1))
        except ChannelClosedError as error:
            seen.append(type(error))

    thread = threading.Thread(target=put)
    thread.start()
    channel.close()
    thread.join(5)
    assert seen == [ChannelClosedError]


def test_the_readers_error_comes_out_after_what_was_read_before_it():
    channel = Channel(10, 10)
    channel.put(batch(1))
    channel.finish(ValueError("source gone"))
    taken = iter(channel)
    assert next(taken).rows.num_rows == 1
    with pytest.raises(ValueError, match="source gone"):
        next(taken)
