"""What a workspace consists of, as frozen records; each knows its JSON form on the wire and nothing else.

A change replaces a record. A client that still holds the old one is a stale client, which is the point.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.sandbox.kit.schema import Json

Kind: TypeAlias = Literal["channel", "group", "im", "mpim"]


@dataclass(frozen=True)
class Team:
    """The workspace."""

    id: str
    name: str
    domain: str

    def to_json(self) -> Json:
        """As team.info returns it."""
        return {"id": self.id, "name": self.name, "domain": self.domain, "email_domain": "example.com"}


@dataclass(frozen=True)
class User:
    """A person or a bot user; `is_stranger` and another `team_id` mean Slack Connect."""

    id: str
    team_id: str
    handle: str
    name: str
    email: str | None = None
    tz: str = "Etc/UTC"
    tz_offset: int = 0
    is_admin: bool = False
    is_owner: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    deleted: bool = False
    bot_id: str | None = None
    app_id: str | None = None

    @property
    def governs(self) -> bool:
        """An admin or owner, who may delete anybody's messages and manage channels."""
        return self.is_admin or self.is_owner

    def to_json(self, *, with_email: bool) -> Json:
        """As users.info returns it; the address only for who holds users:read.email."""
        profile: Json = {"real_name": self.name, "display_name": self.handle, "team": self.team_id}
        if with_email and self.email:
            profile["email"] = self.email
        if self.bot_id:
            profile |= {"bot_id": self.bot_id, "api_app_id": self.app_id}
        user: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.handle,
            "real_name": self.name,
            "deleted": self.deleted,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 0,
            "profile": profile,
        }
        if not self.deleted:  # a deactivated account has lost these
            user |= {
                "tz": self.tz,
                "tz_label": self.tz,
                "tz_offset": self.tz_offset,
                "is_admin": self.is_admin,
                "is_owner": self.is_owner,
                "is_primary_owner": False,
                "is_restricted": self.is_restricted,
                "is_ultra_restricted": self.is_ultra_restricted,
            }
        return user | ({"is_stranger": True} if self.is_stranger else {})


@dataclass(frozen=True)
class Usergroup:
    """A user group such as @sre-leads."""

    id: str
    team_id: str
    handle: str
    name: str
    users: tuple[str, ...] = ()
    disabled: bool = False

    def to_json(self, *, with_users: bool) -> Json:
        """As usergroups.list returns it."""
        group: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "is_usergroup": True,
            "name": self.name,
            "handle": self.handle,
            "description": "",
            "date_delete": 1 if self.disabled else 0,
            "user_count": len(self.users),
        }
        return group | ({"users": list(self.users)} if with_users else {})


@dataclass(frozen=True)
class Channel:
    """A conversation; `partner` is the person on the other side of a direct message with a bot."""

    id: str
    team_id: str
    name: str
    kind: Kind
    created: int
    creator: str
    members: tuple[str, ...] = ()
    is_archived: bool = False
    is_ext_shared: bool = False
    is_general: bool = False
    topic: str = ""
    purpose: str = ""
    only_admins_post: bool = False
    previous_names: tuple[str, ...] = ()

    @property
    def is_private(self) -> bool:
        """Everything that only members can see."""
        return self.kind != "channel"

    def to_json(self, member: str | None) -> Json:
        """As conversations.info returns it to this member (or to an app that is none)."""
        if self.kind == "im":
            partner = next((user for user in self.members if user != member), member)
            return {
                "id": self.id,
                "created": self.created,
                "is_im": True,
                "is_org_shared": False,
                "context_team_id": self.team_id,
                "user": partner,
                "is_archived": self.is_archived,
            }
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_im": False,
            "is_mpim": self.kind == "mpim",
            "is_private": self.is_private,
            "created": self.created,
            "creator": self.creator,
            "is_archived": self.is_archived,
            "is_general": self.is_general,
            "is_shared": self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_member": member in self.members,
            "context_team_id": self.team_id,
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": self.purpose, "creator": "", "last_set": 0},
            "previous_names": list(self.previous_names),
        }


@dataclass(frozen=True)
class View:
    """A modal or a Home tab as Slack keeps it; `shown` is false for one that no screen ever displayed."""

    id: str
    app_id: str
    bot_id: str
    team_id: str
    user_id: str
    content: Json
    hash: str
    root_view_id: str
    previous_view_id: str | None = None
    shown: bool = True

    @property
    def kind(self) -> str:
        """`modal` or `home`."""
        return str(self.content["type"])

    @property
    def external_id(self) -> str:
        """The app's own name for it, or nothing."""
        return str(self.content.get("external_id", ""))

    @property
    def blocks(self) -> list[Json]:
        """Its blocks, as stored."""
        blocks: list[Json] = self.content["blocks"]
        return blocks

    @property
    def input_ids(self) -> frozenset[str]:
        """The blocks to which an error can be attached."""
        return frozenset(block["block_id"] for block in self.blocks if block["type"] == "input")

    def to_json(self, values: Json | None = None) -> Json:
        """As views.* returns it, or as an interaction carries it with what the person filled in."""
        return {
            "id": self.id,
            "team_id": self.team_id,
            **self.content,
            "state": {"values": values or {}},
            "hash": self.hash,
            "root_view_id": self.root_view_id,
            "previous_view_id": self.previous_view_id,
            "app_id": self.app_id,
            "app_installed_team_id": self.team_id,
            "bot_id": self.bot_id,
        }
