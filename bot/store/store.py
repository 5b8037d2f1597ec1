"""The one door to the history.

`open`, `record` and `note` are the only ways anything is written about a request: they apply the events,
compare-and-set the version, append the events to the tree and run the steps that belong with them, in one
transaction. Everything outside happens afterwards and may be repeated.

The history itself is the queue of what must still be told: each reader (audit channel, direct messages)
keeps a cursor into it, so nothing can be recorded and then forgotten to be sent.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import ParamSpec, TypeVar

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.audit import canonical
from bot.audit.checkpoint import Checkpoint
from bot.audit.tree import Frontier, leaf_hash
from bot.core import events as e
from bot.core import machine
from bot.core.errors import BreakglassError, Stale
from bot.core.model import Request, RequestId, State, Words
from bot.store import tables as t
from bot.store.also import Step, advance
from bot.store.engine import one_writer
from bot.store.filing import columns_of
from bot.store.reader import Clock, Reader, Within

_Change = tuple[e.Event, Request | None, Request | None]


P = ParamSpec("P")
R = TypeVar("R")


def _to_the_end(write: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[None, None, R]]:
    """A write that has begun ends, also when whoever asked for it is cancelled; then they are.

    SQLite is asked in a thread: a transaction that is left in the middle keeps its lock until the collector
    comes by, and until then nobody writes.
    """

    @functools.wraps(write)
    async def whole(*args: P.args, **kwargs: P.kwargs) -> R:
        task = asyncio.ensure_future(write(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.gather(task, return_exceptions=True)
            raise

    return whole


class Raced(Stale):
    """The request changed between the look and the record. Looking again tells what is true now."""


class Store(Reader):
    """The database of one installation, with the right to write.

    Args:
        engine: from `engine.open_engine`, already migrated.
        clock: what time it is.
        policy: SHA-256 of the configuration in force; stands in every event.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock, policy: str = "") -> None:
        super().__init__(engine, clock)
        self._policy = policy
        self._listeners: list[Callable[[], object]] = []
        self._turn = asyncio.Lock()

    def on_commit(self, wake: Callable[[], object]) -> None:
        """Calls `wake()` after every commit, so that readers need not poll."""
        self._listeners.append(wake)

    @_to_the_end
    async def begin_history(self, installation: str, origin: str) -> None:
        """Makes the first entry of a new database; does nothing to one that has it.

        Raises:
            BreakglassError: the database belongs to another installation.
        """
        async with self._writing() as connection:
            if connection.dialect.name == "postgresql":  # there is no head row yet to take turns by
                await connection.execute(text("LOCK TABLE head IN SHARE ROW EXCLUSIVE MODE"))
            row = (await connection.execute(select(t.installation.c.name))).first()
            if row is None:
                await connection.execute(
                    insert(t.installation).values(id=1, name=installation, origin=origin)
                )
                await connection.execute(insert(t.head).values(id=1, frontier=Frontier().to_bytes()))
                event = e.InstallationCreated(installation=installation, origin=origin)
                await self._append(connection, [(event, None, None)], self.now())
            elif row.name != installation:
                raise BreakglassError(
                    f"This database is the history of installation {row.name!r}, not of {installation!r}. "
                    "Name another one in BREAKGLASS_DATABASE_URL, or mend `installation` in the file."
                )

    @_to_the_end
    async def open(self, event: e.RequestOpened, *more: e.Event, also: Iterable[Step] = ()) -> Request:
        """Begins a request and applies `more` to it."""
        async with self._writing() as connection:
            at = self.now()
            request = machine.open_request(event, at)
            lines: list[_Change] = [(event, None, request)]
            for following in more:
                lines.append((following, request, machine.apply(request, following, at)))
                request = lines[-1][2] or request
            await self._append(connection, lines, at)
            await connection.execute(
                insert(t.requests).values(
                    id=request.id, mark=request.mark, opened_at=at, **columns_of(request)
                )
            )
            await self._steps(connection, also, at)
        return request

    @_to_the_end
    async def record(self, request: Request, *events: e.Event, also: Iterable[Step] = ()) -> Request:
        """Applies `events` to `request`, which must not have changed meanwhile.

        Raises:
            Stale: an event cannot follow this state. Nothing was changed.
            Raced: somebody was faster. Nothing was changed; look again.
            Duplicate, Refused: from a step. Nothing was changed.
        """
        async with self._writing() as connection:
            at = self.now()
            after, lines = await self._changed(connection, request, events, at)
            await self._append(connection, lines, at)
            await self._steps(connection, also, at)
        return after

    @_to_the_end
    async def record_all(self, requests: Sequence[Request], event: e.Event) -> list[Request]:
        """The same for many requests in one commit: each of them, or none. For none there is no commit.

        Raises:
            Stale, Raced: for one of them. Nothing was changed.
        """
        if not requests:
            return []
        async with self._writing() as connection:
            at = self.now()
            after: list[Request] = []
            lines: list[_Change] = []
            for request in requests:
                one, its_lines = await self._changed(connection, request, [event], at)
                after.append(one)
                lines += its_lines
            await self._append(connection, lines, at)
        return after

    @_to_the_end
    async def note(self, *events: e.Event, also: Iterable[Step] = ()) -> None:
        """Records facts that change no request."""
        async with self._writing() as connection:
            at = self.now()
            await self._append(connection, [(event, None, None) for event in events], at)
            await self._steps(connection, also, at)

    @_to_the_end
    async def do(self, *steps: Step) -> None:
        """Runs steps that are no facts of the history (cursors, housekeeping)."""
        async with self._writing(quiet=True) as connection:
            await self._steps(connection, steps, self.now())

    async def reseal(self, renew: Callable[[bytes], bytes]) -> int:
        """Puts what `renew` makes of it in the place of everything that rests encrypted, or of nothing.

        Returns how many were changed.
        """
        async with self._writing(quiet=True) as connection:
            factors, handoffs = await Within(connection, self.now).sealed()
            changed = 0
            for person, sealed in factors.items():
                if (anew := renew(sealed)) != sealed:
                    row = t.factors.c.person == person
                    await connection.execute(update(t.factors).where(row).values(sealed=anew))
                    changed += 1
            for request, sealed in handoffs.items():
                if (anew := renew(sealed)) != sealed:  # a handoff comes and goes: its row may not be updated
                    await connection.execute(delete(t.handoffs).where(t.handoffs.c.request == request))
                    await connection.execute(insert(t.handoffs).values(request=request, sealed=anew))
                    changed += 1
        return changed

    async def told(
        self, stream: str, channel: str, ts: str, first: int, last: int, *, again: bool = False
    ) -> None:
        """Keeps in the ledger that our message `ts` carries `first` to `last`.

        It moves the stream's cursor, unless that was told before and is told `again`.
        """

        async def keep(connection: AsyncConnection, _at: datetime) -> None:
            await connection.execute(delete(t.posts).where(t.posts.c.channel == channel, t.posts.c.ts == ts))
            row = {"channel": channel, "ts": ts, "stream": stream, "first": first, "last": last}
            await connection.execute(insert(t.posts).values(**row))

        await self.do(keep, *([] if again else [advance(stream, last + 1)]))

    async def show_card(self, id: RequestId, channel: str, ts: str, version: int) -> None:
        """Keeps where the request's card is, and which version of the request it shows."""

        async def keep(connection: AsyncConnection, _at: datetime) -> None:
            await connection.execute(delete(t.cards).where(t.cards.c.request == id))
            row = {"request": id, "channel": channel, "ts": ts, "version": version}
            await connection.execute(insert(t.cards).values(**row))

        await self.do(keep)

    @_to_the_end
    async def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Stores a signed checkpoint."""

        async def step(connection: AsyncConnection, at: datetime) -> None:
            last = await connection.scalar(select(func.max(t.checkpoints.c.id)))
            await connection.execute(
                insert(t.checkpoints).values(
                    id=(last or 0) + 1,
                    size=checkpoint.size,
                    root=checkpoint.root,
                    note=checkpoint.note,
                    at=at,
                )
            )

        async with self._writing() as connection:
            await step(connection, self.now())

    async def _changed(
        self, connection: AsyncConnection, request: Request, events: Sequence[e.Event], at: datetime
    ) -> tuple[Request, list["_Change"]]:
        """Sets the row of `request` to what `events` make of it. Returns that, and the lines to append."""
        lines: list[_Change] = []
        after = request
        for event in events:
            lines.append((event, after, machine.apply(after, event, at)))
            after = lines[-1][2] or after
        changed = await connection.execute(
            update(t.requests)
            .where(t.requests.c.id == request.id, t.requests.c.version == request.version)
            .values(**columns_of(after))
        )
        if changed.rowcount != 1:
            current = await self._look(connection, request.id)
            raise Raced(f"{request.id} {machine.SAYS[current.state]}")
        if after.state is State.REVOKING:
            await connection.execute(delete(t.handoffs).where(t.handoffs.c.request == request.id))
        return after, lines

    async def _append(self, connection: AsyncConnection, changes: Sequence["_Change"], at: datetime) -> None:
        if not changes:
            return
        frontier = await connection.scalar(select(t.head.c.frontier))
        assert frontier is not None, "begin_history() comes first"
        tree = Frontier.from_bytes(frontier)
        rows = []
        said: dict[str, Words] = {}
        for event, before, after in changes:
            body = canonical.event_bytes(
                event, seq=tree.size, at=at, before=before, after=after, policy=self._policy
            )
            leaf = leaf_hash(body)
            about = after.id if after else getattr(event, "about", None)
            rows.append(
                {
                    "seq": tree.size,
                    "at": at,
                    "type": e.type_of(event),
                    "request": about,
                    "body": body,
                    "leaf": leaf,
                }
            )
            said |= {words.commitment: words for words in canonical.words_in(event)}
            tree = tree.append(leaf)
        await connection.execute(insert(t.events), rows)
        if said:
            await connection.execute(
                insert(t.words),
                [{"commitment": w.commitment, "salt": w.salt, "text": w.text} for w in said.values()],
            )
        await connection.execute(update(t.head).values(frontier=tree.to_bytes()))

    async def _steps(self, connection: AsyncConnection, steps: Iterable[Step], at: datetime) -> None:
        for step in steps:
            await step(connection, at)

    @asynccontextmanager
    async def _writing(self, *, quiet: bool = False) -> AsyncIterator[AsyncConnection]:
        # Writers of one process take turns here: SQLite makes them look again and again, for up to 100 ms.
        async with self._turn, self.engine.begin() as connection:
            await one_writer(connection)
            yield connection
        if not quiet:
            for wake in self._listeners:
                wake()
