import random
from collections import Counter, defaultdict

import pytest

from airflow_provider_sync.clients.tablestore.messages import OperationType
from airflow_provider_sync.clients.tablestore.rows import Cell, CellOp
from airflow_provider_sync.engine.chain import Chain, run_chain
from airflow_provider_sync.errors import ConfigError, DataLossError, NotFoundError
from airflow_provider_sync.spec.window import Window
from airflow_provider_sync.state.memory import MemoryStore
from tests.engine.parts import ListWriter, make_job
from tests.readers.cloud import NOON, Cloud, new_server

WIDTH = 300_000


def window(start: float, end: float) -> Window:
    """Seconds after noon."""
    return Window(int((NOON + start) * 1000), int((NOON + end) * 1000))


@pytest.fixture(scope="module")
def server():
    with new_server() as running:
        yield running


@pytest.fixture
def cloud(server):
    cloud = Cloud(server)
    yield cloud
    cloud.close()


def read(cloud: Cloud, which: Window, *, store=None, chain: Chain | None = None, concurrent=1, **parameter):
    """Run one window through the real engine; return its rows as tuples and the report."""
    rows: list[tuple] = []

    class Target(ListWriter):
        def commit(self, receipts, rejected=()):
            rows.extend(row for receipt in receipts for row in self.prepared[receipt["key"]])
            return super().commit(receipts, rejected)

    with cloud.reader(**parameter) as reader:
        writer = Target(take=lambda batch: [tuple(row.values()) for row in batch.to_pylist()])
        job = make_job(
            reader, writer, store=store or MemoryStore(), environment=cloud.environment, concurrent=concurrent
        )
        reports = run_chain(job, which, chain or Chain(heal=False))
    return rows, reports[-1]


def values(rows) -> list[int]:
    return [row[1] for row in rows]


def test_a_window_holds_the_changes_of_its_time(cloud):
    for second in (0, 299.999, 300, 599.999, 600):
        cloud.at(second)
        cloud.put("a")
    cloud.at(1000)
    assert values(read(cloud, window(300, 600))[0]) == [2, 3]


def test_windows_in_a_row_share_nothing_and_leave_nothing_out(cloud):
    store, seen = MemoryStore(), []
    for minute in range(30):
        cloud.at(minute * 60)
        cloud.put("a", "b")
    cloud.at(3000)
    for start_at in range(0, 1800, 300):
        seen += values(read(cloud, window(start_at, start_at + 300), store=store)[0])
    assert seen == list(range(60))


def test_a_window_reads_the_same_without_any_earlier_run(cloud):
    for second in range(0, 1200, 7):
        cloud.at(second)
        cloud.put("a")
    cloud.at(3000)
    store = MemoryStore()
    chained = [read(cloud, window(s, s + 300), store=store)[0] for s in (0, 300, 600, 900)]
    alone = [read(cloud, window(s, s + 300))[0] for s in (0, 300, 600, 900)]
    assert chained == alone
    assert sum(map(len, alone)) == len(range(0, 1200, 7))


def test_a_record_that_comes_late_to_an_idle_shard_goes_to_the_next_window_for_good(cloud):
    store = MemoryStore()
    cloud.at(10)
    cloud.put("a")
    cloud.at(650)
    assert values(read(cloud, window(0, 300), store=store)[0]) == [0]
    cloud.control("POST", "epoch", {"table": "orders", "shift_us": -500_000_000})
    cloud.put("late")  # its time lies inside the window that is already read
    assert cloud.log()[0]["log"][-1]["ts_us"] < (NOON + 300) * 1_000_000
    cloud.at(1000)
    assert values(read(cloud, window(300, 600), store=store)[0]) == [1]
    assert values(read(cloud, window(0, 300), store=store)[0]) == [0]
    assert values(read(cloud, window(300, 600), store=store)[0]) == [1]


def test_children_follow_their_parents_across_a_split(cloud):
    cloud.at(10)
    cloud.put(*"abcdefgh")
    cloud.control("POST", "shards/split", {"table": "orders"})
    cloud.at(20)
    cloud.put(*"abcdefgh")
    cloud.at(700)
    rows, _ = read(cloud, window(0, 300))
    assert sorted(values(rows)) == list(range(16))
    assert in_order_per_key(rows)


