"""A provider that obeys a script: it can refuse, hang, answer late, work without saying so, and lie.

`ledger` is its truth: what stories are judged by, whatever our tables say.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Handoff, Lease, Mark, Order, Secret


class Mood(Enum):
    """How the next call of one verb goes. Without a mood it goes well."""

    REFUSES = auto()
    """Says no; nothing happens."""
    IS_SILENT = auto()
    """Gives no answer; nothing happens."""
    WORKS_SILENTLY = auto()
    """Does it and gives no answer."""
    HANGS = auto()
    """Neither does it nor comes back."""
    WORKS_AND_HANGS = auto()
    """Does it and never comes back."""
    WORKS_LATE = auto()
    """Waits for `gate`, then does it and answers."""
    LATE_AND_SILENT = auto()
    """Waits for `gate`, then does it and gives no answer."""
    LIES = auto()
    """Says that it is done; nothing happens."""
    BREAKS = auto()
    """Fails in a way no adapter should, with a secret in the text."""


@dataclass
class Put:
    """One time that the provider let somebody in."""

    mark: Mark
    at: datetime
    until: datetime
    history: int
    """How many lines of our history were committed by then."""


@dataclass
class Pretend:
    """The adapter and its provider in one. Only we end access there, unless `ends_itself`."""

    clock: Callable[[], datetime]
    installation: str = "acme"
    ends_itself: bool = False
    with_handoff: bool = False
    ledger: dict[str, Lease] = field(default_factory=dict)
    puts: list[Put] = field(default_factory=list)
    gone_at: dict[Mark, datetime] = field(default_factory=dict)
    calls: list[tuple[str, Mark]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a call that waits for `gate` has arrived."""
    history_size: Callable[[], Awaitable[int]] | None = None
    _moods: defaultdict[str, deque[Mood]] = field(default_factory=lambda: defaultdict(deque))

    def will(self, verb: str, *moods: Mood) -> None:
        """The next calls of `verb` go like this, one after the other."""
        self._moods[verb].extend(moods)

    def of(self, verb: str) -> int:
        """How often `verb` was called."""
        return sum(called == verb for called, _ in self.calls)

    def foreign(self, mark: str = "bg-umbrella-000000") -> None:
        """Somebody else's access, with their mark or none."""
        self.ledger[mark] = Lease(Mark(mark), "somebody", {"role": "prod_ro"})

    def ending(self, order: Order) -> Ending:
        if not order.principal:
            raise BackendRefused("You have no account there.")
        return Ending(EndedBy.PROVIDER if self.ends_itself else EndedBy.BOT)

    async def grant(self, order: Order) -> Lease:
        async def put() -> None:
            history = await self.history_size() if self.history_size else 0
            if order.mark not in self.ledger:
                self.puts.append(Put(order.mark, self.clock(), order.expires_at, history))
            self.gone_at.pop(order.mark, None)
            self.ledger[order.mark] = Lease(order.mark, order.principal, order.scope, order.expires_at)

        await self._go("grant", order.mark, put)
        handoff = Handoff((("Password", Secret("hunter2 " + order.mark)),)) if self.with_handoff else None
        return replace(Lease(order.mark, order.principal, order.scope, order.expires_at), handoff=handoff)

    async def revoke(self, order: Order) -> None:
        async def drop() -> None:
            if self.ledger.pop(order.mark, None) is not None:
                self.gone_at[order.mark] = self.clock()

        await self._go("revoke", order.mark, drop)

    async def live(self) -> list[Lease]:
        async def look() -> None:
            for mark, lease in list(self.ledger.items()):
                if self.ends_itself and lease.expires_at is not None and lease.expires_at <= self.clock():
                    del self.ledger[mark]
                    self.gone_at[lease.mark] = lease.expires_at

        await self._go("live", Mark(""), look)
        return [lease for mark, lease in self.ledger.items() if mark.startswith(f"bg-{self.installation}-")]

    def by_hand(self, order: Order) -> str:
        return f"vault drop {order.mark}"

    async def _go(self, verb: str, mark: Mark, effect: Callable[[], Awaitable[Any]]) -> None:  # noqa: C901  one case per mood
        self.calls.append((verb, mark))
        moods = self._moods[verb]
        match moods.popleft() if moods else None:
            case None:
                await effect()
            case Mood.REFUSES:
                raise BackendRefused("The provider said no.")
            case Mood.IS_SILENT:
                raise BackendUnavailable("The provider gave no answer.")
            case Mood.WORKS_SILENTLY:
                await effect()
                raise BackendUnavailable("The provider gave no answer.")
            case Mood.HANGS:
                await asyncio.Event().wait()
            case Mood.WORKS_AND_HANGS:
                await effect()
                await asyncio.Event().wait()
            case Mood.WORKS_LATE | Mood.LATE_AND_SILENT as mood:
                self.asked.set()
                await self.gate.wait()
                await effect()
                if mood is Mood.LATE_AND_SILENT:
                    raise BackendUnavailable("The provider gave no answer.")
            case Mood.LIES:
                pass
            case Mood.BREAKS:
                raise RuntimeError("password=hunter2")
