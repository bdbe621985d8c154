from __future__ import annotations

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.migration.sizing import workers_needed


def test_the_documented_example_needs_36_workers_at_two_terabytes_a_day() -> None:
    two_terabytes_a_day = 2 * 10**6 / 86_400
    assert workers_needed(500, 7, two_terabytes_a_day) == 36


def test_it_is_a_few_less_at_what_200_mbit_really_move() -> None:
    assert workers_needed(500, 7, 25) == 34


def test_many_small_objects_need_more_than_their_bytes() -> None:
    assert workers_needed(1, 1, 100) == 1
    assert workers_needed(1, 1, 100, objects=1_000_000_000) == 12
    assert workers_needed(1, 1, 100, objects=1_000_000_000, objects_per_second=2_000) == 6


def test_a_day_of_one_worker_is_one_worker() -> None:
    assert workers_needed(8.64, 1, 100) == 1


@pytest.mark.parametrize("given", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_nothing_is_no_answer(given: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="more than 0"):
        workers_needed(*given)
