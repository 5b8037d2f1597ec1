"""What `breakglass check` asks of Slack, and nothing else: people, groups, channels, and our own scopes."""

from collections.abc import Awaitable, Collection, Mapping
from typing import Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.check import Channel, WorkspaceSilent
from bot.core.model import Person, PersonId
from bot.slack.people import TROUBLE, read_person, said

UNKNOWN: Final = frozenset({"user_not_found", "user_not_visible", "no_such_subteam", "channel_not_found"})


class SlackFacts:
    """One workspace, as a list of facts.

    Args:
        client: Slack's Web API.
    """

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def people(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """Those of `ids` that Slack knows."""
        team = (await _asked(self._client.auth_test()) or {}).get("team_id", "")
        found = {}
        for id in ids:
            answer = await _asked(self._client.users_info(user=id))
            if answer is not None:
                found[id] = read_person(answer["user"], team)
        return found

    async def group_members(self, group: str) -> frozenset[PersonId] | None:
        """The members of a user group; None when there is no such group."""
        answer = await _asked(self._client.usergroups_users_list(usergroup=group))
        return None if answer is None else frozenset(map(PersonId, answer["users"]))

    async def channel(self, id: str) -> Channel | None:
        """A channel as the bot sees it; None when it sees none."""
        answer = await _asked(self._client.conversations_info(channel=id))
        if answer is None:
            return None
        channel = answer["channel"]
        return Channel(
            id=id,
            name=channel.get("name", ""),
            is_private=channel.get("is_private", False),
            is_archived=channel.get("is_archived", False),
            is_shared=channel.get("is_ext_shared", False) or channel.get("is_shared", False),
            is_member=channel.get("is_member", False),
        )

    async def scopes(self) -> frozenset[str]:
        """What the bot token may do, as Slack says in a header of every answer."""
        try:
            answer = await self._client.auth_test()
        except TROUBLE as error:
            raise WorkspaceSilent(f"it said {said(error)}.") from None
        listed = next((v for k, v in answer.headers.items() if k.lower() == "x-oauth-scopes"), "")
        return frozenset(scope.strip() for scope in listed.split(",") if scope.strip())


async def _asked(call: Awaitable[Any]) -> Any | None:  # noqa: ANN401  whatever the method answers
    try:
        return await call
    except SlackApiError as error:
        if said(error) in UNKNOWN:
            return None
        raise WorkspaceSilent(f"it said {said(error)}.") from None
    except TROUBLE as error:
        raise WorkspaceSilent(f"it does not answer ({said(error)}).") from None
