from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.localcloud.nas.timeline import Timeline

STEPS = st.lists(st.floats(0, 100), min_size=1, max_size=6, unique=True).map(sorted)


@given(STEPS, st.floats(-10, 110))
def test_the_state_is_the_last_one_that_began(times: list[float], now: float) -> None:
    line = Timeline([(at, str(number)) for number, at in enumerate(times)])
    begun = sum(at <= now for at in times)
    assert line.state(now) == str(max(begun - 1, 0))


@given(STEPS, st.floats(0, 100), st.floats(0, 10))
def test_a_change_leaves_the_past_alone(times: list[float], now: float, wait: float) -> None:
    line = Timeline([(0.0, "first"), *((at, str(number)) for number, at in enumerate(times))])
    before = [line.state(at) for at in times if at < now]
    line.change(now, (now, "Canceling"), (now + wait, "Canceled"))
    assert [line.state(at) for at in times if at < now] == before
    assert line.state(now + wait) == "Canceled"
    assert (line.end, line.last, line.begin("Canceled")) == (now + wait, "Canceled", now + wait)
    assert line.begin("nothing") is None
