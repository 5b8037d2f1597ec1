"""What else must happen in the very transaction that records a fact, or not at all.

Each function returns a step for `Store.record(..., also=[...])`. A step that raises undoes everything.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import BreakglassError, Refused
from bot.core.model import PersonId, RequestId
from bot.store import tables as t

Step = Callable[[AsyncConnection, datetime], Awaitable[None]]


class Duplicate(BreakglassError):
    """This very interaction was acted on before; nothing was changed now."""


def first_time(key: str) -> Step:
    """Acts on the interaction `key` once, across deliveries and restarts; raises `Duplicate` afterwards."""

    async def step(connection: AsyncConnection, at: datetime) -> None:
        try:
            await connection.execute(insert(t.seen).values(key=key, at=at))
        except IntegrityError:
            raise Duplicate(key) from None

    return step


def ends_at(backend: str) -> Step:
    """Raises `Refused` where an end is overdue and not confirmed: anything new might not end either."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        rows = t.requests.c
        overdue = select(rows.id).where(t.is_stuck(), rows.backend == backend)
        stuck = await connection.scalar(overdue.order_by(rows.opened_at).limit(1))
        if stuck is not None:
            raise Refused(
                f"No new access is granted at {backend}: the end of {stuck} there is overdue and not "
                "confirmed. Security was told what to do; try again once it has ended, or ask for something "
                "at another backend.",
                code="backend_stuck",
                field="access",
            )

    return step


def use_code(person: PersonId, time_step: int, unless: Step | None = None) -> Step:
    """Uses up the TOTP time step by compare-and-set: of two at once one wins, the other is `Refused`.

    Args:
        person: whose code it is.
        time_step: the step it belongs to.
        unless: runs first, in the same transaction; what it raises stands.
    """

    async def step(connection: AsyncConnection, at: datetime) -> None:
        if unless is not None:
            await unless(connection, at)
        row = t.factors.c
        used = await connection.execute(
            update(t.factors)
            .where(row.person == person, row.last_step < time_step)
            .values(last_step=time_step)
        )
        if used.rowcount != 1:
            raise Refused(
                "This code was used already. Wait for the next one (at most 30 s) and enter that.",
                code="replayed",
                field="code",
            )
        await connection.execute(delete(t.failures).where(t.failures.c.person == person))

    return step


def count_failure(person: PersonId) -> Step:
    """Remembers a wrong code."""

    async def step(connection: AsyncConnection, at: datetime) -> None:
        await connection.execute(insert(t.failures).values(person=person, at=at))

    return step


class Miscounted(BreakglassError):
    """There are more or fewer wrong codes than when it was looked; looking again tells how many."""


def failures_are(known: int, person: PersonId, within: timedelta) -> Step:
    """Raises `Miscounted` unless `person` has just `known` wrong codes within the last `within`."""

    async def step(connection: AsyncConnection, at: datetime) -> None:
        if await _failures(connection, person, at - within) != known:
            raise Miscounted(person)

    return step


def fewer_failures(person: PersonId, most: int, within: timedelta, otherwise: Refused) -> Step:
    """Raises `otherwise` when `person` has `most` wrong codes within the last `within`, or more."""

    async def step(connection: AsyncConnection, at: datetime) -> None:
        if await _failures(connection, person, at - within) >= most:
            raise otherwise

    return step


async def _failures(connection: AsyncConnection, person: PersonId, since: datetime) -> int:
    row = t.failures.c
    wrong = await connection.scalar(select(func.count()).where(row.person == person, row.at > since))
    return wrong or 0


def issue_token(person: PersonId, digest: bytes, expires_at: datetime) -> Step:
    """Keeps the hash of an enrolment token; an earlier one of this person is void.

    It also lifts a lock-out by wrong codes: a stolen session must not lock its owner out, and the operator
    who issues the token is the second person that this takes.
    """

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        await connection.execute(delete(t.tokens).where(t.tokens.c.person == person))
        await connection.execute(delete(t.failures).where(t.failures.c.person == person))
        await connection.execute(insert(t.tokens).values(person=person, digest=digest, expires_at=expires_at))

    return step