def test_a_child_waits_for_the_window_in_which_its_parent_ends(cloud):
    store = MemoryStore()
    cloud.at(10)
    cloud.put("a")
    cloud.at(400)
    cloud.put("a")
    cloud.control("POST", "shards/split", {"table": "orders"})
    cloud.control("POST", "epoch", {"table": "orders", "shift_us": -200_000_000})
    cloud.put("a", "b", "c")  # times of the first window, in the children
    cloud.at(1000)
    first, _ = read(cloud, window(0, 300), store=store)
    second, _ = read(cloud, window(300, 600), store=store)
    assert values(first) == [0]
    assert values(second)[0] == 1
    assert sorted(values(second)) == [1, 2, 3, 4]
    assert values(read(cloud, window(0, 300))[0]) == [0]
    assert sorted(values(read(cloud, window(300, 600))[0])) == [1, 2, 3, 4]


def test_a_merge_reads_both_parents_first(cloud):
    children = cloud.control("POST", "shards/split", {"table": "orders"})["children"]
    cloud.at(10)
    cloud.put(*"abcdefgh")
    cloud.control("POST", "shards/merge", {"table": "orders", "shards": children})
    cloud.at(20)
    cloud.put(*"abcdefgh")
    cloud.at(700)
    for concurrent in (1, 4):
        rows, _ = read(cloud, window(0, 300), concurrent=concurrent)
        assert sorted(values(rows)) == list(range(16))
        assert in_order_per_key(rows)


def test_retired_parents_count_as_done(cloud):
    cloud.at(10)
    cloud.put("a", "b")
    parent = cloud.control("POST", "shards/split", {"table": "orders"})["parent"]
    cloud.at(400)
    cloud.put("a", "b")
    cloud.control("POST", "shards/trim", {"table": "orders", "shard": parent, "all": True})
    assert cloud.control("POST", "shards/retire", {"table": "orders"}) == {"retired": [parent]}
    cloud.at(1000)
    assert sorted(values(read(cloud, window(300, 600))[0])) == [2, 3]


def test_a_trimmed_iterator_of_an_idle_shard_is_found_again_by_time(cloud):
    store = MemoryStore()
    cloud.at(10)
    cloud.put("a")
    cloud.at(1000)
    assert values(read(cloud, window(0, 300), store=store)[0]) == [0]
    cloud.put("b")
    cloud.control("POST", "shards/trim", {"table": "orders", "before_us": int((NOON + 900) * 1e6)})
    cloud.at(2000)
    rows, report = read(cloud, window(300, 1200), store=store)
    assert values(rows) == [1]
    assert report.tally.counters["iterators_found_again"] in (0, 1)


def test_a_window_that_ends_inside_the_page_behind_a_trimmed_iterator_has_an_end(cloud):
    store = MemoryStore()
    cloud.at(10)
    cloud.put("a")
    cloud.at(1000)
    assert values(read(cloud, window(0, 300), store=store)[0]) == [0]
    cloud.put("b")
    cloud.at(1300)
    cloud.put("c")
    cloud.control("POST", "shards/trim", {"table": "orders", "before_us": int((NOON + 900) * 1e6)})
    cloud.at(2000)
    assert values(read(cloud, window(300, 1200), store=store)[0]) == [1]
    assert values(read(cloud, window(1200, 1500), store=store)[0]) == [2]


def test_late_records_behind_a_trimmed_mark_of_an_empty_shard_are_not_skipped(cloud):
    store = MemoryStore()
    cloud.at(1000)
    assert read(cloud, window(0, 300), store=store)[0] == []
    cloud.control("POST", "epoch", {"table": "orders", "shift_us": -800_000_000})
    cloud.put("gone")
    cloud.at(1001)
    cloud.put("late")  # before the next window by its time, after the mark by its place
    cloud.control("POST", "shards/trim", {"table": "orders", "before_us": int((NOON + 201) * 1e6)})
    cloud.at(2000)
    rows, report = read(cloud, window(300, 1200), store=store)
    assert values(rows) == [1]
    assert report.tally.counters["iterators_found_again"] == 1


def test_a_window_older_than_the_retained_log_is_data_loss(cloud):
    cloud.at(169 * 3600)
    with pytest.raises(DataLossError, match=r"changes of \[.*\) may be gone.*onDataLoss"):
        read(cloud, window(0, 300))
    assert read(cloud, window(0, 300), onDataLoss="continue")[0] == []


