"""One suite for all sources, one for all targets."""

from __future__ import annotations

import dataclasses
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sync.clients.oss.crc import crc64
from airflow_provider_sync.errors import ConfigError, PermanentError, SyncError, TargetConflictError
from airflow_provider_sync.migration.ends import open_source, open_target
from airflow_provider_sync.migration.errors import SourceChangedError, SourceGoneError
from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.folder import JobFolder
from airflow_provider_sync.migration.objects import Attributes, ObjectInfo, Prepared
from airflow_provider_sync.migration.plan import plan_job
from airflow_provider_sync.migration.run import TaskRunner
from airflow_provider_sync.migration.sources.http_list import HttpListSource
from airflow_provider_sync.migration.sources.local import LocalSource
from airflow_provider_sync.migration.status import failed_objects, stat
from airflow_provider_sync.migration.targets.local import LocalTarget
from airflow_provider_sync.migration.targets.s3 import S3Target

OBJECTS = {
    "a-b": b"1",
    "a/b": b"22",
    "a/empty": b"",
    "a0": b"333",
    "sp ace +%41&=?#": b"4444",
    "Ünï/日本": b"55555",
    "日本/" + "x" * 200 + "/" + "y" * 200: b"6",
}
MIB = 1024 * 1024


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with ETags and ranges, HEAD optional, redirects on demand."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        if self.server.no_head:
            self._answer(405, {}, b"")
        else:
            self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def _serve(self, *, body: bool) -> None:
        from urllib.parse import unquote  # noqa: PLC0415 - only here

        path = unquote(self.path)
        if path.startswith("/loop"):
            return self._answer(302, {"Location": "/loop2" if path == "/loop1" else "/loop1"}, b"")
        if path.startswith("/moved/"):
            return self._answer(302, {"Location": path.removeprefix("/moved")}, b"")
        data = self.server.objects.get(path.removeprefix("/"))
        if data is None:
            return self._answer(404, {}, b"gone")
        etag = f'"{crc64(data)}"'
        if self.headers.get("If-Match", etag) != etag:
            return self._answer(412, {}, b"")
        headers = {"ETag": etag, "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT", "Content-Type": "text/x"}
        if self.server.ranged:
            headers["Accept-Ranges"] = "bytes"
            wanted = self.headers.get("Range")
            if wanted and data:
                start, end = (int(one) for one in wanted.removeprefix("bytes=").split("-"))
                end = min(end, len(data) - 1)
                headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
                return self._answer(206, headers, data[start : end + 1])
        return self._answer(200, headers, data, body=body)

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture
def web() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.objects, server.ranged, server.no_head = dict(OBJECTS), True, False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fill(folder: Path, objects: dict[str, bytes]) -> None:
    for key, body in objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def changer(put: Callable[[str, bytes], Any], delete: Callable[[str], Any]) -> Any:
    """What changes objects by name; None deletes."""

    def change(objects: dict[str, bytes | None]) -> None:
        for key, body in objects.items():
            delete(key)
            if body is not None:
                put(key, body)

    return change


@pytest.fixture
def filled_s3(s3, bucket_name):
    s3.bucket(bucket_name, {f"in/{key}": body for key, body in OBJECTS.items()} | {"other": b"x"})
    return s3.source(bucket_name, "in/"), changer(
        lambda key, body: s3.sdk.put_object(Bucket=bucket_name, Key=f"in/{key}", Body=body),
        lambda key: s3.sdk.delete_object(Bucket=bucket_name, Key=f"in/{key}"),
    )


@pytest.fixture
def filled_oss(oss):
    change = changer(
        lambda key, body: oss.sdk.put_object(f"in/{key}", body),
        lambda key: oss.sdk.delete_object(f"in/{key}"),
    )
    change(OBJECTS)
    oss.sdk.put_object("other", b"x")
    return oss.source("in/"), change


@pytest.fixture
def filled_local(tmp_path):
    fill(tmp_path / "in", OBJECTS)
    return LocalSource(tmp_path / "in"), changer(
        lambda key, body: fill(tmp_path / "in", {key: body}),
        lambda key: (tmp_path / "in" / key).unlink(),
    )


