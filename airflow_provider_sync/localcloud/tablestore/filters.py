"""Filters and column conditions: serialized Filter messages, evaluated on a row's columns."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.errors import invalid
from airflow_provider_sync.localcloud.tablestore.messages import message

__all__ = ["Columns", "RowFilter", "compile_filter"]

Columns = Mapping[str, Sequence[bytes]]
"""Column name → values of its versions, newest first."""

_Test = Callable[[Columns], bool]
_SINGLE, _COMPOSITE, _PAGINATION = 1, 2, 3
_NOT, _AND, _OR = 1, 2, 3
_EXIST, _NOT_EXIST = 7, 8
_COMPARISONS: dict[int, Callable[[Any, Any], bool]] = {
    1: operator.eq,
    2: operator.ne,
    3: operator.gt,
    4: operator.ge,
    5: operator.lt,
    6: operator.le,
}
_CASTS: dict[int, Callable[[str], Any]] = {0: int, 1: float, 3: str, 7: str.encode}


@dataclass(slots=True)
class RowFilter:
    """A test of a row, and which of its columns to return: ``limit`` from ``offset`` on (None: all)."""

    passes: _Test
    offset: int = 0
    limit: int | None = None


def compile_filter(data: bytes) -> RowFilter:
    """Return the filter that ``data`` describes; errors are ``OTSParameterInvalid``."""
    try:
        parsed = type(message("Filter")).FromString(data)
        if parsed.type == _PAGINATION:
            page = type(message("ColumnPaginationFilter")).FromString(parsed.filter)
            if page.offset < 0 or page.limit < 1:
                raise invalid("Invalid column pagination filter.")
            return RowFilter(lambda _: True, page.offset, page.limit)
        return RowFilter(_test(parsed))
    except DecodeError as error:
        raise invalid("Invalid filter.") from error


def _test(parsed: Any) -> _Test:
    if parsed.type == _COMPOSITE:
        composite = type(message("CompositeColumnValueFilter")).FromString(parsed.filter)
        tests = [_test(sub) for sub in composite.sub_filters]
        if composite.combinator == _NOT and len(tests) == 1:
            return lambda columns: not tests[0](columns)
        if composite.combinator == _AND and len(tests) > 1:
            return lambda columns: all(test(columns) for test in tests)
        if composite.combinator == _OR and len(tests) > 1:
            return lambda columns: any(test(columns) for test in tests)
        raise invalid("Invalid number of sub filters.")
    if parsed.type == _SINGLE:
        return _single(type(message("SingleColumnValueFilter")).FromString(parsed.filter))
    raise invalid("Invalid filter type.")


def _single(condition: Any) -> _Test:
    name = condition.column_name
    if condition.comparator == _EXIST:
        return lambda columns: name in columns
    if condition.comparator == _NOT_EXIST:
        return lambda columns: name not in columns
    compare = _COMPARISONS.get(condition.comparator)
    if compare is None:
        raise invalid("Invalid comparator.")
    wanted = pb.decode_value(condition.column_value)
    transfer = _transfer(condition.value_trans_rule) if condition.HasField("value_trans_rule") else None

    def passes(columns: Columns) -> bool:
        versions = columns.get(name)
        if not versions:
            return not condition.filter_if_missing
        considered = versions[:1] if condition.latest_version_only else versions
        for value in considered:
            found = pb.decode_value(value)
            if transfer is not None:
                found = transfer(found)
            if type(found) is type(wanted) and compare(found, wanted):
                return True
        return False

    return passes


def _transfer(rule: Any) -> Callable[[Any], Any]:
    """Return the function that takes the first group of a match and casts it; None when it does not match."""
    try:
        pattern = re.compile(rule.regex)
    except re.error as error:
        raise invalid(f"Invalid regex: {rule.regex!r}.") from error
    cast = _CASTS.get(rule.cast_type if rule.HasField("cast_type") else 3)
    if cast is None:
        raise invalid("Invalid cast type.")

    def transfer(value: Any) -> Any:
        found = pattern.search(value) if isinstance(value, str) else None
        if found is None:
            return None
        try:
            return cast(found.group(1 if pattern.groups else 0))
        except ValueError:
            return None

    return transfer
