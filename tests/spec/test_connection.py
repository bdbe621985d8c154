from __future__ import annotations

import json
import logging
import pickle

import pytest

from airflow_provider_sync.spec.connection import ConnectionInfo, Secret


def test_a_secret_prints_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    info = ConnectionInfo("oss", access_key_id="id", access_key_secret=Secret("s3cr3t"))
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r", info, info.access_key_secret)
    shown = f"{info} {info!r} {info.access_key_secret} {[info.access_key_secret]} {caplog.text}"
    assert "s3cr3t" not in shown
    assert "***" in shown
    with pytest.raises(TypeError):
        json.dumps({"secret": info.access_key_secret})


def test_a_secret_is_revealed_on_purpose_only() -> None:
    assert Secret("s3cr3t").reveal() == "s3cr3t"
    assert pickle.loads(pickle.dumps(Secret("s3cr3t"))).reveal() == "s3cr3t"  # noqa: S301


def test_secrets_compare_by_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_an_empty_secret_is_false_and_shows_as_empty() -> None:
    assert not Secret("")
    assert Secret("x")
    assert repr(Secret("")) == "''"
