"""Run the local services in one process: ``python -m airflow_provider_sync.localcloud``.

Prints one line per service, ``<name> <url>``, once all that was asked for is there, and ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_sync.localcloud.control import Clock, Control
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.localcloud.nas.server import NasService
from airflow_provider_sync.localcloud.nas.store import DEFAULT_FILE_SYSTEM
from airflow_provider_sync.localcloud.nas.world import LocalWorld
from airflow_provider_sync.localcloud.oss.server import OssService
from airflow_provider_sync.localcloud.tablestore.server import DEFAULT_INSTANCE, TablestoreService
from airflow_provider_sync.localcloud.traffic import Orders, TablestoreClient, write_traffic

_SETTLE_SECONDS = 0.2
_ACCESS_KEY_ID = "localcloud"
_ACCESS_KEY_SECRET = "localcloud-secret"  # noqa: S105 - a published default of a local service


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, serve until told to stop, return the exit code."""
    options = _parser().parse_args(arguments)
    asyncio.run(_serve(options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_sync.localcloud", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--tablestore-port", type=int, default=8800, help="0 picks a free one")
    parser.add_argument("--oss-port", type=int, default=8801, help="0 picks a free one")
    parser.add_argument("--nas-port", type=int, help="serve dataflows too; 0 picks a free one")
    parser.add_argument("--cpfs", type=Path, help="folder of the file systems; files are imagined without")
    parser.add_argument("--file-system", action="append", default=[], help=f"default {DEFAULT_FILE_SYSTEM}")
    parser.add_argument("--dataflow-bucket", action="append", default=[], help="bucket to create and tag")
    parser.add_argument("--data", type=Path, help="directory to keep everything in; memory without it")
    parser.add_argument("--access-key-id", default=_ACCESS_KEY_ID)
    parser.add_argument("--access-key-secret", default=_ACCESS_KEY_SECRET)
    parser.add_argument("--instance", default=DEFAULT_INSTANCE, help="instance for --table and --traffic")
    parser.add_argument("--bucket", action="append", default=[], help="bucket to create; may be repeated")
    parser.add_argument("--table", action="append", default=[], help="orders table with a stream to create")
    parser.add_argument("--traffic", action="store_true", help="write sample orders to the first --table")
    parser.add_argument("--rows-per-second", type=float, default=5.0, help="of --traffic")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    keys = {options.access_key_id: options.access_key_secret}
    folder = options.data
    tablestore = TablestoreService(keys, folder / "tablestore" if folder else None)
    # One clock for all: set on any port, it moves all.
    control = Control(clock=tablestore.control.clock)
    buckets = [*options.bucket, *options.dataflow_bucket]
    oss = OssService(keys, folder / "oss" if folder else None, buckets=buckets, control=control)
    servers = [
        Server(tablestore, options.host, options.tablestore_port),
        Server(oss, options.host, options.oss_port),
    ]
    nas = None if options.nas_port is None else _nas(options, oss, tablestore.control.clock)
    if nas is not None:
        servers.append(Server(nas, options.host, options.nas_port))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runners = []
    try:
        for server in servers:
            runners.append(await server.serve())  # noqa: PERF401 - those that were opened are closed below
        moving = asyncio.create_task(_move(nas)) if nas is not None else None
        # Its own clock is the service's, so that no setting of that makes the writer's requests look late.
        client = TablestoreClient(
            servers[0].url,
            options.instance,
            options.access_key_id,
            options.access_key_secret,
            clock=tablestore.control.clock.now,
        )
        async with client:
            await _work(options, servers, client, stop)
        if moving is not None:
            moving.cancel()
    finally:
        for runner in runners:
            await runner.cleanup()
        tablestore.close()
        oss.close()


def _nas(options: argparse.Namespace, oss: OssService, clock: Clock) -> NasService:
    """Make the NAS over the folder and the objects of the other service; tag the buckets it may use."""
    for name in options.dataflow_bucket:
        bucket = oss.cloud.bucket(name)
        bucket.tags["cpfs-dataflow"] = "true"
        oss.cloud.save_bucket(bucket)
    names = options.file_system or [DEFAULT_FILE_SYSTEM]
    world = None
    if options.cpfs is not None:
        world = LocalWorld(options.cpfs, oss.cloud)
        for name in names:
            (options.cpfs / name).mkdir(parents=True, exist_ok=True)
    keys = {options.access_key_id: options.access_key_secret}
    return NasService(keys, file_systems=names, world=world, control=Control(clock=clock))


async def _move(nas: NasService) -> None:
    """Let files arrive when they are due, whether or not somebody asks."""
    while True:
        nas.settle()
        await asyncio.sleep(_SETTLE_SECONDS)


async def _work(
    options: argparse.Namespace, servers: Sequence[Server], client: TablestoreClient, stop: asyncio.Event
) -> None:
    """Create the tables asked for, say that all is there, then write traffic or do nothing, until stopped."""
    tables = options.table or (["orders"] if options.traffic else [])
    for table in tables:
        await client.ensure_table(table, Orders.PRIMARY_KEY)
    for server in servers:
        sys.stdout.write(f"{server.service.name} {server.url}\n")
    sys.stdout.flush()
    if options.traffic:
        await write_traffic(client, tables[0], options.rows_per_second, stop)
    else:
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
