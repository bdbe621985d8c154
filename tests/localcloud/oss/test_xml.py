from __future__ import annotations

import pytest

from airflow_provider_sync.localcloud.oss import xml
from airflow_provider_sync.localcloud.oss.errors import OssError


def test_a_document_is_escaped_text() -> None:
    root: xml.Node = ("R", [("A", "<&>\x01é"), ("B", True), ("C", 7), ("D", [])])
    assert xml.document(root).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<R><A>&lt;&amp;&gt;&#1;é</A><B>true</B><C>7</C><D></D></R>'
    )


def test_request_bodies_are_read_with_or_without_a_namespace() -> None:
    body = b'<Delete xmlns="http://x"><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object></Delete>'
    assert xml.parse_delete(body) == (True, [("a&b", "")])
    parts = b"<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>&quot;E&quot;</ETag></Part>"
    assert xml.parse_complete(parts + b"</CompleteMultipartUpload>") == [(2, "E")]
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value/></Tag></TagSet></Tagging>"
    assert xml.parse_tagging(tags) == [("a", "")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Other/>",
        b"<Delete><Object/></Delete>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>',
    ],
)
def test_anything_else_is_malformed(body: bytes) -> None:
    with pytest.raises(OssError) as caught:
        xml.parse_delete(body)
    assert caught.value.code == "MalformedXML"
