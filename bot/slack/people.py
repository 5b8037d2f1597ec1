"""Who is who, as Slack says. Answers come from memory; Slack is asked beside the work, not in its way.

Rules: a role is the people it lists and the members of its user groups, nobody else. Nobody decides on what
is older than `MAX_AGE`: Slack's own events renew it within seconds, a refresh every minute catches lost ones,
and what is too old all the same is asked for at the click. The refresh leaves half of what Slack allows to
the clicks, and they do not stand in line behind it. When Slack does not answer, nobody has a say.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import Refused
from bot.core.model import OPERATOR, SYSTEM, Person, PersonId, Roster
from bot.slack.views.text import Faces
from bot.store import Clock

MAX_AGE: Final = timedelta(minutes=5)
REFRESH: Final = timedelta(minutes=1)
PEOPLE_AT_ONCE: Final = 50
"""People who are asked for in one refresh. Slack allows at least 100 calls of users.info in a minute (tier 4)
and 20 of usergroups.list (tier 2), which gives all groups (docs.slack.dev, apis/web-api/rate-limits)."""

_CALLS: Final = 4
"""Calls of the refresh that are under way together."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

Pause = Callable[[float], Awaitable[None]]
"""Waits that many seconds: `asyncio.sleep`, unless a test is in a hurry."""

TROUBLE: Final = (SlackApiError, aiohttp.ClientError, TimeoutError, OSError)
"""What the Slack client raises when there was no good answer."""


def said(error: BaseException) -> str:
    """An error of the Slack client in a word, without what was sent; `unknown` when Slack gave none.

    A page of HTML or half an answer leaves no word, and the client raises the same error for them.
    """
    if not isinstance(error, SlackApiError):
        return type(error).__name__
    answer = getattr(error.response, "data", None)
    return str(answer.get("error") or "unknown") if isinstance(answer, dict) else "unknown"


class Role(Protocol):
    """A role as the configuration writes it."""

    @property
    def users(self) -> Iterable[str]:
        """Slack user ids."""
        ...

    @property
    def groups(self) -> Iterable[str]:
        """Slack user group ids."""
        ...


class _Known(NamedTuple):
    """A person as Slack gave them, None when it knows none; when it was asked, and its number among all."""

    person: Person | None
    at: datetime
    turn: int


