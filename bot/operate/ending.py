"""Ending access by the operator's hand: also while Slack is down, and while no server runs.

Rule: the order is committed first, then carried out at once. Of several, every order is committed before any
provider is asked, and nothing that happens to one keeps another from ending: what became of each is listed.
A server that runs goes on with whatever the provider did not confirm.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, TypedDict

from bot.access import AT_ONCE, Access
from bot.config import Config
from bot.core.errors import Stale
from bot.core.machine import SAYS
from bot.core.model import HELD, OPERATOR, PersonId, Request, RequestId, Roster, State
from bot.desk import Desk, mark_of
from bot.office import Office, office

log = logging.getLogger(__name__)


class RevokedRow(TypedDict):
    """How one revoke went. `ended`: the provider, asked again, no longer has it."""

    id: str
    state: str
    ended: bool
    sentence: str


class Nobody:
    """The directory where Slack is not asked: the operator is known by having this shell."""

    async def roster(self, *_persons: PersonId) -> Roster:
        """Nobody."""
        return self.known()

    def known(self) -> Roster:
        """Nobody."""
        return Roster({}, {})


async def revoke(
    config: Config,
    env: Mapping[str, str],
    *,
    id: str | None,
    person: str | None,
    reason: str,
    tell: Callable[[str], None] = lambda _sentence: None,
) -> list[RevokedRow]:
    """Orders the end of one request, of all that `person` holds, or of all, and attempts each at once.

    Neither `id` nor `person` means all. `tell` hears how far it has come.

    Raises:
        UnknownRequest, Stale: `id` names nothing that can be ended.
    """
    async with office(config, env, complete=False) as place:
        desk = Desk(
            policy=config.policy,
            installation=config.installation,
            store=place.store,
            access=place.access,
            providers=place.providers,
            people=Nobody(),
            factors=place.factors,
            closed=lambda: None,
            start=lambda _request: None,
        )
        if id is not None:
            request = await place.store.look(_typed(id))
            if request.state not in HELD:
                raise Stale(f"{request.id} {SAYS[request.state]} There is no access to end.")
            if request.state is not State.REVOKING:
                request = await desk.revoke(request.id, OPERATOR, reason)
            return [await _taken(place.access, request)]
        switch = KillSwitch(place, desk, config.installation, reason)
        await switch.order(PersonId(person) if person else None)
        if switch.orders:
            tell(f"Ordered for {len(switch.orders)}. Now the providers are asked.")
        return await switch.attempt()


class KillSwitch:
    """Ends many, none of which waits for another.

    Args:
        place: the installation.
        desk: where the orders are given.
        installation: its name.
        reason: of them all.
    """

    def __init__(self, place: Office, desk: Desk, installation: str, reason: str) -> None:
        self._place = place
        self._desk = desk
        self._installation = installation
        self._reason = reason
        self._hands: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self.orders: dict[RequestId, Request | RevokedRow] = {}
        """Each with the request as it is ordered, or what it came to without an attempt."""

    async def order(self, person: PersonId | None) -> None:
        """Commits all orders. What was granted meanwhile is found by looking again."""
        store = self._place.store
        while new := [id for id in await store.ids_in(HELD, person) if id not in self.orders]:
            for id in new:
                try:
                    self.orders[id] = await self._order(id)
                except Exception as error:
                    log.exception("%s could not be ordered to end.", id)
                    self.orders[id] = self._unordered(id, error)

    async def _order(self, id: RequestId) -> Request | RevokedRow:
        request = await self._place.store.look(id)
        try:
            if request.state is not State.REVOKING:
                request = await self._desk.revoke(id, OPERATOR, self._reason, killing=True)
        except Stale:  # it ended, or is ending, by somebody else's doing
            request = await self._place.store.look(id)
        if request.state in HELD and request.state is not State.REVOKING:
            raise Stale(f"{id} {SAYS[request.state]}")
        return request if request.state is State.REVOKING else _row(request)

    async def attempt(self) -> list[RevokedRow]:
        """One attempt at each, many at a time. Returns what became of all of them."""
        return await asyncio.gather(*(self._attempt(ordered) for ordered in self.orders.values()))

    async def _attempt(self, ordered: Request | RevokedRow) -> RevokedRow:
        if not isinstance(ordered, Request):
            return ordered
        async with self._hands[ordered.terms.backend]:
            try:
                return await _taken(self._place.access, ordered)
            except Exception as error:
                log.exception("What became of %s could not be recorded.", ordered.id)
                sentence = f"ordered and attempted, but the outcome is not recorded ({type(error).__name__})."
                return _as_row(ordered, ended=False, sentence=f"{sentence} {GOES_ON}")

    def _unordered(self, id: RequestId, error: Exception) -> RevokedRow:
        mark = mark_of(self._installation, id)
        what = error.sentence if isinstance(error, Stale) else type(error).__name__
        sentence = f"NOT ordered ({what}). Try again; if that does not help, end {mark} by hand."
        return {"id": id, "state": "", "ended": False, "sentence": sentence}


GOES_ON: Final = "A running server goes on trying; so can you."


async def _taken(access: Access, request: Request) -> RevokedRow:
    """One attempt. None is recorded where none can be made from here: it would put off the server's own."""
    because = access.out_of_reach(request)
    return _row(await access.take(request)) if because is None else _unconfirmed(request, because)


def _row(request: Request) -> RevokedRow:
    if request.state is State.REVOKING:
        return _unconfirmed(request, request.end.last_error if request.end else "")
    return _as_row(request, ended=True, sentence="ended; the provider, asked again, no longer has it.")


def _unconfirmed(request: Request, error: str) -> RevokedRow:
    return _as_row(request, ended=False, sentence=f"ordered, but not confirmed ({error}). {GOES_ON}")


def _as_row(request: Request, *, ended: bool, sentence: str) -> RevokedRow:
    return {"id": request.id, "state": request.state.value, "ended": ended, "sentence": sentence}


def _typed(id: str) -> RequestId:
    bare = id.strip().upper().removeprefix("BG-")
    return RequestId(f"BG-{bare}")
