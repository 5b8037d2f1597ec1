"""The state of one workspace and everything that can happen to it.

Each verb does what Slack does and announces it as the event that apps receive. Whether somebody MAY do it is
asked elsewhere: by the Web API for apps, by the persona for people.
"""

import itertools
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from bot.sandbox.apps import App, Token
from bot.sandbox.clock import Clock
from bot.sandbox.errors import SlackError
from bot.sandbox.kit import stored_blocks, stored_text
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import File, Message
from bot.sandbox.pulse import Pulse
from bot.sandbox.records import Channel, Kind, Team, User, Usergroup

Announce = Callable[[Json, Channel | None, App | None], None]
SLACKBOT = "USLACKBOT"
RENDERINGS = 5
"""How many of a message's earlier renderings can still be acted on."""
TEXT_STORED = 40_000  # longer text is cut (docs.slack.dev/reference/methods/chat.postMessage)


class Workspace:
    """Users, groups, channels, messages and apps, with the events their changes cause."""

    def __init__(self, clock: Clock, pulse: Pulse) -> None:
        self.clock = clock
        self.pulse = pulse
        self.team = Team("T0SANDBOX1", "Sandbox", "sandbox")
        self.users: dict[str, User] = {}
        self.usergroups: dict[str, Usergroup] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Message]] = {}
        self.ephemerals: list[Message] = []
        self._earlier: dict[tuple[str, str], deque[Message]] = {}
        self.pins: dict[str, list[str]] = {}
        self.files: dict[str, File] = {}
        self.apps: dict[str, App] = {}
        self.tokens: dict[str, Token] = {}
        self.announce: Announce = lambda _event, _channel, _app: None
        self._own = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(3))
        self._numbers = itertools.count(1)
        self._last_ts = 0

    # --- small change

    def new_id(self, prefix: str) -> str:
        """A fresh id such as U0K3Q00001. As in Slack, two workspaces never give out the same."""
        return f"{prefix}0{self._own}{next(self._numbers):05d}"

    def new_ts(self) -> str:
        """A timestamp no other message has, never going back."""
        self._last_ts = max(int(self.clock.now() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def names(self) -> dict[str, str]:
        """The names a client shows for ids, as of now."""
        return {
            **{user.id: user.handle for user in self.users.values()},
            **{group.id: group.handle for group in self.usergroups.values()},
            **{channel.id: channel.name for channel in self.channels.values()},
        }

    def app_of(self, bot_id: str | None) -> App | None:
        """The app whose bot this is."""
        return next((app for app in self.apps.values() if app.bot_id == bot_id), None)

    # --- people

    def add_user(self, user: User) -> User:
        """Somebody joins the workspace."""
        self.users[user.id] = user
        self._tell({"type": "team_join", "user": user.to_json(with_email=False)})
        return user

    def change_user(self, user_id: str, **changes: object) -> User:
        """Rename, promote, deactivate: what users.info says from now on."""
        user = self.users[user_id] = replace(self.users[user_id], **changes)  # type: ignore[arg-type] # field names
        if user.deleted:
            for group in list(self.usergroups.values()):
                if user_id in group.users:
                    self.set_group(group.id, [member for member in group.users if member != user_id])
        self._tell({"type": "user_change", "user": user.to_json(with_email=False)})
        return user

    def set_group(self, group_id: str, users: Iterable[str]) -> Usergroup:
        """Make these the members of a user group."""
        before = self.usergroups[group_id]
        group = self.usergroups[group_id] = replace(before, users=tuple(users))
        added = [user for user in group.users if user not in before.users]
        removed = [user for user in before.users if user not in group.users]
        self._tell(
            {
                "type": "subteam_members_changed",
                "subteam_id": group_id,
                "team_id": self.team.id,
                "added_users": added,
                "added_users_count": len(added),
                "removed_users": removed,
                "removed_users_count": len(removed),
            }
        )
        self._tell({"type": "subteam_updated", "subteam": group.to_json(with_users=True)})
        return group

    # --- channels

    def add_channel(
        self, name: str, kind: Kind, members: Iterable[str], channel_id: str | None = None
    ) -> Channel:
        """A new conversation with these members."""
        prefix = {"channel": "C", "group": "C", "im": "D", "mpim": "C"}[kind]
        people = tuple(members)
        channel = Channel(
            id=channel_id or self.new_id(prefix),
            team_id=self.team.id,
            name=name,
            kind=kind,
            created=int(self.clock.now()),
            creator=people[0] if people else SLACKBOT,
            members=people,
        )
        self.channels[channel.id] = channel
        self.messages[channel.id] = {}
        if kind == "channel":
            shape = {"id": channel.id, "name": name, "created": channel.created, "creator": channel.creator}
            self._tell({"type": "channel_created", "channel": shape})
        self.pulse.beat()
        return channel

    def direct(self, *users: str) -> Channel:
        """The direct conversation of these users, opened when it is not there yet."""
        kind: Kind = "im" if len(users) <= 2 else "mpim"
        for channel in self.channels.values():
            if channel.kind == kind and set(channel.members) == set(users):
                return channel
        return self.add_channel("", kind, users)

    def change_channel(self, channel_id: str, **changes: object) -> Channel:
        """Replace facts of a channel without an event; the verbs below announce theirs."""
        channel = self.channels[channel_id] = replace(self.channels[channel_id], **changes)  # type: ignore[arg-type] # field names
        self.pulse.beat()
        return channel

    def join(self, channel_id: str, user_id: str, inviter: str | None = None) -> None:
        """Somebody becomes a member."""
        channel = self.channels[channel_id]
        if user_id in channel.members:
            return
        channel = self.change_channel(channel_id, members=(*channel.members, user_id))
        event: Json = {
            "type": "member_joined_channel",
            "user": user_id,
            "channel": channel_id,
            "channel_type": "G" if channel.is_private else "C",
            "team": self.team.id,
        }
        self._tell(event | ({"inviter": inviter} if inviter else {}), channel)
        self.say(channel_id, user_id, f"<@{user_id}> has joined the channel", f"{channel.kind}_join")

    def leave(self, channel_id: str, user_id: str, actor: str | None = None) -> None:
        """Somebody leaves or is removed; a bot that was removed hears it as channel_left or group_left."""
        channel = self.channels[channel_id]
        if user_id not in channel.members:
            return
        rest = tuple(member for member in channel.members if member != user_id)
        after = self.change_channel(channel_id, members=rest)
        for app in self.apps.values():
            if app.bot_user_id == user_id:
                left = {"type": f"{channel.kind}_left", "channel": channel_id, "actor_id": actor or user_id}
                self.announce({**left, "event_ts": self.new_ts()}, None, app)
        event = {
            "type": "member_left_channel",
            "user": user_id,
            "channel": channel_id,
            "channel_type": "G" if channel.is_private else "C",
            "team": self.team.id,
        }
        self._tell(event, after)

    def archive(self, channel_id: str, actor: str, *, archived: bool = True) -> None:
        """Archive a channel, or bring it back."""
        channel = self.change_channel(channel_id, is_archived=archived)
        kind = f"{channel.kind}_{'archive' if archived else 'unarchive'}"
        self._tell({"type": kind, "channel": channel_id, "user": actor}, channel)

    def rename(self, channel_id: str, actor: str, name: str) -> None:
        """Give a channel another name."""
        old = self.channels[channel_id]
        self.say(
            channel_id, actor, f'has renamed the channel from "{old.name}" to "{name}"', f"{old.kind}_name"
        )
        channel = self.change_channel(channel_id, name=name, previous_names=(*old.previous_names, old.name))
        shape = {"id": channel_id, "name": name, "created": channel.created}
        self._tell({"type": f"{channel.kind}_rename", "channel": shape}, channel)

    def convert(self, channel_id: str, actor: str, *, private: bool) -> None:
        """Make a channel private or public; the announcement is a message in it."""
        channel = self.change_channel(channel_id, kind="group" if private else "channel")
        word = "private" if private else "public"
        self.say(channel.id, actor, f"made this channel *{word}*", f"channel_convert_to_{word}")

    def share(self, channel_id: str, *, shared: bool = True) -> None:
        """Share a channel with another organisation, or end it."""
        channel = self.change_channel(channel_id, is_ext_shared=shared)
        kind = "channel_shared" if shared else "channel_unshared"
        self._tell({"type": kind, "channel": channel_id, "connected_team_id": "T0OTHER001"}, channel)

    def describe(
        self, channel_id: str, actor: str, *, topic: str | None = None, purpose: str | None = None
    ) -> None:
        """Set the topic or the purpose."""
        for key, value in (("topic", topic), ("purpose", purpose)):
            if value is not None:
                channel = self.change_channel(channel_id, **{key: value})
                self.say(channel_id, actor, f"set the channel {key}: {value}", f"{channel.kind}_{key}")

    # --- messages

    def say(self, channel_id: str, user_id: str, text: str, subtype: str | None = None) -> Message:
        """A person's own words, or (with a subtype) what Slack writes when they do something."""
        return self.store(
            Message(
                channel=channel_id,
                ts=self.new_ts(),
                text=text,
                user=user_id,
                subtype=subtype,
                team=self.team.id,
            )
        )

    def store(self, message: Message) -> Message:
        """Put a message into its channel and tell the apps there."""
        blocks = tuple(stored_blocks(list(message.blocks)))
        text = stored_text(message.text[:TEXT_STORED])
        kept = replace(message, text=text, blocks=blocks, names=self.names())
        self.messages[kept.channel][kept.ts] = kept
        self._message_event({**kept.to_json(), "ts": kept.ts}, kept)
        return kept

    def whisper(self, message: Message) -> Message:
        """Show a message to one person only; it is in nobody's history and causes no event."""
        blocks = tuple(stored_blocks(list(message.blocks)))
        kept = replace(message, text=stored_text(message.text), blocks=blocks, names=self.names())
        self.ephemerals.append(kept)
        self.pulse.beat()
        return kept

    def find(self, channel_id: str, ts: str) -> Message | None:
        """The message there now, if any."""
        return self.messages.get(channel_id, {}).get(ts)

    def edit(self, message: Message, editor: str, **changes: object) -> Message:
        """Change a stored message and tell the apps what it was before."""
        if "text" in changes:
            changes["text"] = stored_text(str(changes["text"]))
        if "blocks" in changes:
            changes["blocks"] = tuple(stored_blocks(list(changes["blocks"])))  # type: ignore[call-overload] # a list of blocks
        edited = {"user": editor, "ts": self.new_ts()}
        new = replace(message, **changes, edited=edited, names=self.names())  # type: ignore[arg-type] # field names
        self.messages[new.channel][new.ts] = new
        self._earlier.setdefault((new.channel, new.ts), deque(maxlen=RENDERINGS)).appendleft(message)
        self._changed(message, new)
        return new

    def earlier(self, message: Message) -> Iterable[Message]:
        """What a client may still show of it: its last renderings, newest first."""
        return self._earlier.get((message.channel, message.ts), ())

    def delete(self, message: Message) -> None:
        """Remove a message; a parent leaves a tombstone (a message_changed) as long as its replies last."""
        if self.replies(message):
            stone = Message(
                channel=message.channel,
                ts=message.ts,
                text="This message was deleted.",
                user=SLACKBOT,
                subtype="tombstone",
                thread_ts=message.ts,
            )
            self.messages[message.channel][message.ts] = stone
            self._changed(message, stone)
            return
        self._erase(message)
        stone_left = self.find(message.channel, message.thread_ts) if message.thread_ts else None
        if stone_left is not None and stone_left.subtype == "tombstone" and not self.replies(stone_left):
            self.delete(stone_left)
        self._message_event(
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": message.ts,
                "ts": self.new_ts(),
                "previous_message": message.to_json(),
            },
            message,
        )

    def purge(self, channel_id: str, before: str) -> int:
        """Retention: everything older than `before` is gone at once; one event tells, without names."""
        old = [message for ts, message in self.messages[channel_id].items() if ts < before]
        for message in old:
            self._erase(message)
        channel = self.channels[channel_id]
        kind = "im_history_changed" if channel.kind == "im" else f"{channel.kind}_history_changed"
        self._tell({"type": kind, "channel": channel_id, "latest": before, "ts": self.new_ts()}, channel)
        return len(old)

    def replies(self, parent: Message) -> list[Message]:
        """The replies in its thread, oldest first."""
        return [
            message
            for message in self.messages[parent.channel].values()
            if message.thread_ts == parent.ts and message.ts != parent.ts
        ]

    def react(self, message: Message, user_id: str, name: str) -> None:
        """Add a reaction."""
        new = replace(message, reactions=(*message.reactions, (name, user_id)))
        self.messages[message.channel][message.ts] = new
        item = {"type": "message", "channel": message.channel, "ts": message.ts}
        event: Json = {"type": "reaction_added", "user": user_id, "reaction": name, "item": item}
        self._tell(event | {"item_user": message.user}, self.channels[message.channel])

    def thread_parent(self, channel_id: str, ts: str) -> Message:
        """The message one can reply to; a deleted one is `thread_not_found`."""
        parent = self.find(channel_id, ts)
        if parent is None or parent.subtype == "tombstone":
            raise SlackError("thread_not_found")
        return parent

    # --- telling

    def _erase(self, message: Message) -> None:
        del self.messages[message.channel][message.ts]
        if message.ts in self.pins.get(message.channel, []):
            self.pins[message.channel].remove(message.ts)

    def _changed(self, old: Message, new: Message) -> None:
        self._message_event(
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "ts": self.new_ts(),
                "message": new.to_json(),
                "previous_message": old.to_json(),
            },
            new,
        )

    def _message_event(self, event: Json, message: Message) -> None:
        channel = self.channels[message.channel]
        place = {"channel": channel.id, "channel_type": channel.kind}
        self._tell({**event, **place}, channel)

    def _tell(self, event: Json, channel: Channel | None = None) -> None:
        self.announce({**event, "event_ts": self.new_ts()}, channel, None)
        self.pulse.beat()
