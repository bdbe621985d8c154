"""Sample traffic for demos: orders that are placed, paid, shipped and sometimes deleted.

``python -m airflow_provider_sync.localcloud.traffic --endpoint http://127.0.0.1:8800 --rows-per-second 5`` creates
the table with a stream if it is absent, then writes until SIGTERM or SIGINT, or for ``--seconds``. Every row's
columns: ``customer``, ``status``, ``currency`` STRING; ``amount`` DOUBLE; ``quantity``, ``updated_at``
(milliseconds) INTEGER; ``paid`` BOOLEAN. The key is ``order_id`` STRING.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp

from airflow_provider_sync.localcloud.tablestore import plainbuffer as pb
from airflow_provider_sync.localcloud.tablestore.messages import REQUESTS, message
from airflow_provider_sync.localcloud.tablestore.wire import request_signature

__all__ = ["Orders", "TablestoreClient", "TrafficError", "main", "write_traffic"]

_PUT, _UPDATE, _DELETE = 1, 2, 3
_KEY_TYPES = {"INTEGER": 1, "STRING": 2, "BINARY": 3}
_STREAM_HOURS = 168
_KEPT_ORDERS = 500
_OK, _SERVER_FAULT = 200, 500
_PASSING = ("OTSFlowControl", "OTSQuotaExhausted", "OTSRowOperationConflict", "OTSTableNotReady")

Value = bool | int | float | str | bytes


class TrafficError(Exception):
    """The service refused a request; ``passing`` says that the same request may be taken later."""

    def __init__(self, operation: str, status: int, code: str, text: str) -> None:
        self.code = code
        self.passing = status >= _SERVER_FAULT or code in _PASSING
        super().__init__(f"{operation}: {code}: {text}")


class TablestoreClient:
    """The few calls that a writer of samples needs, for a service at ``endpoint``; an async context manager."""

    def __init__(
        self,
        endpoint: str,
        instance: str,
        access_key_id: str,
        access_key_secret: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._instance = instance
        self._key_id = access_key_id
        self._secret = access_key_secret.encode()
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ensure_table(self, table: str, primary_key: Sequence[tuple[str, str]]) -> bool:
        """Create a table with a stream unless it is there; tell whether it was created."""
        request = message(
            "CreateTableRequest",
            table_meta=message(
                "TableMeta",
                table_name=table,
                primary_key=[
                    message("PrimaryKeySchema", name=name, type=_KEY_TYPES[kind])
                    for name, kind in primary_key
                ],
            ),
            reserved_throughput=message(
                "ReservedThroughput", capacity_unit=message("CapacityUnit", read=0, write=0)
            ),
            table_options=message("TableOptions", time_to_live=-1, max_versions=1),
            stream_spec=message("StreamSpecification", enable_stream=True, expiration_time=_STREAM_HOURS),
        )
        try:
            await self._call("CreateTable", request)
        except TrafficError as error:
            if error.code != "OTSObjectAlreadyExist":
                raise
            return False
        return True

    async def write(
        self, table: str, changes: Sequence[tuple[int, list[tuple[str, Value]], dict[str, Value]]]
    ) -> None:
        """Write a batch of (action, key, columns); the first refused row raises."""
        rows = []
        for action, key, columns in changes:
            keys = [pb.encode_cell(n.encode(), pb.encode_value(v), None, None) for n, v in key]
            cells = [pb.encode_cell(n.encode(), pb.encode_value(v), None, None) for n, v in columns.items()]
            rows.append(
                message(
                    "RowInBatchWriteRowRequest",
                    type=action,
                    row_change=pb.HEADER + pb.encode_row(keys, cells),
                    condition=message("Condition", row_existence=0),
                )
            )
        entry = message("TableInBatchWriteRowRequest", table_name=table, rows=rows)
        body = await self._call("BatchWriteRow", message("BatchWriteRowRequest", tables=[entry]))
        for done in type(message("BatchWriteRowResponse")).FromString(body).tables[0].rows:
            if not done.is_ok:
                raise TrafficError("BatchWriteRow", _OK, done.error.code, done.error.message)

    async def _call(self, operation: str, request: Any) -> bytes:
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        if not isinstance(request, REQUESTS[operation]):
            raise TypeError(f"{operation} takes another message")
        body = request.SerializeToString()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {
            "x-ots-date": datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "x-ots-apiversion": "2015-12-31",
            "x-ots-accesskeyid": self._key_id,
            "x-ots-instancename": self._instance,
            "x-ots-contentmd5": digest,
        }
        headers["x-ots-signature"] = request_signature(f"/{operation}", "", headers, self._secret, v4=False)
        async with self._session.post(
            f"{self._endpoint}/{operation}", data=body, headers=headers
        ) as response:
            answer = await response.read()
        if response.status != _OK:
            error = type(message("Error")).FromString(answer)
            raise TrafficError(operation, response.status, error.code, error.message)
        return answer


class Orders:
    """An endless, plausible history of orders."""

    PRIMARY_KEY = (("order_id", "STRING"),)

    def __init__(self, random_source: random.Random, clock: Callable[[], float] = time.time) -> None:
        self._random = random_source
        self._clock = clock
        self._known: list[str] = []
        self._number = int(clock() * 1000)  # a restarted writer goes on with fresh ids

    def next(self) -> tuple[int, list[tuple[str, Value]], dict[str, Value]]:
        """Return the next change: 70 % new orders, 25 % updates, 5 % deletes."""
        drawn = self._random.random()
        now_ms = int(self._clock() * 1000)
        if not self._known or drawn < 0.7:  # noqa: PLR2004 - the share of new orders
            self._number += 1
            order = f"order-{self._number}"
            self._known = [*self._known[-_KEPT_ORDERS:], order]
            return _PUT, [("order_id", order)], self._placed(now_ms)
        order = self._random.choice(self._known)
        if drawn < 0.95:  # noqa: PLR2004 - the share of new orders and updates
            status = self._random.choice(["paid", "shipped", "returned"])
            return (
                _UPDATE,
                [("order_id", order)],
                {"status": status, "paid": True, "updated_at": now_ms},
            )
        self._known.remove(order)
        return _DELETE, [("order_id", order)], {}

    def _placed(self, now_ms: int) -> dict[str, Value]:
        return {
            "customer": f"customer-{self._random.randrange(1000):03d}",
            "amount": round(self._random.uniform(1, 500), 2),
            "quantity": self._random.randint(1, 9),
            "currency": self._random.choice(["CNY", "EUR", "USD"]),
            "status": "placed",
            "paid": False,
            "updated_at": now_ms,
        }


async def write_traffic(
    client: TablestoreClient,
    table: str,
    rows_per_second: float,
    stop: asyncio.Event,
    orders: Orders | None = None,
) -> int:
    """Write orders at that rate until ``stop`` is set; return how many rows were written.

    A service that cannot be reached or is busy for a while is waited for; any other refusal is raised.
    """
    orders = orders or Orders(random.Random())
    loop = asyncio.get_running_loop()
    started, written = loop.time(), 0
    pending: list[tuple[int, list[tuple[str, Value]], dict[str, Value]]] = []
    while not stop.is_set():
        due = int((loop.time() - started) * rows_per_second) + 1 - written - len(pending)
        pending += [orders.next() for _ in range(min(due, 200 - len(pending)))]
        if pending:
            try:
                await client.write(table, pending)
            except (aiohttp.ClientError, TrafficError) as error:
                if isinstance(error, TrafficError) and not error.passing:
                    raise
                sys.stderr.write(f"traffic: {error}, trying again\n")
            else:
                written += len(pending)
                pending = []
        try:
            await asyncio.wait_for(stop.wait(), max(1 / rows_per_second, 0.02) if not pending else 1.0)
        except TimeoutError:
            continue
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and write until stopped; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sync.localcloud.traffic", description=__doc__
    )
    parser.add_argument("--endpoint", default="http://127.0.0.1:8800")
    parser.add_argument("--instance", default="demo")
    parser.add_argument("--access-key-id", default="localcloud")
    parser.add_argument("--access-key-secret", default="localcloud-secret")
    parser.add_argument("--table", default="orders")
    parser.add_argument("--rows-per-second", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, help="stop after this long")
    parser.add_argument("--seed", type=int, help="same seed, same orders")
    options = parser.parse_args(arguments)
    if options.rows_per_second <= 0:
        parser.error("--rows-per-second must be positive")
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.seconds is not None:
        loop.call_later(options.seconds, stop.set)
    orders = Orders(random.Random(options.seed))
    async with TablestoreClient(
        options.endpoint, options.instance, options.access_key_id, options.access_key_secret
    ) as client:
        await client.ensure_table(options.table, Orders.PRIMARY_KEY)
        written = await write_traffic(client, options.table, options.rows_per_second, stop, orders)
    sys.stdout.write(f"{written} rows written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
