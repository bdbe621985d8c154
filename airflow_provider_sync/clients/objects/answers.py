"""Reading the answers of object stores: headers, XML, errors."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from airflow_provider_sync.clients.wire import Answer
from airflow_provider_sync.errors import TransientError

__all__ = ["child_text", "error_fields", "etag_of", "first_text", "local_name", "retry_after", "xml_of"]


def etag_of(answer: Answer) -> str:
    """Return the ETag header without its quotes, empty if there is none."""
    return answer.headers.get("etag", "").strip('"')


def xml_of(body: bytes, operation: str) -> ET.Element:
    """Parse an answer; one that is cut, or no XML, raises :class:`TransientError`."""
    try:
        return ET.fromstring(body)  # noqa: S314 - today's expat refuses entity bombs
    except ET.ParseError as error:
        raise TransientError(f"{operation}: the answer is not XML: {error}") from error


def local_name(element: ET.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def child_text(element: ET.Element, name: str) -> str:
    """Return the text of the first child of this name, whatever its namespace; empty if there is none."""
    return next((one.text or "" for one in element if local_name(one) == name), "")


def first_text(body: bytes, name: str, operation: str) -> str:
    """Return the text of the first element of this name; an answer without it raises :class:`TransientError`."""
    for one in xml_of(body, operation).iter():
        if local_name(one) == name and one.text:
            return one.text
    raise TransientError(f"{operation}: the answer has no {name}")


def error_fields(body: bytes, request_id: str) -> tuple[str, str, str]:
    """Return code, message and request id of an error's XML, what is known where it is none."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - today's expat refuses entity bombs
    except ET.ParseError:
        return "", body[:200].decode("utf-8", "replace"), request_id
    return (
        root.findtext("Code") or "",
        root.findtext("Message") or "",
        root.findtext("RequestId") or request_id,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the service asks to wait, None if it does not say in seconds."""
    try:
        return float(headers["retry-after"])
    except (KeyError, ValueError):
        return None  # a date (ValueError): the policy's own wait will do
