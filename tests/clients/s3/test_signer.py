from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_sync.clients.s3.signer import EMPTY_PAYLOAD, quote_path, quote_query, sign
from airflow_provider_sync.spec.connection import Credentials, Secret

CREDENTIALS = Credentials("testAccessKeyId", Secret("testAccessKeySecret"), Secret(""))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


def test_the_signature_is_botocores():
    headers = {"host": "s3.us-east-1.amazonaws.com", "if-match": '"abc"', "range": "bytes=0-8388607"}
    path = quote_path("/srcbucket/sales/2026 Q1/数据+1.csv")
    sign("GET", path, "", headers, CREDENTIALS, region="us-east-1", payload=EMPTY_PAYLOAD, now=NOW)
    assert headers["authorization"].endswith(
        "SignedHeaders=host;if-match;range;x-amz-content-sha256;x-amz-date,"
        "Signature=d17030a2da6875a44dac0d40348ca5de78aafc0dcf91cacc76eaa0085972727d"
    )


def test_a_query_keeps_the_equals_sign_of_empty_values():
    assert quote_query({"uploads": "", "prefix": "a/b c"}) == "prefix=a%2Fb%20c&uploads="
