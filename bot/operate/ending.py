"""Ending access by the operator's hand: also while Slack is down, and while no server runs.

Rule: the order is committed first, then carried out at once. A server that runs goes on with whatever the
provider did not confirm.
"""

from collections.abc import Mapping
from typing import TypedDict

from bot.config import Config
from bot.core.errors import Stale
from bot.core.machine import SAYS
from bot.core.model import HELD, OPERATOR, PersonId, RequestId, Roster, State
from bot.desk import Desk
from bot.office import office


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
    config: Config, env: Mapping[str, str], *, id: str | None, person: str | None, reason: str
) -> list[RevokedRow]:
    """Orders the end of one request, of all that `person` holds, or of all, and attempts each at once.

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
            found = [await place.store.get(_typed(id))]
        else:
            found = await place.store.held_by(PersonId(person) if person else None)
        rows: list[RevokedRow] = []
        for request in found:
            if id is not None and request.state not in HELD:
                raise Stale(f"{request.id} {SAYS[request.state]} There is no access to end.")
            ordered = request
            if request.state is not State.REVOKING:
                ordered = await desk.revoke(request.id, OPERATOR, reason)
            after = await place.access.take(ordered)
            gone = after.state is not State.REVOKING
            error = after.end.last_error if after.end else ""
            sentence = (
                "ended; the provider, asked again, no longer has it."
                if gone
                else f"ordered, but not confirmed ({error}). A running server goes on trying; so can you."
            )
            rows.append({"id": after.id, "state": after.state.value, "ended": gone, "sentence": sentence})
        return rows


def _typed(id: str) -> RequestId:
    bare = id.strip().upper().removeprefix("BG-")
    return RequestId(f"BG-{bare}")