@pytest.fixture
def filled_http(tmp_path, web):
    # what a URL ends before, a list cannot name
    web.objects = {key.replace("?#", "").replace("%41", ""): body for key, body in OBJECTS.items()}
    (tmp_path / "list").write_text("".join(f"{web.url}\t{key}\n" for key in web.objects))
    source = HttpListSource(tmp_path / "list", run_lines=2)
    yield source, changer(web.objects.__setitem__, web.objects.pop)
    source.close()


@pytest.fixture(params=["s3", "oss", "local", "http"])
def filled(request) -> Any:
    """A source that has OBJECTS, and what changes it."""
    return request.getfixturevalue(f"filled_{request.param}")


def expected(source: Any) -> dict[str, bytes]:
    if isinstance(source, HttpListSource):
        return {key.replace("?#", "").replace("%41", ""): body for key, body in OBJECTS.items()}
    return OBJECTS


class TestSources:
    def test_a_listing_is_complete_and_in_order_of_utf8_bytes(self, filled):
        source, _ = filled
        source.check()
        keys = [one.key for one in source.list()]
        assert keys == sorted(expected(source), key=lambda key: key.encode())
        assert list(source.rejected()) == []

    def test_a_listing_goes_on_after_any_key(self, filled):
        source, _ = filled
        keys = [one.key for one in source.list()]
        for n, key in enumerate(keys):
            assert [one.key for one in source.list(key)] == keys[n + 1 :]
        assert [one.key for one in source.list("a")] == keys
        assert [one.key for one in source.list("\U0010ffff")] == []

    def test_an_object_is_read_whole_and_by_ranges(self, filled):
        source, _ = filled
        for item in source.list():
            body = expected(source)[item.key]
            found = source.head(item)
            assert found is not None
            assert found.size == len(body)
            assert source.get(item).body == body
            if len(body) > 1:
                item = found._replace(locator=item.locator)  # noqa: PLW2901 - as it is now
                assert source.get(item, 1, len(body)).body == body[1:]

    def test_an_object_that_changes_is_not_read(self, filled):
        source, change = filled
        item = next(one for one in source.list() if one.key == "a/b")
        item = source.head(item)._replace(locator=item.locator)
        change({"a/b": b"other"})
        with pytest.raises(SourceChangedError):
            source.get(item)
        with pytest.raises(SourceChangedError):
            source.get(item, 0, 2)

    def test_an_object_that_goes_is_gone(self, filled):
        source, change = filled
        item = next(one for one in source.list() if one.key == "a/b")
        change({"a/b": None})
        assert source.head(item) is None
        with pytest.raises(SourceGoneError):
            source.get(item)


@pytest.fixture(params=["oss", "s3", "local"])
def target(request, tmp_path, bucket_name) -> Any:
    if request.param == "oss":
        return request.getfixturevalue("oss").target("out/")
    if request.param == "s3":
        s3 = request.getfixturevalue("s3")
        s3.bucket(bucket_name, {})
        return S3Target(s3.client(), bucket_name, "out/")
    (tmp_path / "out").mkdir()
    return LocalTarget(tmp_path / "out")


def item_of(key: str, body: bytes) -> ObjectInfo:
    return ObjectInfo(key, len(body), "", 1_600_000_000.0)


def put(target: Any, key: str, body: bytes, *, only_new: bool = False) -> Any:
    prepared = target.prepare(Attributes())
    return target.put(key, body, prepared, item=item_of(key, body), only_new=only_new)


