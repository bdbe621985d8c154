from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sync.engine.contract import Environment, Writer
from airflow_provider_sync.registry import build_writer
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.testing.writer_suite import FIRST, WriterBench, WriterSuite, run, sample


class NullBench(WriterBench):
    def writer(self) -> Writer:
        return self._build(Environment())

    def cancelled_writer(self) -> Writer:
        environment = Environment()
        environment.cancelled.set()
        return self._build(environment)

    def _build(self, environment: Environment) -> Writer:
        parameter: dict[str, Any] = {"print": True, "encoding": "UTF-8"}
        return build_writer(Endpoint("null", parameter), None, environment)


class TestNullWriter(WriterSuite):
    @pytest.fixture
    def bench(self) -> NullBench:
        return NullBench()


def test_rows_are_counted_per_split() -> None:
    committed = run(NullBench(), FIRST, sample(("a", "b"), rows=50))
    assert [(one.name, one.rows) for one in committed.objects] == [("a", 50), ("b", 50)]
