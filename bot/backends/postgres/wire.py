"""Connections to PostgreSQL: a deadline on everything, and the server's errors in our own words.

A connection lives for one call. Grants are rare, and a connection kept open would be the one that a failover
or a firewall broke unnoticed, in the very minute it is needed. asyncpg is imported here and nowhere else.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

import asyncpg

from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import Secret


class Db(Protocol):
    """The part of an asyncpg connection that we use."""

    async def fetch(self, query: str, *args: object) -> Sequence["Row"]:
        """All rows."""
        ...

    async def fetchrow(self, query: str, *args: object) -> "Row | None":
        """The first row."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401 - whatever the query selects
        """The first column of the first row."""
        ...

    async def execute(self, query: str) -> str:
        """A statement without parameters."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """All or nothing."""
        ...


class Row(Protocol):
    """One row, by column."""

    def __getitem__(self, column: str) -> Any:  # noqa: ANN401 - whatever the query selects
        """The value in that column."""
        ...


_SAYS_NO: Final = frozenset({"0A", "0L", "0P", "22", "23", "28", "2B", "3D", "42"})
"""SQLSTATE classes (manual, appendix A) that mean the server will say the same again."""

_TELLING: Final = frozenset({"42501", "42704", "42710", "0LP01", "28P01", "28000", "3D000", "2BP01"})
"""States whose first line names roles or databases and never quotes a statement, so it can be shown."""


@dataclass(frozen=True)
class Server:
    """One cluster, as the broker reaches it. `slots` bounds how many connections are open at a time."""

    name: str
    url: Secret
    deadline: float
    slots: asyncio.Semaphore = field(repr=False)

    @asynccontextmanager
    async def session(self, database: str | None = None) -> AsyncIterator[Db]:
        """A connection for one piece of work, to the URL's database or another one of the same cluster.

        Raises:
            BackendRefused, BackendUnavailable: whatever went wrong, within the deadline, free of secrets.
        """
        try:
            async with asyncio.timeout(self.deadline), self.slots:
                connection = await self._connect(database)
                try:
                    yield cast("Db", connection)
                    await connection.close()
                finally:
                    connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise self._told(error) from None  # its own text and frames may carry a statement

    async def _connect(self, database: str | None) -> Any:  # noqa: ANN401 - untyped library
        milliseconds = str(int(self.deadline * 1000))
        return await asyncpg.connect(
            self.url.reveal(),
            timeout=self.deadline,
            statement_cache_size=0,
            server_settings={
                "application_name": "breakglass",
                # Nobody's function or operator in a public schema is ever called by the broker.
                "search_path": "pg_catalog, pg_temp",
                # Work we no longer wait for must not take effect long after.
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
            },
            **({} if database is None else {"database": database}),
        )

    def _told(self, error: Exception) -> BackendError:
        if isinstance(error, TimeoutError):
            return BackendUnavailable(f"{self.name}: PostgreSQL did not answer within {self.deadline:g} s.")
        if not isinstance(error, asyncpg.PostgresError):
            return BackendUnavailable(f"{self.name}: PostgreSQL cannot be reached ({type(error).__name__}).")
        state = str(error.sqlstate)
        said = f": {error.args[0]}" if state in _TELLING and error.args else ""
        if state[:2] in _SAYS_NO:
            return BackendRefused(f"{self.name}: PostgreSQL refused ({state}){said}.")
        return BackendUnavailable(f"{self.name}: PostgreSQL could not do it now ({state}).")


async def run(db: Db, template: str, *words: str) -> None:
    """One statement of role DDL, which takes no bind parameters: the server itself quotes the words.

    `template` is a constant for the server's `format`: `%I` a name, `%L` a literal, `%s` a number.
    """
    await db.execute(await db.fetchval("SELECT format($1::text, VARIADIC $2::text[])", template, list(words)))


async def alone(db: Db, name: str) -> None:
    """Until the end of this transaction nobody else of us works on `name`."""
    await db.fetchval("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", name)