def test_a_stream_that_was_switched_off_and_on_is_data_loss(cloud):
    store = MemoryStore()
    cloud.at(10)
    cloud.put("a")
    cloud.at(700)
    read(cloud, window(0, 300), store=store)
    cloud.client.delete_table("orders")
    cloud.create("orders")
    cloud.put("b")
    cloud.at(1500)
    with pytest.raises(DataLossError, match="switched off and on again"):
        read(cloud, window(300, 900), store=store)
    assert values(read(cloud, window(300, 900), store=store, onDataLoss="continue")[0]) == [1]


def test_dropped_operations_are_counted(cloud):
    cloud.at(10)
    cloud.put("a", w=1)
    cloud.write(OperationType.UPDATE, "a", [Cell("v", 5), Cell("w", None, None, CellOp.DELETE_ALL_VERSIONS)])
    cloud.write(OperationType.DELETE, "a")
    cloud.at(700)
    rows, report = read(cloud, window(0, 300))
    assert rows == [("a", 0), ("a", 5)]
    assert report.tally.counters == Counter(delete_records_dropped=1, deleted_cells_dropped=1)
    rows, report = read(cloud, window(0, 300), exportOperation=True)
    assert rows == [("a", 0, "PUT", None), ("a", 5, "UPDATE", "w"), ("a", None, "DELETE", None)]
    assert report.tally.counters == Counter()


def test_multi_version_rows_are_those_of_datax(cloud):
    cloud.at(10)
    cloud.write(OperationType.PUT, "u", [Cell("a", 0, 1790000109848), Cell("b", "é", 1790000109848)])
    cloud.write(
        OperationType.UPDATE,
        "u",
        [
            Cell("a", 99, 1790000109984),
            Cell("b", None, 1790000109848, CellOp.DELETE_ONE_VERSION),
            Cell("d", None, None, CellOp.DELETE_ALL_VERSIONS),
        ],
    )
    cloud.write(OperationType.DELETE, "u")
    cloud.at(700)
    rows, _ = read(cloud, window(0, 300), mode=None, column=[])
    assert rows == [
        ("u", 0, None, None, None, "DR"),
        ("u", 0, "a", 1790000109848, "0", "U"),
        ("u", 0, "b", 1790000109848, "é", "U"),
        ("u", 0, "a", 1790000109984, "99", "U"),
        ("u", 0, "b", 1790000109848, None, "DO"),
        ("u", 0, "d", None, None, "DA"),
        ("u", 0, None, None, None, "DR"),
    ]


def test_sequence_info_is_padded_as_datax_pads_it(cloud):
    cloud.at(10)
    cloud.put("a")
    cloud.at(700)
    rows, _ = read(cloud, window(0, 300), isExportSequenceInfo=True)
    shard = cloud.log()[0]
    record = shard["log"][0]
    assert (
        rows[0][2]
        == f"{record['epoch']:010d}_{record['ts_us']:020d}_{record['row_index']:010d}_{shard['shard']}"
    )


def test_empty_pages_before_the_tail_do_not_end_a_shard(cloud):
    cloud.at(10)
    cloud.put("a", "b")
    cloud.control("POST", "options", {"may_more_record": False, "page_rows": 1})
    shard = cloud.log()[0]["shard"]
    cloud.control("POST", "empty_page", {"table": "orders", "shard": shard, "count": 3, "at": 1})
    cloud.at(700)
    try:
        assert values(read(cloud, window(0, 300))[0]) == [0, 1]
    finally:
        cloud.control("POST", "options", {"may_more_record": True, "page_rows": 1000})


@pytest.mark.parametrize(
    ("parameter", "error", "match"),
    [
        ({"dataTable": "nosuch"}, NotFoundError, "nosuch"),
        ({"column": []}, ConfigError, r"reader\.parameter\.column"),
        ({"mode": "multi_version"}, ConfigError, r"reader\.parameter\.mode: got 'multi_version'; allowed"),
        ({"threadNum": 0}, ConfigError, r"reader\.parameter\.threadNum"),
        ({"colum": []}, ConfigError, r"reader\.parameter\.colum: unknown parameter; allowed: .*column"),
        ({"column": [{"nam": "id"}]}, ConfigError, r"reader\.parameter\.column\[0\]\.nam"),
    ],
)
def test_bad_parameters_are_refused_by_path(cloud, parameter, error, match):
    cloud.at(700)
    with pytest.raises(error, match=match):
        read(cloud, window(0, 300), **parameter)


def test_a_table_without_stream_is_refused(cloud):
    cloud.create("plain", stream_hours=None)
    cloud.at(700)
    with pytest.raises(
        ConfigError, match=r"reader\.parameter\.dataTable: its stream is off, got 'plain'; enable"
    ):
        read(cloud, window(0, 300), dataTable="plain")


