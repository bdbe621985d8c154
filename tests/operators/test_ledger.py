from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.operators._ledger import Ledger, digest
from tests.dataflow_world import Store, TaskRun, WorkerDied


def opened(run: TaskRun, scope: str = "s") -> Ledger:
    return Ledger.open(run.context(), scope)


def fill(ledger: Ledger, count: int) -> dict[str, str]:
    wanted = {digest(n): f"subTaskId-{n}" for n in range(count)}
    for name, subject in wanted.items():
        ledger.put(name, subject)
    ledger.flush()
    return wanted


def held(ledger: Ledger) -> dict[str, str]:
    return {one.name: one.subject for one in ledger.entries}


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1700])
def test_what_is_flushed_is_there_for_the_next_try(count: int) -> None:
    run = TaskRun()
    wanted = fill(opened(run), count)
    assert held(opened(run)) == wanted


def test_every_value_stays_below_airflows_limit() -> None:
    run = TaskRun()
    ledger = opened(run)
    for n in range(1200):
        ledger.put(digest(n), "subTaskId-370kyfmyknxcyzwabcd")
    ledger.flush()
    assert max(len(value) for value in run.store.values.values()) < 65_535


def test_tokens_are_the_same_in_every_try_until_renewed_and_fit_the_service() -> None:
    run = TaskRun()
    token = opened(run).token("a")
    assert opened(run).token("a") == token
    assert opened(run).token("b") != token
    assert len(token) == 64
    assert token.isascii()
    ledger = opened(run)
    ledger.renew(["a"])
    assert opened(run).token("a") not in {token, ""}
    assert opened(run).entry("a").subject == ""


def test_the_nonce_is_stored_before_anything_can_be_asked() -> None:
    run = TaskRun()
    run.store.dies_at = 1
    with pytest.raises(WorkerDied):
        opened(run)
    assert run.store.values == {}


def test_two_runs_have_different_tokens() -> None:
    assert opened(TaskRun()).token("a") != opened(TaskRun()).token("a")


def test_a_retry_after_the_end_finds_it_and_a_clear_forgets_it() -> None:
    run = TaskRun()
    run.try_number = 1
    ledger = opened(run)
    wanted, token = fill(ledger, 3), ledger.token("x")
    ledger.finish()
    run.try_number = 2
    assert held(opened(run)) == wanted
    run.clear()
    again = opened(run)
    assert held(again) == {}
    assert again.token("x") != token


def test_a_clear_before_the_end_goes_on() -> None:
    run = TaskRun()
    run.try_number = 1
    wanted = fill(opened(run), 3)
    run.clear()
    assert held(opened(run)) == wanted


def test_another_subject_starts_anew_and_old_pages_are_not_read() -> None:
    run = TaskRun()
    fill(opened(run), 1200)
    other = opened(run, "another task")
    assert held(other) == {}
    wanted = fill(other, 500)
    assert held(opened(run, "another task")) == wanted


def test_entries_know_which_try_asked_last() -> None:
    run = TaskRun()
    run.try_number = 1
    fill(opened(run), 1)
    assert not opened(run).is_old(digest(0))
    run.try_number = 2
    ledger = opened(run)
    assert ledger.is_old(digest(0))
    ledger.renew([digest(0)])
    assert not ledger.is_old(digest(0))


def test_without_a_state_store_it_says_what_is_needed() -> None:
    context: Any = TaskRun().context() | {"task_state_store": None}
    with pytest.raises(ConfigError, match=r"use Airflow 3\.3 or newer"):
        Ledger.open(context, "s")
    assert isinstance(Store().values, dict)
