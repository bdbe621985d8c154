"""Give a new table a past, so that windows are due at once.

``python -m airflow_provider_sync.localcloud.history --endpoint http://127.0.0.1:8800 --minutes 30`` creates the
table of orders with a stream and writes one order every three seconds of that past, each as if it had been
written then. A table that is there already is left as it is, so that repeating the command changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence

import aiohttp

from airflow_provider_sync.localcloud.traffic import Orders, TablestoreClient

__all__ = ["main", "write_history"]

_EVERY = 3.0


async def write_history(
    endpoint: str, *, instance: str, key_id: str, secret: str, table: str, seconds: float
) -> int:
    """Create ``table`` with ``seconds`` of past; return the number of orders, 0 if the table was there.

    The service's clock is set to each moment in turn and is real again afterwards: nobody else should use the
    service meanwhile.
    """
    now = time.time()
    async with TablestoreClient(endpoint, instance, key_id, secret) as client:
        if not await client.ensure_table(table, Orders.PRIMARY_KEY):
            return 0
    moment = now - seconds
    written = 0
    orders = Orders(random.Random(1), clock=lambda: moment)
    async with (
        aiohttp.ClientSession(endpoint) as control,
        TablestoreClient(endpoint, instance, key_id, secret, clock=lambda: moment) as client,
    ):
        try:
            while moment < now - 1:
                await _set_clock(control, {"now": moment})
                await client.write(table, [orders.next()])
                written += 1
                moment += _EVERY
        finally:
            await _set_clock(control, {})
    return written


async def _set_clock(control: aiohttp.ClientSession, setting: dict[str, float]) -> None:
    async with control.post("/_control/clock", json=setting) as answer:
        answer.raise_for_status()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, write the past, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sync.localcloud.history", description=__doc__
    )
    parser.add_argument("--endpoint", default="http://127.0.0.1:8800")
    parser.add_argument("--instance", default="demo")
    parser.add_argument("--access-key-id", default="localcloud")
    parser.add_argument("--access-key-secret", default="localcloud-secret")
    parser.add_argument("--table", default="orders")
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error("--minutes must be positive")
    written = asyncio.run(
        write_history(
            options.endpoint,
            instance=options.instance,
            key_id=options.access_key_id,
            secret=options.access_key_secret,
            table=options.table,
            seconds=options.minutes * 60,
        )
    )
    sys.stdout.write(f"{written} orders of the last {options.minutes:g} minutes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
