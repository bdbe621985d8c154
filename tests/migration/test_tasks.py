from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sync.errors import CorruptDataError
from airflow_provider_sync.migration.objects import ObjectInfo
from airflow_provider_sync.migration.tasks import Entry, decode_task, encode_entry, encode_task, task_name

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.builds(
    Entry,
    st.builds(
        ObjectInfo,
        texts,
        st.integers(-1, 2**60),
        texts,
        st.floats(0, 2e9),
        texts,
        st.none(),
        texts,
    ),
    st.none() | texts,
)


@given(st.lists(entries, max_size=5))
def test_a_task_file_holds_what_was_put_in(some):
    task = decode_task(encode_task("name", 3, [encode_entry(one) for one in some], 42), "file")
    assert (task.seq, task.name, task.objects, task.bytes) == (3, "name", len(some), 42)
    assert list(task.entries) == some


def test_half_a_task_file_is_refused():
    data = encode_task("name", 0, ['["a",1,"e",0]', '["b",1,"e",0]'], 2)
    for end in range(1, len(data)):
        with pytest.raises(CorruptDataError, match="plan the job anew"):
            decode_task(data[:end], "file")


def test_names_are_ossimports_and_differ_by_job_and_number():
    assert task_name("job1", 1760000000000, 0) != task_name("job1", 1760000000000, 1)
    name, _, time = task_name("job1", 1760000000000, 0).partition("_")
    assert (len(name), time) == (32, "1760000000000")
    assert set(name) <= set("0123456789ABCDEF")