def take_token(person: PersonId, digest: bytes) -> Step:
    """Uses the enrolment token up; raises `Refused` when it is not there any more."""

    async def step(connection: AsyncConnection, at: datetime) -> None:
        row = t.tokens.c
        taken = await connection.execute(
            delete(t.tokens).where(row.person == person, row.digest == digest, row.expires_at > at)
        )
        if taken.rowcount != 1:
            raise Refused(
                "This enrolment token is not valid for you: wrong, used or expired. "
                "Ask the operator for a new one.",
                code="bad_token",
                field="token",
            )

    return step


def enrol(person: PersonId, sealed: bytes, last_step: int) -> Step:
    """Stores the person's second factor in place of any earlier one, with its first code already used.

    Time steps go on where the earlier factor left off, so that no two proofs of a person ever carry the same.
    """

    async def step(connection: AsyncConnection, at: datetime) -> None:
        rows = t.factors.c
        used = await connection.scalar(select(rows.last_step).where(rows.person == person))
        await connection.execute(delete(t.factors).where(rows.person == person))
        await connection.execute(delete(t.failures).where(t.failures.c.person == person))
        await connection.execute(
            insert(t.factors).values(
                person=person,
                sealed=sealed,
                last_step=last_step if used is None else max(used, last_step),
                enrolled_at=at,
            )
        )

    return step


def keep_handoff(request: RequestId, sealed: bytes) -> Step:
    """Keeps the encrypted one-time credential until it is shown or the access ends."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        await connection.execute(insert(t.handoffs).values(request=request, sealed=sealed))

    return step


def drop_handoff(request: RequestId) -> Step:
    """Forgets it."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        await connection.execute(delete(t.handoffs).where(t.handoffs.c.request == request))

    return step


def advance(stream: str, position: int) -> Step:
    """Moves a reader of the history to `position`."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        moved = await connection.execute(
            update(t.cursors).where(t.cursors.c.stream == stream).values(position=position)
        )
        if not moved.rowcount:
            await connection.execute(insert(t.cursors).values(stream=stream, position=position))

    return step


def foreign(channel: str, *messages: str) -> Step:
    """Remembers these messages (by ts) as not ours; raises `Duplicate` when one of them was told before."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        row = {"channel": channel, "stream": t.FOREIGN, "first": 0, "last": 0}
        try:
            await connection.execute(insert(t.posts), [{**row, "ts": ts} for ts in messages])
        except IntegrityError:
            raise Duplicate(channel) from None

    return step


def posts_are(state: str, channel: str, *messages: str) -> Step:
    """Keeps that these messages of ours (by ts) are `gone`, or `changed`; a gone one stays so.

    Raises `Duplicate` when all of them were told to be so before.
    """

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        rows = t.posts.c
        kept: list[RowMapping] = []
        for first in range(0, len(messages), t.MANY):
            which = and_(
                rows.channel == channel,
                rows.ts.in_(messages[first : first + t.MANY]),
                rows.stream != t.FOREIGN,
                rows.state.not_in({state, t.GONE}),
            )
            kept += (await connection.execute(select(t.posts).where(which))).mappings().all()
            await connection.execute(delete(t.posts).where(which))
        if not kept:
            raise Duplicate(channel)
        await connection.execute(insert(t.posts), [{**row, "state": state} for row in kept])

    return step


def bind_team(team: str) -> Step:
    """Binds the installation to one workspace, for good."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        found = await connection.scalar(select(t.installation.c.team))
        if found not in {"", team}:
            raise Refused(f"This installation belongs to workspace {found}, not {team}.", code="other_team")
        await connection.execute(update(t.installation).values(team=team))

    return step


def forget(before: datetime) -> Step:
    """Forgets interactions and wrong codes older than `before`: nothing delivers or counts them any more."""

    async def step(connection: AsyncConnection, _at: datetime) -> None:
        await connection.execute(delete(t.seen).where(t.seen.c.at < before))
        await connection.execute(delete(t.failures).where(t.failures.c.at < before))

    return step
