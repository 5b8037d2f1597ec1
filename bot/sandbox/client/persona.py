"""A person at their client: sees what members see, does what the client lets them do, no more.

What Slack's client would not offer raises `CannotDoError`; what the app answers, or fails to, is an
`Outcome`.
"""

import re
from collections.abc import Awaitable

from bot.sandbox.apps import App
from bot.sandbox.client.modal import Home, Modal
from bot.sandbox.client.screen import Memory, MessageScreen, Outcome, Screen
from bot.sandbox.errors import CannotDoError, NoAnswerError, SlackError
from bot.sandbox.interactions import Interactions
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.modals import Modals
from bot.sandbox.records import Channel, User
from bot.sandbox.responses import ResponseUrl
from bot.sandbox.workspace import Workspace

Place = Channel | str


class Persona:
    """One person's hands and eyes."""

    def __init__(
        self, user_id: str, workspace: Workspace, modals: Modals, interactions: Interactions
    ) -> None:
        self.id = user_id
        self._workspace = workspace
        self._modals = modals
        self._interactions = interactions
        self._memory = Memory()

    @property
    def user(self) -> User:
        """The account, as of now."""
        return self._workspace.users[self.id]

    # --- eyes

    def messages(self, channel: Place) -> list[Message]:
        """The channel with its replies, newest last; nothing where this person may not look."""
        place = self._channel(channel)
        if place.is_private and self.id not in place.members:
            return []
        return list(self._workspace.messages[place.id].values())

    def thread(self, parent: Message) -> list[Message]:
        """The replies to a message, newest last."""
        return self._workspace.replies(parent)

    def direct(self, app: App | None = None) -> Channel:
        """The conversation with an app's bot, as a channel to post in."""
        return self._workspace.direct(self._app(app).bot_user_id, self.id)

    def direct_messages(self, app: App | None = None) -> list[Message]:
        """The conversation with an app's bot, newest last."""
        return self.messages(self.direct(app))

    def ephemerals(self, channel: Place | None = None) -> list[Message]:
        """What only this person sees, newest last."""
        mine = [message for message in self._workspace.ephemerals if message.ephemeral_to == self.id]
        if channel is None:
            return mine
        place = self._channel(channel)
        return [message for message in mine if message.channel == place.id]

    @property
    def modal(self) -> Modal | None:
        """The modal on the screen."""
        view = self._modals.top(self.id)
        if view is None:
            return None
        return Modal(view.id, self._modals, *self._about(self._workspace.apps[view.app_id]))

    def home(self, app: App | None = None) -> Home | None:
        """The Home tab as published, without opening it."""
        view_id = self._modals.homes.get((self._app(app).app_id, self.id))
        return Home(view_id, self._modals, *self._about(self._app(app))) if view_id else None

    # --- hands: apps

    async def command(self, line: str, channel: Place | None = None) -> Outcome:
        """Type a slash command; the answer is what the ack carried (`ephemerals` shows later ones)."""
        self._present()
        name, _, text = line.partition(" ")
        app = next((app for app in self._workspace.apps.values() if name in app.commands), None)
        if app is None:
            raise CannotDoError(f"{name} is not a valid command")
        place = self._channel(channel) if channel else self._workspace.direct(app.bot_user_id, self.id)
        if app.commands[name].should_escape:
            text = self._escaped(text)
        try:
            _, answer = await self._interactions.command(self.user, app, name, text.strip(), place)
        except NoAnswerError as error:
            return Outcome(error=error.code)
        if not answer:
            return Outcome()
        target = ResponseUrl(app, self.id, place.id, None, 0)
        try:
            return Outcome(message=self._interactions.responses.show(target, answer))
        except SlackError:
            return Outcome(error="invalid_command_response")

    async def shortcut(self, callback_id: str) -> Outcome:
        """A global shortcut from the lightning menu."""
        app = self._with_shortcut(callback_id, "global")
        return await self._acked(self._interactions.shortcut(self.user, app, callback_id))

    async def message_shortcut(self, callback_id: str, message: Message) -> Outcome:
        """A shortcut from the menu of a message."""
        app = self._with_shortcut(callback_id, "message")
        return await self._acked(self._interactions.message_action(self.user, app, callback_id, message))

    async def open_home(self, app: App | None = None, tab: str = "home") -> Home | None:
        """Open an app's Home (or "messages") tab; the app hears of it and publishes in its own time."""
        self._present()
        target = self._app(app)
        if tab == "home" and not target.home_tab:
            raise CannotDoError("this app has no Home tab")
        home = self.home(target)
        channel = self._workspace.direct(target.bot_user_id, self.id)
        event: Json = {"type": "app_home_opened", "user": self.id, "channel": channel.id, "tab": tab}
        if home is not None and tab == "home":
            event["view"] = home.view.to_json()
        self._workspace.announce({**event, "event_ts": self._workspace.new_ts()}, None, target)
        return home

    async def press(
        self, message: Message | str, label: str, channel: Place | None = None, *, confirm: bool | None = None
    ) -> Outcome:
        """Press a button of a message: of the rendering given, however old, or of the present one by `ts`."""
        return await self.on(message, channel).press(label, confirm=confirm)

    def on(self, message: Message | str, channel: Place | None = None) -> Screen:
        """A message as a screen, for its menus and fields."""
        self._present()
        seen = message if isinstance(message, Message) else self._seen(message, channel)
        app = self._workspace.app_of(seen.bot_id)
        if app is None:
            raise CannotDoError("that message has nothing to act on")
        return MessageScreen(seen, *self._about(app))

    # --- hands: the workspace

    async def post(self, channel: Place, text: str, *, thread_ts: str | None = None) -> Message:
        """Write something."""
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
        if message.user != self.id or message.bot_id:
            raise CannotDoError("only your own messages can be edited")
        return self._workspace.edit(self._present_message(message), self.id, text=text, blocks=[])

    async def delete(self, message: Message) -> None:
        """Delete own words; an admin deletes anybody's, an app's included."""
        self._present()
        if (message.user != self.id or message.bot_id) and not self.user.governs:
            raise CannotDoError("only your own messages can be deleted")
        self._workspace.delete(self._present_message(message))

    async def archive(self, channel: Place) -> None:
        """Archive a channel (admins)."""
        self._workspace.archive(self._governed(channel).id, self.id)

    async def unarchive(self, channel: Place) -> None:
        """Bring it back (admins)."""
        self._workspace.archive(self._governed(channel).id, self.id, archived=False)

    async def rename(self, channel: Place, name: str) -> None:
        """Rename a channel (admins)."""
        self._workspace.rename(self._governed(channel).id, self.id, name)

    async def convert(self, channel: Place, *, private: bool) -> None:
        """Make a channel private or public (admins)."""
        self._workspace.convert(self._governed(channel).id, self.id, private=private)

    async def restrict(self, channel: Place, *, only_admins_post: bool) -> None:
        """Set who may post (admins)."""
        self._workspace.change_channel(self._governed(channel).id, only_admins_post=only_admins_post)

    async def kick(self, channel: Place, user_id: str) -> None:
        """Remove somebody, an app's bot included (admins)."""
        self._workspace.leave(self._governed(channel).id, user_id, self.id)

    async def invite(self, channel: Place, user_id: str) -> None:
        """Bring somebody in."""
        self._workspace.join(self._writable(channel).id, user_id, self.id)

    async def leave(self, channel: Place) -> None:
        """Leave a channel."""
        self._workspace.leave(self._channel(channel).id, self.id)

    async def set_topic(self, channel: Place, topic: str) -> None:
        """Set the line at the top."""
        self._workspace.describe(self._writable(channel).id, self.id, topic=topic)

    # --- small change

    def _about(self, app: App) -> tuple[User, App, Memory, Interactions, Workspace]:
        return self.user, app, self._memory, self._interactions, self._workspace

    def _app(self, app: App | None) -> App:
        if app is not None:
            return app
        if len(self._workspace.apps) != 1:
            raise CannotDoError("say which app")
        return next(iter(self._workspace.apps.values()))

    def _channel(self, place: Place) -> Channel:
        if isinstance(place, Channel):
            return self._workspace.channels[place.id]
        for channel in self._workspace.channels.values():
            if place in (channel.id, channel.name, f"#{channel.name}") and place:
                return channel
        raise CannotDoError(f"no channel {place!r}")

    def _present(self) -> None:
        if self.user.deleted:
            raise CannotDoError("this account is deactivated")

    def _present_message(self, message: Message) -> Message:
        found = self._workspace.find(message.channel, message.ts)
        if found is None:
            raise CannotDoError("that message is gone")
        return found

    def _seen(self, ts: str, channel: Place | None) -> Message:
        own = [message for message in self._workspace.ephemerals if message.ephemeral_to == self.id]
        seen = self.messages(channel) if channel else []
        for message in [*own, *seen]:
            if message.ts == ts:
                return message
        raise CannotDoError(f"no message {ts} to be seen")

    def _writable(self, place: Place) -> Channel:
        self._present()
        channel = self._channel(place)
        if self.id not in channel.members or channel.is_archived:
            raise CannotDoError("not a member, or the channel is archived")
        if channel.only_admins_post and not self.user.governs:
            raise CannotDoError("only admins post here")
        return channel

    def _governed(self, place: Place) -> Channel:
        self._present()
        if not self.user.governs:
            raise CannotDoError("only admins do that")
        return self._channel(place)

    def _with_shortcut(self, callback_id: str, kind: str) -> App:
        self._present()
        for app in self._workspace.apps.values():
            if app.shortcuts.get(callback_id) == kind:
                return app
        raise CannotDoError(f"no {kind} shortcut {callback_id!r}")

    async def _acked(self, asking: Awaitable[Json]) -> Outcome:
        try:
            await asking
        except NoAnswerError as error:
            return Outcome(error=error.code)
        return Outcome()

    def _escaped(self, text: str) -> str:
        users = {user.handle: user.id for user in self._workspace.users.values()}
        channels = {channel.name: channel.id for channel in self._workspace.channels.values()}

        def entity(found: re.Match[str]) -> str:
            sign, name = found.group(1), found.group(2)
            known = (users if sign == "@" else channels).get(name)
            return f"<{sign}{known}|{name}>" if known else found.group()

        return re.sub(r"(?<![\w<])([@#])([\w.-]+)", entity, text)