class TestTargets:
    def test_what_is_put_is_there(self, target):
        target.check()
        for key, body in OBJECTS.items():
            assert target.refusal(key) == ""
            stored = put(target, key, body)
            assert stored.crc64 in {None, crc64(body)}
        assert [(one.key, one.size) for one in target.list()] == sorted(
            ((key, len(body)) for key, body in OBJECTS.items()), key=lambda pair: pair[0].encode()
        )
        for key, body in OBJECTS.items():
            assert target.head(key).size == len(body)
            if body:
                assert target.read(key, 0, len(body)) == body

    def test_only_new_leaves_what_is_there(self, target):
        put(target, "k", b"first", only_new=True)
        with pytest.raises(TargetConflictError):
            put(target, "k", b"second", only_new=True)
        assert target.read("k", 0, 5) == b"first"
        put(target, "k", b"third")
        assert target.read("k", 0, 5) == b"third"

    def test_parts_in_any_order_make_one_object_that_is_invisible_until_complete(self, target):
        size = target.limits.smallest
        bodies = [b"a" * size, b"b" * size, b"c" * 10]
        whole = b"".join(bodies)
        upload = target.begin("big", len(whole), Prepared())
        parts = {
            number: target.put_part("big", upload, number, (number - 1) * size, bodies[number - 1])
            for number in (3, 1, 2)
        }
        assert target.head("big") is None
        assert list(target.list()) == []
        ordered = [parts[number] for number in sorted(parts)]
        stored = target.complete("big", upload, ordered, item=item_of("big", whole), only_new=False)
        assert stored.crc64 in {None, crc64(whole)}
        assert target.read("big", 0, len(whole)) == whole

    def test_an_aborted_upload_leaves_nothing(self, target):
        upload = target.begin("big", 5, Prepared())
        target.put_part("big", upload, 1, 0, b"12345")
        target.abort("big", upload)
        target.abort("big", upload)
        assert target.head("big") is None
        with pytest.raises(SyncError):
            target.put_part("big", upload, 1, 0, b"12345")


def test_a_folder_rejects_links_sockets_and_names_that_are_not_utf8(tmp_path):
    fill(tmp_path, {"file": b"1"})
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    bad = bytes(tmp_path) + b"/\xff"
    Path(bad.decode("utf-8", "surrogateescape")).write_bytes(b"2")
    source = LocalSource(tmp_path)
    assert [one.key for one in source.list()] == ["file"]
    assert {name for name, _ in source.rejected()} == {"link", "dead", "ÿ"}
    followed = LocalSource(tmp_path, follow_links=True)
    assert [one.key for one in followed.list()] == ["file", "link"]


def test_a_folder_cannot_hold_what_leaves_it(tmp_path):
    target = LocalTarget(tmp_path)
    for key in ("../x", "a/../../x", "/etc/x", "a//b", "dir/", "", ".", "a\0b", "x" * 256):
        assert target.refusal(key), key


def test_a_file_and_a_folder_of_one_name_conflict(tmp_path):
    target = LocalTarget(tmp_path)
    put(target, "a", b"1")
    with pytest.raises(TargetConflictError):
        put(target, "a/b", b"2")


def test_oss_refuses_names_that_it_cannot_hold(oss):
    target = oss.target()
    assert target.refusal("x" * 1023) == ""
    for key in ("", "/a", "\\a", "x" * 1024, "日" * 342, "\udcff"):
        assert target.refusal(key), key
    assert oss.target("p/").refusal("") == ""
    assert oss.target("p/").refusal("/a") == ""


def test_lines_listed_twice_and_lines_that_are_no_url_are_rejected(tmp_path, web):
    lines = [
        f"{web.url} b",
        f"{web.url} a",
        f"{web.url} a",
        f"{web.url}other/ a",
        "ftp://h/ c",
        "# x",
        "",
        "d",
    ]
    (tmp_path / "list").write_bytes("\n".join(lines).encode() + b"\n\xff\n")
    source = HttpListSource(tmp_path / "list", run_lines=2)
    assert [(one.key, one.locator) for one in source.list()] == [("a", web.url), ("b", web.url)]
    reasons = dict(source.rejected())
    assert reasons["a"] == "line 4: listed before with another url"
    assert set(reasons) == {"a", "ftp://h/ c", "d", repr(b"\xff\n")}


def test_redirects_are_followed_and_circles_noticed(tmp_path, web):
    (tmp_path / "list").write_text(f"{web.url} loop1\n{web.url}moved/ a0\n")
    source = HttpListSource(tmp_path / "list")
    moved, loop = source.list()
    assert source.get(moved).body == b"333"
    with pytest.raises(PermanentError, match="circle"):
        source.get(loop)
    source.close()


