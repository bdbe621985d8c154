"""The vendor's SDK is the oracle: what it writes, it must read back, by every operation it has."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import tablestore as ots

NO_CAPACITY = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
KEY = [("pk1", "STRING"), ("pk2", "INTEGER")]


@pytest.fixture(params=[{}, {"region": "cn-hangzhou"}], ids=["v2", "v4"])
def client(tablestore_server: Any, request: pytest.FixtureRequest) -> ots.OTSClient:
    return tablestore_server.client(**request.param)


@pytest.fixture
def table(client: ots.OTSClient) -> str:
    client.create_table(ots.TableMeta("orders", KEY), ots.TableOptions(-1, 3), NO_CAPACITY)
    return "orders"


def _put(
    client: ots.OTSClient, table: str, a: str, b: int, columns: list[Any], *, expect: str = "IGNORE"
) -> Any:
    return client.put_row(table, ots.Row([("pk1", a), ("pk2", b)], columns), ots.Condition(expect))


def _get(client: ots.OTSClient, table: str, a: str, b: int, **options: Any) -> Any:
    options.setdefault("max_version", 1)
    return client.get_row(table, [("pk1", a), ("pk2", b)], **options)[1]


def _columns(row: Any) -> dict[str, Any]:
    return {name: value for name, value, _ in row.attribute_columns}


def test_a_table_is_described_as_it_was_created(client: ots.OTSClient) -> None:
    meta = ots.TableMeta(
        "all_types",
        [("a", "STRING"), ("b", "INTEGER"), ("c", "BINARY"), ("d", "INTEGER", ots.PK_AUTO_INCR)],
        [("n", "INTEGER"), ("s", "STRING")],
    )
    index = ots.SecondaryIndexMeta("by_n", ["n"], ["s"])
    client.create_table(meta, ots.TableOptions(100_000, 5, 86_401, allow_update=False), NO_CAPACITY, [index])
    found = client.describe_table("all_types")
    assert found.table_meta.schema_of_primary_key == [
        ("a", "STRING"),
        ("b", "INTEGER"),
        ("c", "BINARY"),
        ("d", "INTEGER", ots.PK_AUTO_INCR),
    ]
    assert found.table_meta.defined_columns == [("n", "INTEGER"), ("s", "STRING")]
    assert found.table_options.time_to_live == 100_000
    assert found.table_options.max_version == 5
    assert found.table_options.max_time_deviation == 86_401
    assert found.table_options.allow_update is False
    assert [i.index_name for i in found.secondary_indexes] == ["by_n"]


def test_tables_are_listed_updated_and_deleted(client: ots.OTSClient, table: str) -> None:
    client.create_table(ots.TableMeta("another", [("k", "STRING")]), ots.TableOptions(-1, 1), NO_CAPACITY)
    assert client.list_table() == ("another", "orders")
    client.update_table(table, ots.TableOptions(200_000, 7))
    assert client.describe_table(table).table_options.max_version == 7
    client.delete_table("another")
    assert client.list_table() == ("orders",)
    with pytest.raises(ots.OTSServiceError) as caught:
        client.describe_table("another")
    assert (caught.value.http_status, caught.value.code) == (404, "OTSObjectNotExist")


def test_every_type_comes_back_as_it_was_written(client: ots.OTSClient, table: str) -> None:
    values = {
        "b": True,
        "d": -1.5e300,
        "i": -(2**63),
        "s": 'é 中 \n ,"',
        "x": bytearray(bytes(range(256))),
        "z": "",
    }
    _put(client, table, "k é", -5, list(values.items()))
    row = _get(client, table, "k é", -5)
    assert row.primary_key == [("pk1", "k é"), ("pk2", -5)]
    assert _columns(row) == values


def test_an_absent_row_is_no_row(client: ots.OTSClient, table: str) -> None:
    assert _get(client, table, "none", 1) is None


def test_put_replaces_and_update_merges(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "a", 1, [("x", 1), ("y", 2)])
    _put(client, table, "a", 1, [("y", 3)])
    assert _columns(_get(client, table, "a", 1)) == {"y": 3}
    change = {"PUT": [("z", "new")], "DELETE_ALL": ["y"], "INCREMENT": [("n", 5)]}
    client.update_row(table, ots.Row([("pk1", "a"), ("pk2", 1)], change), ots.Condition("EXPECT_EXIST"))
    assert _columns(_get(client, table, "a", 1)) == {"z": "new", "n": 5}
    client.update_row(
        table, ots.Row([("pk1", "a"), ("pk2", 1)], {"INCREMENT": [("n", -7)]}), ots.Condition("IGNORE")
    )
    assert _columns(_get(client, table, "a", 1))["n"] == -2


def test_versions_are_kept_newest_first_up_to_the_limit(client: ots.OTSClient, table: str) -> None:
    now = int(time.time() * 1000)
    for number in range(5):
        _put_version(client, table, number, now + number)
    row = _get(client, table, "v", 1, max_version=9)
    assert [(v, t) for _, v, t in row.attribute_columns] == [(4, now + 4), (3, now + 3), (2, now + 2)]
    row = _get(client, table, "v", 1, max_version=None, time_range=(now + 2, now + 4))
    assert [v for _, v, _ in row.attribute_columns] == [3, 2]
    row = _get(client, table, "v", 1, max_version=None, time_range=now + 3)
    assert [v for _, v, _ in row.attribute_columns] == [3]
    change = {"DELETE": [("c", None, now + 3)]}
    client.update_row(table, ots.Row([("pk1", "v"), ("pk2", 1)], change), ots.Condition("IGNORE"))
    row = _get(client, table, "v", 1, max_version=9)
    assert [v for _, v, _ in row.attribute_columns] == [4, 2]


def _put_version(client: ots.OTSClient, table: str, value: int, version: int) -> None:
    row = ots.Row([("pk1", "v"), ("pk2", 1)], {"PUT": [("c", value, version)]})
    client.update_row(table, row, ots.Condition("IGNORE"))


def test_a_version_outside_the_deviation_is_refused(client: ots.OTSClient, table: str) -> None:
    with pytest.raises(ots.OTSServiceError) as caught:
        _put_version(client, table, 1, 1_700_000_000_000)
    assert caught.value.code == "OTSParameterInvalid"


@pytest.mark.parametrize(
    ("expect", "exists", "passes"),
    [
        ("EXPECT_EXIST", True, True),
        ("EXPECT_EXIST", False, False),
        ("EXPECT_NOT_EXIST", True, False),
        ("EXPECT_NOT_EXIST", False, True),
        ("IGNORE", True, True),
        ("IGNORE", False, True),
    ],
)
def test_row_existence_is_checked(
    client: ots.OTSClient, table: str, expect: str, exists: bool, passes: bool
) -> None:
    if exists:
        _put(client, table, "a", 1, [("x", 1)])
    if passes:
        _put(client, table, "a", 1, [("x", 2)], expect=expect)
        assert _columns(_get(client, table, "a", 1)) == {"x": 2}
        return
    with pytest.raises(ots.OTSServiceError) as caught:
        _put(client, table, "a", 1, [("x", 2)], expect=expect)
    assert (caught.value.http_status, caught.value.code) == (403, "OTSConditionCheckFail")


def _single(name: str, value: Any, comparator: Any, *, passes_if_missing: bool = False) -> Any:
    return ots.SingleColumnCondition(name, value, comparator, pass_if_missing=passes_if_missing)


def _all(*conditions: Any) -> Any:
    return _composite(ots.LogicalOperator.AND, conditions)


def _any(*conditions: Any) -> Any:
    return _composite(ots.LogicalOperator.OR, conditions)


def _not(condition: Any) -> Any:
    return _composite(ots.LogicalOperator.NOT, (condition,))


def _composite(operator: Any, conditions: tuple[Any, ...]) -> Any:
    composite = ots.CompositeColumnCondition(operator)
    for condition in conditions:
        composite.add_sub_condition(condition)
    return composite


COMPARE = ots.ComparatorType


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        (_single("n", 5, COMPARE.EQUAL), True),
        (_single("n", 5, COMPARE.NOT_EQUAL), False),
        (_single("n", 4, COMPARE.GREATER_THAN), True),
        (_single("n", 5, COMPARE.GREATER_THAN), False),
        (_single("n", 5, COMPARE.GREATER_EQUAL), True),
        (_single("n", 5, COMPARE.LESS_THAN), False),
        (_single("n", 5, COMPARE.LESS_EQUAL), True),
        (_single("s", "abc", COMPARE.EQUAL), True),
        (_single("s", "abd", COMPARE.LESS_THAN), True),
        (_single("n", "5", COMPARE.EQUAL), False),
        (_single("none", 5, COMPARE.EQUAL), False),
        (_single("none", 5, COMPARE.EQUAL, passes_if_missing=True), True),
        (_all(_single("n", 5, COMPARE.EQUAL), _single("s", "abc", COMPARE.EQUAL)), True),
        (_all(_single("n", 5, COMPARE.EQUAL), _single("s", "x", COMPARE.EQUAL)), False),
        (_any(_single("n", 6, COMPARE.EQUAL), _single("s", "abc", COMPARE.EQUAL)), True),
        (_not(_single("n", 5, COMPARE.EQUAL)), False),
        (_not(_all(_single("n", 1, COMPARE.EQUAL), _single("n", 5, COMPARE.EQUAL))), True),
    ],
)
def test_column_conditions_decide_writes_and_filter_reads(
    tablestore_server: Any, condition: Any, passes: bool
) -> None:
    client = tablestore_server.client()
    client.create_table(ots.TableMeta("t", KEY), ots.TableOptions(-1, 1), NO_CAPACITY)
    _put(client, "t", "a", 1, [("n", 5), ("s", "abc")])
    assert (_get(client, "t", "a", 1, column_filter=condition) is not None) is passes
    row = ots.Row([("pk1", "a"), ("pk2", 1)], {"PUT": [("w", 1)]})
    if passes:
        client.update_row("t", row, ots.Condition("IGNORE", condition))
        return
    with pytest.raises(ots.OTSServiceError) as caught:
        client.update_row("t", row, ots.Condition("IGNORE", condition))
    assert caught.value.code == "OTSConditionCheckFail"


def test_a_regex_rule_casts_before_it_compares(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "a", 1, [("v", "t1=12;t2=x")])
    rule = ots.RegexRule("t1=([0-9]+);", ots.CastType.VT_INTEGER)
    condition = ots.SingleColumnRegexCondition("v", COMPARE.GREATER_THAN, 11, rule)
    assert _get(client, table, "a", 1, column_filter=condition) is not None
    condition = ots.SingleColumnRegexCondition("v", COMPARE.GREATER_THAN, 12, rule)
    assert _get(client, table, "a", 1, column_filter=condition) is None


def test_a_column_can_be_asked_to_exist(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "a", 1, [("v", "x")])
    for name, comparator, found in (
        ("v", COMPARE.EXIST, True),
        ("w", COMPARE.EXIST, False),
        ("v", COMPARE.NOT_EXIST, False),
        ("w", COMPARE.NOT_EXIST, True),
    ):
        condition = ots.SingleColumnRegexCondition(name, comparator)
        assert (_get(client, table, "a", 1, column_filter=condition) is not None) is found


def test_columns_are_selected_by_name_and_by_range(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "a", 1, [("c1", 1), ("c2", 2), ("c3", 3), ("c4", 4)])
    assert _columns(_get(client, table, "a", 1, columns_to_get=["c2", "c4", "none"])) == {"c2": 2, "c4": 4}
    assert _columns(_get(client, table, "a", 1, start_column="c2", end_column="c4")) == {"c2": 2, "c3": 3}
    assert _get(client, table, "a", 1, columns_to_get=["none"]) is None


def test_return_types_give_the_key_and_the_modified_columns(client: ots.OTSClient, table: str) -> None:
    row = ots.Row([("pk1", "a"), ("pk2", 1)], [("x", 1)])
    _, back = client.put_row(table, row, ots.Condition("IGNORE"), ots.ReturnType.RT_PK)
    assert back.primary_key == [("pk1", "a"), ("pk2", 1)]


def test_an_auto_increment_key_is_filled_in_and_rises(client: ots.OTSClient) -> None:
    meta = ots.TableMeta("auto", [("k", "STRING"), ("id", "INTEGER", ots.PK_AUTO_INCR)])
    client.create_table(meta, ots.TableOptions(-1, 1), NO_CAPACITY)
    ids = []
    for number in range(3):
        row = ots.Row([("k", "a"), ("id", ots.PK_AUTO_INCR)], [("n", number)])
        _, back = client.put_row("auto", row, ots.Condition("IGNORE"), ots.ReturnType.RT_PK)
        ids.append(back.primary_key[1][1])
    assert ids == sorted(set(ids))
    row = client.get_row("auto", [("k", "a"), ("id", ids[1])], max_version=1)[1]
    assert _columns(row) == {"n": 1}


def test_delete_removes_a_row_and_ignores_an_absent_one(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "a", 1, [("x", 1)])
    client.delete_row(table, [("pk1", "a"), ("pk2", 1)], ots.Condition("EXPECT_EXIST"))
    assert _get(client, table, "a", 1) is None
    client.delete_row(table, [("pk1", "a"), ("pk2", 1)], ots.Condition("IGNORE"))
    with pytest.raises(ots.OTSServiceError) as caught:
        client.delete_row(table, [("pk1", "a"), ("pk2", 1)], ots.Condition("EXPECT_EXIST"))
    assert caught.value.code == "OTSConditionCheckFail"


def test_ranges_run_both_ways_with_limits_and_open_ends(client: ots.OTSClient, table: str) -> None:
    names = ["A", "a", "b", "z", "é", "中"]  # in the order of their UTF-8 bytes
    for name in reversed(names):
        for number in (10, -1, 2):
            _put(client, table, name, number, [("v", f"{name}{number}")])
    order = [(name, number) for name in names for number in (-1, 2, 10)]

    def scan(direction: str, start: Any, end: Any, limit: int | None) -> list[tuple[str, int]]:
        seen = []
        while start is not None:
            _, start, rows, _ = client.get_range(table, direction, start, end, limit=limit, max_version=1)
            seen += [(row.primary_key[0][1], row.primary_key[1][1]) for row in rows]
            assert limit is None or len(rows) <= limit
        return seen

    low = [("pk1", ots.INF_MIN), ("pk2", ots.INF_MIN)]
    high = [("pk1", ots.INF_MAX), ("pk2", ots.INF_MAX)]
    for limit in (None, 1, 4, 18, 19):
        assert scan("FORWARD", low, high, limit) == order
        assert scan("BACKWARD", high, low, limit) == order[::-1]
    b_low, b_high = [("pk1", "b"), ("pk2", ots.INF_MIN)], [("pk1", "b"), ("pk2", ots.INF_MAX)]
    assert scan("FORWARD", b_low, b_high, None) == [("b", -1), ("b", 2), ("b", 10)]
    b2 = [("pk1", "b"), ("pk2", 2)]
    assert scan("FORWARD", b2, high, 2) == order[7:]
    assert scan("FORWARD", low, b2, 2) == order[:7]
    assert scan("BACKWARD", b2, low, 3) == order[7::-1]
    assert scan("BACKWARD", high, b2, 3) == order[:7:-1]


def test_a_range_page_ends_at_5000_rows(tablestore_server: Any) -> None:
    tablestore_server.control("seed-rows", {"table": "t", "count": 5001, "columns": [["n", "INTEGER"]]})
    demo = ots.OTSClient(tablestore_server.url, "test-key", "test-secret", "demo")
    low, high = [("id", ots.INF_MIN)], [("id", ots.INF_MAX)]
    _, following, rows, _ = demo.get_range("t", "FORWARD", low, high, max_version=1)
    assert len(rows) == 5000
    assert following == [("id", "000000005000")]
    _, following, rows, _ = demo.get_range("t", "FORWARD", following, high, max_version=1)
    assert (len(rows), following) == (1, None)


def test_a_range_with_crossed_ends_is_refused(client: ots.OTSClient, table: str) -> None:
    low, high = [("pk1", "a"), ("pk2", 1)], [("pk1", "b"), ("pk2", 1)]
    for direction, start, end in (("FORWARD", high, low), ("BACKWARD", low, high)):
        with pytest.raises(ots.OTSServiceError) as caught:
            client.get_range(table, direction, start, end, max_version=1)
        assert caught.value.code == "OTSParameterInvalid"


def test_a_batch_write_answers_each_row_on_its_own(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "here", 1, [("x", 1)])

    def key(name: str) -> list[Any]:
        return [("pk1", name), ("pk2", 1)]

    items = [
        ots.PutRowItem(ots.Row(key("new"), [("x", 2)]), ots.Condition("EXPECT_NOT_EXIST")),
        ots.PutRowItem(ots.Row(key("here"), [("x", 3)]), ots.Condition("EXPECT_NOT_EXIST")),
        ots.UpdateRowItem(ots.Row(key("here"), {"PUT": [("y", 4)]}), ots.Condition("EXPECT_EXIST")),
        ots.DeleteRowItem(ots.Row(key("none")), ots.Condition("EXPECT_EXIST")),
    ]
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items))
    result = client.batch_write_row(request)
    assert [item.is_ok for item in result.get_put_by_table(table)] == [True, False]
    assert result.get_put_by_table(table)[1].error_code == "OTSConditionCheckFail"
    assert [item.is_ok for item in result.get_update_by_table(table)] == [True]
    assert [item.is_ok for item in result.get_delete_by_table(table)] == [False]
    assert _columns(_get(client, table, "new", 1)) == {"x": 2}
    assert _columns(_get(client, table, "here", 1)) == {"x": 1, "y": 4}


def test_a_batch_get_keeps_the_order_of_the_request(client: ots.OTSClient, table: str) -> None:
    for number in range(5):
        _put(client, table, "k", number, [("n", number)])
    request = ots.BatchGetRowRequest()
    keys = [[("pk1", "k"), ("pk2", number)] for number in (4, 9, 0)]
    request.add(ots.TableInBatchGetRowItem(table, keys, ["n"], max_version=1))
    request.add(ots.TableInBatchGetRowItem("absent", keys, ["n"], max_version=1))
    result = client.batch_get_row(request)
    rows = result.get_result_by_table(table)
    assert [row.row and _columns(row.row) for row in rows] == [{"n": 4}, None, {"n": 0}]
    assert {row.error_code for row in result.get_result_by_table("absent")} == {"OTSObjectNotExist"}


def test_too_many_rows_in_a_batch_are_refused(client: ots.OTSClient, table: str) -> None:
    def items(count: int) -> list[Any]:
        return [
            ots.PutRowItem(ots.Row([("pk1", "k"), ("pk2", n)], [("x", 1)]), ots.Condition("IGNORE"))
            for n in range(count)
        ]

    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items(200)))
    assert client.batch_write_row(request).is_all_succeed()
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items(201)))
    with pytest.raises(ots.OTSServiceError) as caught:
        client.batch_write_row(request)
    assert caught.value.code == "OTSParameterInvalid"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ([("pk1", "a")], "OTSInvalidPK"),
        ([("pk1", "a"), ("pk2", "text")], "OTSInvalidPK"),
        ([("pk2", 1), ("pk1", "a")], "OTSInvalidPK"),
        ([("other", "a"), ("pk2", 1)], "OTSInvalidPK"),
        ([("pk1", "a" * 1025), ("pk2", 1)], "OTSParameterInvalid"),
    ],
)
def test_a_key_that_breaks_the_schema_is_refused(
    client: ots.OTSClient, table: str, key: list[Any], code: str
) -> None:
    with pytest.raises(ots.OTSServiceError) as caught:
        client.put_row(table, ots.Row(key, [("x", 1)]), ots.Condition("IGNORE"))
    assert (caught.value.http_status, caught.value.code) == (400, code)


@pytest.mark.parametrize(
    "columns",
    [[("1x", 1)], [("a-b", 1)], [("pk1", 1)], [("big", "x" * (2 * 1024 * 1024 + 1))], [("x", float("nan"))]],
    ids=["digit", "dash", "key column", "2 MB", "nan"],
)
def test_a_column_that_breaks_a_rule_is_refused(
    client: ots.OTSClient, table: str, columns: list[Any]
) -> None:
    with pytest.raises(ots.OTSServiceError) as caught:
        _put(client, table, "a", 1, columns)
    assert (caught.value.http_status, caught.value.code) == (400, "OTSParameterInvalid")
    assert _get(client, table, "a", 1) is None


def test_an_increment_of_text_is_refused_and_changes_nothing(client: ots.OTSClient, table: str) -> None:
    _put(client, table, "a", 1, [("x", "text")])
    row = ots.Row([("pk1", "a"), ("pk2", 1)], {"PUT": [("y", 1)], "INCREMENT": [("x", 1)]})
    with pytest.raises(ots.OTSServiceError):
        client.update_row(table, row, ots.Condition("IGNORE"))
    assert _columns(_get(client, table, "a", 1)) == {"x": "text"}


def test_cells_older_than_the_time_to_live_are_gone(tablestore_server: Any) -> None:
    client = tablestore_server.client()
    client.create_table(ots.TableMeta("t", KEY), ots.TableOptions(86_400, 1), NO_CAPACITY)
    now = int(time.time() * 1000)
    _put(client, "t", "a", 1, [("x", 1, now - 86_400_000 + 800)])
    assert _columns(_get(client, "t", "a", 1)) == {"x": 1}
    time.sleep(0.9)
    assert _get(client, "t", "a", 1).attribute_columns == []


def test_the_async_client_works_too(tablestore_server: Any) -> None:
    async def run() -> Any:
        async with ots.AsyncOTSClient(tablestore_server.url, "test-key", "test-secret", "inst") as client:
            await client.create_table(ots.TableMeta("t", KEY), ots.TableOptions(-1, 1), NO_CAPACITY)
            row = ots.Row([("pk1", "a"), ("pk2", 1)], [("x", 1)])
            await client.put_row("t", row, ots.Condition("IGNORE"))
            return await client.get_row("t", [("pk1", "a"), ("pk2", 1)], max_version=1)

    assert _columns(asyncio.run(run())[1]) == {"x": 1}
