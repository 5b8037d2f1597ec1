"""What `breakglass check` asks of Slack, and nothing else: people, groups, channels, our own rights."""

from collections.abc import Awaitable, Collection, Mapping
from typing import Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.check import Channel, NotShown, Us, WorkspaceSilent
from bot.core.model import Person, PersonId, Secret
from bot.slack.people import TROUBLE, read_person, said

UNKNOWN: Final = frozenset({"user_not_found", "user_not_visible", "no_such_subteam", "channel_not_found"})
"""Slack's words for: there is no such thing, or not for you."""

NOT_SHOWN: Final = frozenset({"missing_scope", "plan_upgrade_required", "team_access_not_granted"})
"""Its words for: the app may not ask that here."""


class SlackFacts:
    """One workspace, as a list of facts.

    Args:
        client: Slack's Web API.
        app_token: the app-level token of Socket Mode; empty when HTTP is used.
    """

    def __init__(self, client: AsyncWebClient, app_token: Secret) -> None:
        self._client = client
        self._app_token = app_token
        self._team = ""

    async def us(self) -> Us:
        """Who the bot token is, and what it may do, as Slack says in a header of every answer."""
        try:
            answer = await self._client.auth_test()
        except TROUBLE as error:
            raise _silence(error) from None
        self._team = str(answer.get("team_id", ""))
        listed = next((v for k, v in answer.headers.items() if k.lower() == "x-oauth-scopes"), None)
        scopes = (
            None
            if listed is None
            else frozenset(scope.strip() for scope in listed.split(",") if scope.strip())
        )
        return Us(str(answer.get("team", "")), self._team, str(answer.get("user", "")), scopes)

    async def connects(self) -> str:
        """Slack's word against the app-level token. The address it gives is used by nobody and lapses."""
        if not self._app_token.reveal():
            return ""
        try:
            await self._client.apps_connections_open(app_token=self._app_token.reveal())
        except TROUBLE as error:
            return said(error)
        return ""

    async def people(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """Those of `ids` that Slack knows."""
        found = {}
        for id in ids:
            answer = await _asked(self._client.users_info(user=id))
            if answer is not None:
                found[id] = read_person(answer["user"], self._team)
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


async def _asked(call: Awaitable[Any]) -> Any | None:  # noqa: ANN401  whatever the method answers
    try:
        return await call
    except SlackApiError as error:
        if said(error) in UNKNOWN:
            return None
        if said(error) in NOT_SHOWN:
            raise NotShown(said(error)) from None
        raise _silence(error) from None
    except TROUBLE as error:
        raise _silence(error) from None


def _silence(error: Exception) -> WorkspaceSilent:
    if isinstance(error, SlackApiError):
        return WorkspaceSilent(f"it said {said(error)}.", said(error))
    return WorkspaceSilent(f"it does not answer ({said(error)}).")
