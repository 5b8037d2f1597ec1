"""A person at their client: what members see and do, and besides what the client does with apps.

What Slack's client would not offer raises `CannotDoError`; what the app answers, or fails to, is an
`Outcome`.
"""

from collections.abc import Awaitable

from bot.sandbox.apps import App
from bot.sandbox.client.member import Member, Place
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


class Persona(Member):
    """One person's hands and eyes."""

    def __init__(
        self, user_id: str, workspace: Workspace, modals: Modals, interactions: Interactions
    ) -> None:
        super().__init__(user_id, workspace)
        self._modals = modals
        self._interactions = interactions
        self._memory = Memory()

    # --- eyes

    def direct(self, app: App | None = None) -> Channel:
        """The conversation with an app's bot, as a channel to post in."""
        return self._workspace.direct(self._app(app).bot_user_id, self.id)

    def direct_messages(self, app: App | None = None) -> list[Message]:
        """The conversation with an app's bot, newest last."""
        return self.messages(self.direct(app))

    @property
    def modal(self) -> Modal | None:
        """The modal on the screen."""
        return next(reversed(self.modals()), None)

    def modals(self) -> list[Modal]:
        """All that are open, the one on the screen last."""
        open_views = [self._modals.views[name] for name in self._modals.stacks.get(self.id, [])]
        apps = self._workspace.apps
        return [Modal(view.id, self._modals, *self._about(apps[view.app_id])) for view in open_views]

    def home(self, app: App | None = None) -> Home | None:
        """The Home tab as published, without opening it."""
        view_id = self._modals.homes.get((self._app(app).app_id, self.id))
        return Home(view_id, self._modals, *self._about(self._app(app))) if view_id else None

    def screen(self, view_id: str) -> Modal | Home:
        """The modal on the screen, or the Home tab, of that id."""
        homes = [self.home(app) for app in self._workspace.apps.values()]
        for shown in (self.modal, *homes):
            if shown is not None and shown.view.id == view_id:
                return shown
        raise CannotDoError("This window is closed, or no longer on top.")

    # --- hands: apps

    async def command(self, line: str, channel: Place | None = None) -> Outcome:
        """Type a slash command; the answer is what the ack carried (`ephemerals` shows later ones)."""
        self._present()
        name, _, text = line.partition(" ")
        app = next((app for app in self._workspace.apps.values() if name in app.commands), None)
        if app is None:
            raise CannotDoError(f"No app here knows the command {name}.")
        place = self._channel(channel) if channel else self._workspace.direct(app.bot_user_id, self.id)
        if not self.sees(place):
            raise CannotDoError("A command is typed in a channel that you see.")
        if app.commands[name].should_escape:
            text = self._named(text)
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
            raise CannotDoError("This app has no Home tab.")
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
        seen = message if isinstance(message, Message) else self.seen(channel, message)
        app = self._workspace.app_of(seen.bot_id)
        if app is None:
            raise CannotDoError("There is nothing to act on in this message.")
        return MessageScreen(seen, *self._about(app))

    # --- small change

    def _about(self, app: App) -> tuple[User, App, Memory, Interactions, Workspace]:
        return self.user, app, self._memory, self._interactions, self._workspace

    def _app(self, app: App | None) -> App:
        if app is not None:
            return app
        if len(self._workspace.apps) != 1:
            raise CannotDoError("Say which app.")
        return next(iter(self._workspace.apps.values()))

    def _with_shortcut(self, callback_id: str, kind: str) -> App:
        self._present()
        for app in self._workspace.apps.values():
            shortcut = app.shortcuts.get(callback_id)
            if shortcut is not None and shortcut.kind == kind:
                return app
        raise CannotDoError(f"There is no {kind} shortcut {callback_id!r}.")

    async def _acked(self, asking: Awaitable[Json]) -> Outcome:
        try:
            await asking
        except NoAnswerError as error:
            return Outcome(error=error.code)
        return Outcome()
