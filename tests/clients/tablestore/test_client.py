"""The client against the local Tablestore, with the vendor's SDK as the side door for tables and rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import tablestore

from airflow_provider_sync.clients.tablestore.client import TablestoreClient
from airflow_provider_sync.clients.tablestore.descriptions import (
    ColumnCondition,
    Condition,
    KeyColumn,
    RowChange,
)
from airflow_provider_sync.clients.tablestore.errors import ConditionFailedError, OutcomeUnknownError
from airflow_provider_sync.clients.tablestore.messages import (
    Comparator,
    Direction,
    KeyType,
    OperationType,
    RowExistence,
)
from airflow_provider_sync.clients.tablestore.rows import (
    INF_MAX,
    INF_MIN,
    Cell,
    CellOp,
    PrimaryKey,
    Row,
    Value,
)
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import (
    AccessDeniedError,
    ConfigError,
    NotFoundError,
    TargetConflictError,
    ThrottledError,
    TransientError,
)
from airflow_provider_sync.spec.connection import ConnectionInfo, Credentials, Secret

Control = Callable[..., Any]
KEY = (KeyColumn("pk1", KeyType.STRING), KeyColumn("pk2", KeyType.INTEGER))
NEW_ROW = Condition(RowExistence.EXPECT_NOT_EXIST)


@pytest.fixture
def table(client: TablestoreClient) -> str:
    client.create_table("t", KEY, max_versions=3)
    return "t"


def _key(number: int, text: str = "a") -> PrimaryKey:
    return (("pk1", text), ("pk2", number))


def _values(row: Row | None) -> dict[str, Value]:
    assert row is not None
    return {cell.name: cell.value for cell in row.cells}


def test_a_table_is_created_described_listed_and_deleted(
    client: TablestoreClient, vendor: tablestore.OTSClient
) -> None:
    client.create_table("t", KEY, time_to_live=86_400, max_versions=2, stream_hours=24)

    described = client.describe_table("t")
    assert described.name == "t"
    assert described.primary_key == KEY
    assert (described.time_to_live, described.max_versions) == (86_400, 2)
    assert described.stream_enabled
    assert described.expiration_hours == 24
    assert described.stream_id is not None
    assert abs((described.last_enable_us or 0) / 1e6 - time.time()) < 60
    assert client.list_tables() == list(vendor.list_table())
    theirs = vendor.describe_table("t")
    assert theirs.table_meta.schema_of_primary_key == [("pk1", "STRING"), ("pk2", "INTEGER")]
    client.delete_table("t")
    assert client.list_tables() == []


def test_a_table_without_a_stream_says_so(client: TablestoreClient, table: str) -> None:
    described = client.describe_table(table)

    assert not described.stream_enabled
    assert described.stream_id is None
    assert client.list_streams(table) == []


def test_a_missing_table_is_named(client: TablestoreClient) -> None:
    with pytest.raises(
        NotFoundError, match="DescribeTable of table 'nosuch' failed: HTTP 404 OTSObjectNotExist"
    ):
        client.describe_table("nosuch")


def test_a_table_that_is_there_is_not_created_again(client: TablestoreClient, table: str) -> None:
    with pytest.raises(TargetConflictError, match="OTSObjectAlreadyExist"):
        client.create_table(table, KEY)


def test_a_row_we_put_is_what_the_vendor_reads(
    client: TablestoreClient, vendor: tablestore.OTSClient, table: str
) -> None:
    client.put_row(table, _key(1), {"i": -1, "d": 1.5, "b": True, "s": "é", "x": b"\x00\xff"})

    _, row, _ = vendor.get_row(table, [("pk1", "a"), ("pk2", 1)])
    found = {name: value for name, value, _ in row.attribute_columns}
    assert found == {"i": -1, "d": 1.5, "b": True, "s": "é", "x": b"\x00\xff"}


def test_a_row_the_vendor_put_is_what_we_read(
    client: TablestoreClient, vendor: tablestore.OTSClient, table: str
) -> None:
    version = int(time.time() * 1000) - 5
    columns = [("i", 7, version), ("s", "é", version), ("x", bytearray(b"\x00"), version)]
    vendor.put_row(table, tablestore.Row([("pk1", "a"), ("pk2", 1)], columns))

    assert client.get_row(table, _key(1)) == Row(
        _key(1), (Cell("i", 7, version), Cell("s", "é", version), Cell("x", b"\x00", version))
    )


def test_no_row_is_an_answer(client: TablestoreClient, table: str) -> None:
    assert client.get_row(table, _key(1)) is None


def test_only_the_columns_asked_for_come(client: TablestoreClient, table: str) -> None:
    client.put_row(table, _key(1), {"a": 1, "b": 2, "c": 3})

    assert _values(client.get_row(table, _key(1), ["a", "c"])) == {"a": 1, "c": 3}
    assert client.get_row(table, _key(1), ["nosuch"]) is None


def test_an_update_puts_deletes_and_counts(client: TablestoreClient, table: str) -> None:
    now = int(time.time() * 1000)
    client.put_row(table, _key(1), [Cell("a", 1, now - 9), Cell("b", 2, now - 9), Cell("c", 3, now - 9)])

    client.update_row(
        table,
        _key(1),
        [
            Cell("a", None, now - 9, CellOp.DELETE_ONE_VERSION),
            Cell("b", None, None, CellOp.DELETE_ALL_VERSIONS),
            Cell("c", 4, None, CellOp.INCREMENT),
            Cell("d", "new"),
        ],
    )

    assert _values(client.get_row(table, _key(1))) == {"c": 7, "d": "new"}


def test_a_deleted_row_is_gone_and_deleting_it_again_is_no_error(
    client: TablestoreClient, table: str
) -> None:
    client.put_row(table, _key(1), {"a": 1})

    client.delete_row(table, _key(1))
    client.delete_row(table, _key(1))

    assert client.get_row(table, _key(1)) is None


def test_a_range_comes_in_key_order_both_ways(client: TablestoreClient, table: str) -> None:
    for number in (3, 1, 2):
        client.put_row(table, _key(number), {"a": number})
    low, high = (("pk1", INF_MIN), ("pk2", INF_MIN)), (("pk1", INF_MAX), ("pk2", INF_MAX))

    forward = [row.primary_key for row in client.get_range(table, low, high)]
    backward = [row.primary_key for row in client.get_range(table, high, low, direction=Direction.BACKWARD)]

    assert forward == [_key(1), _key(2), _key(3)]
    assert backward == forward[::-1]
    assert [row.primary_key for row in client.get_range(table, _key(1), _key(3))] == [_key(1), _key(2)]
    assert [r.primary_key for r in client.get_range(table, low, high, limit=2)] == [_key(1), _key(2)]
    assert list(client.get_range(table, low, high, limit=0)) == []


def test_a_range_goes_on_over_pages(client: TablestoreClient, control: Control, table: str) -> None:
    for number in range(10):
        client.put_row(table, _key(number), {"a": b"x" * 900_000})

    rows = list(client.get_range(table, _key(0), _key(10)))

    assert [row.primary_key for row in rows] == [_key(number) for number in range(10)]
    pages = [line for line in control("GET", "requests") if line["operation"] == "GetRange"]
    assert len(pages) >= 2


def test_a_condition_that_does_not_hold_writes_nothing(client: TablestoreClient, table: str) -> None:
    client.put_row(table, _key(1), {"generation": 1}, NEW_ROW)

    with pytest.raises(ConditionFailedError, match="OTSConditionCheckFail"):
        client.put_row(table, _key(1), {"generation": 9}, NEW_ROW)
    with pytest.raises(ConditionFailedError):
        client.update_row(table, _key(1), {"generation": 9}, _generation(2))
    with pytest.raises(ConditionFailedError):
        client.delete_row(table, _key(1), _generation(2))
    client.update_row(table, _key(1), {"generation": 2}, _generation(1))

    assert _values(client.get_row(table, _key(1))) == {"generation": 2}


def test_a_missing_column_passes_a_condition_only_if_told_so(client: TablestoreClient, table: str) -> None:
    client.put_row(table, _key(1), {"other": 1})

    with pytest.raises(ConditionFailedError):
        client.update_row(table, _key(1), {"a": 1}, _generation(1))
    missing_too = Condition(column=ColumnCondition("generation", Comparator.EQUAL, 1, pass_if_missing=True))
    client.update_row(table, _key(1), {"a": 1}, missing_too)


def test_a_batch_tells_what_became_of_each_row(client: TablestoreClient, table: str) -> None:
    client.put_row(table, _key(1), {"a": 1})
    client.put_row(table, _key(2), {"a": 2})

    outcomes = client.batch_write_row(
        table,
        [
            RowChange(OperationType.PUT, _key(1), (Cell("a", 9),), NEW_ROW),
            RowChange(OperationType.DELETE, _key(2)),
            RowChange(OperationType.PUT, _key(3), (Cell("a", 3),)),
            RowChange(OperationType.UPDATE, _key(1), (Cell("b", 1),)),
        ],
    )

    assert isinstance(outcomes[0], ConditionFailedError)
    assert outcomes[1:] == [None, None, None]
    assert _values(client.get_row(table, _key(1))) == {"a": 1, "b": 1}
    assert client.get_row(table, _key(2)) is None
    assert _values(client.get_row(table, _key(3))) == {"a": 3}
    assert client.batch_write_row(table, []) == []


def test_the_second_signature_scheme_is_used_where_the_region_is_known(
    connection: ConnectionInfo, client: TablestoreClient, table: str
) -> None:
    with TablestoreClient(replace(connection, region="cn-local"), retry=RetryPolicy(attempts=1)) as other:
        other.put_row(table, _key(1), {"a": 1})

    assert _values(client.get_row(table, _key(1))) == {"a": 1}


@pytest.mark.parametrize("region", ["", "cn-local"])
def test_a_wrong_secret_is_refused_with_the_cure_and_without_the_secret(
    connection: ConnectionInfo, control: Control, region: str
) -> None:
    wrong = replace(connection, access_key_secret=Secret("wrong-secret"), region=region)

    with (
        TablestoreClient(wrong, retry=RetryPolicy(attempts=1)) as client,
        pytest.raises(
            AccessDeniedError, match=r"OTSAuthFailed.*check connection\.access_key_secret"
        ) as caught,
    ):
        client.list_tables()
    assert "wrong-secret" not in str(caught.value)


def test_an_unknown_key_is_refused(connection: ConnectionInfo, control: Control) -> None:
    with (
        TablestoreClient(
            replace(connection, access_key_id="nobody"), retry=RetryPolicy(attempts=1)
        ) as client,
        pytest.raises(AccessDeniedError, match=r"check connection\.access_key_id"),
    ):
        client.list_tables()


def test_a_clock_that_is_off_is_refused_with_the_cure(connection: ConnectionInfo, control: Control) -> None:
    with (
        TablestoreClient(
            connection, retry=RetryPolicy(attempts=1), clock=lambda: time.time() - 3600
        ) as client,
        pytest.raises(AccessDeniedError, match="set the clock"),
    ):
        client.list_tables()


def test_credentials_may_come_from_a_provider(connection: ConnectionInfo, control: Control) -> None:
    provider = lambda: Credentials("ak", Secret("sk"), Secret("session"))  # noqa: E731 - one value
    bare = replace(connection, access_key_id="", access_key_secret=Secret(""), renew=provider)

    with TablestoreClient(bare, retry=RetryPolicy(attempts=1)) as client:
        assert client.list_tables() == []


def test_a_bad_connection_is_refused_before_any_request(connection: ConnectionInfo) -> None:
    with pytest.raises(ConfigError, match=r"connection\.endpoint"):
        TablestoreClient(replace(connection, endpoint="nowhere"), retry=RetryPolicy())


@pytest.mark.parametrize("action", ["throttle", "drop_before", "lost_reply", "cut", "wrong_crc", "error"])
def test_a_read_survives_every_fault(
    client: TablestoreClient, control: Control, table: str, action: str
) -> None:
    client.put_row(table, _key(1), {"a": 1})
    control(
        "POST", "faults", action=action, operation="GetRow", count=2, status=503, code="OTSServerUnavailable"
    )

    assert _values(client.get_row(table, _key(1))) == {"a": 1}
    assert control("GET", "faults")[0]["fired"] == 2


@pytest.mark.parametrize("action", ["throttle", "drop_before", "lost_reply", "cut", "wrong_crc", "error"])
def test_a_plain_put_survives_every_fault(
    client: TablestoreClient, control: Control, table: str, action: str
) -> None:
    control(
        "POST",
        "faults",
        action=action,
        operation="PutRow",
        count=2,
        status=500,
        code="OTSInternalServerError",
    )

    client.put_row(table, _key(1), {"a": 1})

    assert _values(client.get_row(table, _key(1))) == {"a": 1}


def test_an_increment_whose_reply_is_lost_is_not_repeated(
    client: TablestoreClient, control: Control, table: str
) -> None:
    control("POST", "faults", action="lost_reply", operation="UpdateRow")

    with pytest.raises(OutcomeUnknownError, match="look first"):
        client.update_row(table, _key(1), [Cell("n", 5, None, CellOp.INCREMENT)])

    assert _values(client.get_row(table, _key(1))) == {"n": 5}


def test_a_conditional_put_whose_reply_is_lost_is_not_repeated(
    client: TablestoreClient, control: Control, table: str
) -> None:
    control("POST", "faults", action="lost_reply", operation="PutRow")

    with pytest.raises(OutcomeUnknownError):
        client.put_row(table, _key(1), {"a": 1}, NEW_ROW)

    assert _values(client.get_row(table, _key(1))) == {"a": 1}


def test_a_conditional_put_is_repeated_after_throttling(
    client: TablestoreClient, control: Control, table: str
) -> None:
    control("POST", "faults", action="throttle", operation="PutRow", count=2)

    client.put_row(table, _key(1), {"a": 1}, NEW_ROW)

    assert _values(client.get_row(table, _key(1))) == {"a": 1}


def test_a_batch_with_a_lost_reply_is_repeated_only_if_all_its_rows_may_be(
    client: TablestoreClient, control: Control, table: str
) -> None:
    control("POST", "faults", action="lost_reply", operation="BatchWriteRow", count=2)
    plain = [RowChange(OperationType.PUT, _key(n), (Cell("a", n),)) for n in range(3)]
    counting = [*plain, RowChange(OperationType.UPDATE, _key(9), (Cell("n", 1, None, CellOp.INCREMENT),))]

    unknown = client.batch_write_row(table, counting)
    written = client.batch_write_row(table, plain)

    assert all(isinstance(outcome, OutcomeUnknownError) for outcome in unknown)
    assert written == [None, None, None]
    assert _values(client.get_row(table, _key(9))) == {"n": 1}


def test_tries_end_with_the_services_own_words(
    client: TablestoreClient, control: Control, table: str
) -> None:
    control("POST", "faults", action="throttle", operation="GetRow", count=-1)

    with pytest.raises(ThrottledError, match="GetRow of table 't' failed: HTTP"):
        client.get_row(table, _key(1))


def test_a_service_that_is_gone_is_a_passing_error(control: Control) -> None:
    gone = ConnectionInfo(
        "tablestore", "http://127.0.0.1:1", "ak", Secret("sk"), extra={"instance": "demo", "timeout": 2}
    )

    with (
        TablestoreClient(gone, retry=RetryPolicy(attempts=2, base=0.001)) as client,
        pytest.raises(TransientError, match="cannot connect"),
    ):
        client.list_tables()


def _generation(number: int) -> Condition:
    return Condition(column=ColumnCondition("generation", Comparator.EQUAL, number))
