from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.errors import (
    CheckpointConflictError,
    ConfigError,
    CorruptDataError,
    PermanentError,
    TransientError,
)
from airflow_provider_sync.registry import build_store
from airflow_provider_sync.spec.connection import ConnectionInfo, Secret
from airflow_provider_sync.spec.job import Endpoint
from airflow_provider_sync.testing.store_suite import DurableCheckpointStoreSuite, StoreRecipe


class TestSqliteStore(DurableCheckpointStoreSuite):
    @pytest.fixture
    def recipe(self, tmp_path: Path) -> StoreRecipe:
        return StoreRecipe(Endpoint("sql", {"url": f"sqlite:///{tmp_path}/state.db"}))


class TestPostgresStore(DurableCheckpointStoreSuite):
    @pytest.fixture
    def recipe(self, postgres: int) -> StoreRecipe:
        return _recipe(postgres, f"t_{uuid.uuid4().hex}")


def _recipe(port: int, table: str, **parameter: str) -> StoreRecipe:
    url = f"postgresql+psycopg://sync@127.0.0.1:{port}/postgres"
    return StoreRecipe(Endpoint("sql", {"url": url, "table": table, **parameter}))


def _impatient(recipe: StoreRecipe) -> CheckpointStore:
    return build_store(recipe.endpoint, recipe.connection, Environment(sleep=lambda _: None))


def test_a_row_is_readable_by_people(tmp_path: Path) -> None:
    store = StoreRecipe(Endpoint("sql", {"url": f"sqlite:///{tmp_path}/state.db"})).open()
    store.save("订单@5", {"end": "é"}, expect=0)
    with sqlite3.connect(tmp_path / "state.db") as db:
        rows = db.execute(
            "SELECT job_key, generation, state, length(writer) FROM airflow_sync_checkpoint"
        ).fetchall()
    db.close()
    assert rows == [("订单@5", 1, '{"end":"\\u00e9"}', 32)]


def test_a_table_in_another_schema_is_used(postgres: int) -> None:
    schema = f"s_{uuid.uuid4().hex}"
    with psycopg.connect(host="127.0.0.1", port=postgres, user="sync", dbname="postgres") as db:
        db.execute(f"CREATE SCHEMA {schema}")
    _recipe(postgres, "progress", schema=schema).open().save("orders", {"n": 1}, expect=0)
    with psycopg.connect(host="127.0.0.1", port=postgres, user="sync", dbname="postgres") as db:
        query = f"SELECT job_key, state FROM {schema}.progress"  # noqa: S608 - the schema's name is made above
        assert db.execute(query).fetchall() == [("orders", '{"n":1}')]


def test_many_first_users_create_the_table_once(postgres: int) -> None:
    recipe = _recipe(postgres, f"t_{uuid.uuid4().hex}")
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def use(number: int) -> None:
        store = recipe.open()
        barrier.wait()
        try:
            store.save(f"job {number}", {}, expect=0)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(recipe.open().keys(""))) == 8


