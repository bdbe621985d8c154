"""What every checkpoint store must do, as tests to inherit.

:class:`CheckpointStoreSuite` is for any store, :class:`DurableCheckpointStoreSuite` adds what holds for
stores that other processes see: reopening, racing processes, and being killed at any moment.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import pytest

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.errors import CheckpointConflictError
from airflow_provider_sync.registry import build_store
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.job import Endpoint

__all__ = ["CheckpointStoreSuite", "DurableCheckpointStoreSuite", "StoreRecipe"]

_GENERATIONS = 20
_KILLS = 3
_PATIENCE = 60.0

_KEYS = (
    "orders",
    "Orders",
    "orders@1795211863415",
    "orders@1795211863416",
    "orders%@1",
    "orders_1",
    "ordersx1",
    "100%",
    "100x",
    "a_b",
    "aXb",
    "a*b",
    "a[b]",
    "back\\slash",
    "quote'quote\"quote",
    "blank in between",
    "订单同步",
    "Übergröße",
    "..",
    "-",
    "a" * 200 + "@1795211863415",
    "单" * 200 + "@1795211863415",
)

_PREFIXES = ("orders", "orders@", "orders%", "orders_", "100%", "a_", "a*", "a[", "back\\", "o", "单", "none")

_STATE: dict[str, Any] = {
    "empty": {},
    "list": [1, -1, 0, [], [None, True, False]],
    "large": 2**63 - 1,
    "huge": 10**30,
    "float": 0.1,
    "tiny": 5e-324,
    "text": "line\nbreak\ttab \"quoted\" back\\slash 'single' %s %% _ ${x} é 单 \U0001f600 \u2028 \x7f",
    "nul": "a\x00b",
    "key with blanks": {"": "empty key", "深": {"deeper": ["x" * 1000]}},
}


@dataclass(frozen=True, slots=True)
class StoreRecipe:
    """How to build the store under test, in any process; every store built from one recipe shares its data."""

    endpoint: Endpoint
    connection: ConnectionInfo | None = None

    def open(self) -> CheckpointStore:
        """Build the store anew."""
        return build_store(self.endpoint, self.connection, Environment())


class CheckpointStoreSuite:
    """What holds for any store. Override :meth:`recipe`."""

    @pytest.fixture
    def recipe(self) -> StoreRecipe:
        """Return the recipe of a store that is empty at the start of each test."""
        raise NotImplementedError("override the fixture 'recipe'")

    @pytest.fixture
    def store(self, recipe: StoreRecipe) -> Iterator[CheckpointStore]:
        """Open one store for the test."""
        store = recipe.open()
        yield store
        store.close()

    def test_an_unknown_key_loads_as_none(self, store: CheckpointStore) -> None:
        assert store.load("orders") is None

    def test_a_saved_state_is_loaded(self, store: CheckpointStore) -> None:
        saved = store.save("orders", {"end": 1795211863415}, expect=0)
        assert saved == Checkpoint("orders", 1, {"end": 1795211863415})
        assert store.load("orders") == saved

    def test_the_generation_grows_by_one_with_each_save(self, store: CheckpointStore) -> None:
        for generation in range(5):
            assert store.save("orders", {"n": generation}, expect=generation).generation == generation + 1
        assert store.load("orders") == Checkpoint("orders", 5, {"n": 4})

    @pytest.mark.parametrize(("saves", "expect"), [(0, 1), (1, 0), (2, 1), (2, 3), (2, 0), (1, -1)])
    def test_a_save_that_expects_another_generation_changes_nothing(
        self, store: CheckpointStore, saves: int, expect: int
    ) -> None:
        for generation in range(saves):
            store.save("orders", {"n": generation}, expect=generation)
        before = store.load("orders")
        with pytest.raises(CheckpointConflictError) as caught:
            store.save("orders", {"n": "loser"}, expect=expect)
        assert "'orders'" in str(caught.value)
        assert f"generation {saves} is stored" in str(caught.value)
        assert f"expected {expect}" in str(caught.value)
        assert store.load("orders") == before

    def test_saving_the_same_state_again_is_still_a_new_generation(self, store: CheckpointStore) -> None:
        store.save("orders", {"n": 1}, expect=0)
        assert store.save("orders", {"n": 1}, expect=1).generation == 2
        with pytest.raises(CheckpointConflictError):
            store.save("orders", {"n": 1}, expect=1)

    def test_states_come_back_as_they_were(self, store: CheckpointStore) -> None:
        assert store.save("orders", _STATE, expect=0).state == _STATE
        loaded = store.load("orders")
        assert loaded is not None
        assert loaded.state == _STATE
        assert type(loaded.state["list"][4][1]) is bool
        assert type(loaded.state["float"]) is float
        assert list(loaded.state) == list(_STATE)

    def test_an_empty_state_is_not_an_absent_one(self, store: CheckpointStore) -> None:
        store.save("orders", {}, expect=0)
        assert store.load("orders") == Checkpoint("orders", 1, {})

    def test_a_state_of_some_megabytes_fits(self, store: CheckpointStore) -> None:
        state = {"shards": {f"shard-{n:06d}": "单" * 30 for n in range(15_000)}}
        store.save("orders", state, expect=0)
        store.save("orders", {"small": True}, expect=1)
        assert store.load("orders") == Checkpoint("orders", 2, {"small": True})
        store.save("orders", state, expect=2)
        assert store.load("orders") == Checkpoint("orders", 3, state)

    def test_numbers_that_are_no_json_are_refused(self, store: CheckpointStore) -> None:
        with pytest.raises(ValueError, match="JSON"):
            store.save("orders", {"ratio": float("nan")}, expect=0)
        assert store.load("orders") is None

    def test_what_a_caller_does_to_a_state_later_is_not_stored(self, store: CheckpointStore) -> None:
        state = {"shards": ["a"]}
        saved = store.save("orders", state, expect=0)
        state["shards"].append("b")
        saved.state["shards"].append("c")
        loaded = store.load("orders")
        assert loaded is not None
        assert loaded.state == {"shards": ["a"]}

    def test_any_key_is_a_key_of_its_own(self, store: CheckpointStore) -> None:
        for number, key in enumerate(_KEYS):
            store.save(key, {"number": number}, expect=0)
        for number, key in enumerate(_KEYS):
            assert store.load(key) == Checkpoint(key, 1, {"number": number})
        assert list(store.keys("")) == sorted(_KEYS)

    def test_a_prefix_is_taken_literally(self, store: CheckpointStore) -> None:
        for key in _KEYS:
            store.save(key, {}, expect=0)
        for prefix in _PREFIXES:
            assert list(store.keys(prefix)) == sorted(key for key in _KEYS if key.startswith(prefix)), prefix

    def test_a_deleted_key_is_absent_and_starts_anew(self, store: CheckpointStore) -> None:
        store.save("orders", {"n": 1}, expect=0)
        store.save("orders", {"n": 2}, expect=1)
        store.save("others", {}, expect=0)
        store.delete("orders")
        assert store.load("orders") is None
        assert list(store.keys("")) == ["others"]
        with pytest.raises(CheckpointConflictError, match="generation 0 is stored"):
            store.save("orders", {"n": 3}, expect=2)
        assert store.save("orders", {"n": 3}, expect=0).generation == 1

    def test_deleting_what_is_not_there_is_fine(self, store: CheckpointStore) -> None:
        store.delete("orders")
        assert list(store.keys("")) == []

    def test_keys_of_an_empty_store_are_none(self, store: CheckpointStore) -> None:
        assert list(store.keys("")) == []

    def test_one_of_many_threads_wins_each_generation(self, store: CheckpointStore) -> None:
        wins: list[tuple[int, str]] = []
        barrier = threading.Barrier(4)
        failures: list[BaseException] = []

        def run(name: str) -> None:
            try:
                barrier.wait()
                wins.extend((generation, name) for generation in _race(store, name, _GENERATIONS))
            except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
                failures.append(error)

        threads = [threading.Thread(target=run, args=(f"thread {n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sorted(generation for generation, _ in wins) == list(range(1, _GENERATIONS + 1))
        last = store.load("race")
        assert last is not None
        assert (last.generation, last.state["by"]) == max(wins)

    def test_a_random_history_agrees_with_a_dictionary(self, store: CheckpointStore) -> None:
        chance = random.Random(20261120)
        model: dict[str, tuple[int, int]] = {}
        keys = ["a", "a@1", "a@2", "b"]
        for step in range(120):
            key = chance.choice(keys)
            generation, _ = model.get(key, (0, 0))
            action = chance.choice(["save", "save", "save", "stale", "delete", "list"])
            if action == "save":
                store.save(key, {"step": step}, expect=generation)
                model[key] = (generation + 1, step)
            elif action == "stale":
                with pytest.raises(CheckpointConflictError):
                    store.save(key, {"step": step}, expect=generation + chance.choice([-1, 1, 7]))
            elif action == "delete":
                store.delete(key)
                model.pop(key, None)
            else:
                assert list(store.keys("a")) == sorted(k for k in model if k.startswith("a"))
            loaded = store.load(key)
            expected = model.get(key)
            assert (loaded and (loaded.generation, loaded.state["step"])) == expected

    def test_closing_twice_is_fine(self, recipe: StoreRecipe) -> None:
        store = recipe.open()
        store.load("orders")
        store.close()
        store.close()


class DurableCheckpointStoreSuite(CheckpointStoreSuite):
    """What holds for stores that outlive a process. The recipe must mean the same in another process."""

    def test_states_survive_reopening(self, recipe: StoreRecipe) -> None:
        first = recipe.open()
        for key in _KEYS:
            first.save(key, _STATE, expect=0)
        first.close()
        second = recipe.open()
        assert list(second.keys("")) == sorted(_KEYS)
        for key in _KEYS:
            assert second.load(key) == Checkpoint(key, 1, _STATE)
        second.close()

    def test_two_open_stores_see_each_other(self, recipe: StoreRecipe) -> None:
        first, second = recipe.open(), recipe.open()
        first.save("orders", {"by": "first"}, expect=0)
        assert second.load("orders") == Checkpoint("orders", 1, {"by": "first"})
        second.save("orders", {"by": "second"}, expect=1)
        with pytest.raises(CheckpointConflictError):
            first.save("orders", {"by": "first"}, expect=1)
        first.delete("orders")
        assert second.load("orders") is None
        first.close()
        second.close()

    def test_one_of_two_processes_wins_each_generation(self, recipe: StoreRecipe) -> None:
        context = _processes()
        barrier = context.Barrier(2)
        pipes = [context.Pipe(duplex=False) for _ in range(2)]
        racers = [
            context.Process(target=_race_in_process, args=(recipe, f"process {n}", barrier, pipes[n][1]))
            for n in range(2)
        ]
        for racer in racers:
            racer.start()
        wins: list[int] = []
        for receiver, _ in pipes:
            assert receiver.poll(_PATIENCE)
            wins.extend(receiver.recv())
        for racer in racers:
            racer.join(_PATIENCE)
            assert racer.exitcode == 0
            racer.close()
        assert sorted(wins) == list(range(1, _GENERATIONS + 1))

    def test_a_killed_process_loses_nothing_it_was_told_is_saved(self, recipe: StoreRecipe) -> None:
        context = _processes()
        chance = random.Random(9)
        told = 0
        for _ in range(_KILLS):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_save_for_ever, args=(recipe, sender))
            process.start()
            sender.close()
            assert receiver.poll(_PATIENCE)
            for _ in range(chance.randrange(1, 30)):
                told = receiver.recv()
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join(_PATIENCE)
            told = _drain(receiver, told)
            store = recipe.open()
            loaded = store.load("victim")
            assert loaded is not None
            # The save it was killed in either happened or did not.
            assert loaded.generation in (told, told + 1)
            assert loaded.state == _victim_state(loaded.generation)
            assert list(store.keys("")) == ["victim"]
            told = store.save(
                "victim", _victim_state(loaded.generation + 1), expect=loaded.generation
            ).generation
            store.close()
            process.close()


def _processes() -> multiprocessing.context.ForkServerContext:
    # Processes of their own, that share nothing with this one, from a server that has the imports done.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _race(store: CheckpointStore, name: str, generations: int) -> list[int]:
    wins: list[int] = []
    while True:
        stored = store.load("race")
        generation = 0 if stored is None else stored.generation
        if generation >= generations:
            return wins
        try:
            wins.append(store.save("race", {"by": name}, expect=generation).generation)
        except CheckpointConflictError:
            continue


def _race_in_process(recipe: StoreRecipe, name: str, barrier: Any, sender: Connection) -> None:
    store = recipe.open()
    store.load("race")
    barrier.wait(_PATIENCE)
    sender.send(_race(store, name, _GENERATIONS))
    store.close()


def _victim_state(generation: int) -> dict[str, Any]:
    return {"generation": generation, "filling": str(generation) * 2000}


def _save_for_ever(recipe: StoreRecipe, sender: Connection) -> None:
    store = recipe.open()
    stored = store.load("victim")
    generation = 0 if stored is None else stored.generation
    while True:
        generation = store.save("victim", _victim_state(generation + 1), expect=generation).generation
        sender.send(generation)


def _drain(receiver: Connection, told: int) -> int:
    try:
        while receiver.poll():
            told = receiver.recv()
    except EOFError:
        pass
    receiver.close()
    return told
