"""An S3 that has nothing but a listing: N keys made up as they are asked for.

``python bench/objects/listing.py N`` prints its URL and serves until standard input ends. Bucket ``all`` has every
key, ``half`` every second one, in the same size and a year newer.
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qs, unquote, urlsplit

_PAGE = 1000
_HEAD = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
_WIDTH = 10
_FOLDERS = 64


class Listing:
    """Keys ``ff/0000000000.jpg``: as many folders as listings may want to run side by side."""

    def __init__(self, keys: int) -> None:
        self._per_folder = -(-keys // _FOLDERS)

    def page(self, bucket: str, query: dict[str, list[str]]) -> str:
        """Return one page."""
        if query.get("delimiter"):
            found = "".join(
                f"<CommonPrefixes><Prefix>{n:02d}/</Prefix></CommonPrefixes>" for n in range(_FOLDERS)
            )
            return f"{_HEAD}<IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        step, year = (1, 2024) if bucket == "all" else (2, 2025)
        first = self._first(query, step)
        most = min(_PAGE, int(query.get("max-keys", ["1000"])[0]))
        total = self._per_folder * _FOLDERS
        last = min(first + most * step, total)
        rows = "".join(
            f"<Contents><Key>{self._key(n)}</Key><LastModified>{year}-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{n:032x}"</ETag><Size>{n % 100_000}</Size><StorageClass>STANDARD</StorageClass></Contents>'
            for n in range(first, last, step)
        )
        more = last < total
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" if more else ""
        return f"{_HEAD}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>"

    def _key(self, number: int) -> str:
        return f"{number // self._per_folder:02d}/{number % self._per_folder:0{_WIDTH}d}.jpg"

    def _first(self, query: dict[str, list[str]], step: int) -> int:
        if "continuation-token" in query:
            return int(query["continuation-token"][0])
        after = unquote(query.get("start-after", [""])[0])
        if not after:
            return 0
        folder, _, name = after.partition("/")
        number = int(folder) * self._per_folder
        if name:
            number += int(name[:_WIDTH]) + 1
        return -(-number // step) * step


async def _talk(listing: Listing, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            method, target, _ = head.split(b" ", 2)
            parts = urlsplit(target.decode())
            bucket = parts.path.strip("/")
            body = listing.page(bucket, parse_qs(parts.query)).encode() if method == b"GET" else b""
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n")
            writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve(keys: int) -> None:
    """Serve until standard input ends."""
    listing = Listing(keys)
    server = await asyncio.start_server(lambda r, w: _talk(listing, r, w), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
