import pytest

from airflow_provider_sync.engine.contract import Environment
from airflow_provider_sync.engine.job import run_window
from airflow_provider_sync.engine.limits import RateLimit
from airflow_provider_sync.errors import ConfigError, ErrorLimitExceededError
from airflow_provider_sync.spec.job import JobSpec, Limits
from airflow_provider_sync.spec.window import Window
from tests.engine.parts import ListWriter, LogReader, make_job


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def pace(limits: Limits, batches: list[tuple[int, int]]) -> float:
    time = Time()
    rate = RateLimit(limits, Environment(clock=lambda: time.now, sleep=time.sleep))
    for nbytes, records in batches:
        rate.take(nbytes, records)
    return time.now - 100.0


def test_bytes_are_paid_for_before_the_next_batch():
    assert pace(Limits(bytes_per_second=1000), [(500, 1)] * 5) == pytest.approx(2.0)


def test_the_stricter_of_bytes_and_records_decides():
    assert pace(Limits(bytes_per_second=1000, records_per_second=1), [(500, 3)] * 3) == pytest.approx(6.0)


def test_without_limits_nothing_waits():
    assert pace(Limits(), [(10**9, 10**9)] * 3) == 0.0


def test_the_ratio_counts_rejected_records_that_no_list_holds():
    log = [(0, number) for number in range(20_000)]
    writer = ListWriter(refuse=lambda number: number % 4 == 0)
    job = make_job(LogReader([log], batch=5_000), writer, error_records=None, error_ratio=0.2)
    with pytest.raises(ErrorLimitExceededError, match="5000 of 20000"):
        run_window(job, Window(0, 5))
    assert writer.visible == writer.prepared == {}


@pytest.mark.parametrize(
    ("limits", "path"),
    [
        ({"concurrent": 0}, "limits.concurrent"),
        ({"bytes_per_second": 0}, "limits.bytes_per_second"),
        ({"error_ratio": 1.5}, "limits.error_ratio"),
        ({"error_records": -1}, "limits.error_records"),
        ({"batch_bytes": 0}, "limits.batch_bytes"),
        ({"speed": 1}, "limits.speed"),
        ({"concurrent": "many"}, "limits.concurrent"),
        ({"concurrent": True}, "limits.concurrent"),
    ],
)
def test_impossible_limits_are_refused_by_path(limits, path):
    with pytest.raises(ConfigError, match=path):
        Limits.from_json(limits)


def test_a_spec_survives_json():
    data = {
        "name": "orders",
        "reader": {"plugin": "otsstream", "parameter": {"dataTable": "orders"}, "connection": "ots"},
        "writer": {"plugin": "oss", "parameter": {}, "connection": "oss"},
        "limits": {"concurrent": 3, "error_ratio": 0.5},
    }
    spec = JobSpec.from_json(data)
    assert JobSpec.from_json(spec.to_json()) == spec
    assert spec.to_json()["limits"]["concurrent"] == 3
