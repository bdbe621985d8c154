"""Objects named by a list of URLs, one a line, as ossimport's ``http`` source."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import tempfile
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import urllib3

from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    PermanentError,
    ThrottledError,
    TransientError,
)
from airflow_provider_sync.migration.attributes import content_headers
from airflow_provider_sync.migration.contract import Source
from airflow_provider_sync.migration.errors import SourceChangedError, SourceGoneError
from airflow_provider_sync.migration.objects import UNKNOWN_SIZE, Attributes, Content, ObjectInfo

__all__ = ["HttpListSource"]

_RUN = 200_000  # lines sorted in memory at once
_REDIRECTS = 5
_URL_SAFE = "/%!$&'()*+,;=:@?~"
_OK, _PARTIAL, _REDIRECT, _CLIENT_ERROR = 200, 206, 300, 400
_GONE, _REFUSED, _NO_HEAD, _CHANGED = (404, 410), (401, 403), (405, 501), 412
_LATER = (408, 429, 500, 502, 503, 504)
_READ = 256 * 1024


class HttpListSource(Source):
    """The URLs of a file.

    Columns are separated by blanks: ``prefix_column`` (from 1) holds the start of the URL, ``key_column`` the
    rest, which is the key; the last column may hold blanks. In the URL, what is not allowed there is
    percent-encoded; ``%`` and ``?`` stay as they are. Empty lines and lines that start with ``#`` are skipped.
    Listing sorts the file in pieces on disk. Of a key that is listed again with the same URL nothing more is
    said; with another URL it is rejected. Sizes are asked for when copying, as ossimport does.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        prefix_column: int = 1,
        key_column: int = 2,
        timeout: float = 60.0,
        pool_size: int = 32,
        retry: RetryPolicy | None = None,
        run_lines: int = _RUN,
    ) -> None:
        if {prefix_column, key_column} != {1, 2}:
            raise ConfigError(
                "source.prefix_column", f"{prefix_column} and {key_column}", allowed="1 and 2, or 2 and 1"
            )
        self._path = Path(path)
        self._swapped = prefix_column > key_column
        self._retry = retry or RetryPolicy()
        self._pool = urllib3.PoolManager(
            num_pools=100,
            maxsize=pool_size,
            block=True,
            timeout=timeout,
            retries=False,
            headers={"accept-encoding": "identity", "user-agent": "airflow-provider-sync"},
        )
        self._run_lines = run_lines
        self._rejected: list[tuple[str, str]] = []
        self._hosts_with_ranges: set[str] = set()

    @property
    def name(self) -> str:
        """The list as a URL."""
        return f"list://{self._path}/"

    def check(self) -> None:
        """Look for the list."""
        if not self._path.is_file():
            raise NotFoundError(f"source.path: list file {self._path} does not exist on this machine")

    def list(self, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys in order; sizes and times are unknown."""
        self._rejected = []
        with tempfile.TemporaryDirectory(prefix="sync-list-") as folder, contextlib.ExitStack() as open_files:
            runs = [open_files.enter_context(path.open()) for path in self._sorted_runs(Path(folder))]
            rows = heapq.merge(*[map(json.loads, run) for run in runs])
            last_key, last_start = None, None
            for key, number, start in rows:
                if key == last_key:
                    if start != last_start:
                        self._rejected.append((key, f"line {number}: listed before with another url"))
                    continue
                last_key, last_start = key, start
                if after is None or key > after:
                    yield ObjectInfo(key, UNKNOWN_SIZE, "", 0.0, locator=start)

    def rejected(self) -> Iterator[tuple[str, str]]:
        """Yield lines that are no URL, and keys listed twice."""
        yield from self._rejected

    def ranges(self, item: ObjectInfo) -> bool:
        """Whether the host said that it serves ranges."""
        return urlsplit(item.locator).netloc in self._hosts_with_ranges

    def head(self, item: ObjectInfo) -> ObjectInfo | None:
        """Ask for the headers; where HEAD is not allowed, for the first byte."""
        try:
            answer = self._retried("HEAD", item, {})
        except _NoHeadError:
            try:
                answer = self._retried("GET", item, {"range": "bytes=0-0"}, preload=False)
            except SourceGoneError:
                return None
            answer.close()
        except SourceGoneError:
            return None
        return self._info(item, answer)

    def get(self, item: ObjectInfo, start: int | None = None, end: int | None = None) -> Content:
        """Read, whole or a range, and compare ETag and time with the item's."""
        headers = {}
        if start is not None and end is not None:
            headers["range"] = f"bytes={start}-{end - 1}"
        if item.etag.startswith('"'):
            headers["if-match"] = item.etag
        answer = self._retried("GET", item, headers)
        body = answer.data
        if headers.get("range") and answer.status != _PARTIAL:
            raise PermanentError(f"{item.locator}{item.key}: the server said it serves ranges, and does not")
        return Content(body, self._checked(item, answer), self._attributes(answer))

    def attributes(self, item: ObjectInfo) -> Attributes:
        """Ask for the headers."""
        try:
            return self._attributes(self._retried("HEAD", item, {}))
        except _NoHeadError:
            return Attributes()

    def stream(self, item: ObjectInfo, piece: int) -> Iterator[bytes]:
        """Read from the start; a cut raises, nothing is ever pieced together from two answers."""
        answer = self._retried("GET", item, {}, preload=False)
        try:
            self._checked(item, answer)
            chunks: list[bytes] = []
            size = 0
            for chunk in answer.stream(_READ):
                chunks.append(chunk)
                size += len(chunk)
                if size >= piece:
                    whole = b"".join(chunks)
                    yield whole[:piece]
                    chunks, size = [whole[piece:]], size - piece
            if size:
                yield b"".join(chunks)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"{item.locator}{item.key}: the answer broke off: {error}") from error
        finally:
            answer.close()

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    # ── the list ─────────────────────────────────────────────────────────────────────────────────────────

    def _sorted_runs(self, folder: Path) -> Iterator[Path]:
        numbers = itertools.count()
        rows = self._rows()
        while run := sorted(itertools.islice(rows, self._run_lines)):
            path = folder / str(next(numbers))
            with path.open("w") as file:
                file.writelines(f"{json.dumps(row)}\n" for row in run)
            yield path

    def _rows(self) -> Iterator[tuple[str, int, str]]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode().strip()
                except UnicodeDecodeError:
                    self._rejected.append((repr(line[:200]), f"line {number} is not utf-8"))
                    continue
                if not text or text.startswith("#"):
                    continue
                columns = text.split(None, 1)
                start, key = columns if len(columns) == 2 else ("", text)  # noqa: PLR2004 - two columns
                if self._swapped:
                    key, _, start = text.rpartition(" ")
                    key = key.strip()
                if urlsplit(start).scheme not in {"http", "https"} or not urlsplit(start).netloc or not key:
                    self._rejected.append((text, f"line {number} is not a url and a key"))
                else:
                    yield key, number, start

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────

    def _retried(
        self, method: str, item: ObjectInfo, headers: dict[str, str], *, preload: bool = True
    ) -> urllib3.BaseHTTPResponse:
        url = item.locator + quote(item.key, safe=_URL_SAFE)
        return self._retry.call(
            lambda: self._followed(method, url, headers, preload=preload), what=f"{method} {url}"
        )

    def _followed(
        self, method: str, url: str, headers: dict[str, str], *, preload: bool
    ) -> urllib3.BaseHTTPResponse:
        seen = {url}
        for _ in range(_REDIRECTS + 1):
            try:
                answer = self._pool.request(
                    method, url, headers={**self._pool.headers, **headers}, preload_content=preload,
                    redirect=False, decode_content=False,
                )  # fmt: skip
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise TransientError(f"{method} {url}: no answer: {error}") from error
            place = answer.headers.get("location")
            if not _REDIRECT <= answer.status < _CLIENT_ERROR or place is None:
                self._raise_for(answer, method, url)
                return answer
            answer.close()
            url = urljoin(url, place)
            if url in seen:
                raise PermanentError(f"{method} {url}: the redirects go round in a circle")
            if urlsplit(url).scheme not in {"http", "https"}:
                raise PermanentError(f"{method} {url}: redirected to something that is not http")
            seen.add(url)
        raise PermanentError(f"{method} {url}: more than {_REDIRECTS} redirects")

    def _raise_for(self, answer: urllib3.BaseHTTPResponse, method: str, url: str) -> None:
        if _OK <= answer.status < _REDIRECT:
            return
        answer.close()
        status, text = answer.status, f"{method} {url}: http {answer.status}"
        if status in _GONE:
            raise SourceGoneError(f"{text}: it is not there")
        if status == _CHANGED:
            raise SourceChangedError(f"{text}: another version is there")
        if method == "HEAD" and status in _NO_HEAD:
            raise _NoHeadError(text)
        if status in _REFUSED:
            raise AccessDeniedError(
                f"{text}: the server wants to know who asks; open the urls to this machine"
            )
        if status in _LATER:
            wait = answer.headers.get("retry-after", "")
            raise ThrottledError(text, float(wait) if wait.isdigit() else None)
        raise PermanentError(text)

    def _info(self, item: ObjectInfo, answer: urllib3.BaseHTTPResponse) -> ObjectInfo:
        headers = answer.headers
        if headers.get("accept-ranges", "").lower() == "bytes" or answer.status == _PARTIAL:
            self._hosts_with_ranges.add(urlsplit(item.locator).netloc)
        total = headers.get("content-range", "").rpartition("/")[2]
        length = total if answer.status == _PARTIAL else headers.get("content-length", "")
        return item._replace(
            size=int(length) if length.isdigit() else UNKNOWN_SIZE,
            etag=headers.get("etag", ""),
            modified=_time(headers.get("last-modified", "")),
        )

    def _checked(self, item: ObjectInfo, answer: urllib3.BaseHTTPResponse) -> ObjectInfo:
        info = self._info(item, answer)
        for ours, theirs in ((item.etag, info.etag), (item.modified, info.modified)):
            if ours and theirs and ours != theirs:
                raise SourceChangedError(f"{item.locator}{item.key} changed since its headers were asked for")
        return info

    def _attributes(self, answer: urllib3.BaseHTTPResponse) -> Attributes:
        return Attributes(headers=content_headers({k.lower(): v for k, v in answer.headers.items()}))


class _NoHeadError(Exception):
    """The server does not answer HEAD."""


def _time(text: str) -> float:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return 0.0
