from __future__ import annotations

import json

from airflow_provider_sync.notifications.incident import (
    Failure,
    close,
    open_or_repeat,
    read_incidents,
    write_incidents,
)

AT_WINDOW = {"start": 1000, "end": 2000}


def test_the_first_failure_is_told_and_the_next_ones_at_that_window_are_not() -> None:
    incidents, told = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    assert told
    for number in range(3):
        again = Failure("failed", f"run-{number + 2}", "denied", **AT_WINDOW)
        incidents, told = open_or_repeat(incidents, again, "10:05")
        assert not told
    (one,) = incidents.values()
    assert (one.run_id, one.since, one.repeats) == ("run-1", "10:00", 3)


def test_another_window_is_another_incident() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    incidents, told = open_or_repeat(incidents, Failure("failed", "run-2", "denied", 2000, 3000), "10:05")
    assert told
    assert len(incidents) == 2


def test_a_late_run_that_fails_after_all_is_told_again_but_not_the_other_way() -> None:
    incidents, told_late = open_or_repeat({}, Failure("late", "run-1", "not done", **AT_WINDOW), "10:00")
    incidents, told_failed = open_or_repeat(
        incidents, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:01"
    )
    incidents, told_late_again = open_or_repeat(incidents, Failure("late", "run-1", "", **AT_WINDOW), "10:02")
    assert (told_late, told_failed, told_late_again) == (True, True, False)
    (one,) = incidents.values()
    assert (one.kind, one.cause, one.since) == ("failed", "denied", "10:00")


def test_runs_that_failed_at_an_earlier_window_are_not_told_again_when_their_own_is_late() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    incidents, _ = open_or_repeat(incidents, Failure("failed", "run-2", "denied", **AT_WINDOW), "10:05")
    for run, own in (("run-1", AT_WINDOW), ("run-2", {"start": 2000, "end": 3000})):
        incidents, told = open_or_repeat(incidents, Failure("late", run, "not done", **own), "10:20")
        assert not told
    (one,) = incidents.values()
    assert (one.kind, one.repeats, one.runs) == ("failed", 1, ("run-2",))


def test_a_late_run_that_never_met_the_open_incident_is_one_of_its_own() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    _, told = open_or_repeat(incidents, Failure("late", "run-2", "not done", 2000, 3000), "10:20")
    assert told


def test_the_runs_that_an_incident_names_stay_few() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-0", "denied", **AT_WINDOW), "10:00")
    for number in range(1, 300):
        incidents, _ = open_or_repeat(
            incidents, Failure("failed", f"run-{number}", "denied", **AT_WINDOW), "10:05"
        )
    (one,) = incidents.values()
    assert (one.repeats, len(one.runs), one.runs[-1]) == (299, 100, "run-299")


def test_a_run_that_commits_the_window_closes_the_incident_of_another_run() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    left, closed = close(incidents, "run-2", [(1000, 2000), (2000, 3000)])
    assert left == {}
    assert [one.run_id for one in closed] == ["run-1"]


def test_a_run_of_another_window_closes_nothing() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    left, closed = close(incidents, "run-2", [(2000, 3000)])
    assert left == incidents
    assert closed == []


def test_an_incident_without_a_window_ends_with_its_own_run() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "killed"), "10:00")
    assert close(incidents, "run-2", [(0, 5000)])[1] == []
    assert len(close(incidents, "run-1", [(0, 5000)])[1]) == 1


def test_incidents_survive_being_stored() -> None:
    incidents, _ = open_or_repeat({}, Failure("failed", "run-1", "denied", **AT_WINDOW), "10:00")
    incidents, _ = open_or_repeat(incidents, Failure("failed", "run-2", "denied", **AT_WINDOW), "10:05")
    assert read_incidents(json.loads(json.dumps(write_incidents(incidents)))) == incidents
    assert read_incidents(None) == {}
