from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_sync import registry
from airflow_provider_sync.engine.contract import CheckpointStore, Environment
from airflow_provider_sync.errors import ConfigError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.job import Endpoint

_PLUGIN = """
from dataclasses import dataclass
from airflow_provider_sync.engine.contract import CheckpointStore
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.state.memory import MemoryStore

class Shelf(MemoryStore):
    @dataclass(frozen=True)
    class Options:
        board: int = option("board", "Which board.", default=1)
    connection_kinds = ("shelf", "rack")

    def __init__(self, options, connection, environment):
        super().__init__()
        self.made_of = (options, connection, environment)

class _Hidden(Shelf):
    pass
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution with plug-ins the way pip leaves one on disk."""
    (tmp_path / "shelfware.py").write_text(_PLUGIN)
    (tmp_path / "lonely.py").write_text("import module_that_is_nowhere\n")
    (tmp_path / "crowd.py").write_text(_PLUGIN + "\nclass Another(Shelf):\n    pass\n")
    info = tmp_path / "shelfware-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelfware\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[airflow_provider_sync.state]\n"
        "shelf = shelfware\nshelfclass = shelfware:Shelf\nlonely = lonely\ncrowd = crowd\n"
        "text = shelfware:__name__\nmemory = shelfware\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("shelfware", "lonely", "crowd"):
        sys.modules.pop(name, None)


def test_a_store_is_found_by_its_modules_name() -> None:
    store = registry.store_class("memory")
    assert store.__name__ == "MemoryStore"
    assert store.__module__ == "airflow_provider_sync.state.memory"


def test_names_are_listed_sorted_without_private_modules() -> None:
    names = registry.store_names()
    assert list(names) == sorted(names)
    assert {"file", "memory"} <= set(names)
    for listed in (names, registry.reader_names(), registry.writer_names()):
        assert not [name for name in listed if name.startswith("_")]


def test_an_unknown_name_is_refused_with_the_known_ones_and_the_closest() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.store_class("memry", "job.checkpoint")
    text = str(caught.value)
    assert text.startswith("job.checkpoint.plugin: unknown checkpoint store 'memry'; known: ")
    assert "file" in text
    assert text.endswith("did you mean 'memory'?")


@pytest.mark.parametrize("find", [registry.reader_class, registry.writer_class, registry.store_class])
@pytest.mark.parametrize("name", ["", "linse", "../memory", "os.path", "__init__", "_hidden"])
def test_names_that_are_no_plugin_are_refused(find: object, name: str) -> None:
    assert callable(find)
    with pytest.raises(ConfigError, match="unknown"):
        find(name)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["shelf", "shelfclass"])
def test_other_packages_add_plugins_by_entry_point(name: str) -> None:
    assert name in registry.store_names()
    assert registry.store_class(name).__name__ == "Shelf"


@pytest.mark.usefixtures("installed")
def test_a_plugin_of_ours_wins_over_an_entry_point_of_the_same_name() -> None:
    assert registry.store_class("memory").__module__ == "airflow_provider_sync.state.memory"


@pytest.mark.usefixtures("installed")
def test_a_missing_module_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'lonely' needs the python module 'module_that_is_nowhere'"):
        registry.store_class("lonely")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "count"), [("crowd", 2), ("text", 0)])
def test_an_entry_point_without_exactly_one_class_is_refused(name: str, count: int) -> None:
    with pytest.raises(ConfigError, match=f"exactly one public checkpoint store class, not {count}"):
        registry.store_class(name)


@pytest.mark.usefixtures("installed")
def test_building_parses_the_options_and_hands_over_connection_and_environment() -> None:
    connection, environment = ConnectionInfo("rack"), Environment()
    store = registry.build_store(Endpoint("shelf", {"board": "3"}), connection, environment)
    assert isinstance(store, CheckpointStore)
    options, got_connection, got_environment = store.made_of  # type: ignore[attr-defined]
    assert options.board == 3
    assert got_connection is connection
    assert got_environment is environment


@pytest.mark.usefixtures("installed")
def test_an_unknown_parameter_is_refused_with_its_path() -> None:
    with pytest.raises(
        ConfigError, match=r"^job\.checkpoint\.parameter\.bord: unknown parameter; allowed: board$"
    ):
        registry.build_store(
            Endpoint("shelf", {"bord": 1}), ConnectionInfo("rack"), Environment(), "job.checkpoint"
        )


@pytest.mark.usefixtures("installed")
def test_a_connection_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint\.connection: .*got 'oss'; allowed: shelf, rack"):
        registry.build_store(Endpoint("shelf"), ConnectionInfo("oss"), Environment())


@pytest.mark.usefixtures("installed")
def test_a_missing_connection_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^checkpoint\.connection: missing; name a connection of type shelf or"
    ):
        registry.build_store(Endpoint("shelf"), None, Environment())


@pytest.mark.usefixtures("installed")
def test_keys_written_into_a_job_are_used_without_a_connection_only() -> None:
    inline, given = ConnectionInfo("rack"), ConnectionInfo("shelf")
    endpoint = Endpoint("shelf", inline=inline)
    assert registry.build_store(endpoint, None, Environment()).made_of[1] is inline  # type: ignore[attr-defined]
    assert registry.build_store(endpoint, given, Environment()).made_of[1] is given  # type: ignore[attr-defined]
