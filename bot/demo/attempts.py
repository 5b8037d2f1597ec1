"""Trying the access: a few queries and an open session at the real production database, as somebody.

Rule: what is told is the database's own answer. Passwords that somebody pasted are used and not kept.
"""

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from bot.core.model import Secret
from bot.demo.production import Production, Session

QUERIES: Final = {
    "read": ("Read the orders", "SELECT id, customer, state FROM public.orders ORDER BY id"),
    "change": (
        "Repair the stuck order",
        "UPDATE public.orders SET state = 'paid' WHERE id = 2 RETURNING id, customer, state",
    ),
}
"""By name: what a button says, and the statement."""

KEPT: Final = 20
MOST_SESSIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Login:
    """With which login somebody tries: their own, or one that Slack showed them."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Attempt:
    """One query and the database's answer. `at` in seconds since 1970."""

    id: int
    at: float
    who: str
    login: str
    query: str
    columns: list[str]
    rows: list[list[str]]
    refused: str

    def to_json(self) -> dict[str, Any]:
        """For the panel."""
        return {name: getattr(self, name) for name in self.__slots__} | {"title": QUERIES[self.query][0]}


@dataclass(slots=True)
class Kept:
    """A session that somebody keeps open."""

    id: int
    who: str
    login: str
    session: Session

    def to_json(self) -> dict[str, Any]:
        """For the panel; moments in seconds since 1970."""
        cut = self.session.cut_at
        return {
            "id": self.id,
            "who": self.who,
            "login": self.login,
            "opened_at": self.session.opened_at.timestamp(),
            "cut_at": cut.timestamp() if cut else None,
            "words": self.session.words,
        }


@dataclass(slots=True)
class Attempts:
    """Everything tried at one production database. `who` is a handle."""

    production: Production
    made: deque[Attempt] = field(default_factory=lambda: deque(maxlen=KEPT))
    sessions: list[Kept] = field(default_factory=list)
    _allowed: set[tuple[str, str]] = field(default_factory=set)
    _refused: set[tuple[str, str]] = field(default_factory=set)
    _was_cut: set[str] = field(default_factory=set)
    _next: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def own(self, who: str) -> Login:
        """The login that somebody has on every day."""
        return Login(who, Secret(self.production.passwords[who]))

    async def query(self, who: str, login: Login, name: str) -> Attempt:
        """Runs the query of that name (a key of `QUERIES`)."""
        answer = await self.production.query(login.user, login.password.reveal(), QUERIES[name][1])
        (self._refused if answer.refused else self._allowed).add((who, name))
        made = Attempt(
            next(self._next),
            time.time(),
            who,
            login.user,
            name,
            answer.columns,
            [[str(value) for value in row] for row in answer.rows],
            answer.refused,
        )
        self.made.append(made)
        return made

    async def open(self, who: str, login: Login) -> str:
        """Opens a session and keeps it, once the orders can be read. Returns why not; empty: it is open."""
        if len([kept for kept in self.sessions if kept.session.cut_at is None]) >= MOST_SESSIONS:
            return f"{MOST_SESSIONS} sessions are open already. Close one first."
        made = await self.query(who, login, "read")
        if made.refused:
            return made.refused
        try:
            session = await self.production.session(login.user, login.password.reveal())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            return str(error)
        self.sessions = [*self.sessions[-KEPT:], Kept(next(self._next), who, login.user, session)]
        return ""

    async def close(self, id: int) -> None:
        """Hangs up a session, and forgets it; one that was cut is only forgotten."""
        for kept in [kept for kept in self.sessions if kept.id == id]:
            self.sessions.remove(kept)
            if kept.session.cut_at is not None:
                self._was_cut.add(kept.who)
            await kept.session.close()

    async def close_all(self) -> None:
        """Hangs up everything."""
        await asyncio.gather(*(kept.session.close() for kept in self.sessions))

    @property
    def allowed(self) -> frozenset[tuple[str, str]]:
        """(handle, query) of what the database answered."""
        return frozenset(self._allowed)

    @property
    def refused(self) -> frozenset[tuple[str, str]]:
        """The same of what it refused."""
        return frozenset(self._refused)

    @property
    def cut(self) -> frozenset[str]:
        """Whose open sessions the database cut."""
        return frozenset(self._was_cut | {k.who for k in self.sessions if k.session.cut_at is not None})
