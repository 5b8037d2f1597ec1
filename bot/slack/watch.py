"""Slack's events that change what we know: people, groups, and the audit channel. One line each, no logic.

Rule: an event is acknowledged once it is recorded; until then Slack keeps it and tries again.
"""

from collections.abc import Callable
from typing import Any, Final

from slack_bolt.async_app import AsyncApp

from bot.core.model import PersonId
from bot.slack.channel import AuditChannel
from bot.slack.people import SlackPeople

CHANNEL_EVENTS: Final = (
    "channel_archive",
    "channel_deleted",
    "channel_history_changed",
    "channel_left",
    "channel_rename",
    "channel_shared",
    "channel_unarchive",
    "channel_unshared",
    "group_archive",
    "group_deleted",
    "group_history_changed",
    "group_left",
    "group_rename",
    "group_unarchive",
    "member_joined_channel",
    "member_left_channel",
)


def register(
    app: AsyncApp, people: SlackPeople, channel: AuditChannel, changed: Callable[[PersonId], None]
) -> None:
    """Subscribes to them; `changed` hears of everybody about whom something is new."""

    async def user_changed(event: dict[str, Any]) -> None:
        people.changed(event["user"])
        changed(PersonId(event["user"]["id"]))

    async def group_changed(event: dict[str, Any]) -> None:
        people.regrouped(event.get("subteam_id") or event.get("subteam", {}).get("id", ""))

    async def said(event: dict[str, Any]) -> None:
        await channel.message(event)

    async def channel_changed(event: dict[str, Any]) -> None:
        await channel.changed(event)

    async def thrown_out(event: dict[str, Any]) -> None:
        await channel.lost(f"Slack says {event['type']}.")

    app.event("user_change")(user_changed)
    app.event("subteam_members_changed")(group_changed)
    app.event("subteam_updated")(group_changed)
    app.event("message")(said)
    for kind in CHANNEL_EVENTS:
        app.event(kind)(channel_changed)
    app.event("app_uninstalled")(thrown_out)
    app.event("tokens_revoked")(thrown_out)
