from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_sync.engine.contract import CheckpointStore
from airflow_provider_sync.errors import ConfigError, CorruptDataError
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.testing.store_suite import DurableCheckpointStoreSuite, StoreRecipe


class TestFileStore(DurableCheckpointStoreSuite):
    @pytest.fixture
    def recipe(self, tmp_path: Path) -> StoreRecipe:
        return StoreRecipe(Endpoint("file", {"path": str(tmp_path / "checkpoints")}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def store(folder: Path) -> CheckpointStore:
    return StoreRecipe(Endpoint("file", {"path": str(folder)})).open()


def test_a_file_is_readable_json_under_the_keys_name(store: CheckpointStore, folder: Path) -> None:
    store.save("orders@1795211863415", {"end": 5}, expect=0)
    assert json.loads((folder / "orders@1795211863415.json").read_text()) == {
        "key": "orders@1795211863415",
        "generation": 1,
        "state": {"end": 5},
    }


@pytest.mark.parametrize("key", ["../escape", "/etc/passwd", ".", "..", "a/b", "nul\x00", ""])
def test_no_key_leaves_the_folder(store: CheckpointStore, folder: Path, tmp_path: Path, key: str) -> None:
    store.save(key, {}, expect=0)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert len(list(folder.glob("*.json"))) == 1
    assert list(store.keys("")) == [key]


def test_what_a_killed_writer_left_half_written_is_not_seen(store: CheckpointStore, folder: Path) -> None:
    store.save("orders", {"n": 1}, expect=0)
    (folder / "orders.json.tmp").write_text('{"key": "ord')
    loaded = store.load("orders")
    assert loaded is not None
    assert loaded.state == {"n": 1}
    assert list(store.keys("")) == ["orders"]
    store.save("orders", {"n": 2}, expect=1)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "orders.json"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"key": "orders", "generation": "1", "state": {}}',
     '{"key": "orders", "generation": true, "state": {}}', '{"key": "others", "generation": 1, "state": {}}',
     '{"key": "orders", "generation": 1, "state": []}'],
)  # fmt: skip
def test_a_broken_file_is_an_error_that_names_it(store: CheckpointStore, folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / "orders.json").write_text(content)
    with pytest.raises(CorruptDataError, match=r"orders\.json"):
        store.load("orders")
    with pytest.raises(CorruptDataError, match=r"orders\.json"):
        store.save("orders", {}, expect=0)


def test_a_missing_parent_is_an_error_not_an_empty_store(tmp_path: Path) -> None:
    store = StoreRecipe(Endpoint("file", {"path": str(tmp_path / "unmounted" / "checkpoints")})).open()
    with pytest.raises(ConfigError, match="mount the disk"):
        store.load("orders")
    with pytest.raises(ConfigError, match="mount the disk"):
        store.save("orders", {}, expect=0)
    with pytest.raises(ConfigError, match="mount the disk"):
        list(store.keys(""))


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    store = StoreRecipe(Endpoint("file", {"path": str(tmp_path / "checkpoints")})).open()
    with pytest.raises(ConfigError, match=r"checkpoint\.parameter\.path"):
        store.load("orders")


@pytest.mark.parametrize("parameter", [{}, {"path": ""}])
def test_a_store_without_a_folder_is_refused(parameter: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint\.parameter\.path"):
        StoreRecipe(Endpoint("file", parameter)).open()
