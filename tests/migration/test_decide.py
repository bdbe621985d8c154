from __future__ import annotations

import dataclasses

import pytest

from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.migration.decide import Verdict, compare, make_filter, needs_copy
from airflow_provider_sync.migration.objects import ObjectInfo
from airflow_provider_sync.migration.spec import MigrationSpec

SPEC = MigrationSpec("test-job")
MD5, OTHER = "5d41402abc4b2a76b9719d911017c592", "7d793037a0760186574b0282f2f435e7"


def thing(size=10, modified=1000.0, etag="", crc64=None, key="a/b.csv"):
    return ObjectInfo(key, size, etag, modified, "", crc64)


def rule(name, **more):
    return dataclasses.replace(SPEC, overwrite=name, **more)


def test_an_object_that_is_not_there_is_copied_whatever_the_rule():
    for name in ("auto", "changed", "older", "never", "always"):
        assert needs_copy(rule(name), thing(), None) == ""


def test_changed_skips_the_same_size_unless_the_source_is_newer():
    assert needs_copy(rule("changed"), thing(), thing(modified=1000.0))
    assert needs_copy(rule("changed"), thing(), thing(modified=2000.0))
    assert needs_copy(rule("changed"), thing(), thing(modified=999.0)) == ""
    assert needs_copy(rule("changed"), thing(), thing(size=11, modified=2000.0)) == ""


def test_equal_checksums_are_skipped_even_if_the_source_is_newer():
    assert needs_copy(rule("changed"), thing(etag=MD5), thing(etag=MD5.upper(), modified=1.0))
    assert needs_copy(rule("changed"), thing(crc64=5), thing(crc64=5, modified=1.0))


def test_different_crcs_are_copied_even_if_the_target_is_newer():
    assert needs_copy(rule("changed"), thing(crc64=5), thing(crc64=6, modified=9999.0)) == ""


def test_different_md5s_are_copied_only_if_checksums_are_asked_for():
    here, there = thing(etag=MD5), thing(etag=OTHER, modified=9999.0)
    assert needs_copy(rule("changed"), here, there)
    assert needs_copy(rule("changed", compare="checksum"), here, there) == ""


def test_etags_of_multipart_objects_prove_nothing():
    assert compare(thing(etag=f"{MD5}-2"), thing(etag=f"{MD5}-2")) is Verdict.UNKNOWN
    assert compare(thing(etag=f"{MD5}-2"), thing(etag=OTHER)) is Verdict.UNKNOWN


def test_older_never_replaces_what_is_as_new_whatever_its_size():
    assert needs_copy(rule("older"), thing(), thing(size=99, modified=1000.0))
    assert needs_copy(rule("older"), thing(), thing(modified=1001.0))
    assert needs_copy(rule("older"), thing(), thing(modified=999.0)) == ""
    assert needs_copy(rule("older"), thing(modified=0.0), thing())


def test_a_catch_up_run_replaces_only_older_objects_unless_told_otherwise():
    assert dataclasses.replace(SPEC, import_since=5.0).rule == "older"
    assert SPEC.rule == "changed"
    assert dataclasses.replace(SPEC, import_since=5.0, overwrite="always").rule == "always"


def test_never_and_always_mean_it():
    assert needs_copy(rule("never"), thing(size=1), thing(size=2, modified=0.5))
    assert needs_copy(rule("always"), thing(), thing()) == ""


def test_since_takes_later_objects_with_a_margin_and_until_leaves_later_ones_out():
    takes = make_filter(
        dataclasses.replace(SPEC, import_since=1000.0, since_margin=100.0, last_modify=2000.0)
    )
    assert [takes(thing(modified=at)) for at in (900.0, 900.5, 2000.0, 2000.5)] == [False, True, True, False]


def test_sizes_and_patterns_filter():
    takes = make_filter(
        dataclasses.replace(SPEC, min_size=5, max_size=10, include=("a/*",), exclude=("*.tmp", "a/x?"))
    )
    assert [takes(thing(size=size)) for size in (4, 5, 10, 11)] == [False, True, True, False]
    keys = ("a/b.csv", "b/b.csv", "a/deep/er.csv", "a/b.tmp", "a/x1", "a/x12")
    assert [takes(thing(key=key)) for key in keys] == [True, False, True, False, False, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": "abc"},
        {"job": "with space"},
        {"task_object_count": 0},
        {"task_object_count": 50_001},
        {"part_size": 1000},
        {"overwrite": "sometimes"},
        {"bytes_in_flight": 1024 * 1024},
        {"import_since": -1},
        {"no_such_thing": 1},
    ],
)
def test_a_wrong_spec_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=rf"migration\.{next(iter(wrong))}"):
        MigrationSpec.of({"job": "test-job", **wrong})


def test_a_spec_survives_json():
    spec = dataclasses.replace(SPEC, include=("a*",), max_size=5, bytes_per_second=7)
    assert MigrationSpec.of(spec.as_json()) == spec
