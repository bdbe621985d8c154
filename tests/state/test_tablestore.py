from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.status import ShardCheckpoint, StatusTable
from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    AccessDeniedError,
    CheckpointConflictError,
    ConfigError,
    CorruptDataError,
    PermanentError,
    TransientError,
)
from airflow_provider_sync.localcloud.http import Server
from airflow_provider_sync.registry import build_store
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.testing.store_suite import DurableCheckpointStoreSuite, StoreRecipe

with warnings.catch_warnings():
    # The SDK warns at import that its native module is for another Python.
    warnings.simplefilter("ignore")
    import tablestore

Control = Callable[..., Any]
KEY = [("StreamId", "airflow-provider-sync"), ("StatusType", "Checkpoint"), ("StatusValue", "orders")]


@pytest.fixture
def connection(tablestore_server: Server, tablestore_control: Control) -> ConnectionInfo:
    return ConnectionInfo("tablestore", tablestore_server.url, "ak", Secret("sk"), extra={"instance": "demo"})


@pytest.fixture
def store(connection: ConnectionInfo) -> CheckpointStore:
    """A store that does not wait between tries, with its table made."""
    environment = Environment(sleep=lambda _: None, random=random.Random(1))
    store = build_store(Endpoint("tablestore", {"table": "status"}), connection, environment)
    assert store.load("none") is None
    return store


@pytest.fixture
def vendor(connection: ConnectionInfo) -> tablestore.OTSClient:
    return tablestore.OTSClient(connection.endpoint, "ak", "sk", "demo")


class TestTablestoreStore(DurableCheckpointStoreSuite):
    @pytest.fixture
    def recipe(self, connection: ConnectionInfo) -> StoreRecipe:
        return StoreRecipe(Endpoint("tablestore", {"table": "status"}), connection)


def test_a_row_is_readable_by_the_vendors_client(
    store: CheckpointStore, vendor: tablestore.OTSClient
) -> None:
    store.save("orders", {"end": "é"}, expect=0)
    store.save("orders", {"end": 5}, expect=1)
    _, row, _ = vendor.get_row("status", KEY)
    columns = {name: value for name, value, _ in row.attribute_columns}
    assert len(columns.pop("Writer")) == 32
    assert columns == {"Generation": 2, "State": '{"end":5}'}


def test_a_large_state_is_cut_into_columns_that_leave_with_it(
    store: CheckpointStore, vendor: tablestore.OTSClient
) -> None:
    store.save("orders", {"x": "a" * 2_500_000}, expect=0)
    _, row, _ = vendor.get_row("status", KEY)
    columns = {name: value for name, value, _ in row.attribute_columns}
    pieces = [columns["State"], columns["State_1"], columns["State_2"]]
    assert [len(piece) for piece in pieces] == [1_048_576, 1_048_576, 402_856]
    assert json.loads("".join(pieces)) == {"x": "a" * 2_500_000}
    store.save("orders", {"x": "b"}, expect=1)
    _, row, _ = vendor.get_row("status", KEY)
    assert [name for name, _, _ in row.attribute_columns] == ["Generation", "State", "Writer"]


def test_a_state_above_the_services_limit_is_refused(store: CheckpointStore) -> None:
    with pytest.raises(PermanentError, match="OTSOutOfRowSizeLimit"):
        store.save("orders", {"x": "a" * 4_200_000}, expect=0)
    assert store.load("orders") is None


def test_the_table_is_made_with_the_schema_of_datax(
    store: CheckpointStore, vendor: tablestore.OTSClient
) -> None:
    description = vendor.describe_table("status")
    assert description.table_meta.schema_of_primary_key == [
        ("StreamId", "STRING"), ("StatusType", "STRING"), ("StatusValue", "STRING"),
    ]  # fmt: skip
    assert description.table_options.time_to_live == 2_592_000


def test_rows_of_datax_in_the_same_table_are_left_alone(
    store: CheckpointStore, connection: ConnectionInfo
) -> None:
    client = TablestoreClient(connection, retry=RetryPolicy())
    status = StatusTable(client, "status")
    shards = {"shard": ShardCheckpoint("SHARD_END", 5)}
    status.write_boundary("src_1", "src", start_ms=1, end_ms=1795211863415, shards=shards, version="v")
    store.save("orders", {"n": 1}, expect=0)
    assert list(store.keys("")) == ["orders"]
    store.delete("orders")
    assert status.read_boundary("src_1", 1795211863415) == shards
    client.close()