class SlackPeople:
    """The directory of one workspace.

    Args:
        client: Slack's Web API.
        roles: from the configuration.
        clock: what time it is.
        pause: waits between two refreshes.
    """

    def __init__(
        self, client: AsyncWebClient, roles: Mapping[str, Role], clock: Clock, pause: Pause = asyncio.sleep
    ) -> None:
        self._client = client
        self._roles = roles
        self._clock = clock
        self._pause = pause
        self._people: dict[PersonId, _Known] = {}
        self._turn = 0
        self._groups: dict[str, frozenset[PersonId]] = {}
        self._groups_at = _NEVER
        self._regrouped: dict[str, int] = {}
        self._asking_groups: asyncio.Task[None] | None = None
        self.team = ""

    async def roster(self, *persons: PersonId) -> Roster:
        """Roles and these persons, none of it older than `MAX_AGE`.

        Raises:
            Refused: Slack does not answer, so nobody can be trusted to be who they are.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for person in {*persons} - {OPERATOR, SYSTEM}:
                    if self._is_old(self._asked(person)):
                        group.create_task(self._ask_person(person))
                group.create_task(self._fresh_groups())
        except* TROUBLE:
            raise Refused(
                "Slack does not answer who is who, so nothing can be decided now. Try again in a moment; "
                "ending access works all the same.",
                code="directory_down",
            ) from None
        return self.known()

    def known(self) -> Roster:
        """What is remembered, however old: enough to take access away, never to give it."""
        people = {id: person for id, (person, *_) in self._people.items() if person is not None}
        roles = {
            name: frozenset(map(PersonId, role.users)).union(
                *(self._groups.get(handle, frozenset()) for handle in role.groups)
            )
            for name, role in self._roles.items()
        }
        return Roster(people, roles)

    def faces(self) -> Faces:
        """What people are called, and whom to mention for a role: its groups, and the people it lists."""
        names = {id: person.name for id, (person, *_) in self._people.items() if person is not None}
        return Faces(names, {name: (*role.users, *role.groups) for name, role in self._roles.items()})

    async def keep_fresh(self, refresh: Callable[[], Awaitable[None]] | None = None) -> None:
        """Refreshes, or does this, every minute, until cancelled. The first time was at the start."""
        while True:
            await self._pause(REFRESH.total_seconds())
            await (refresh or self.refresh)()

    async def refresh(self, *persons: PersonId) -> None:
        """Asks again now for all groups, for these persons, and for those in a role; the oldest known first.

        What Slack does not answer stays as old as it is.
        """
        await asyncio.gather(self._ask_groups(), return_exceptions=True)
        others = frozenset().union(*self.known().roles.values()) - {*persons}
        both = [*sorted({*persons}, key=self._asked), *sorted(others, key=self._asked)]
        oldest = iter(both[:PEOPLE_AT_ONCE])

        async def ask_on() -> None:
            for person in oldest:
                await asyncio.gather(self._ask_person(person), return_exceptions=True)

        await asyncio.gather(*(ask_on() for _ in range(_CALLS)))

    # --- Slack's events ---------------------------------------------------------------------------------

    def changed(self, user: Mapping[str, Any]) -> None:
        """`user_change`: Slack sends the whole user."""
        self._keep(PersonId(user["id"]), read_person(user, self.team), self._now())

    def regrouped(self, handle: str) -> None:
        """`subteam_members_changed` and the like: the group is asked for before anybody decides.

        Until then its members are remembered: they may still take access away.
        """
        if handle in self._handles():
            self._regrouped[handle] = self._now()[1]

    # --- asking Slack -----------------------------------------------------------------------------------

    def _handles(self) -> set[str]:
        return {handle for role in self._roles.values() for handle in role.groups}

    def _asked(self, id: PersonId) -> datetime:
        return self._people[id].at if id in self._people else _NEVER

    def _is_old(self, asked: datetime) -> bool:
        return self._clock() - asked > MAX_AGE

    def _now(self) -> tuple[datetime, int]:
        """What time it is, and a number for what begins now."""
        self._turn += 1
        return self._clock(), self._turn

    def _keep(self, id: PersonId, person: Person | None, asked: tuple[datetime, int]) -> None:
        """Unless something that began later is known: an answer under way knows nothing of a newer event."""
        known = self._people.get(id)
        if known is None or known.turn < asked[1]:
            self._people[id] = _Known(person, *asked)

    async def _ask_person(self, id: PersonId) -> None:
        asked = self._now()
        try:
            answer = await self._client.users_info(user=id)
        except SlackApiError as error:
            if said(error) not in {"user_not_found", "user_not_visible"}:
                raise
            self._keep(id, None, asked)
        else:
            self._keep(id, read_person(answer["user"], self.team), asked)

    async def _fresh_groups(self) -> None:
        for _ in range(2):  # an answer that was under way already may not know of a change
            if self._is_old(self._groups_at) or self._regrouped:
                await self._ask_groups()

    async def _ask_groups(self) -> None:
        """Asks once for however many want to know."""
        if not self._handles():
            return
        if self._asking_groups is None:
            self._asking_groups = asyncio.create_task(self._ask_all_groups())
            self._asking_groups.add_done_callback(self._groups_asked)
        await asyncio.shield(self._asking_groups)

    async def _ask_all_groups(self) -> None:
        at, turn = self._now()
        answer = await self._client.usergroups_list(include_users=True)
        there = {group["id"]: group.get("users", ()) for group in answer["usergroups"]}
        # A group that is gone, or disabled, is nobody.
        self._groups = {h: frozenset(map(PersonId, there.get(h, ()))) for h in self._handles()}
        self._groups_at = at
        self._regrouped = {h: told for h, told in self._regrouped.items() if told > turn}

    def _groups_asked(self, asking: asyncio.Task[None]) -> None:
        self._asking_groups = None
        if not asking.cancelled():
            asking.exception()  # told to whoever waited; nobody may have


def read_person(user: Mapping[str, Any], team: str) -> Person:
    """A user as Slack's API gives it. Who is of another workspace than `team` is a stranger."""
    profile = user.get("profile", {})
    return Person(
        id=PersonId(user["id"]),
        name=profile.get("display_name") or user.get("real_name") or user.get("name") or user["id"],
        email=profile.get("email", ""),
        active=not user.get("deleted", False),
        is_bot=user.get("is_bot", False) or user["id"] == "USLACKBOT",
        is_guest=user.get("is_restricted", False) or user.get("is_ultra_restricted", False),
        is_stranger=user.get("is_stranger", False) or bool(team and user.get("team_id", team) != team),
    )
