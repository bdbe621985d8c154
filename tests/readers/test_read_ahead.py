"""The next page is fetched while one is decoded, and never one that the window does not need."""

import pytest

from airflow_provider_sync.engine.contract import PlanRequest
from airflow_provider_sync.spec.window import Window
from tests.readers.cloud import NOON, Cloud, new_server

FIRST = Window(NOON * 1000, (NOON + 300) * 1000)


@pytest.fixture(scope="module")
def server():
    with new_server() as running:
        yield running


@pytest.fixture
def cloud(server):
    cloud = Cloud(server)
    yield cloud
    cloud.close()


def read(cloud: Cloud) -> tuple[list[str], int]:
    """Read the first window; return its keys and how many pages were asked for."""
    with cloud.reader() as reader:
        plan = reader.plan(PlanRequest(FIRST))
        before = len(cloud.control("GET", "requests"))
        keys = [row["id"] for batch in reader.read(plan.splits[0]) for row in batch.rows.to_pylist()]
    served = cloud.control("GET", "requests")[before:]
    return keys, sum(one["operation"] == "GetStreamRecord" for one in served)


def test_pages_come_in_order_each_asked_for_once(cloud):
    cloud.control("POST", "options", {"page_rows": 3})
    cloud.at(1)
    keys = [f"k{number}" for number in range(9)]
    cloud.put(*keys)
    cloud.at(1000)
    assert read(cloud) == (keys, 4)  # the last one is empty: a full page does not say that it was the last


def test_no_page_beyond_the_window_is_asked_for(cloud):
    cloud.control("POST", "options", {"page_rows": 3})
    cloud.at(1)
    cloud.put("a", "b")
    cloud.at(301)
    cloud.put(*[f"later{number}" for number in range(9)])
    cloud.at(1000)
    assert read(cloud) == (["a", "b"], 2)  # the page, and once more up to the end, to know where that is


def test_a_refusal_of_a_page_fetched_ahead_is_tried_again(cloud):
    cloud.control("POST", "options", {"page_rows": 3})
    cloud.at(1)
    keys = [f"k{number}" for number in range(6)]
    cloud.put(*keys)
    cloud.at(1000)
    cloud.control(
        "POST", "faults", {"operation": "GetStreamRecord", "action": "throttle", "after": 1, "count": 2}
    )
    assert read(cloud)[0] == keys