@pytest.mark.parametrize("expect", [0, 1])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_save_whose_reply_is_lost_happens_once(
    store: CheckpointStore, tablestore_control: Control, expect: int, lost: int
) -> None:
    if expect:
        store.save("orders", {"n": 0}, expect=0)
    tablestore_control("POST", "faults", action="lost_reply", operation="PutRow", count=lost)
    assert store.save("orders", {"n": 1}, expect=expect) == Checkpoint("orders", expect + 1, {"n": 1})
    assert store.load("orders") == Checkpoint("orders", expect + 1, {"n": 1})


def test_a_save_that_never_arrived_is_made(store: CheckpointStore, tablestore_control: Control) -> None:
    tablestore_control("POST", "faults", action="drop_before", operation="PutRow", count=2)
    assert store.save("orders", {"n": 1}, expect=0) == Checkpoint("orders", 1, {"n": 1})


@pytest.mark.parametrize(
    "code", ["OTSTimeout", "OTSInternalServerError", "OTSServerUnavailable", "OTSServerBusy"]
)
def test_passing_errors_of_the_service_pass(
    store: CheckpointStore, tablestore_control: Control, code: str
) -> None:
    for operation in ("PutRow", "GetRow", "GetRange", "DeleteRow"):
        tablestore_control("POST", "faults", action="error", code=code, operation=operation, count=2)
    assert store.save("orders", {"n": 1}, expect=0).generation == 1
    assert store.load("orders") == Checkpoint("orders", 1, {"n": 1})
    assert list(store.keys("")) == ["orders"]
    store.delete("orders")
    assert store.load("orders") is None


def test_a_conflict_after_a_lost_request_is_still_a_conflict(
    store: CheckpointStore, connection: ConnectionInfo, tablestore_control: Control
) -> None:
    other = build_store(Endpoint("tablestore", {"table": "status"}), connection, Environment())
    other.save("orders", {"n": 1}, expect=0)
    tablestore_control("POST", "faults", action="drop_before", operation="PutRow")
    with pytest.raises(CheckpointConflictError, match=r"'orders': generation 1 is stored, .* expected 0"):
        store.save("orders", {"n": 1}, expect=0)
    other.close()


def test_an_outage_is_a_transient_error_after_all_tries(
    store: CheckpointStore, tablestore_control: Control
) -> None:
    tablestore_control("POST", "faults", action="error", code="OTSTimeout", operation="PutRow", count=-1)
    with pytest.raises(TransientError, match="OTSTimeout"):
        store.save("orders", {"n": 1}, expect=0)
    operations = [one["operation"] for one in tablestore_control("GET", "requests")]
    assert operations.count("PutRow") == 10


def test_being_throttled_for_good_is_not_tried_tens_of_times(
    store: CheckpointStore, tablestore_control: Control
) -> None:
    tablestore_control("POST", "faults", action="throttle", operation="PutRow", count=-1)
    with pytest.raises(TransientError, match="OTSServerBusy"):
        store.save("orders", {"n": 1}, expect=0)
    operations = [one["operation"] for one in tablestore_control("GET", "requests")]
    assert operations.count("PutRow") == 10


def test_a_row_of_somebody_else_is_an_error_that_names_it(
    store: CheckpointStore, vendor: tablestore.OTSClient
) -> None:
    row = tablestore.Row(KEY, [("Note", "hands off")])
    vendor.put_row("status", row, tablestore.Condition(tablestore.RowExistenceExpectation.IGNORE))
    with pytest.raises(CorruptDataError, match=r"'orders'.*no Generation and Writer"):
        store.load("orders")


def test_a_table_with_another_key_is_refused(
    connection: ConnectionInfo, vendor: tablestore.OTSClient
) -> None:
    vendor.create_table(
        tablestore.TableMeta("mine", [("id", "STRING")]),
        tablestore.TableOptions(),
        tablestore.ReservedThroughput(tablestore.CapacityUnit(0, 0)),
    )
    store = StoreRecipe(Endpoint("tablestore", {"table": "mine"}), connection).open()
    with pytest.raises(ConfigError, match=r"^checkpoint\.parameter\.table: its primary key is \(id STRING\)"):
        store.load("orders")
    store.close()


def test_a_wrong_key_cannot_ask_and_says_so(connection: ConnectionInfo) -> None:
    wrong = ConnectionInfo(
        "tablestore", connection.endpoint, "ak", Secret("s3cr3t"), extra={"instance": "demo"}
    )
    store = StoreRecipe(Endpoint("tablestore"), wrong).open()
    with pytest.raises(AccessDeniedError) as caught:
        store.load("orders")
    assert "s3cr3t" not in str(caught.value)
    store.close()


def test_a_store_without_a_connection_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint\.connection: missing"):
        StoreRecipe(Endpoint("tablestore")).open()
