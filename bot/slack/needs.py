"""What this package needs of Slack, written down once. `manifest.yml` asks for exactly this.

A test finds every Web API method and event used in `bot/slack` and holds it against these tables, and these
against the manifest: a right that nobody uses is one that can be stolen.
"""

from collections.abc import Mapping
from typing import Final

METHODS_USED: Final[Mapping[str, tuple[str, ...]]] = {
    "apps_connections_open": (),  # by the app-level token, whose scope is connections:write
    "auth_test": (),
    "chat_postEphemeral": ("chat:write",),
    "chat_postMessage": ("chat:write",),
    "chat_update": ("chat:write",),
    "conversations_history": ("channels:history", "groups:history"),
    "conversations_info": ("channels:read", "groups:read"),
    "conversations_open": ("im:write",),
    "conversations_replies": ("channels:history", "groups:history"),
    "usergroups_list": ("usergroups:read",),
    "usergroups_users_list": ("usergroups:read",),
    "users_info": ("users:read",),
    "views_open": (),
    "views_update": (),
}
"""Web API method, as slack-sdk names it -> bot scopes it needs. Channels may be public or private: both."""

EVENTS_USED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "app_uninstalled": {"app_uninstalled": ()},
    "channel_archive": {"channel_archive": ("channels:read",)},
    "channel_deleted": {"channel_deleted": ("channels:read",)},
    "channel_history_changed": {"channel_history_changed": ("channels:history",)},
    "channel_left": {"channel_left": ("channels:read",)},
    "channel_rename": {"channel_rename": ("channels:read",)},
    "channel_shared": {"channel_shared": ("channels:read",)},
    "channel_unarchive": {"channel_unarchive": ("channels:read",)},
    "channel_unshared": {"channel_unshared": ("channels:read",)},
    "group_archive": {"group_archive": ("groups:read",)},
    "group_deleted": {"group_deleted": ("groups:read",)},
    "group_history_changed": {"group_history_changed": ("groups:history",)},
    "group_left": {"group_left": ("groups:read",)},
    "group_rename": {"group_rename": ("groups:read",)},
    "group_unarchive": {"group_unarchive": ("groups:read",)},
    "member_joined_channel": {"member_joined_channel": ("channels:read", "groups:read")},
    "member_left_channel": {"member_left_channel": ("channels:read", "groups:read")},
    "message": {"message.channels": ("channels:history",), "message.groups": ("groups:history",)},
    "subteam_members_changed": {"subteam_members_changed": ("usergroups:read",)},
    "subteam_updated": {"subteam_updated": ("usergroups:read",)},
    "tokens_revoked": {"tokens_revoked": ()},
    "user_change": {"user_change": ("users:read",)},
}
"""Event, as listeners name it -> subscriptions in the manifest -> bot scopes these need."""

SHORTCUT: Final = "breakglass_request"
COMMANDS_SCOPE: Final = "commands"
"""For the slash command and the shortcut."""
