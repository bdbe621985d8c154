from __future__ import annotations

import pytest

from airflow_provider_sync.clients.listing import ListedObject, parse_listing
from airflow_provider_sync.errors import TransientError

PAGE = """<?xml version="1.0"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<NextContinuationToken>t%2F1</NextContinuationToken>
<Contents><Key>a+b%2Bc</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>
<ETag>&quot;e&quot;</ETag><Size>7</Size><StorageClass>IA</StorageClass></Contents>
<CommonPrefixes><Prefix>d%C3%BC/</Prefix></CommonPrefixes>
</ListBucketResult>"""


def test_a_page_is_read_and_decoded_as_the_service_encodes():
    s3 = parse_listing(PAGE.encode(), "list", plus_is_space=True)
    assert s3.objects == [ListedObject("a b+c", 7, "e", 1767323045.0, "IA")]
    assert (s3.prefixes, s3.token) == (["dü/"], "t/1")
    oss = parse_listing(PAGE.encode(), "list", plus_is_space=False)
    assert oss.objects[0].key == "a+b+c"


def test_without_an_encoding_nothing_is_decoded():
    raw = PAGE.replace("<EncodingType>url</EncodingType>", "").replace(
        ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', ""
    )
    assert parse_listing(raw.encode(), "list", plus_is_space=True).objects[0].key == "a+b%2Bc"


@pytest.mark.parametrize(
    "body",
    [
        PAGE[: len(PAGE) // 2],
        "",
        "<html></html>",
        PAGE.replace("<NextContinuationToken>t%2F1</NextContinuationToken>", ""),
        PAGE.replace("<Size>7</Size>", ""),
        PAGE.replace("2026-01-02", "yesterday"),
    ],
)
def test_half_a_page_is_not_taken_for_the_end(body):
    with pytest.raises(TransientError, match="list"):
        parse_listing(body.encode(), "list", plus_is_space=True)
