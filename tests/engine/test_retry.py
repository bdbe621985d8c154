from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    CancelledError,
    PermanentError,
    SyncError,
    ThrottledError,
    TransientError,
)


@dataclass
class Time:
    """A clock that only sleeping and calling move."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def policy(time: Time) -> Callable[..., RetryPolicy]:
    def build(**settings: float) -> RetryPolicy:
        return RetryPolicy(clock=time.clock, sleep=time.sleep, random=random.Random(1), **settings)  # type: ignore[arg-type]

    return build


def failing(failures: Iterable[Exception], result: str = "done") -> Callable[[], str]:
    left = list(failures)

    def call() -> str:
        if left:
            raise left.pop(0)
        return result

    return call


def test_a_success_is_returned_without_waiting(policy: Callable[..., RetryPolicy], time: Time) -> None:
    assert policy().call(failing([]), what="get") == "done"
    assert time.waits == []


def test_transient_errors_are_tried_again(policy: Callable[..., RetryPolicy], time: Time) -> None:
    assert policy().call(failing([TransientError("1"), TransientError("2")]), what="get") == "done"
    assert len(time.waits) == 2


@pytest.mark.parametrize("error", [PermanentError("no"), SyncError("?"), ValueError("bug"), OSError("net")])
def test_other_errors_are_raised_at_once(
    policy: Callable[..., RetryPolicy], time: Time, error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        policy().call(failing([error]), what="get")
    assert caught.value is error
    assert time.waits == []


def test_the_last_error_is_raised_when_the_tries_are_used_up(
    policy: Callable[..., RetryPolicy], time: Time
) -> None:
    errors = [TransientError(str(n)) for n in range(5)]
    with pytest.raises(TransientError) as caught:
        policy(attempts=3).call(failing(errors), what="get")
    assert caught.value is errors[2]
    assert len(time.waits) == 2


def test_waits_are_random_below_a_growing_bound_up_to_the_cap(
    policy: Callable[..., RetryPolicy], time: Time
) -> None:
    with pytest.raises(TransientError):
        policy(attempts=12, deadline=1e9, base=0.1, cap=3.0).call(
            failing([TransientError("x")] * 12), what="get"
        )
    bounds = [0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    assert len(time.waits) == len(bounds)
    assert all(0 <= wait <= bound for wait, bound in zip(time.waits, bounds, strict=True))
    assert len(set(time.waits)) == len(bounds)


def test_no_wait_ends_after_the_deadline(policy: Callable[..., RetryPolicy], time: Time) -> None:
    with pytest.raises(TransientError):
        policy(attempts=10_000, deadline=20.0, base=1.0, cap=8.0).call(
            failing([TransientError("x")] * 10_000), what="get"
        )
    assert 0 < sum(time.waits) <= 20.0


def test_slow_calls_count_towards_the_deadline(policy: Callable[..., RetryPolicy], time: Time) -> None:
    def slow() -> str:
        time.now += 50
        raise TransientError("timeout")

    with pytest.raises(TransientError):
        policy(attempts=100, deadline=120.0).call(slow, what="get")
    assert time.now < 1000 + 120 + 50


def test_throttling_waits_at_least_what_the_service_asks(
    policy: Callable[..., RetryPolicy], time: Time
) -> None:
    assert policy().call(failing([ThrottledError("busy", 7.5), ThrottledError("busy")]), what="get") == "done"
    assert time.waits[0] == 7.5
    assert time.waits[1] <= 0.2


def test_an_asked_wait_beyond_the_deadline_is_not_waited_for(
    policy: Callable[..., RetryPolicy], time: Time
) -> None:
    with pytest.raises(ThrottledError):
        policy(deadline=10.0).call(failing([ThrottledError("busy", 11)]), what="get")
    assert time.waits == []


def test_stopping_ends_the_tries(policy: Callable[..., RetryPolicy], time: Time) -> None:
    built = policy()
    built.cancelled.set()
    with pytest.raises(CancelledError, match="get the list") as caught:
        built.call(failing([TransientError("x")]), what="get the list")
    assert isinstance(caught.value.__cause__, TransientError)
    assert time.waits == []
