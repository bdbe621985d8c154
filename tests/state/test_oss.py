from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import oss2
import pytest

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.errors import (
    AccessDeniedError,
    CheckpointConflictError,
    ConfigError,
    CorruptDataError,
    NotFoundError,
    TransientError,
)
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.registry import build_store
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.testing.store_suite import DurableCheckpointStoreSuite, StoreRecipe

Control = Callable[..., Any]
FOLDER = "airflow-provider-sync/checkpoints"


@pytest.fixture
def connection(oss_server: Server, oss_control: Control) -> ConnectionInfo:
    return ConnectionInfo(
        "oss", oss_server.url, "ak", Secret("sk"), region="cn-hangzhou", extra={"timeout": 10}
    )


@pytest.fixture
def store(connection: ConnectionInfo) -> Iterator[CheckpointStore]:
    """A store that does not wait between tries."""
    environment = Environment(sleep=lambda _: None, random=random.Random(1))
    store = build_store(Endpoint("oss", {"bucket": "progress"}), connection, environment)
    yield store
    store.close()


@pytest.fixture
def bucket(connection: ConnectionInfo) -> oss2.Bucket:
    """The vendor's client."""
    auth = oss2.AuthV4("ak", "sk")
    return oss2.Bucket(auth, connection.endpoint, "progress", region="cn-hangzhou", is_path_style=True)


class TestOssStore(DurableCheckpointStoreSuite):
    @pytest.fixture
    def recipe(self, connection: ConnectionInfo) -> StoreRecipe:
        return StoreRecipe(Endpoint("oss", {"bucket": "progress"}), connection)


def names(bucket: oss2.Bucket) -> list[str]:
    return [one.key.removeprefix(f"{FOLDER}/") for one in oss2.ObjectIteratorV2(bucket)]


def test_a_generation_is_a_readable_object(store: CheckpointStore, bucket: oss2.Bucket) -> None:
    store.save("orders@5", {"end": "é"}, expect=0)
    assert names(bucket) == ["orders@5/00000000000000000001.json"]
    answer = bucket.get_object(f"{FOLDER}/orders@5/00000000000000000001.json")
    data = json.loads(answer.read())
    assert len(data.pop("writer")) == 32
    assert data == {"key": "orders@5", "generation": 1, "state": {"end": "é"}}
    assert answer.content_type == "application/json"


def test_old_generations_are_removed(store: CheckpointStore, bucket: oss2.Bucket) -> None:
    for generation in range(40):
        store.save("orders", {"n": generation}, expect=generation)
    assert names(bucket) == [f"orders/{n:020d}.json" for n in range(24, 41)]
    assert store.load("orders") == Checkpoint("orders", 40, {"n": 39})
    store.delete("orders")
    assert names(bucket) == []


def test_other_objects_below_the_prefix_are_left_alone(store: CheckpointStore, bucket: oss2.Bucket) -> None:
    others = ["README", "orders/README", "orders/deeper/00000000000000000009.json", "orders/9.json"]
    for name in others:
        bucket.put_object(f"{FOLDER}/{name}", b"x")
    store.save("orders", {}, expect=0)
    assert list(store.keys("")) == ["orders"]
    store.delete("orders")
    assert sorted(names(bucket)) == sorted(others)


def put_by_another(bucket: oss2.Bucket, *generations: int) -> None:
    for generation in generations:
        data = {"key": "orders", "generation": generation, "writer": "other", "state": {"by": "other"}}
        bucket.put_object(f"{FOLDER}/orders/{generation:020d}.json", json.dumps(data))


class Interrupted:
    """Lets something happen just before a store creates an object, by the client's own door."""

    def __init__(self, store: Any, happening: Callable[[], None]) -> None:
        self._put = store._client.put
        self._happening = happening
        store._client.put = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._happening()
        return self._put(*args, **kwargs)


def test_a_save_that_comes_after_many_others_is_a_conflict_though_its_place_is_free(
    store: CheckpointStore, bucket: oss2.Bucket
) -> None:
    put_by_another(bucket, 4, 5)

    def others_go_on() -> None:
        # 6 was there and is removed by now.
        put_by_another(bucket, *range(7, 23))
        bucket.batch_delete_objects([f"{FOLDER}/orders/{n:020d}.json" for n in (4, 5)])

    Interrupted(store, others_go_on)
    with pytest.raises(CheckpointConflictError, match=r"generation 22 is stored, .* expected 5"):
        store.save("orders", {"by": "late"}, expect=5)
    assert store.load("orders") == Checkpoint("orders", 22, {"by": "other"})


def test_a_save_that_is_followed_by_others_at_once_is_a_success(
    store: CheckpointStore, bucket: oss2.Bucket
) -> None:
    put_by_another(bucket, 5)
    Interrupted(store, lambda: put_by_another(bucket, *range(7, 22)))
    assert store.save("orders", {"by": "first"}, expect=5).generation == 6


