"""The production database of the demo: real PostgreSQL, one table, three roles, a broker with least rights.

prod_ro   may read orders            alice    has a login and, on an ordinary day, no rights at all
prod_rw   may change them            broker   may grant these two roles and cut sessions, nothing else
"""

import asyncio
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import asyncpg

from bot.demo.database import PostgresServer

_SETUP = """
CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, state text NOT NULL);
INSERT INTO orders VALUES (1, 'Ines', 'paid'), (2, 'Omar', 'stuck'), (3, 'Ruth', 'paid');
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE ROLE prod_ro NOLOGIN;
CREATE ROLE prod_rw NOLOGIN;
GRANT USAGE ON SCHEMA public TO prod_ro, prod_rw;
GRANT SELECT ON orders TO prod_ro;
GRANT SELECT, UPDATE ON orders TO prod_rw;
CREATE ROLE alice LOGIN PASSWORD '{alice}';
CREATE ROLE broker LOGIN CREATEROLE PASSWORD '{broker}';
GRANT prod_ro, prod_rw TO broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
GRANT pg_signal_backend TO broker;
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database said: rows, or why not."""

    rows: list[tuple[object, ...]]
    refused: str = ""


class Session:
    """A connection that stays open, to see whether it is cut."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection
        self._cut = asyncio.Event()
        connection.add_termination_listener(lambda _connection: self._cut.set())

    async def is_cut(self, within: float) -> bool:
        """Whether the server ends the connection within so many seconds."""
        try:
            await asyncio.wait_for(self._cut.wait(), within)
        except TimeoutError:
            return False
        return True


class Production:
    """A server on 127.0.0.1 that lives as long as the block."""

    def __init__(self) -> None:
        self.server = PostgresServer()
        self.alice = secrets.token_hex(12)
        self._broker = secrets.token_hex(12)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.server.start)
        owner = await asyncpg.connect(self.server.url())
        await owner.execute(_SETUP.format(alice=self.alice, broker=self._broker))
        await owner.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.server.stop)

    @property
    def broker_url(self) -> str:
        """What Breakglass connects with."""
        return self.server.url("broker", self._broker)

    async def query(self, user: str, password: str, sql: str) -> Answer:
        """One query, as that person."""
        try:
            connection = await asyncpg.connect(self.server.url(user, password), timeout=10)
        except asyncpg.PostgresError as error:
            return Answer([], str(error))
        try:
            return Answer([tuple(row.values()) for row in await connection.fetch(sql)])
        except asyncpg.PostgresError as error:
            return Answer([], str(error))
        finally:
            await connection.close()

    async def session(self, user: str, password: str) -> Session:
        """A connection left open."""
        return Session(await asyncpg.connect(self.server.url(user, password)))

    async def marked(self, prefix: str) -> list[str]:
        """What the catalogue itself says of roles with our mark: the truth behind every promise."""
        owner = await asyncpg.connect(self.server.url())
        try:
            rows = await owner.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE $1", prefix + "%")
            return [row["rolname"] for row in rows]
        finally:
            await owner.close()
