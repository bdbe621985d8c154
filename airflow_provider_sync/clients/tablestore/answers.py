"""Answers as messages, where bytes that are none become errors of this package."""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from airflow_provider_sync.errors import CorruptDataError

__all__ = ["parse"]


def parse(kind: Any, data: bytes, what: str) -> Any:
    """Return ``data`` as a message whose required fields are there and whose texts are text.

    Raise :class:`CorruptDataError` otherwise. The protobuf runtimes differ in this: some parse a message
    without its required fields, some hand out text that is not UTF-8 as bytes.
    """
    message = kind()
    try:
        message.ParseFromString(data)
        bad = _find_bad_text(message)
    except (DecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"the answer to {what} is not a {kind.__name__}: {error}") from error
    if bad:
        raise CorruptDataError(f"the answer to {what} holds text that is not UTF-8 in {bad}")
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        raise CorruptDataError(f"the answer to {what} lacks {missing}")
    return message


def _find_bad_text(message: Any) -> str:
    for field, value in message.ListFields():
        if not _holds_text(field):
            continue
        for item in (value,) if isinstance(value, (str, bytes)) or hasattr(value, "DESCRIPTOR") else value:
            if isinstance(item, bytes):
                return str(field.name)
            if not isinstance(item, str) and (inner := _find_bad_text(item)):
                return f"{field.name}.{inner}"
    return ""


@functools.cache
def _holds_text(field: Any) -> bool:
    """Tell whether there is text in a field; a page's thousands of records have none and are not looked at."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return any(_holds_text(inner) for inner in field.message_type.fields)
    return bool(field.type == FieldDescriptor.TYPE_STRING)
