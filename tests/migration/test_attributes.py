from __future__ import annotations

import pytest

from airflow_provider_sync.migration.attributes import to_oss, to_s3
from airflow_provider_sync.migration.errors import MetadataCollisionError
from airflow_provider_sync.migration.objects import Attributes


def test_underscores_in_metadata_become_hyphens():
    prepared = to_oss(Attributes(metadata={"owner_team": "etl", "Plain": "x"}))
    assert prepared.headers == {"x-oss-meta-owner-team": "etl", "x-oss-meta-plain": "x"}
    assert prepared.lost == ()


def test_two_names_that_become_one_are_an_error():
    with pytest.raises(MetadataCollisionError, match="a-b"):
        to_oss(Attributes(metadata={"a_b": "1", "a-b": "2"}))


def test_at_signs_in_tags_become_underscores():
    prepared = to_oss(Attributes(tags={"mail": "me@home", "cost center": "a+b"}))
    assert prepared.headers == {"x-oss-tagging": "cost%20center=a%2Bb&mail=me_home"}


def test_what_oss_cannot_hold_is_left_out_and_said():
    prepared = to_oss(
        Attributes(
            headers={"content-type": "text/plain", "content-language": "日本"},
            metadata={"big": "x" * 9000, "ok": "1", "name": "ü", "dot.ted": "1"},
            tags={"bad": "a\u00e9", "long": "x" * 257, **{f"t{n}": "1" for n in range(11)}},
            storage_class="WHATEVER",
        )
    )
    assert prepared.headers == {
        "content-type": "text/plain",
        "x-oss-meta-ok": "1",
        "x-oss-tagging": "&".join(f"t{n}=1" for n in [0, 1, 10, 2, 3, 4, 5, 6, 7, 8]),
    }
    for word in ("content-language", "'big'", "'name'", "'dot.ted'", "'bad'", "'long'", "'t9'", "WHATEVER"):
        assert any(word in one for one in prepared.lost), word


def test_eight_kilobytes_of_metadata_are_the_limit_in_all():
    fits = to_oss(Attributes(metadata={"a": "x" * 4095, "b": "x" * 4095}))
    assert fits.lost == ()
    assert len(to_oss(Attributes(metadata={"a": "x" * 4095, "b": "x" * 4096})).lost) == 1


@pytest.mark.parametrize(
    ("s3", "oss"),
    [
        ("STANDARD", "Standard"),
        ("STANDARD_IA", "IA"),
        ("GLACIER", "Archive"),
        ("DEEP_ARCHIVE", "ColdArchive"),
    ],
)
def test_storage_classes_have_counterparts(s3, oss):
    assert to_oss(Attributes(storage_class=s3)).headers == {"x-oss-storage-class": oss}


def test_oss_attributes_go_to_oss_as_they_are():
    given = Attributes({"expires": "x"}, {"a": "b"}, {"k": "v"}, "public-read", "DeepColdArchive")
    assert to_oss(given).headers == {
        "expires": "x",
        "x-oss-meta-a": "b",
        "x-oss-tagging": "k=v",
        "x-oss-object-acl": "public-read",
        "x-oss-storage-class": "DeepColdArchive",
    }


def test_s3_takes_underscores_and_at_signs():
    given = Attributes(metadata={"a_b": "1"}, tags={"m": "a@b"}, acl="private", storage_class="IA")
    assert to_s3(given).headers == {
        "x-amz-meta-a_b": "1",
        "x-amz-tagging": "m=a%40b",
        "x-amz-acl": "private",
        "x-amz-storage-class": "STANDARD_IA",
    }
