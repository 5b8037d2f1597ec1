"""A member of the workspace among people: what they see, write and manage, with no app in it.

What Slack's client would not offer raises `CannotDoError`, with a sentence for the person.
"""

import html
import re

from bot.sandbox.errors import CannotDoError
from bot.sandbox.message import Message
from bot.sandbox.records import Channel, User
from bot.sandbox.workspace import Workspace

Place = Channel | str
_NAME = re.compile(r"[\w-]{1,80}")
_NAMED = re.compile(r"(?<![\w<])([@#])([\w.-]*\w)")
_EVERYBODY = ("channel", "here", "everyone")


class Member:
    """One person's eyes, and their hands on channels and messages."""

    def __init__(self, user_id: str, workspace: Workspace) -> None:
        self.id = user_id
        self._workspace = workspace

    @property
    def user(self) -> User:
        """The account, as of now."""
        return self._workspace.users[self.id]

    # --- eyes

    def sees(self, channel: Channel) -> bool:
        """Members may look; into a public channel everybody may but guests and strangers."""
        user = self.user
        outside = user.is_stranger or user.is_restricted or user.is_ultra_restricted
        return not user.deleted and (self.id in channel.members or not (channel.is_private or outside))

    def messages(self, channel: Place) -> list[Message]:
        """The channel with its replies, newest last; nothing where this person may not look."""
        place = self._channel(channel)
        return list(self._workspace.messages[place.id].values()) if self.sees(place) else []

    def thread(self, parent: Message) -> list[Message]:
        """The replies to a message, newest last."""
        return self._workspace.replies(parent)

    def ephemerals(self, channel: Place | None = None) -> list[Message]:
        """What only this person sees, newest last."""
        mine = [message for message in self._workspace.ephemerals if message.ephemeral_to == self.id]
        if channel is None:
            return mine
        place = self._channel(channel)
        return [message for message in mine if message.channel == place.id]

    def seen(self, channel: Place | None, ts: str) -> Message:
        """The message of that ts, when this person sees it; without a channel, one that only they see."""
        there = self._workspace.find(self._channel(channel).id, ts) if channel else None
        if there is not None and self.sees(self._workspace.channels[there.channel]):
            return there
        for message in self.ephemerals():
            if message.ts == ts:
                return message
        raise CannotDoError("That message is gone.")

    # --- hands: messages

    def typed(self, text: str) -> str:
        """What the composer sends for what was typed: names become ids, mark-up of machines stays text."""
        return self._named(html.escape(text, quote=False), groups=True)

    async def post(self, channel: Place, text: str, *, thread_ts: str | None = None) -> Message:
        """Write something, as sent by a composer (`typed`)."""
        place = self._writable(channel)
        if thread_ts:
            self._workspace.thread_parent(place.id, thread_ts)
        said = Message(
            channel=place.id,
            ts=self._workspace.new_ts(),
            text=text,
            user=self.id,
            team=self.user.team_id,
            thread_ts=thread_ts,
            client_msg_id=self._workspace.new_id("M"),
        )
        return self._workspace.store(said)

    async def edit(self, message: Message, text: str) -> Message:
        """Change own words; nobody can change another's."""
        self._present()
        if message.user != self.id or message.bot_id or message.subtype:
            raise CannotDoError("Only your own messages can be edited.")
        return self._workspace.edit(self._kept(message), self.id, text=text, blocks=[])

    async def delete(self, message: Message) -> None:
        """Delete own words; an admin deletes anybody's, an app's included."""
        self._present()
        if (message.user != self.id or message.bot_id) and not self.user.governs:
            raise CannotDoError("Only your own messages can be deleted; an admin deletes anybody's.")
        self._workspace.delete(self._kept(message))

    def dismiss(self, message: Message) -> None:
        """Put away what only this person sees."""
        kept = self._workspace.ephemerals
        kept[:] = [one for one in kept if (one.ephemeral_to, one.ts) != (self.id, message.ts)]
        self._workspace.pulse.beat()

    # --- hands: channels

    async def join(self, channel: Place) -> None:
        """Become a member of a public channel."""
        self._present()
        place = self._channel(channel)
        if place.is_private or place.is_archived or not self.sees(place):
            raise CannotDoError("This channel cannot be joined; ask a member to bring you in.")
        self._workspace.join(place.id, self.id)

    async def leave(self, channel: Place) -> None:
        """Leave a channel."""
        self._workspace.leave(self._channel(channel).id, self.id)

    async def invite(self, channel: Place, user_id: str) -> None:
        """Bring somebody in."""
        self._workspace.join(self._writable(channel).id, self._somebody(user_id).id, self.id)

    async def set_topic(self, channel: Place, topic: str) -> None:
        """Set the line at the top."""
        self._workspace.describe(self._writable(channel).id, self.id, topic=topic)

    async def archive(self, channel: Place) -> None:
        """Archive a channel (admins)."""
        self._workspace.archive(self._governed(channel).id, self.id)

    async def unarchive(self, channel: Place) -> None:
        """Bring it back (admins)."""
        self._workspace.archive(self._governed(channel).id, self.id, archived=False)

    async def rename(self, channel: Place, name: str) -> None:
        """Rename a channel (admins)."""
        place = self._governed(channel)
        if not _NAME.fullmatch(name) or name != name.lower():
            raise CannotDoError("A channel's name is 1 to 80 small letters, digits, hyphens and underscores.")
        if any(other.name == name for other in self._workspace.channels.values() if other.id != place.id):
            raise CannotDoError(f"There is a channel #{name} already.")
        self._workspace.rename(place.id, self.id, name)

    async def convert(self, channel: Place, *, private: bool) -> None:
        """Make a channel private or public (admins)."""
        self._workspace.convert(self._governed(channel).id, self.id, private=private)

    async def restrict(self, channel: Place, *, only_admins_post: bool) -> None:
        """Set who may post (admins)."""
        self._workspace.change_channel(self._governed(channel).id, only_admins_post=only_admins_post)

    async def kick(self, channel: Place, user_id: str) -> None:
        """Remove somebody, an app's bot included (admins)."""
        self._workspace.leave(self._governed(channel).id, self._somebody(user_id).id, self.id)

    async def open_direct(self, user_id: str) -> Channel:
        """The direct conversation with somebody."""
        self._present()
        return self._workspace.direct(self._somebody(user_id).id, self.id)

    # --- small change

    def _channel(self, place: Place) -> Channel:
        if isinstance(place, Channel):
            return self._workspace.channels[place.id]
        for channel in self._workspace.channels.values():
            if place in (channel.id, channel.name, f"#{channel.name}") and place:
                return channel
        raise CannotDoError(f"There is no channel {place!r}.")

    def _somebody(self, user_id: str) -> User:
        if user_id not in self._workspace.users:
            raise CannotDoError("There is nobody of that name here.")
        return self._workspace.users[user_id]

    def _present(self) -> None:
        if self.user.deleted:
            raise CannotDoError("This account is deactivated.")

    def _kept(self, message: Message) -> Message:
        found = self._workspace.find(message.channel, message.ts)
        if found is None:
            raise CannotDoError("That message is gone.")
        return found

    def _writable(self, place: Place) -> Channel:
        self._present()
        channel = self._channel(place)
        if self.id not in channel.members:
            raise CannotDoError(
                "You are not a member of this channel. Join it, or ask a member to bring you in."
            )
        if channel.is_archived:
            raise CannotDoError("This channel is archived; nobody can write in it.")
        if channel.only_admins_post and not self.user.governs:
            raise CannotDoError("Only admins may post in this channel.")
        return channel

    def _governed(self, place: Place) -> Channel:
        self._present()
        if not self.user.governs:
            raise CannotDoError("Only admins may do that.")
        return self._channel(place)

    def _named(self, text: str, *, groups: bool = False) -> str:
        """The text with known names of people and channels, and of groups, as Slack's entities."""
        handles = {group.handle: group.id for group in self._workspace.usergroups.values()}
        users = {user.handle: user.id for user in self._workspace.users.values()}
        channels = {channel.name: channel.id for channel in self._workspace.channels.values() if channel.name}

        def entity(found: re.Match[str]) -> str:
            sign, name = found.groups()
            if groups and sign == "@" and name in _EVERYBODY:
                return f"<!{name}>"
            if groups and sign == "@" and name in handles:
                return f"<!subteam^{handles[name]}|@{name}>"
            known = (users if sign == "@" else channels).get(name)
            return f"<{sign}{known}|{name}>" if known else found.group()

        return _NAMED.sub(entity, text)