def test_a_server_without_head_or_ranges_is_still_read(tmp_path, web):
    web.no_head, web.ranged = True, False
    (tmp_path / "list").write_text(f"{web.url} a0\n")
    source = HttpListSource(tmp_path / "list")
    (item,) = source.list()
    assert source.head(item).size == 3
    assert not source.ranges(item)
    assert list(source.stream(item, 2)) == [b"33", b"3"]
    source.close()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"type": "s3", "bucket": "b", "prefix": "data"}, "source.prefix"),
        ({"type": "s3", "bucket": "b", "prefix": "/data/"}, "source.prefix"),
        ({"type": "oss", "bucket": ""}, "source.bucket"),
        ({"type": "local", "path": "relative"}, "source.path"),
        ({"type": "ftp"}, "source.type"),
        ({"type": "s3", "bucket": "b", "what": 1}, "source.what"),
    ],
)
def test_a_wrong_source_is_refused_by_name(oss, s3, data, field):
    connection = s3.connection if data["type"] == "s3" else oss.connection
    with pytest.raises(ConfigError, match=field):
        open_source(data, connection)


def test_a_target_prefix_is_a_folder(oss):
    for prefix in ("/out/", "out"):
        with pytest.raises(ConfigError, match=r"target\.prefix"):
            open_target({"type": "oss", "bucket": "lake", "prefix": prefix}, oss.connection)


@pytest.mark.parametrize("ranged", [True, False])
def test_a_list_of_urls_is_migrated_with_an_error_for_every_bad_one(tmp_path, oss, web, spec, ranged):
    folder = JobFolder(LocalFiles(tmp_path / "state"), spec.job)
    web.ranged = ranged
    web.objects = {"a b": b"1", "big": bytes(range(256)) * (10 * 1024), "empty": b""}
    names = ["a b", "big", "empty", "gone", "loop1"]
    (tmp_path / "list").write_text("".join(f"{web.url} {name}\n" for name in [*names, "a b"]) + "x\n")
    source, target = HttpListSource(tmp_path / "list"), oss.target("in/")
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=MIB)
    summary = plan_job(spec, source, target, folder)
    assert (summary.objects, summary.rejected) == (5, 1)
    report = TaskRunner(spec, source, target, folder).run(0)
    source.close()
    assert oss.contents() == {f"in/{key}": body for key, body in web.objects.items()}
    assert (report.copied, report.reasons) == (3, {"SOURCE_DELETED": 1, "FAILED": 1})
    assert oss.requests("UploadPart") == 3
    assert {row["key"]: row["code"] for row in failed_objects(folder)} == {
        "x": "REJECTED",
        "gone": "SOURCE_DELETED",
        "loop1": "FAILED",
    }
    assert stat(folder).state == "Failed"


@pytest.mark.parametrize("target_kind", ["s3", "local"])
def test_oss_is_migrated_to_s3_and_to_folders(tmp_path, oss, s3, target_kind, spec):
    bucket_name = f"dst-{target_kind}"
    objects = {"a/b": b"1", "big": bytes(range(256)) * (44 * 1024), "empty": b""}
    for key, body in objects.items():
        oss.sdk.put_object(key, body, headers={"x-oss-meta-a": "b"})
    s3.bucket(bucket_name, {})
    target = S3Target(s3.client(), bucket_name) if target_kind == "s3" else LocalTarget(tmp_path)
    folder = JobFolder(LocalFiles(tmp_path.parent / f"{tmp_path.name}-state"), spec.job)
    spec = dataclasses.replace(spec, multipart_threshold=MIB, part_size=5 * MIB)
    plan_job(spec, oss.source(), target, folder)
    report = TaskRunner(spec, oss.source(), target, folder).run(0)
    assert (report.copied, report.failed) == (3, 0)
    if target_kind == "s3":
        assert s3.contents(bucket_name) == objects
    else:
        assert {k: (tmp_path / k).read_bytes() for k in objects} == objects
        assert report.noted == 3  # files have no metadata
    assert plan_job(spec, oss.source(), target, folder, anew=True).objects == 0
