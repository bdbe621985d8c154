"""Every way of naming and adding objects goes through the suite that all writers share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_sync.testing.writer_suite import VisibleWriterSuite


class OssSuite(VisibleWriterSuite):
    parameter: Mapping[str, Any] = MappingProxyType({})
    splits: tuple[str, ...] = ("s-0", "s-1")

    @pytest.fixture
    def bench(self, oss: Any) -> Any:
        oss.parameter |= self.parameter
        oss.splits = self.splits
        return oss


class TestTruncate(OssSuite):
    pass


class TestNonConflict(OssSuite):
    parameter = MappingProxyType({"writeMode": "nonConflict"})


class TestAppendAsObjects(OssSuite):
    parameter = MappingProxyType({"writeMode": "append"})


class TestSingleObjectOfOneSplit(OssSuite):
    parameter = MappingProxyType({"writeSingleObject": True, "object": "out/orders.csv"})
    splits = ("s-0",)


class TestSingleObjectOfManySplits(OssSuite):
    parameter = MappingProxyType({"writeSingleObject": True, "object": "orders.csv"})


class TestSingleObjectNonConflict(OssSuite):
    parameter = MappingProxyType(
        {"writeSingleObject": True, "object": "out/orders.csv", "writeMode": "nonConflict"}
    )
    splits = ("s-0",)


class TestAppendToOneObject(OssSuite):
    parameter = MappingProxyType(
        {"writeSingleObject": True, "object": "out/orders.csv", "writeMode": "append"}
    )
