"""Progress in a table of any database that SQLAlchemy speaks to: PostgreSQL, MySQL, SQLite and others."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.pool import NullPool

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.engine.record import JsonObject
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError, PermanentError, TransientError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.state import conflict, decode_state, encode_state

__all__ = ["SqlStore"]

T = TypeVar("T")
_SQLITE_BUSY_SECONDS = 30
_FILE_KIND = "sqlite"
# By Airflow's connection type: the drivers that may be there, best first.
_DRIVERS = {
    "postgres": {"psycopg": "postgresql+psycopg", "psycopg2": "postgresql+psycopg2"},
    "mysql": {"pymysql": "mysql+pymysql", "MySQLdb": "mysql+mysqldb"},
    "mssql": {"pymssql": "mssql+pymssql", "pyodbc": "mssql+pyodbc"},
    "oracle": {"oracledb": "oracle+oracledb"},
    _FILE_KIND: {"sqlite3": _FILE_KIND},
}
_LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


class SqlStore(CheckpointStore):
    """One row per key, changed by ``UPDATE … WHERE generation = …``.

    The table is created on first use. Rows are found by the SHA-256 of the key, so that no collation can take
    two keys for one. Every save brings a random writer id: when a reply is lost and the save is tried again,
    the id tells an own earlier success from another run's. Connections are opened per call and not kept, which
    survives forks and idle limits and costs little at a few calls per window.
    """

    @dataclass(frozen=True, slots=True)
    class Options:
        """Parameters of the store."""

        url: str = option(
            "url",
            "SQLAlchemy URL without a password, such as `postgresql+psycopg://sync@db/airflow`; empty: the "
            "connection's.",
            default="",
        )
        table: str = option("table", "Name of the table.", default="airflow_sync_checkpoint")
        schema: str = option("schema", "Schema of the table; empty: the user's default.", default="")

    def __init__(
        self,
        options: Options,
        connection: ConnectionInfo | None = None,
        environment: Environment | None = None,
    ) -> None:
        environment = environment or Environment()
        self._url = _url(options, connection)
        self._table = sa.Table(
            options.table,
            sa.MetaData(schema=options.schema or None),
            sa.Column("id", sa.String(64), primary_key=True),
            sa.Column("job_key", sa.UnicodeText, nullable=False),
            sa.Column("generation", sa.BigInteger, nullable=False),
            sa.Column("writer", sa.String(32), nullable=False),
            sa.Column("state", _LONG_TEXT, nullable=False),
        )
        self._retry = RetryPolicy(
            attempts=5,
            deadline=60.0,
            clock=environment.clock,
            sleep=environment.sleep,
            random=environment.random,
            cancelled=environment.cancelled,
        )
        self._engine: Engine | None = None

    def load(self, key: str) -> Checkpoint | None:
        """Return the stored state, None when there is none."""
        table = self._table
        query = sa.select(table.c.generation, table.c.state).where(table.c.id == _id(key))
        row = self._run(lambda db: db.execute(query).one_or_none(), f"load {key!r}")
        if row is None:
            return None
        return Checkpoint(key, row.generation, decode_state(row.state, f"table {table.name}, key {key!r}"))

    def save(self, key: str, state: JsonObject, *, expect: int) -> Checkpoint:
        """Store ``state`` if the stored generation is ``expect``; a lost reply is resolved by trying again.

        Should another run have saved on top of a save whose reply was lost, that save counts as lost too: the
        other run has seen it, and this one must stop.
        """
        text = encode_state(state)
        # An identity, not a chance: it must differ between processes even where randomness is seeded.
        writer = uuid.uuid4().hex

        def attempt(db: Connection) -> tuple[int, str]:
            if self._compare_and_set(db, key, text, writer, expect):
                return expect + 1, writer
            table = self._table
            found = db.execute(
                sa.select(table.c.generation, table.c.writer).where(table.c.id == _id(key))
            ).one_or_none()
            return (0, "") if found is None else (found.generation, found.writer)

        found, by = self._run(attempt, f"save {key!r}")
        if (found, by) != (expect + 1, writer):
            raise conflict(key, expect=expect, found=found)
        return Checkpoint(key, found, decode_state(text, key))

    def delete(self, key: str) -> None:
        """Forget ``key``; fine if it is not there."""
        statement = sa.delete(self._table).where(self._table.c.id == _id(key))
        self._run(lambda db: db.execute(statement).close(), f"delete {key!r}")

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield stored keys that start with ``prefix``, in order; later changes do not show."""
        column = self._table.c.job_key
        query = sa.select(column).where(column.startswith(prefix, autoescape=True))
        found = self._run(lambda db: list(db.execute(query).scalars()), f"list {prefix!r}")
        # Databases compare and sort by their collation; the answer here is exact.
        yield from sorted(key for key in found if key.startswith(prefix))

    def close(self) -> None:
        """Release connections; may be called twice."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _compare_and_set(self, db: Connection, key: str, text: str, writer: str, expect: int) -> bool:
        table = self._table
        values = {"generation": expect + 1, "writer": writer, "state": text}
        if expect > 0:
            statement = (
                sa.update(table).where(table.c.id == _id(key), table.c.generation == expect).values(**values)
            )
            return db.execute(statement).rowcount == 1
        if expect < 0:
            return False
        try:
            # A savepoint, because PostgreSQL refuses every further statement after a failed one.
            with db.begin_nested():
                db.execute(sa.insert(table).values(id=_id(key), job_key=key, **values))
        except IntegrityError:
            return False
        return True

    def _run(self, work: Callable[[Connection], T], what: str) -> T:
        def once() -> T:
            with self._translated(), self._ready().begin() as db:
                return work(db)

        return self._retry.call(once, what=f"checkpoint table {self._table.name}: {what}")

    def _ready(self) -> Engine:
        if self._engine is None:
            arguments = {"timeout": _SQLITE_BUSY_SECONDS} if self._url.get_backend_name() == "sqlite" else {}
            try:
                engine = sa.create_engine(
                    self._url, poolclass=NullPool, connect_args=arguments, hide_parameters=True
                )
            except ModuleNotFoundError as error:
                cure = "install the driver, or name an installed one as in postgresql+psycopg://"
                raise ConfigError(
                    "checkpoint.parameter.url", reason=f"needs the python module {error.name!r}", cure=cure
                ) from error
            self._create_table(engine)
            self._engine = engine
        return self._engine

    def _create_table(self, engine: Engine) -> None:
        try:
            self._table.create(engine, checkfirst=True)
        except DBAPIError:
            # Another process may have created it between the look and the act.
            if not sa.inspect(engine).has_table(self._table.name, schema=self._table.schema):
                raise
        found = {one["name"] for one in sa.inspect(engine).get_columns(self._table.name, self._table.schema)}
        missing = sorted({column.name for column in self._table.columns} - found)
        if missing:
            raise ConfigError(
                "checkpoint.parameter.table",
                self._table.name,
                reason=f"this table is no checkpoint table: it lacks {', '.join(missing)}",
                cure="name another table; it is created when it does not exist",
            )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # The driver's own text: SQLAlchemy's adds statements. Neither holds the password.
            reason = str(error.orig).strip() if isinstance(error, DBAPIError) else str(error)
            text = f"checkpoint table {self._table.name} at {self._url!r}: {reason}"
            lost = isinstance(error, DBAPIError) and error.connection_invalidated
            if lost or isinstance(error, OperationalError | InterfaceError):
                raise TransientError(text) from error
            raise PermanentError(text) from error


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _url(options: SqlStore.Options, connection: ConnectionInfo | None) -> URL:
    field = "checkpoint.parameter.url" if connection is None else "checkpoint.connection"
    if bool(options.url) == bool(connection):
        cure = "give the one or the other"
        reason = "a url and a connection" if connection else "neither a url nor a connection"
        raise ConfigError("checkpoint.parameter.url", reason=reason, cure=cure)
    if connection is not None and "://" not in connection.endpoint:
        return _url_of_parts(connection)
    try:
        url = sa.make_url(connection.endpoint if connection else options.url)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # The text itself may hold a password, so it is not shown.
        raise ConfigError(
            field, reason="not a database url", allowed="such as postgresql+psycopg://user@host:5432/database"
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            field, reason=f"needs the python module {error.name!r}", cure="install it"
        ) from error
    if url.password is not None:
        cure = "put it into an Airflow connection and name that as the store's connection"
        raise ConfigError(field, reason="a password in the url", cure=cure)
    return url if connection is None else _signed_in(url, connection)


def _url_of_parts(connection: ConnectionInfo) -> URL:
    """Return the URL of an Airflow connection of a database type: host, ``extra.port`` and ``extra.schema``."""
    drivers = _DRIVERS.get(connection.kind)
    if drivers is None:
        allowed = ", ".join(sorted(_DRIVERS))
        raise ConfigError(
            "checkpoint.connection", connection.kind, reason="not a type of database", allowed=allowed
        )
    if connection.kind == _FILE_KIND:
        return URL.create(_FILE_KIND, database=connection.endpoint)
    name = next((name for module, name in drivers.items() if find_spec(module) is not None), None)
    if name is None:
        raise ConfigError(
            "checkpoint.connection",
            connection.kind,
            reason=f"needs one of the python modules {', '.join(drivers)}",
            cure="install one",
        )
    port = connection.extra.get("port")
    url = URL.create(
        name,
        host=connection.endpoint or None,
        port=int(port) if port else None,
        database=connection.extra.get("schema") or None,
    )
    return _signed_in(url, connection)


def _signed_in(url: URL, connection: ConnectionInfo) -> URL:
    return url.set(
        username=connection.access_key_id or url.username,
        password=connection.access_key_secret.reveal() or None,
    )
