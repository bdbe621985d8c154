from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from airflow_provider_sync.localcloud import history
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.tablestore.server import TablestoreService


def _ask(server: Server, route: str) -> Any:
    with urllib.request.urlopen(f"{server.url}/_control/{route}", timeout=10) as answer:  # noqa: S310 - a local address
        return json.loads(answer.read())


def _log(server: Server) -> list[dict[str, Any]]:
    return [record for shard in _ask(server, "log?table=orders")["shards"] for record in shard["log"]]


def test_a_new_table_gets_a_past_once_and_the_clock_is_real_again(capsys: pytest.CaptureFixture[str]) -> None:
    with Server(TablestoreService(access_keys={"ak": "sk"})) as server:
        arguments = ["--endpoint", server.url, "--access-key-id", "ak", "--access-key-secret", "sk"]
        arguments += ["--minutes", "1"]
        before = time.time()
        assert history.main(arguments) == 0
        assert capsys.readouterr().out == "20 orders of the last 1 minutes\n"
        moments = [record["ts_us"] / 1e6 for record in _log(server)]
        assert moments == pytest.approx([before - 60 + 3 * n for n in range(20)], abs=2)
        assert history.main(arguments) == 0
        assert capsys.readouterr().out == "0 orders of the last 1 minutes\n"
        assert len(_log(server)) == 20
        request = urllib.request.Request(f"{server.url}/ListTable", b"", method="POST")  # noqa: S310 - a local address
        with pytest.raises(urllib.error.HTTPError) as refused:  # unsigned: only its clock is looked at
            urllib.request.urlopen(request, timeout=10)  # noqa: S310 - a local address
        with refused.value as answer:
            assert answer.headers["x-ots-date"][:13] == time.strftime("%Y-%m-%dT%H", time.gmtime())


def test_a_past_of_no_length_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        history.main(["--minutes", "0"])
    assert "--minutes must be positive" in capsys.readouterr().err
