"""What nobody can do without: one commit, one timer. Measured turn by turn with ours."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path

from sqlalchemy import text

from bot.store import open_engine


async def timed(work: Awaitable[object]) -> float:
    """How many seconds `work` takes, which begins now."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


class Commits:
    """One row, one commit, with the server's settings (WAL, synchronous=FULL), through SQLAlchemy."""

    def __init__(self, file: Path) -> None:
        self._engine = open_engine(f"sqlite+aiosqlite:///{file}")

    async def prepare(self) -> None:
        """Makes the table."""
        async with self._engine.begin() as connection:
            await connection.execute(text("CREATE TABLE row (id INTEGER PRIMARY KEY, said TEXT NOT NULL)"))

    async def one(self) -> None:
        """Commits a row of the size of an event."""
        async with self._engine.begin() as connection:
            await connection.execute(text("INSERT INTO row (said) VALUES (:said)"), {"said": "x" * 400})

    async def lateness(self, moment: float) -> float:
        """Waits for `moment` (seconds since 1970) and commits a row. How late that was done."""
        await asyncio.sleep(moment - time.time())
        await self.one()
        return time.time() - moment

    async def close(self) -> None:
        """Closes the database."""
        await self._engine.dispose()
