"""Door: a small app that stands for any app. Its manifest, and how a test connects it."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.sandbox import App

Connect = Callable[[AsyncApp, App], Awaitable[AsyncSocketModeHandler]]

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Door"},
    "features": {
        "app_home": {"home_tab_enabled": True},
        "bot_user": {"display_name": "door"},
        "slash_commands": [{"command": "/door", "description": "Open the door", "should_escape": True}],
        "shortcuts": [{"name": "Open", "type": "global", "callback_id": "open", "description": "Open it"}],
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                *("commands", "chat:write", "users:read", "usergroups:read", "im:write", "im:history"),
                *("channels:read", "channels:history", "groups:read", "groups:history", "pins:write"),
            ]
        }
    },
    "settings": {
        "event_subscriptions": {
            "bot_events": [
                *(
                    "app_home_opened",
                    "message.channels",
                    "message.groups",
                    "message.im",
                    "member_joined_channel",
                ),
                *("channel_rename", "channel_archive", "group_rename", "group_archive", "group_left"),
                *("channel_left", "channel_history_changed", "group_history_changed", "channel_shared"),
                *("user_change", "subteam_members_changed", "tokens_revoked"),
            ]
        },
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}


def text(words: str) -> dict[str, Any]:
    """A plain_text object."""
    return {"type": "plain_text", "text": words}


def modal(*blocks: dict[str, Any], title: str = "Door", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any key of a view
    """A modal with these blocks."""
    return {"type": "modal", "title": text(title), "submit": text("Go"), "blocks": list(blocks), **more}


def section(words: str = "hello", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any key of a section
    """A section of mrkdwn text."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": words}, **more}


def field(label: str, element: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any key of an input
    """An input block named after its label."""
    named = {"action_id": "v", **element}
    return {"type": "input", "block_id": label.lower(), "label": text(label), "element": named, **more}


def buttons(*labels: str) -> dict[str, Any]:
    """An actions block; each button's action_id is its label in lower case."""
    return {
        "type": "actions",
        "elements": [
            {"type": "button", "action_id": label.lower(), "text": text(label), "value": "1"}
            for label in labels
        ],
    }


REASON = field("Reason", {"type": "plain_text_input"})
