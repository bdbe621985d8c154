"""Pieces of answers that several operations share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from airflow_provider_sync.localcloud.http import Response
from airflow_provider_sync.localcloud.oss import xml
from airflow_provider_sync.localcloud.oss.errors import OssError
from airflow_provider_sync.localcloud.oss.wire import Call

__all__ = ["OWNER", "acl_node", "encoder", "encoding", "of_xml", "owner_node", "tagging_node"]

OWNER = "1000000000000001"


def of_xml(node: xml.Node, headers: Mapping[str, str] | None = None) -> Response:
    """Return a 200 answer with this document."""
    return Response(200, {"Content-Type": "application/xml", **(headers or {})}, xml.document(node))


def encoder(call: Call) -> Callable[[str], str]:
    """Return what keys in the answer go through: URL encoding if ``encoding-type=url`` was sent."""
    kind = call.params.get("encoding-type", "")
    if kind not in ("", "url"):
        raise OssError.invalid_argument("encoding-type", kind, "Encoding type must be url.")
    return _encoded if kind else str


def encoding(call: Call) -> list[xml.Node]:
    """Return the element that says so, if it was sent."""
    return [("EncodingType", "url")] if call.params.get("encoding-type") else []


def owner_node() -> xml.Node:
    """Return the one owner of everything."""
    return ("Owner", [("ID", OWNER), ("DisplayName", OWNER)])


def acl_node(acl: str) -> xml.Node:
    """Return an ACL."""
    return ("AccessControlPolicy", [owner_node(), ("AccessControlList", [("Grant", acl)])])


def tagging_node(tags: Mapping[str, str]) -> xml.Node:
    """Return tags."""
    return (
        "Tagging",
        [("TagSet", [("Tag", [("Key", name), ("Value", value)]) for name, value in tags.items()])],
    )


def _encoded(text: str) -> str:
    return quote(text, safe="")
