"""The production database of the demo: real PostgreSQL, one table, a broker with least rights.

prod_ro   may read orders      alice ... mallory   have a login and, on an ordinary day, no rights at all
prod_rw   may change them      broker              may grant these two roles and cut sessions, nothing else
"""

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import asyncpg

from bot.demo.database import PostgresServer
from bot.demo.people import PEOPLE

_SETUP = """
CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, state text NOT NULL);
INSERT INTO orders VALUES (1, 'Ines', 'paid'), (2, 'Omar', 'stuck'), (3, 'Ruth', 'paid');
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE ROLE prod_ro NOLOGIN;
CREATE ROLE prod_rw NOLOGIN;
GRANT USAGE ON SCHEMA public TO prod_ro, prod_rw;
GRANT SELECT ON orders TO prod_ro;
GRANT SELECT, UPDATE ON orders TO prod_rw;
CREATE ROLE broker LOGIN CREATEROLE PASSWORD '{broker}';
GRANT prod_ro, prod_rw TO broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
GRANT pg_signal_backend TO broker;
"""

_CATALOGUE: Final = """
SELECT r.rolname AS name, r.rolcanlogin AS login, r.rolvaliduntil AS until,
       ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY 1) AS roles,
       ARRAY(SELECT h.rolname FROM pg_auth_members m JOIN pg_roles h ON h.oid = m.member
             WHERE m.roleid = r.oid AND h.rolname <> 'broker' ORDER BY 1) AS holders,
       shobj_description(r.oid, 'pg_authid') AS note
FROM pg_roles r WHERE r.rolname LIKE $1 ORDER BY 1
"""

_SESSIONS: Final = """
SELECT usename AS login, backend_start AS since FROM pg_stat_activity
WHERE usename = ANY($1) OR usename LIKE $2 ORDER BY backend_start
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database said: rows, or why not."""

    rows: list[tuple[object, ...]]
    refused: str = ""
    columns: list[str] = field(default_factory=list)


class Session:
    """A connection that stays open, to see whether it is cut.

    It waits inside a statement, so that the server's last words reach it.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection
        self.opened_at = datetime.now(UTC)
        self.cut_at: datetime | None = None
        self.words = ""
        self._waiting = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        try:
            await self._connection.execute("SELECT pg_sleep(86400)")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            # The client puts its own words before the server's.
            client, _, server = str(error).partition("operation: ")
            self.cut_at, self.words = datetime.now(UTC), server or client

    async def is_cut(self, within: float) -> bool:
        """Whether the server ends the connection within so many seconds."""
        await asyncio.wait([self._waiting], timeout=within)
        return self.cut_at is not None

    async def close(self) -> None:
        """Hangs up."""
        self._waiting.cancel()
        await asyncio.wait([self._waiting])
        self._connection.terminate()


class Production:
    """A server on 127.0.0.1 that lives as long as the block."""

    def __init__(self) -> None:
        self.server = PostgresServer()
        self.passwords = {handle: secrets.token_hex(12) for handle in PEOPLE}
        self._broker = secrets.token_hex(12)

    async def __aenter__(self) -> Self:
        starting = asyncio.create_task(asyncio.to_thread(self.server.start))
        try:
            await asyncio.shield(starting)
            owner = await asyncpg.connect(self.server.url())
            await owner.execute(_SETUP.format(broker=self._broker))
            for handle, password in self.passwords.items():
                await owner.execute(f"CREATE ROLE {handle} LOGIN PASSWORD '{password}'")
            await owner.close()
        except BaseException:
            await asyncio.wait([starting])  # a thread cannot be cancelled; what it began must be ended
            await asyncio.to_thread(self.server.stop)
            raise
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
            connection = await self._connect(user, password)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            return Answer([], str(error))
        try:
            found = await connection.fetch(sql, timeout=10)
            columns = list(found[0].keys()) if found else []
            return Answer([tuple(row.values()) for row in found], columns=columns)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            return Answer([], str(error))
        finally:
            connection.terminate()

    async def session(self, user: str, password: str) -> Session:
        """A connection left open.

        Raises:
            asyncpg.PostgresError, OSError: the database refuses it, or does not answer.
        """
        return Session(await self._connect(user, password))

    async def _connect(self, user: str, password: str) -> "asyncpg.Connection[asyncpg.Record]":
        host, port = self.server.host, self.server.port
        return await asyncpg.connect(
            host=host, port=port, user=user, password=password, database="postgres", ssl=False, timeout=10
        )

    async def marked(self, prefix: str) -> list[str]:
        """What the catalogue itself says of roles with our mark: the truth behind every promise."""
        return [role["name"] for role in (await self.catalogue(prefix))["roles"]]

    async def catalogue(self, prefix: str) -> dict[str, Any]:
        """The same at length, as JSON: `roles` with our mark, `sessions` of people and of those roles."""
        owner = await asyncpg.connect(self.server.url())
        try:
            roles = await owner.fetch(_CATALOGUE, prefix + "%")
            sessions = await owner.fetch(_SESSIONS, list(PEOPLE), prefix + "%")
        finally:
            await owner.close()
        return {
            "roles": [{**row, "until": _seconds(row["until"]), "note": _note(row["note"])} for row in roles],
            "sessions": [{**row, "since": _seconds(row["since"])} for row in sessions],
        }


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _note(comment: str | None) -> str:
    """What the broker wrote on the role, for a reader."""
    try:
        return str(json.loads(comment or "{}").get("breakglass", ""))
    except (ValueError, AttributeError):
        return comment or ""
