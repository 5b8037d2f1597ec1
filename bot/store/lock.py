"""One server per database. A crash gives the right back by itself.

SQLite: an operating-system lock beside the file. PostgreSQL: an advisory lock of a session that does nothing
else. Rule: a server whose session broke grants nothing until it has the right again, and stops when another
has it; ending access waits for nothing. Reading commands and the command line's `revoke` do not need it.
"""

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url

from bot.core.errors import BreakglassError
from bot.store.address import is_file, shown

if TYPE_CHECKING:
    import asyncpg

log = logging.getLogger(__name__)

KEY: Final = 0x627265616B676C61
"""The advisory lock's number: "breakgla" in ASCII. Locks are counted per database."""

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at the session. So long two servers could work; each commit still counts once."""

ANSWER_WITHIN: Final = 5.0


class AlreadyServed(BreakglassError):
    """Another server holds this database."""


class Right:
    """The right to serve one database; this one, for a file, is never lost while the process lives."""

    def lost(self) -> str | None:
        """Why no new access may be granted now, or None."""
        return None

    async def keep(self, _pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Looks after it until cancelled.

        Raises:
            AlreadyServed: another server has taken it.
        """
        await asyncio.Event().wait()


class _Session(Right):
    """The right as a PostgreSQL session's advisory lock."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: asyncpg.Connection | None = None

    def lost(self) -> str | None:
        if self._session is not None and not self._session.is_closed():
            return None
        return "the connection that makes this the only server broke; it is being made again."

    async def keep(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            await pause(LOOK_EVERY)
            try:
                await self._look()
            except AlreadyServed:
                raise
            except Exception as error:  # noqa: BLE001  whatever broke: nothing is granted, and it is tried again
                log.warning("The right to serve is not certain (%s); trying again.", type(error).__name__)
                await self.give_back()

    async def take(self) -> None:
        """Takes it, or says who has it."""
        from bot.store import postgres  # noqa: PLC0415  its client is an extra

        name = f"breakglass server, process {os.getpid()} on {socket.gethostname()}"
        session = await postgres.connect(self._url, {**postgres.SETTINGS, "application_name": name[:63]})
        try:
            taken = await session.fetchval("SELECT pg_try_advisory_lock($1)", KEY)
            holder = "" if taken else await _holder(session)
        except BaseException:
            session.terminate()
            raise
        if not taken:
            await session.close(timeout=ANSWER_WITHIN)
            raise AlreadyServed(_sentence(holder, shown(self._url)))
        self._session = session

    async def give_back(self) -> None:
        """Ends the session, and with it the right."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(Exception):  # it broke already: then the server has ended it
                await session.close(timeout=ANSWER_WITHIN)

    async def _look(self) -> None:
        if self._session is None or self._session.is_closed():
            await self.take()
        else:
            await self._session.fetchval("SELECT 1", timeout=ANSWER_WITHIN)


@asynccontextmanager
async def only_server(url: str) -> AsyncIterator[Right]:
    """Holds the right to serve the database at `url` while the block runs.

    Raises:
        AlreadyServed: another process has it; the text names the database and the process.
        DatabaseUnreachable: PostgreSQL does not answer.
    """
    if not is_file(url):
        session = _Session(url)
        await session.take()
        try:
            yield session
        finally:
            await session.give_back()
        return
    database = make_url(url).database
    if database in {None, "", ":memory:"}:
        yield Right()
        return
    # Resolved: a second name of the same file (a link) must meet the same lock.
    path = Path(f"{Path(str(database)).resolve()}.lock")  # noqa: ASYNC240  once, at start
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = f"process {file.read().strip() or 'unknown'}"
            raise AlreadyServed(_sentence(holder, str(database))) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield Right()


async def _holder(session: "asyncpg.Connection") -> str:
    name = await session.fetchval(
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' "
        "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND classid = ($1::bigint >> 32)::int AND objid = ($1::bigint & 4294967295)",
        KEY,
    )
    return str(name or "").removeprefix("breakglass server, ") or "unknown"


def _sentence(holder: str, database: str) -> str:
    return f"Another server ({holder}) serves {database}. Stop it first, or give this one its own database."
