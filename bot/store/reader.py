"""The questions asked of the database. Rule: a question never waits for a writer and never writes."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.audit import canonical
from bot.audit.tree import Frontier, leaf_hash
from bot.core.errors import BreakglassError
from bot.core.model import HELD, TERMINAL, Mark, PersonId, Request, RequestId, State, Words
from bot.store import tables as t
from bot.store.filing import is_as_filed, readable, request_in
from bot.store.rows import (
    WORDS,
    Carried,
    Due,
    Held,
    Line,
    StoredCheckpoint,
    StoredWords,
    as_bytes,
    raw_column,
)

Clock = Callable[[], datetime]
"""Gives the time now, aware and in UTC."""

T = TypeVar("T")

MANY_WORDS = 5000
"""Rows of people's words read at once."""


class UnknownRequest(BreakglassError):
    """There is no request with that id."""


class Reader:
    """What can be asked of the database of one installation.

    Args:
        engine: from `engine.open_engine`.
        clock: what time it is.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock

    def now(self) -> datetime:
        """The time by which things are due."""
        return self._clock()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """Each question sees the database as it is then. Where two must agree, ask `at_once`."""
        async with self.engine.connect() as connection:
            yield await connection.execution_options(begin=None)

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator["Reader"]:
        """The database as it is now: all questions see the same history, whatever is added meanwhile.

        They are asked one after the other: it is one transaction.
        """
        async with self.engine.connect() as connection:
            await connection.execution_options(begin="BEGIN")
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield Within(connection, self._clock)

    # --- requests -----------------------------------------------------------------------------------------

    async def get(self, id: RequestId) -> Request:
        """The request with its words.

        Raises:
            UnknownRequest: there is none with this id.
        """
        async with self._reading() as connection:
            return (await self._with_words(connection, [await self._look(connection, id)]))[0]

    async def look(self, id: RequestId) -> Request:
        """The request as the rules see it: what people wrote is not fetched, only its commitments.

        Raises:
            UnknownRequest: there is none with this id.
        """
        async with self._reading() as connection:
            return await self._look(connection, id)

    async def several(self, ids: Sequence[RequestId]) -> list[Request]:
        """Those of these requests that there are, as the rules see them."""
        query = select(t.requests.c.body).where(t.requests.c.id.in_(ids))
        async with self._reading() as connection:
            return [request_in(body) for body in await connection.scalars(query)]

    async def _look(self, connection: AsyncConnection, id: RequestId) -> Request:
        body = await connection.scalar(select(t.requests.c.body).where(t.requests.c.id == id))
        if body is None:
            raise UnknownRequest(f"There is no request {id}. `status` lists those that are open.")
        return request_in(body)

    async def due(self, now: datetime, attempts: int) -> list[Due]:
        """What has come due, most overdue first; unread, so that one that is damaged hides no other.

        Of what is being revoked only the first `attempts` of each backend: no more are made at a time.
        """
        rows = t.requests.c
        order = (rows.due_at, rows.id)
        place = func.row_number().over(partition_by=(rows.state, rows.backend), order_by=order)
        due = (
            select(rows.id, rows.state, rows.backend, raw_column(rows.due_at), place.label("place"))
            .where(rows.due_at <= now)
            .subquery()
            .c
        )
        query = (
            select(due.id, due.state, due.backend, due.due_at)
            .where((due.state != State.REVOKING) | (due.place <= attempts))
            .order_by(due.due_at, due.id)
        )
        async with self._reading() as connection:
            found = await connection.execute(query)
            return [Due(RequestId(row.id), row.state, row.backend, row.due_at) for row in found]

    async def next_due(self, after: datetime) -> datetime | None:
        """The next moment later than `after` at which something comes due."""
        query = select(func.min(t.requests.c.due_at)).where(t.requests.c.due_at > after)
        async with self._reading() as connection:
            return cast("datetime | None", await connection.scalar(query))

    async def unfinished(self) -> list[Request]:
        """Everything that is not over: pending, held, or waiting for its review; oldest first."""
        rows = t.requests.c
        return await self._find(
            select(t.requests).where(rows.state.not_in(sorted(TERMINAL))).order_by(rows.opened_at)
        )

    async def held_by(self, person: PersonId | None = None) -> list[Request]:
        """What `person`, or anybody, may hold at this moment."""
        rows = t.requests.c
        query = select(t.requests).where(rows.state.in_(sorted(HELD)))
        if person is not None:
            query = query.where(rows.requester == person)
        return await self._find(query.order_by(rows.opened_at))

    async def of_person(self, person: PersonId, limit: int = 10) -> list[Request]:
        """What `person` asked for lately, newest first."""
        rows = t.requests.c
        return await self._find(
            select(t.requests).where(rows.requester == person).order_by(rows.opened_at.desc()).limit(limit)
        )

    async def by_marks(self, backend: str, marks: Iterable[Mark]) -> dict[Mark, Held]:
        """What we know of these marks at `backend`."""
        rows = t.requests.c
        async with self._reading() as connection:
            found = await connection.execute(
                select(rows.id, rows.state, rows.mark).where(
                    rows.backend == backend, rows.mark.in_(list(marks))
                )
            )
            return {Mark(row.mark): Held(RequestId(row.id), row.state) for row in found}

    async def everything(self) -> dict[RequestId, Request]:
        """Every request that can be read, for the verifier; `misfiled` names the others."""
        async with self._reading() as connection:
            bodies = await connection.scalars(select(t.requests.c.body))
            found = [request for body in bodies if (request := readable(body)) is not None]
            return {request.id: request for request in await self._with_words(connection, found)}

    async def misfiled(self) -> list[str]:
        """Ids of rows whose columns, by which a request is found and comes due, contradict their body."""
        columns = [raw_column(column) for column in t.requests.c]
        async with self._reading() as connection:
            rows = (await connection.execute(select(*columns).order_by(t.requests.c.id))).mappings()
            return [str(row["id"]) for row in rows if not is_as_filed(dict(row))]

    async def ids_in(self, states: Iterable[State], person: PersonId | None = None) -> list[RequestId]:
        """Requests in any of `states`, or those of `person`; oldest first, and unread like what is due."""
        rows = t.requests.c
        query = select(rows.id).where(rows.state.in_(sorted(states))).order_by(rows.opened_at)
        if person is not None:
            query = query.where(rows.requester == person)
        async with self._reading() as connection:
            return [RequestId(id) for id in await connection.scalars(query)]

    async def ids_active_at(self, backend: str) -> list[RequestId]:
        """What should exist at `backend` now; unread like what is due."""
        rows = t.requests.c
        query = select(rows.id).where(rows.backend == backend, rows.state == State.ACTIVE)
        async with self._reading() as connection:
            return [RequestId(id) for id in await connection.scalars(query.order_by(rows.opened_at))]

    async def backends_stuck(self) -> set[str]:
        """Those at which an end is overdue and not confirmed; unread like what is due."""
        async with self._reading() as connection:
            return set(await connection.scalars(select(t.requests.c.backend).where(t.is_stuck()).distinct()))

    async def requesters(self, states: Iterable[State]) -> set[PersonId]:
        """Whose requests are in any of `states`."""
        rows = t.requests.c
        query = select(rows.requester).where(rows.state.in_(sorted(states))).distinct()
        async with self._reading() as connection:
            return set(await connection.scalars(query))

    async def marks_held(self) -> set[Mark]:
        """The marks of whatever may be held at this moment."""
        rows = t.requests.c
        async with self._reading() as connection:
            return set(await connection.scalars(select(rows.mark).where(rows.state.in_(sorted(HELD)))))

    async def backends_in_use(self) -> set[str]:
        """Names of the backends at which something may exist."""
        rows = t.requests.c
        async with self._reading() as connection:
            found = await connection.scalars(
                select(rows.backend).where(rows.state.in_(sorted(HELD))).distinct()
            )
            return set(found)

    async def cards_behind(self, limit: int = 50) -> list[tuple[Request, str, str, int]]:
        """Requests whose card is behind: (request, channel, ts, version shown); ts is "" before the first."""
        rows, cards = t.requests.c, t.cards.c
        query = (
            select(t.requests, cards.channel, cards.ts, cards.version.label("shown"))
            .outerjoin(t.cards, cards.request == rows.id)
            .where((cards.request.is_(None)) | (cards.version < rows.version))
            .order_by(rows.opened_at)
            .limit(limit)
        )
        async with self._reading() as connection:
            found = (await connection.execute(query)).all()
            requests = await self._with_words(connection, [request_in(row.body) for row in found])
            return [
                (request, row.channel or "", row.ts or "", row.shown or 0)
                for request, row in zip(requests, found, strict=True)
            ]

    async def card_of(self, id: RequestId) -> tuple[str, str] | None:
        """(channel, ts) of the request's card."""
        cards = t.cards.c
        async with self._reading() as connection:
            row = (
                await connection.execute(select(cards.channel, cards.ts).where(cards.request == id))
            ).first()
            return (row.channel, row.ts) if row else None

    async def _find(self, query: Select[Any]) -> list[Request]:
        async with self._reading() as connection:
            return await self._requests(connection, query)

    async def _requests(self, connection: AsyncConnection, query: Select[Any]) -> list[Request]:
        # Only what is decoded: whatever somebody put into a column beside it, the body can be read.
        bodies = await connection.scalars(query.with_only_columns(t.requests.c.body))
        found = [request_in(body) for body in bodies]
        return await self._with_words(connection, found)

    async def _with_words(self, connection: AsyncConnection, found: list[T]) -> list[T]:
        wanted = sorted({words.commitment for item in found for words in canonical.words_in(item)})
        texts: dict[str, Words] = {}
        for first in range(0, len(wanted), t.MANY):
            some = t.words.c.commitment.in_(wanted[first : first + t.MANY])
            for row in await connection.execute(WORDS.where(some)):
                texts[row.commitment] = Words.stored(row.commitment, as_bytes(row.salt), as_bytes(row.text))
        return [canonical.with_texts(item, texts) for item in found]

    # --- the history ------------------------------------------------------------------------------------

    async def head(self) -> Frontier:
        """The tree as it stands."""
        async with self._reading() as connection:
            frontier = await connection.scalar(select(t.head.c.frontier))
            return Frontier.from_bytes(frontier) if frontier else Frontier()

    async def last_seq(self) -> int:
        """The highest position there is; -1 in an empty history."""
        async with self._reading() as connection:
            last = await connection.scalar(select(func.max(t.events.c.seq)))
            return -1 if last is None else int(last)

    async def lines(self, first: int, last: int) -> list[Line]:
        """Rows of the history with first <= seq < last, in order, as stored."""
        rows = t.events.c
        async with self._reading() as connection:
            found = await connection.execute(
                select(rows.seq, rows.body, rows.leaf, raw_column(rows.at), rows.type, rows.request)
                .where(rows.seq >= first, rows.seq < last)
                .order_by(rows.seq)
            )
            return [
                Line(row.seq, as_bytes(row.body), as_bytes(row.leaf), (row.at, row.type, row.request))
                for row in found
            ]

    async def records(self, first: int, last: int) -> list[canonical.Record]:
        """The same, decoded, with people's words."""
        decoded = [canonical.read(line.body) for line in await self.lines(first, last)]
        async with self._reading() as connection:
            return await self._with_words(connection, decoded)

    async def leaves(self, first: int, last: int) -> list[bytes]:
        """Leaf hashes computed afresh from the stored bytes, for the signer."""
        return [leaf_hash(line.body) for line in await self.lines(first, last)]

    async def words(self, after: str = "") -> list[StoredWords]:
        """The next rows of people's words whose commitment comes after `after`, as stored."""
        rows = t.words.c
        async with self._reading() as connection:
            found = await connection.execute(
                WORDS.where(rows.commitment > after).order_by(rows.commitment).limit(MANY_WORDS)
            )
            return [StoredWords(row.commitment, as_bytes(row.salt), as_bytes(row.text)) for row in found]

    async def cursor(self, stream: str) -> int:
        """How far the reader `stream` has come; 0 at first."""
        async with self._reading() as connection:
            found = await connection.scalar(select(t.cursors.c.position).where(t.cursors.c.stream == stream))
            return found or 0

    async def checkpoints(self, after: int = 0) -> list[StoredCheckpoint]:
        """Signed checkpoints in order, those with id > `after`."""
        rows = t.checkpoints.c
        async with self._reading() as connection:
            found = await connection.execute(select(t.checkpoints).where(rows.id > after).order_by(rows.id))
            return [StoredCheckpoint(row.id, row.size, row.root, row.note, row.at) for row in found]

    async def post(self, channel: str, ts: str) -> Carried | None:
        """What our message `ts` carries; None when it is none of ours."""
        rows = t.posts.c
        query = select(t.posts).where(rows.channel == channel, rows.ts == ts, rows.stream != t.FOREIGN)
        async with self._reading() as connection:
            row = (await connection.execute(query)).first()
            return Carried(row.stream, row.first, row.last, row.state) if row else None

    async def posts(self, channel: str, after: str = "") -> dict[str, Carried]:
        """Every message in `channel` later than the one with ts `after` that we know of, foreign ones too."""
        rows = t.posts.c
        query = select(t.posts).where(rows.channel == channel, rows.ts > after).order_by(rows.ts)
        async with self._reading() as connection:
            found = await connection.execute(query)
            return {row.ts: Carried(row.stream, row.first, row.last, row.state) for row in found}

    async def last_checkpoint(self) -> StoredCheckpoint | None:
        """The one signed last."""
        async with self._reading() as connection:
            row = (
                await connection.execute(select(t.checkpoints).order_by(t.checkpoints.c.id.desc()).limit(1))
            ).first()
            return StoredCheckpoint(row.id, row.size, row.root, row.note, row.at) if row else None

    # --- second factors, handoffs, posts ----------------------------------------------------------------

    async def factor(self, person: PersonId) -> tuple[bytes, int] | None:
        """(encrypted secret, last used time step) of `person`."""
        rows = t.factors.c
        async with self._reading() as connection:
            row = (
                await connection.execute(select(rows.sealed, rows.last_step).where(rows.person == person))
            ).first()
            return (row.sealed, row.last_step) if row else None

    async def enrolled(self) -> set[PersonId]:
        """Everyone with a second factor."""
        async with self._reading() as connection:
            return {PersonId(person) for person in await connection.scalars(select(t.factors.c.person))}

    async def sealed(self) -> tuple[dict[PersonId, bytes], dict[RequestId, bytes]]:
        """Everything that rests encrypted: second factors by person, uncollected credentials by request."""
        factors, handoffs = t.factors.c, t.handoffs.c
        async with self._reading() as connection:
            of_people = (await connection.execute(select(factors.person, factors.sealed))).all()
            of_requests = (await connection.execute(select(handoffs.request, handoffs.sealed))).all()
            return (
                {PersonId(row.person): as_bytes(row.sealed) for row in of_people},
                {RequestId(row.request): as_bytes(row.sealed) for row in of_requests},
            )

    async def failures(self, person: PersonId, within: timedelta) -> int:
        """Wrong codes of `person` in the last `within`."""
        rows = t.failures.c
        query = select(func.count()).where(rows.person == person, rows.at > self.now() - within)
        async with self._reading() as connection:
            return await connection.scalar(query) or 0

    async def token(self, person: PersonId) -> bytes | None:
        """Hash of the enrolment token that is valid now."""
        rows = t.tokens.c
        query = select(rows.digest).where(rows.person == person, rows.expires_at > self.now())
        async with self._reading() as connection:
            return cast("bytes | None", await connection.scalar(query))

    async def handoff(self, id: RequestId) -> bytes | None:
        """The encrypted one-time credential, while it is there."""
        async with self._reading() as connection:
            found = await connection.scalar(select(t.handoffs.c.sealed).where(t.handoffs.c.request == id))
            return cast("bytes | None", found)

    async def team(self) -> str:
        """The workspace this installation is bound to; empty before the first start."""
        async with self._reading() as connection:
            return await connection.scalar(select(t.installation.c.team)) or ""


class Within(Reader):
    """A reader inside one transaction: it sees what that sees.

    Args:
        connection: with a transaction of the caller's.
        clock: what time it is.
    """

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        super().__init__(connection.engine, clock)
        self._connection = connection

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        yield self._connection