def test_a_window_in_the_future_is_refused(cloud):
    with pytest.raises(ConfigError, match="lies in the future"):
        read(cloud, window(0, 300))


def test_many_shards_read_the_same_rows_in_the_same_order_whatever_the_concurrency(cloud):
    for _ in range(4):
        for shard in [s["shard"] for s in cloud.log() if not s["closed"]][:3]:
            cloud.control("POST", "shards/split", {"table": "orders", "shard": shard})
        cloud.at(cloud.now - NOON + 10)
        cloud.put(*[f"k{i}" for i in range(40)])
    cloud.at(1000)
    one = [read(cloud, window(0, 300), threadNum=threads)[0] for threads in (1, 2, 16)]
    assert one[0] == one[1] == one[2]
    assert sorted(values(one[0])) == list(range(160))


def test_a_window_is_cut_the_same_way_again_whatever_is_known_or_asked_by_then(cloud):
    store = MemoryStore()
    cloud.at(10)
    cloud.put(*"abcdefgh")
    parent = cloud.control("POST", "shards/split", {"table": "orders"})["parent"]
    cloud.at(400)
    cloud.put(*"abcdefgh")
    cloud.at(1000)
    first, report = read(cloud, window(300, 600), store=store, concurrent=2)
    assert report.splits == 1  # the split connects all shards
    read(cloud, window(0, 300), store=store, concurrent=2)  # and now the parent is known to be over before
    assert read(cloud, window(300, 600), store=store, concurrent=2)[1].splits == 1
    cloud.control("POST", "shards/trim", {"table": "orders", "shard": parent, "all": True})
    cloud.control("POST", "shards/retire", {"table": "orders"})
    again, report = read(cloud, window(300, 600), store=store, concurrent=3)
    assert (again, report.splits) == (first, 1)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_shards_and_clocks_every_record_is_in_one_window(cloud, seed):
    """Random splits, merges, epoch steps, empty pages and idle times; windows run late, early, twice, alone."""
    chance = random.Random(seed)
    cloud.control(
        "POST",
        "options",
        {"page_rows": chance.choice([1, 3, 1000]), "may_more_record": chance.random() < 0.5, "seek_early": 2},
    )
    store, outputs, now = MemoryStore(), defaultdict(list), 0.0
    done = 0
    for _ in range(60):
        now += chance.choice([0.001, 1, 20, 90])
        cloud.at(now)
        open_shards = [s["shard"] for s in cloud.log() if not s["closed"]]
        match chance.choice(
            ["put", "put", "put", "put", "split", "merge", "epoch", "page", "run", "run", "again"]
        ):
            case "put":
                cloud.put(*chance.sample("abcdefghijkl", chance.randint(1, 8)))
            case "split" if len(open_shards) < 6:
                cloud.control(
                    "POST", "shards/split", {"table": "orders", "shard": chance.choice(open_shards)}
                )
            case "merge" if len(open_shards) > 2:
                cloud.control(
                    "POST", "shards/merge", {"table": "orders", "shards": chance.sample(open_shards, 2)}
                )
            case "epoch":
                shift = -chance.randint(1, 200_000_000)
                cloud.control("POST", "epoch", {"table": "orders", "shift_us": shift})
            case "page":
                cloud.control(
                    "POST", "empty_page", {"table": "orders", "shard": chance.choice(open_shards), "count": 2}
                )
            case "run" if (done + 2) * 300 <= now:
                which = window(done * 300, done * 300 + 300)
                outputs[which] = read(cloud, which, store=store, concurrent=chance.randint(1, 3))[0]
                done += 1
            case "again" if done:
                which = window((index := chance.randrange(done)) * 300, index * 300 + 300)
                assert read(cloud, which, store=store)[0] == outputs[which]
            case _:
                pass
    cloud.at(now + 2000)
    for index in range(done, int(now // 300) + 4):
        which = window(index * 300, index * 300 + 300)
        outputs[which] = read(cloud, which, store=store)[0]
    rows = [row for which in sorted(outputs) for row in outputs[which]]
    written = Counter(cell["value"] for shard in cloud.log() for one in shard["log"] for cell in one["cells"])
    assert Counter(values(rows)) == written
    assert in_order_per_key(rows)


def in_order_per_key(rows) -> bool:
    seen: dict[str, int] = {}
    for key, value, *_ in rows:
        if value < seen.get(key, -1):
            return False
        seen[key] = value
    return True
