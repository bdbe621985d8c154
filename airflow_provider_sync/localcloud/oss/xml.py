"""XML both ways: answers built as text, request bodies read into plain values.

An answer is a tree of tuples ``(name, content)``; content is text, a number, a boolean, a list of such tuples,
or :class:`Rendered` text for what is written by the thousand. A document type declaration in a request is
refused, as nothing here needs one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias
from xml.etree import ElementTree as ET

from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.wire import is_number

__all__ = [
    "Node",
    "Rendered",
    "document",
    "escaped",
    "parse_complete",
    "parse_create_bucket",
    "parse_delete",
    "parse_tagging",
    "parse_versioning",
]

Node: TypeAlias = "tuple[str, str | int | bool | Sequence[Node]]"

_SPECIAL = re.compile(r"[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Rendered(str):
    """Content that is XML already."""

    __slots__ = ()


def document(root: Node) -> bytes:
    """Return the encoded document."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _write(root, parts)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _write(node: Node, parts: list[str]) -> None:
    name, content = node
    parts.append(f"<{name}>")
    if isinstance(content, Rendered):
        parts.append(content)
    elif isinstance(content, str):
        parts.append(escaped(content))
    elif isinstance(content, bool):
        parts.append("true" if content else "false")
    elif isinstance(content, int):
        parts.append(str(content))
    else:
        for child in content:
            _write(child, parts)
    parts.append(f"</{name}>")


def escaped(text: str) -> str:
    """Return the text as it stands in XML."""
    return _SPECIAL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"&#{ord(match[0])};"


def _root(body: bytes, name: str) -> ET.Element:
    if b"<!DOCTYPE" in body:
        raise OssError.malformed_xml("a document type declaration is not allowed")
    try:
        root = ET.fromstring(body)  # noqa: S314 - no declarations, so no entities to expand
    except ET.ParseError as error:
        raise OssError.malformed_xml(str(error)) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != name:
        raise OssError.malformed_xml(f"the root must be {name}, not {root.tag}")
    return root


def _child(element: ET.Element, name: str) -> str:
    text = element.findtext(name)
    if text is None:
        raise OssError.malformed_xml(f"{element.tag} has no {name}")
    return text


def parse_complete(body: bytes) -> list[tuple[int, str]]:
    """Return number and ETag of each part of a CompleteMultipartUpload body."""
    parts = []
    for part in _root(body, "CompleteMultipartUpload").findall("Part"):
        number = _child(part, "PartNumber").strip()
        if not is_number(number):
            raise OssError.malformed_xml(f"PartNumber {number!r} is not a number")
        parts.append((int(number), _child(part, "ETag").strip().strip('"')))
    return parts


def parse_delete(body: bytes) -> tuple[bool, list[tuple[str, str]]]:
    """Return whether the answer is to be quiet, and key and version id (or empty) of each object."""
    root = _root(body, "Delete")
    quiet = (root.findtext("Quiet") or "false").strip().lower() == "true"
    return quiet, [(_child(item, "Key"), item.findtext("VersionId") or "") for item in root.findall("Object")]


def parse_tagging(body: bytes) -> list[tuple[str, str]]:
    """Return key and value of each tag, in order."""
    tags = _root(body, "Tagging").find("TagSet")
    if tags is None:
        raise OssError.malformed_xml("Tagging has no TagSet")
    return [(_child(tag, "Key"), tag.findtext("Value") or "") for tag in tags.findall("Tag")]


def parse_versioning(body: bytes) -> str:
    """Return ``Enabled`` or ``Suspended``."""
    status = _child(_root(body, "VersioningConfiguration"), "Status")
    if status not in ("Enabled", "Suspended"):
        raise OssError.malformed_xml("Status must be Enabled or Suspended")
    return status


def parse_create_bucket(body: bytes) -> tuple[str, str]:
    """Return storage class and data redundancy type, each empty if not said."""
    if not body:
        return "", ""
    root = _root(body, "CreateBucketConfiguration")
    return root.findtext("StorageClass") or "", root.findtext("DataRedundancyType") or ""
