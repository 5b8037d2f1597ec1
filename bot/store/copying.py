"""Moving a history to another database, byte for byte: same seq, same leaves, same root, same checkpoints.

Theory of operation. Two copies that both grow would be two histories, so:

1. The source takes no writer while it is copied, and the target was empty.
2. All of the target is one transaction: a copy that was cut off left nothing there.
3. The source is marked as moved, and that is committed, before the target is. Whatever happens in between,
   at most one of the two can be served; a second `copy` finishes or says that it was finished.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, String, Table, Text, collate, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.audit.tree import Frontier
from bot.core.errors import BreakglassError
from bot.store import tables as t
from bot.store.engine import one_writer
from bot.store.reader import Clock, Reader, Within

BATCH: Final = 2000
"""Rows held in memory at once."""

TABLES: Final = tuple(table for table in t.metadata.tables.values() if table is not t.moved)

Check = Callable[[Reader], Awaitable[None]]
"""Verifies a history; raises when it is not sound."""


class Moved(BreakglassError):
    """The history that was here grows elsewhere now."""


class NotEmpty(BreakglassError):
    """The target holds something already."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: events, their root, rows per table. `already`: an earlier run had finished it."""

    events: int
    root: bytes
    rows: dict[str, int]
    already: bool


async def require_here(engine: AsyncEngine) -> None:
    """Silent unless the history in this database was copied elsewhere.

    Raises:
        Moved: with where to, and what to do.
    """
    async with engine.connect() as connection:
        row = (await connection.execution_options(begin=None)).execute(select(t.moved.c.to))
        to = (await row).scalar()
    if to is not None:
        raise Moved(
            f"This history was copied to {to} and grows there: two that grow would contradict each other. "
            "Name that database in BREAKGLASS_DATABASE_URL. If the copy did not finish, run `breakglass "
            "copy` again; if it is never to be used, `breakglass copy --cancel`."
        )


async def copy(
    source: AsyncEngine,
    target: AsyncEngine,
    *,
    to: str,
    clock: Clock,
    check: Check,
    tell: Callable[[str], None],
) -> Copied:
    """Copies everything and marks the source as moved.

    Args:
        source: a migrated database that no server has; `only_server` sees to it.
        target: a migrated, empty database, likewise.
        to: the target's name, for the mark.
        clock: the time of the mark.
        check: asked before, on the source, and after, on the target, before anything is committed.
        tell: hears sentences of progress.

    Raises:
        NotEmpty: the target holds another history, or anything else.
        BreakglassError: the source holds no history, or what arrived is not what was sent.
    """
    async with source.connect() as here, target.connect() as there:
        await one_writer(here)
        before = await Within(here, clock).head()
        if before.size == 0:
            raise BreakglassError("There is no history to copy: the server has never run on this database.")
        marked = await here.scalar(select(t.moved.c.to))
        found = await _rows(there)
        if marked not in {None, to}:
            raise Moved(
                f"This history was copied to {marked} already. If that copy is never to be used, run "
                "`breakglass copy --cancel` first."
            )
        if any(found.values()):
            return await _finished(there, clock, before, found, to=to, marked=marked is not None)
        tell(f"Verifying {before.size} events before.")
        await check(Within(here, clock))
        rows = {table.name: await _copy_table(here, there, table.name, tell) for table in TABLES}
        tell("Verifying what arrived.")
        arrived = Within(there, clock)
        await check(arrived)
        await _require_equal(here, there, clock)
        await here.execute(delete(t.moved))
        await here.execute(
            insert(t.moved).values(id=1, at=clock(), events=before.size, root=before.root(), to=to)
        )
        await here.commit()  # from here on nothing is served there
        await there.commit()  # from here on it can be served here
    return Copied(before.size, before.root(), rows, already=False)


async def cancel(engine: AsyncEngine) -> bool:
    """Takes the mark away, so that the source may be served again. Returns whether there was one."""
    async with engine.begin() as connection:
        await one_writer(connection)
        taken = await connection.execute(delete(t.moved))
    return bool(taken.rowcount)


async def _copy_table(
    here: AsyncConnection, there: AsyncConnection, name: str, tell: Callable[[str], None]
) -> int:
    table = t.metadata.tables[name]
    count = 0
    result = await here.stream(select(*_columns(table)).order_by(*_order(table, here)))
    async for part in result.mappings().partitions(BATCH):
        await there.execute(insert(table), [dict(row) for row in part])
        count += len(part)
        if count % (BATCH * 10) == 0:
            tell(f"{name}: {count} rows.")
    if count:
        tell(f"{name}: {count} rows.")
    return count


async def _rows(connection: AsyncConnection) -> dict[str, int]:
    counts = {}
    for table in t.metadata.tables.values():
        counts[table.name] = await connection.scalar(select(func.count()).select_from(table)) or 0
    return counts


async def _finished(
    there: AsyncConnection, clock: Clock, before: Frontier, found: dict[str, int], *, to: str, marked: bool
) -> Copied:
    """The copy that an earlier run finished; anything else in the target is refused."""
    held = await Within(there, clock).head()
    if marked and held == before:
        return Copied(held.size, held.root(), found, already=True)
    if held.size:
        what = f"a history of {held.size} events already"
    else:
        what = "rows in " + ", ".join(name for name, count in found.items() if count)
    raise NotEmpty(f"{to} is not empty: it holds {what}. Nothing was changed. Name a new database.")


async def _require_equal(here: AsyncConnection, there: AsyncConnection, clock: Clock) -> None:
    """Every row of every table arrived, in order, as it was: compared value by value."""
    if await Within(here, clock).head() != await Within(there, clock).head():
        raise BreakglassError(
            "The root of what arrived is another one. Nothing was kept; the source is as it was."
        )
    for table in TABLES:
        sent = await here.stream(select(*_columns(table)).order_by(*_order(table, here)))
        arrived = await there.stream(select(*_columns(table)).order_by(*_order(table, there)))
        try:
            while True:
                one, other = await sent.fetchmany(BATCH), await arrived.fetchmany(BATCH)
                if [tuple(row) for row in one] != [tuple(row) for row in other]:
                    raise BreakglassError(
                        f"What arrived in {table.name} is not what was sent. Nothing was kept; the source "
                        "is as it was."
                    )
                if not one:
                    break
        finally:
            await sent.close()
            await arrived.close()


def _columns(table: Table) -> list[ColumnElement[Any]]:
    """What is copied. Numbers of wrong codes mean nothing, and on PostgreSQL a sequence gives them."""
    return [column for column in table.c if column is not t.failures.c.id]


def _order(table: Table, connection: AsyncConnection) -> list[ColumnElement[Any]]:
    """By primary key; text by its bytes, on every database."""
    if connection.dialect.name != "postgresql":
        return list(table.primary_key.columns)
    return [
        collate(column, "C") if isinstance(column.type, String | Text) else column
        for column in table.primary_key.columns
    ]