class Cutter:
    """Passes bytes to the server, and cuts the line when the reply to a COMMIT comes back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.cuts = 0
        self.armed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._port))
            committing = threading.Event()
            for source, target, ask in ((client, upstream, True), (upstream, client, False)):
                threading.Thread(
                    target=self._pump, args=(source, target, ask, committing), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, ask: bool, committing: threading.Event
    ) -> None:
        try:
            while data := source.recv(65536):
                if ask and self.armed and b"COMMIT" in data:
                    committing.set()
                elif not ask and committing.is_set():
                    # The server has committed, or it would not answer; the client never learns of it.
                    self.armed -= 1
                    self.cuts += 1
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def cutter(postgres: int) -> Iterator[Cutter]:
    cutter = Cutter(postgres)
    yield cutter
    cutter.close()


@pytest.mark.parametrize("expect", [0, 1])
@pytest.mark.parametrize("cuts", [1, 2])
def test_a_save_whose_reply_is_lost_happens_once(
    postgres: int, cutter: Cutter, expect: int, cuts: int
) -> None:
    table = f"t_{uuid.uuid4().hex}"
    direct, store = _recipe(postgres, table).open(), _impatient(_recipe(cutter.port, table))
    if expect:
        direct.save("orders", {"n": 0}, expect=0)
    assert list(store.keys("none")) == []
    cutter.armed = cuts
    assert store.save("orders", {"n": 1}, expect=expect) == Checkpoint("orders", expect + 1, {"n": 1})
    assert cutter.cuts == cuts
    assert direct.load("orders") == Checkpoint("orders", expect + 1, {"n": 1})


def test_a_conflict_whose_reply_is_lost_is_still_a_conflict(postgres: int, cutter: Cutter) -> None:
    table = f"t_{uuid.uuid4().hex}"
    direct, store = _recipe(postgres, table).open(), _impatient(_recipe(cutter.port, table))
    assert store.load("orders") is None
    direct.save("orders", {"n": 1}, expect=0)
    cutter.armed = 1
    with pytest.raises(CheckpointConflictError, match="generation 1 is stored"):
        store.save("orders", {"n": 1}, expect=0)
    assert cutter.cuts == 1


def test_a_server_that_is_not_there_is_a_transient_error_without_the_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connection = ConnectionInfo(
        "postgres",
        endpoint=f"postgresql+psycopg://127.0.0.1:{port}/db",
        access_key_id="sync",
        access_key_secret=Secret("s3cr3t"),
    )
    store = build_store(Endpoint("sql"), connection, Environment(sleep=lambda _: None))
    with pytest.raises(TransientError) as caught:
        store.load("orders")
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_user_and_password_of_the_connection_are_used(postgres: int) -> None:
    connection = ConnectionInfo(
        "postgres",
        endpoint=f"postgresql+psycopg://127.0.0.1:{postgres}/postgres",
        access_key_id="sync",
        access_key_secret=Secret("not asked for"),
    )
    store = StoreRecipe(Endpoint("sql", {"table": f"t_{uuid.uuid4().hex}"}), connection).open()
    assert store.save("orders", {}, expect=0).generation == 1


def test_an_airflow_connection_of_a_database_type_is_enough(postgres: int) -> None:
    connection = ConnectionInfo(
        "postgres", endpoint="127.0.0.1", access_key_id="sync", extra={"schema": "postgres", "port": postgres}
    )
    store = StoreRecipe(Endpoint("sql", {"table": f"t_{uuid.uuid4().hex}"}), connection).open()
    assert store.save("orders", {}, expect=0).generation == 1


def test_an_airflow_connection_of_type_sqlite_names_a_file(tmp_path: Path) -> None:
    connection = ConnectionInfo(
        "sqlite", endpoint=str(tmp_path / "state.db"), extra={"schema": "", "port": None}
    )
    assert StoreRecipe(Endpoint("sql"), connection).open().save("orders", {}, expect=0).generation == 1
    assert (tmp_path / "state.db").exists()


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("CREATE TABLE airflow_sync_checkpoint (id TEXT, generation INTEGER)")
    db.close()
    store = StoreRecipe(Endpoint("sql", {"url": f"sqlite:///{tmp_path}/state.db"})).open()
    with pytest.raises(ConfigError, match=r"checkpoint\.parameter\.table: .* lacks job_key, state, writer"):
        store.load("orders")


def test_a_user_without_rights_is_refused_at_once(postgres: int) -> None:
    user = f"u_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(host="127.0.0.1", port=postgres, user="sync", dbname="postgres") as db:
        db.execute(f"CREATE USER {user}")
    endpoint = Endpoint("sql", {"url": f"postgresql+psycopg://{user}@127.0.0.1:{postgres}/postgres"})
    with pytest.raises(PermanentError, match="permission denied"):
        StoreRecipe(endpoint).open().load("orders")


def test_a_broken_state_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    store = StoreRecipe(Endpoint("sql", {"url": f"sqlite:///{tmp_path}/state.db"})).open()
    store.save("orders", {}, expect=0)
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("UPDATE airflow_sync_checkpoint SET state = '{'")
    db.close()
    with pytest.raises(CorruptDataError, match="airflow_sync_checkpoint, key 'orders'"):
        store.load("orders")


@pytest.mark.parametrize(
    ("parameter", "connection", "message"),
    [
        ({}, None, "neither a url nor a connection"),
        ({"url": "sqlite://"}, ConnectionInfo("sqlite", endpoint="sqlite://"), "a url and a connection"),
        ({"url": "postgresql://sync:s3cr3t@db/x"}, None, "a password in the url"),
        ({"url": "not a url s3cr3t"}, None, "not a database url"),
        ({"url": "s3cr3tsql://db"}, None, "not a database url"),
        ({"url": "postgresql+asyncpg://db:port/s3cr3t"}, None, "not a database url"),
        ({}, ConnectionInfo("x", endpoint="s3cr3t://"), r"checkpoint\.connection: not a database url"),
        (
            {},
            ConnectionInfo("tablestore", endpoint="db"),
            r"checkpoint\.connection: not a type of database, got 'tab",
        ),
    ],
)
def test_other_addresses_are_refused_without_showing_them(
    parameter: dict[str, str], connection: ConnectionInfo | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        StoreRecipe(Endpoint("sql", parameter), connection).open()
    assert "s3cr3t" not in str(caught.value)
