from __future__ import annotations

import threading

from airflow_provider_sync.migration.files import LocalFiles
from airflow_provider_sync.migration.journal import DONE, FAILED, Journal, Outcome, read_past
from airflow_provider_sync.migration.objects import Part


def outcome(kind, key):
    return Outcome(kind, key, 1, "e", 5, 1.5)


def test_lines_of_many_threads_are_all_written(tmp_path):
    files = LocalFiles(tmp_path / "s")
    journal = Journal(files, "t/progress.1.jsonl")

    def work(number):
        for n in range(200):
            journal.add(outcome(DONE, f"{number}/{n}").as_row())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_past(files, "t/").outcomes) == {f"{i}/{n}" for i in range(8) for n in range(200)}
    files.close()


def test_a_line_cut_by_a_kill_is_as_if_it_was_never_written(tmp_path):
    files = LocalFiles(tmp_path / "s")
    journal = Journal(files, "t/progress.1.jsonl")
    journal.add(outcome(DONE, "a").as_row())
    journal.add(outcome(DONE, "ü").as_row())
    files.close()
    data = files.read("t/progress.1.jsonl") or b""
    for end in range(len(data)):
        files.write("t/progress.1.jsonl", data[:end])
        expected = {"a"} if b"\n" in data[:end] else set()
        assert set(read_past(files, "t/").outcomes) == expected


def test_success_outweighs_a_failure_of_another_run(tmp_path):
    files = LocalFiles(tmp_path / "s")
    for name, kinds in (("1", [FAILED, DONE]), ("2", [FAILED])):
        journal = Journal(files, f"t/progress.{name}.jsonl")
        for kind in kinds:
            journal.add(outcome(kind, "a").as_row())
    files.close()
    assert read_past(files, "t/").outcomes["a"].kind == DONE


def test_parts_of_an_unfinished_upload_are_known_until_its_object_is_done(tmp_path):
    files = LocalFiles(tmp_path / "s")
    journal = Journal(files, "t/progress.1.jsonl")
    journal.add(["U", "a", "up1", "etag"])
    journal.add(["P", "a", "up1", 2, "pe", 10, 99])
    journal.add(["P", "a", "other", 3, "pe", 10, 99])
    assert read_past(files, "t/").uploads == {"a": ("up1", "etag", {2: Part(2, "pe", 10, 99)})}
    journal.add(outcome(DONE, "a").as_row())
    assert read_past(files, "t/").uploads == {}
    files.close()


def test_a_failed_object_keeps_its_parts_unless_they_were_abandoned(tmp_path):
    files = LocalFiles(tmp_path / "s")
    journal = Journal(files, "t/progress.1.jsonl")
    journal.add(["U", "a", "up1", "etag"])
    journal.add(["P", "a", "up1", 2, "pe", 10, 99])
    journal.add(outcome(FAILED, "a").as_row())
    assert read_past(files, "t/").uploads == {"a": ("up1", "etag", {2: Part(2, "pe", 10, 99)})}
    journal.add(["A", "a"])
    assert read_past(files, "t/").uploads == {}
    files.close()