def test_a_save_after_the_key_was_deleted_is_a_conflict(store: CheckpointStore, bucket: oss2.Bucket) -> None:
    put_by_another(bucket, 5)
    Interrupted(store, lambda: bucket.delete_object(f"{FOLDER}/orders/{5:020d}.json"))
    with pytest.raises(CheckpointConflictError, match=r"generation 0 is stored, .* expected 5"):
        store.save("orders", {"by": "late"}, expect=5)
    assert store.load("orders") is None


@pytest.mark.parametrize("expect", [0, 1])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_save_whose_reply_is_lost_happens_once(
    store: CheckpointStore, oss_control: Control, expect: int, lost: int
) -> None:
    if expect:
        store.save("orders", {"n": 0}, expect=0)
    oss_control("POST", "faults", action="lost_reply", operation="PutObject", count=lost)
    assert store.save("orders", {"n": 1}, expect=expect) == Checkpoint("orders", expect + 1, {"n": 1})
    assert store.load("orders") == Checkpoint("orders", expect + 1, {"n": 1})


def test_a_lost_race_whose_reply_is_lost_is_still_a_conflict(
    store: CheckpointStore, bucket: oss2.Bucket, oss_control: Control
) -> None:
    Interrupted(store, lambda: put_by_another(bucket, 1))
    oss_control("POST", "faults", action="drop_before", operation="PutObject", after=1)
    with pytest.raises(CheckpointConflictError, match=r"generation 1 is stored, .* expected 0"):
        store.save("orders", {"by": "other"}, expect=0)


def test_passing_errors_of_the_service_pass(store: CheckpointStore, oss_control: Control) -> None:
    for action in ("throttle", "error", "drop_before"):
        oss_control("POST", "faults", action=action, operation=".*", count=3)
    assert store.save("orders", {"n": 1}, expect=0).generation == 1
    assert store.load("orders") == Checkpoint("orders", 1, {"n": 1})


def test_an_outage_is_a_transient_error(store: CheckpointStore, oss_control: Control) -> None:
    oss_control("POST", "faults", action="error", status=500, count=-1)
    with pytest.raises(TransientError):
        store.load("orders")


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
def test_a_bucket_with_versioning_is_refused(
    connection: ConnectionInfo, oss_control: Control, versioning: str
) -> None:
    oss_control("POST", "bucket", name="versions", versioning="Enabled")
    oss_control("POST", "bucket", name="versions", versioning=versioning)
    store = StoreRecipe(Endpoint("oss", {"bucket": "versions"}), connection).open()
    with pytest.raises(ConfigError, match=rf"^checkpoint\.parameter\.bucket: its versioning is {versioning}"):
        store.save("orders", {}, expect=0)
    store.close()


def test_a_bucket_that_is_not_there_is_not_an_empty_one(connection: ConnectionInfo) -> None:
    store = StoreRecipe(Endpoint("oss", {"bucket": "nowhere"}), connection).open()
    for ask in (
        lambda: store.load("orders"),
        lambda: list(store.keys("")),
        lambda: store.save("o", {}, expect=0),
    ):
        with pytest.raises(NotFoundError):
            ask()
    store.close()


def test_the_bucket_may_come_from_the_connection(connection: ConnectionInfo) -> None:
    extra = {**connection.extra, "bucket": "progress"}
    other = ConnectionInfo("oss", connection.endpoint, "ak", Secret("sk"), region="cn-hangzhou", extra=extra)
    store = StoreRecipe(Endpoint("oss", {"prefix": "/elsewhere/"}), other).open()
    assert store.save("orders", {}, expect=0).generation == 1
    store.close()


def test_denied_access_is_an_error_not_an_absence(store: CheckpointStore, oss_control: Control) -> None:
    store.save("orders", {}, expect=0)
    oss_control("POST", "deny", key_regex=".*")
    with pytest.raises(AccessDeniedError):
        store.load("orders")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"key": 5, "state": {}}', b'{"key": "orders"}']
)
def test_a_broken_object_is_an_error_that_names_it(
    store: CheckpointStore, bucket: oss2.Bucket, content: bytes
) -> None:
    bucket.put_object(f"{FOLDER}/orders/{1:020d}.json", content)
    with pytest.raises(CorruptDataError, match=r"orders/00000000000000000001\.json"):
        store.load("orders")


@pytest.mark.parametrize("parameter", [{}, {"bucket": ""}])
def test_a_store_without_a_bucket_is_refused(connection: ConnectionInfo, parameter: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint\.parameter\.bucket: missing"):
        StoreRecipe(Endpoint("oss", parameter), connection).open()


@pytest.mark.parametrize("prefix", ["", "/", "\\x", "p" * 401])
def test_a_prefix_that_oss_would_refuse_is_refused(connection: ConnectionInfo, prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint\.parameter\.prefix: "):
        StoreRecipe(Endpoint("oss", {"bucket": "progress", "prefix": prefix}), connection).open()
