"""Who is who, as Slack says. Answers come from memory; Slack is asked beside the work, not in its way.

Rules: a role is the people it lists and the members of its user groups, nobody else. What is remembered is at
most `MAX_AGE` old: Slack's own events renew it within seconds, a refresh every minute catches lost ones, and
what is older is asked for again before anybody decides on it. When Slack does not answer, nobody has a say.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import Refused
from bot.core.model import OPERATOR, SYSTEM, Person, PersonId, Roster
from bot.slack.views.text import Faces
from bot.store import Clock

MAX_AGE: Final = timedelta(minutes=5)
REFRESH: Final = timedelta(minutes=1)
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
        self._people: dict[PersonId, tuple[Person | None, datetime]] = {}
        self._groups: dict[str, tuple[frozenset[PersonId], datetime]] = {}
        self._asking = asyncio.Semaphore(8)
        self.team = ""

    async def roster(self, *persons: PersonId) -> Roster:
        """Roles and these persons, none of it older than `MAX_AGE`.

        Raises:
            Refused: Slack does not answer, so nobody can be trusted to be who they are.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for person in {*persons} - {OPERATOR, SYSTEM}:
                    group.create_task(self._person(person))
                for handle in self._handles():
                    group.create_task(self._group(handle))
        except* TROUBLE:
            raise Refused(
                "Slack does not answer who is who, so nothing can be decided now. Try again in a moment; "
                "ending access works all the same.",
                code="directory_down",
            ) from None
        return self.known()

    def known(self) -> Roster:
        """What is remembered, however old: enough to take access away, never to give it."""
        people = {id: person for id, (person, _) in self._people.items() if person is not None}
        roles = {
            name: frozenset(map(PersonId, role.users)).union(
                *(self._groups[handle][0] for handle in role.groups if handle in self._groups)
            )
            for name, role in self._roles.items()
        }
        return Roster(people, roles)

    def faces(self) -> Faces:
        """What people are called, and whom to mention for a role: its groups, and the people it lists."""
        names = {id: person.name for id, (person, _) in self._people.items() if person is not None}
        return Faces(names, {name: (*role.users, *role.groups) for name, role in self._roles.items()})

    async def keep_fresh(self) -> None:
        """Asks again every minute for everyone in a role, until cancelled."""
        while True:
            await self.refresh()
            await self._pause(REFRESH.total_seconds())

    async def refresh(self) -> None:
        """Asks again now; what Slack does not answer stays as old as it is."""
        asked = [self._ask_group(handle) for handle in self._handles()]
        await asyncio.gather(*asked, return_exceptions=True)
        everyone = frozenset().union(*self.known().roles.values())
        people = [self._ask_person(person) for person in everyone]
        await asyncio.gather(*people, return_exceptions=True)

    # --- Slack's events ---------------------------------------------------------------------------------

    def changed(self, user: Mapping[str, Any]) -> None:
        """`user_change`: Slack sends the whole user."""
        self._people[PersonId(user["id"])] = (read_person(user, self.team), self._clock())

    def regrouped(self, handle: str) -> None:
        """`subteam_members_changed` and the like: forget the group, so that it is asked for at once."""
        self._groups.pop(handle, None)

    # --- asking Slack -----------------------------------------------------------------------------------

    def _handles(self) -> set[str]:
        return {handle for role in self._roles.values() for handle in role.groups}

    async def _person(self, id: PersonId) -> None:
        known = self._people.get(id)
        if known is None or self._clock() - known[1] > MAX_AGE:
            await self._ask_person(id)

    async def _group(self, handle: str) -> None:
        known = self._groups.get(handle)
        if known is None or self._clock() - known[1] > MAX_AGE:
            await self._ask_group(handle)

    async def _ask_person(self, id: PersonId) -> None:
        async with self._asking:
            try:
                answer = await self._client.users_info(user=id)
            except SlackApiError as error:
                if said(error) not in {"user_not_found", "user_not_visible"}:
                    raise
                self._people[id] = (None, self._clock())
                return
        self._people[id] = (read_person(answer["user"], self.team), self._clock())

    async def _ask_group(self, handle: str) -> None:
        async with self._asking:
            try:
                answer = await self._client.usergroups_users_list(usergroup=handle)
            except SlackApiError as error:
                if said(error) != "no_such_subteam":
                    raise
                self._groups[handle] = (frozenset(), self._clock())  # a group that is gone is nobody
                return
        self._groups[handle] = (frozenset(map(PersonId, answer["users"])), self._clock())


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
