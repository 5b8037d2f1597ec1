"""The whole workspace in one object: assembly, and the hand of God that sets the scene.

async with await Sandbox.start() as sandbox:
    alice = sandbox.add_user("alice", name="Alice Ito")
    app = sandbox.install(manifest)
    outcome = await sandbox.persona(alice.id).command("/hello")
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Literal, Self, TypeVar
from zoneinfo import ZoneInfo

import aiohttp

from bot.sandbox.api import Api
from bot.sandbox.apps import App, Token, app_from
from bot.sandbox.client import Persona
from bot.sandbox.clock import Clock, WallClock
from bot.sandbox.delivery import Delivery
from bot.sandbox.faults import Faults
from bot.sandbox.interactions import Interactions
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.modals import Modals
from bot.sandbox.pulse import Pulse
from bot.sandbox.rates import Rates
from bot.sandbox.records import Channel, User, Usergroup
from bot.sandbox.responses import Responses
from bot.sandbox.server import HOST, Server
from bot.sandbox.signing import SignedHttp
from bot.sandbox.sockets import Sockets
from bot.sandbox.tasks import Tasks
from bot.sandbox.wire import Exchange, Listener, WireLog
from bot.sandbox.workspace import Workspace

T = TypeVar("T")


class Sandbox:
    """A Slack workspace on 127.0.0.1. Made by `start`; ends with `close` or its `async with`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.faults = Faults()
        self.rates = Rates()
        self._tasks = Tasks()
        self._pulse = Pulse()
        self.wire_log = WireLog(self._pulse.beat)
        self._personas: dict[str, Persona] = {}
        self.workspace = Workspace(clock, self._pulse)
        self.modals = Modals(self.workspace)
        self.sockets = Sockets(clock, self.faults, self._pulse, self._tasks.spawn)
        self.responses = Responses(self.workspace, self.wire_log)
        self._http = SignedHttp(aiohttp.ClientSession(), self.faults)
        self.delivery = Delivery(
            workspace=self.workspace,
            clock=clock,
            faults=self.faults,
            sockets=self.sockets,
            http=self._http,
            log=self.wire_log,
            tasks=self._tasks,
        )
        self.workspace.announce = self.delivery.announce
        self.interactions = Interactions(self.workspace, self.modals, self.responses, self.delivery)
        self._api = Api(
            workspace=self.workspace,
            modals=self.modals,
            clock=clock,
            faults=self.faults,
            rates=self.rates,
            log=self.wire_log,
            new_socket_url=self.sockets.new_url,
        )
        self._server = Server(self._api, self.sockets, self.responses, self.workspace)

    @classmethod
    async def start(cls, *, clock: Clock | None = None, port: int = 0) -> Self:
        """A running, empty workspace; port 0 takes a free one."""
        sandbox = cls(clock or WallClock())
        await sandbox._server.up(port)
        sandbox._api.base_url = sandbox.responses.base_url = sandbox.url
        sandbox.sockets.address = f"ws://{HOST}:{sandbox._server.port}"
        return sandbox

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; raises the first mistake the sandbox itself made in the background."""
        await self._server.close()
        await self._http.session.close()
        await self._tasks.close()

    # --- addresses and the log

    @property
    def url(self) -> str:
        """Where the workspace is, without a slash at the end."""
        return f"http://{HOST}:{self._server.port}"

    @property
    def api_url(self) -> str:
        """The `base_url` for slack_sdk's clients."""
        return f"{self.url}/api/"

    def on_call(self, listener: Listener) -> None:
        """Call this after each Web API call, with its entry of the wire log."""
        self._api.listeners.append(listener)

    async def wait_for(self, predicate: Callable[[], T | None], timeout: float = 5.0) -> T:  # noqa: ASYNC109 - a test's deadline, in real time
        """The first true value of `predicate`, looked at again after every change; no polling."""
        return await self._pulse.wait_for(predicate, timeout=timeout)

    async def quiet(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the same
        """Wait until nothing is on the wire.

        Do this before moving a virtual clock by much: what is in flight would miss its three seconds.
        """
        await self.wait_for(lambda: not self.delivery.in_flight and not self._api.in_flight, timeout)

    async def verify_url(self, app: App) -> bool:
        """Challenge the events URL of an app in HTTP mode, as Slack does when it is entered."""
        return await self.delivery.verify(app)

    async def replay(self, exchange: Exchange) -> Exchange:
        """Send a signed request of the log once more, byte for byte, as an eavesdropper would."""
        again = replace(exchange, answer=None, status=None, at=self.clock.now())
        self.wire_log.append(again)
        await self._http.send(again)
        return again

    # --- the scene

    @property
    def users(self) -> Mapping[str, User]:
        """Everybody, by id, as of now."""
        return self.workspace.users

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Every conversation, by id, as of now."""
        return self.workspace.channels

    def add_user(
        self,
        handle: str,
        *,
        name: str = "",
        email: str | None = None,
        tz: str = "Etc/UTC",
        id: str | None = None,
        is_admin: bool = False,
        is_owner: bool = False,
        is_bot: bool = False,
        is_restricted: bool = False,
        is_ultra_restricted: bool = False,
        is_stranger: bool = False,
    ) -> User:
        """Somebody joins. A guest is restricted, a stranger comes from another workspace (Slack Connect)."""
        offset = datetime.fromtimestamp(self.clock.now(), ZoneInfo(tz)).utcoffset()
        user = User(
            id=id or self.workspace.new_id("U"),
            team_id="T0OTHER001" if is_stranger else self.workspace.team.id,
            handle=handle,
            name=name or handle.title(),
            email=email,
            tz=tz,
            tz_offset=int(offset.total_seconds()) if offset else 0,
            is_admin=is_admin,
            is_owner=is_owner,
            is_bot=is_bot,
            is_restricted=is_restricted,
            is_ultra_restricted=is_ultra_restricted,
            is_stranger=is_stranger,
        )
        return self.workspace.add_user(user)

    def change_user(self, user_id: str, **changes: object) -> User:
        """Change facts about somebody (`is_restricted=True`, `name=...`); apps hear user_change."""
        return self.workspace.change_user(user_id, **changes)

    def deactivate(self, user_id: str) -> User:
        """Close an account: out of every group, tokens dead."""
        return self.workspace.change_user(user_id, deleted=True)

    def add_usergroup(
        self,
        handle: str,
        users: Iterable[str] = (),
        id: str | None = None,
        *,
        name: str = "",
    ) -> Usergroup:
        """A user group with these members."""
        group_id = id or self.workspace.new_id("S")
        group = Usergroup(group_id, self.workspace.team.id, handle, name or handle.title(), tuple(users))
        self.workspace.usergroups[group_id] = group
        return group

    def set_usergroup(self, group_id: str, users: Iterable[str]) -> Usergroup:
        """Make these its members; apps hear subteam_members_changed."""
        return self.workspace.set_group(group_id, users)

    def add_channel(
        self,
        name: str,
        *,
        private: bool = False,
        members: Iterable[str] = (),
        id: str | None = None,
    ) -> Channel:
        """A channel with these members."""
        return self.workspace.add_channel(name, "group" if private else "channel", members, id)

    def invite(self, channel: Channel | str, user_id: str) -> None:
        """Bring somebody, or an app's bot, into a channel."""
        self.workspace.join(channel.id if isinstance(channel, Channel) else channel, user_id)

    def share(self, channel: Channel | str, *, shared: bool = True) -> None:
        """Share a channel with another organisation."""
        self.workspace.share(channel.id if isinstance(channel, Channel) else channel, shared=shared)

    def retention_purge(self, channel: Channel | str, before: str) -> int:
        """Remove everything older than this ts at once; how many messages that were."""
        return self.workspace.purge(channel.id if isinstance(channel, Channel) else channel, before)

    def message(self, channel: Channel | str, ts: str) -> Message | None:
        """A stored message."""
        return self.workspace.find(channel.id if isinstance(channel, Channel) else channel, ts)

    def persona(self, user_id: str) -> Persona:
        """The hands and eyes of somebody; the same object each time, because a client remembers drafts."""
        if user_id not in self._personas:
            self._personas[user_id] = Persona(user_id, self.workspace, self.modals, self.interactions)
        return self._personas[user_id]

    def user_token(self, user_id: str) -> str:
        """A token with which this person's own client could call the Web API."""
        token = f"xoxp-{user_id}-{len(self.workspace.tokens)}"
        self.workspace.tokens[token] = Token("user", user_id, None)
        return token

    # --- apps

    def install(self, manifest: Json) -> App:
        """Install an app: its bot user, its tokens, and exactly the rights its manifest names."""
        new_id = self.workspace.new_id
        app = app_from(manifest, app_id=new_id("A"), bot_id=new_id("B"), bot_user_id=new_id("U"))
        bot = manifest.get("features", {}).get("bot_user", {}).get("display_name", app.name)
        self.workspace.users[app.bot_user_id] = User(
            id=app.bot_user_id,
            team_id=self.workspace.team.id,
            handle=bot.lower().replace(" ", "_"),
            name=app.name,
            is_bot=True,
            bot_id=app.bot_id,
            app_id=app.app_id,
        )
        self.workspace.apps[app.app_id] = app
        self.workspace.tokens[app.bot_token] = Token("bot", app.bot_user_id, app.app_id)
        self.workspace.tokens[app.app_token] = Token("app", app.bot_user_id, app.app_id)
        return app

    def revoke(self, app: App) -> None:
        """Revoke an app's bot token; its sockets live on and tell it so."""
        self._set_token(app.bot_token, "revoked")
        tokens = {"oauth": [], "bot": [app.bot_user_id]}
        self.workspace.announce({"type": "tokens_revoked", "tokens": tokens, "event_ts": "0"}, None, app)

    def restore(self, app: App) -> None:
        """Give a revoked token back its life (a reinstallation, seen from the app)."""
        self._set_token(app.bot_token, "live")

    def uninstall(self, app: App) -> None:
        """Remove an app: all its tokens die."""
        self.revoke(app)
        self._set_token(app.app_token, "revoked")
        self.workspace.announce({"type": "app_uninstalled", "event_ts": "0"}, None, app)

    def _set_token(self, secret: str, state: Literal["live", "revoked"]) -> None:
        self.workspace.tokens[secret] = replace(self.workspace.tokens[secret], state=state)

    # --- what can happen to connections

    async def down(self) -> None:
        """Slack is down: connections are refused, open ones cut."""
        await self._server.down()

    async def up(self) -> None:
        """Slack is back, on the same port."""
        await self._server.up()

    async def drop_sockets(self) -> None:
        """Cut every WebSocket without a close frame."""
        await self.sockets.drop()

    async def refresh_sockets(self) -> None:
        """Ask for every WebSocket to be replaced (warning, refresh_requested)."""
        await self.sockets.refresh()

    async def disable_link(self) -> None:
        """Switch Socket Mode off (link_disabled)."""
        await self.sockets.disable()
