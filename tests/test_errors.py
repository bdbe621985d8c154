from __future__ import annotations

import pickle

import pytest

from airflow_provider_sync import errors
from airflow_provider_sync.errors import (
    CancelledError,
    ConfigError,
    DataLossError,
    PermanentError,
    SyncError,
    ThrottledError,
    TransientError,
)


def test_every_error_is_of_one_of_three_kinds() -> None:
    kinds = {ConfigError, PermanentError, TransientError}
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, SyncError)
        if error is not SyncError:
            assert sum(issubclass(error, kind) for kind in kinds) == 1


def test_the_drawn_tree_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert f" {name}" in errors.__doc__


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("reader.mode"), "reader.mode"),
        (ConfigError("reader.mode", "fast"), "reader.mode: got 'fast'"),
        (ConfigError("reader.mode", None), "reader.mode: got None"),
        (ConfigError("reader.mode", "fast", allowed="'slow'"), "reader.mode: got 'fast'; allowed: 'slow'"),
        (ConfigError("reader.mode", reason="missing", cure="add it"), "reader.mode: missing; add it"),
        (
            ConfigError("reader.mode", 5, reason="a number", allowed="'slow'", cure="change it"),
            "reader.mode: a number, got 5; allowed: 'slow'; change it",
        ),
    ],
)
def test_a_config_error_names_field_value_allowed_and_cure(error: ConfigError, text: str) -> None:
    assert str(error) == text
    assert error.field == "reader.mode"


def test_a_long_value_is_cut() -> None:
    text = str(ConfigError("field", "x" * 10_000))
    assert text.endswith("x…")
    assert len(text) < 200


def test_throttling_may_say_how_long() -> None:
    assert ThrottledError("slow down", 1.5).retry_after == 1.5
    assert ThrottledError("slow down").retry_after is None


@pytest.mark.parametrize("error", [DataLossError("gone"), CancelledError("stopped"), TransientError("again")])
def test_errors_survive_pickling(error: SyncError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again)) == (type(error), str(error))


def test_a_config_error_survives_pickling_whole() -> None:
    again = pickle.loads(pickle.dumps(ConfigError("reader.mode", "fast", allowed="'slow'")))  # noqa: S301
    assert str(again) == "reader.mode: got 'fast'; allowed: 'slow'"
    assert again.field == "reader.mode"


def test_a_throttled_error_survives_pickling_whole() -> None:
    again = pickle.loads(pickle.dumps(ThrottledError("slow down", 1.5)))  # noqa: S301
    assert (str(again), again.retry_after) == ("slow down", 1.5)
