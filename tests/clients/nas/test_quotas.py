from __future__ import annotations

import threading
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.clients.nas import Quotas, TokenBucket


class Time:
    """A clock that moves by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(
    st.floats(0.5, 100),
    st.integers(1, 30),
    st.lists(st.floats(0, 5), min_size=1, max_size=120),
)
def test_no_window_has_more_than_burst_and_rate_allow(rate: float, burst: int, pauses: list[float]) -> None:
    time = Time()
    bucket = TokenBucket(rate, burst, clock=time.clock, sleep=time.sleep)
    calls = []
    for pause in pauses:
        time.now += pause
        bucket.take()
        calls.append(time.now)
    for first in range(len(calls)):
        for last in range(first, len(calls)):
            assert last - first + 1 <= burst + rate * (calls[last] - calls[first]) + 1e-6 + 1e-9 * len(calls)


def test_a_full_bucket_lets_a_burst_through_at_once_and_then_the_rate() -> None:
    time = Time()
    bucket = TokenBucket(10.0, 3, clock=time.clock, sleep=time.sleep)
    assert [round(bucket.take(), 6) for _ in range(6)] == [0, 0, 0, 0.1, 0.1, 0.1]
    time.now += 100
    assert [round(bucket.take(), 6) for _ in range(4)] == [0, 0, 0, 0.1]


@pytest.mark.parametrize(
    ("operation", "seconds", "limit"),
    [
        ("CreateDataFlowSubTask", 1.0, 100),
        ("DescribeDataFlowSubTasks", 1.0, 100),
        ("CancelDataFlowSubTask", 1.0, 100),
        ("DescribeDataFlowTasks", 60.0, 120),
        ("CreateDataFlow", 60.0, 120),
    ],
)
def test_the_documented_limits_hold_in_any_window(operation: str, seconds: float, limit: int) -> None:
    time = Time()
    quotas = Quotas(clock=time.clock, sleep=time.sleep)
    calls = []
    for _ in range(3 * limit):
        quotas.take(operation)
        calls.append(time.now)
    busiest = max(sum(start <= one < start + seconds for one in calls) for start in calls)
    assert limit * 0.9 <= busiest <= limit


def test_operations_do_not_wait_for_each_other() -> None:
    time = Time()
    quotas = Quotas(other_burst=1, clock=time.clock, sleep=time.sleep)
    assert quotas.take("DescribeDataFlows") == 0
    assert quotas.take("CreateDataFlow") == 0
    assert quotas.take("DescribeDataFlows") > 0


@pytest.mark.parametrize(
    ("operation", "least", "most"), [("CreateDataFlowSubTask", 0.5, 1.5), ("DescribeDataFlows", 2.0, 6.0)]
)
def test_who_is_throttled_pauses_once_for_all(operation: str, least: float, most: float) -> None:
    time = Time()
    quotas = Quotas(clock=time.clock, sleep=time.sleep, chance=Random(1))
    quotas.take(operation)
    for _ in range(30):  # as many threads may be told
        quotas.slow_down(operation)
    assert least <= quotas.take(operation) <= most
    assert quotas.take(operation) < 1  # and goes on at its rate
    assert quotas.take("ModifyDataFlow") == 0


def test_threads_share_one_bucket() -> None:
    waits: list[float] = []
    bucket = TokenBucket(1.0, 5, clock=lambda: 0.0, sleep=waits.append)
    threads = [threading.Thread(target=bucket.take) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [float(n) for n in range(1, 16)]


def test_a_user_has_one_set_of_quotas_in_the_process() -> None:
    assert Quotas.shared("here me") is Quotas.shared("here me")
    assert Quotas.shared("here me") is not Quotas.shared("there me")
