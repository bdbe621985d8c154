"""Answers as messages, where bytes that are none become errors of this package."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from google.protobuf.message import DecodeError

from airflow_provider_sync.errors import CorruptDataError

__all__ = ["parse", "reads_text"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def parse(kind: Any, data: bytes, what: str) -> Any:
    """Return ``data`` as a message; raise :class:`CorruptDataError` if it is none."""
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise CorruptDataError(f"the answer to {what} is not a {kind.__name__}: {error}") from error
    if not message.IsInitialized():  # some runtimes parse a message without its required fields
        missing = ", ".join(message.FindInitializationErrors())
        raise CorruptDataError(f"the answer to {what} lacks {missing}")
    return message


def reads_text(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Mark a function that reads texts of an answer: they are decoded only then, and may prove not to be UTF-8."""

    @functools.wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except UnicodeDecodeError as error:
            raise CorruptDataError(
                f"{function.__name__}: the answer holds text that is not UTF-8: {error}"
            ) from error

    return checked
