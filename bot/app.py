"""The composition root: the only place where real things are built and joined.

The order is the promise: lock, schema, boot sweep (everything overdue ends) and only then Slack.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot import __version__
from bot.audit.checkpoint import Signer
from bot.config import Config
from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.desk import Desk
from bot.keeper import Keeper
from bot.mfa import Vault
from bot.office import Office, office, utc_now
from bot.sealer import Sealer
from bot.slack import bolt, watch
from bot.slack.channel import AuditChannel
from bot.slack.connect import Transport, web_client, who_we_are
from bot.slack.delivery import Channels, Delivery
from bot.slack.echo import Echo
from bot.slack.http import SignedHttp
from bot.slack.people import Pause, SlackPeople
from bot.slack.rounds import Rounds
from bot.slack.socket_mode import SocketMode
from bot.store import (
    Clock,
    Right,
    Store,
    is_file,
    migrate,
    only_server,
    open_engine,
    require_current,
    require_rights,
)
from bot.store.also import bind_team
from bot.web.health import health_pages

log = logging.getLogger(__name__)

DRAIN: Final = timedelta(seconds=10)
"""How long a stopping server waits for what is under way at providers."""

LAST_ANSWERS: Final = timedelta(seconds=2)
"""How long it waits for answers to people that are still on their way to Slack."""


async def serve(config: Config, env: Mapping[str, str]) -> None:
    """Runs the server until SIGINT or SIGTERM.

    Raises:
        AlreadyServed: another server has this database.
        BreakglassError: it cannot start; the text says why.
    """
    url = config.environment.database_url.reveal()
    async with only_server(url) as right:
        await _prepare(url)
        async with office(config, env) as place:
            await run(assemble(config, place, right=right), _stop_signal())


async def _prepare(url: str) -> None:
    """A file is migrated. On PostgreSQL that is the owner's business, and ours is to be allowed no more."""
    engine = open_engine(url)
    try:
        if is_file(url):
            await migrate(engine)
        else:
            await require_current(engine)
            await require_rights(engine)
    finally:
        await engine.dispose()


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of one server, joined. Nothing of it runs before `run`."""

    config: Config
    clock: Clock
    pause: Pause
    store: Store
    vault: Vault
    client: AsyncWebClient
    keeper: Keeper
    sealer: Sealer
    people: SlackPeople
    channel: AuditChannel
    rounds: Rounds
    desk: Desk
    delivery: Delivery
    channels: Channels
    transport: Transport
    right: Right

    def trouble(self) -> dict[str, str]:
        """Everything that keeps it from being ready."""
        found = {
            "keeper": None if self.keeper.is_fresh(self.clock()) else "the keeper has not swept lately.",
            "audit_channel": self.channel.closed(),
            "history": self.sealer.closed(),
            "database": self.right.lost(),
            "slack": self.transport.closed(),
            "stuck": _overdue(self.keeper.stuck),
        }
        return {name: text for name, text in found.items() if text is not None}


def _overdue(backends: Collection[str]) -> str | None:
    if not backends:
        return None
    return (
        f"access at {', '.join(sorted(backends))} should have ended and may still exist, so none is granted "
        "there; `breakglass status` names it."
    )


def assemble(
    config: Config,
    place: Office,
    *,
    clock: Clock = utc_now,
    pause: Pause = asyncio.sleep,
    right: Right | None = None,
) -> Server:
    """Builds the server over an open office. Tests pass a clock and a `pause` of their own."""
    store, held = place.store, right or Right()
    client = web_client(config.environment.slack_bot_token, config.environment.slack_api_url)
    assert config.environment.signing_key_file is not None
    signer = Signer.load(config.environment.signing_key_file, config.environment.signing_memory)
    signer.require_memory()
    sealer = Sealer(store, signer, every=config.history.checkpoint_every, heartbeat=config.history.heartbeat)
    channel = AuditChannel(client, store, config.channels.audit, pause)
    people = SlackPeople(client, config.roles, clock, pause)
    keeper = Keeper(store, place.access, place.providers, config.keeper.reconcile_every, people.known)
    desk = Desk(
        policy=config.policy,
        installation=config.installation,
        store=store,
        access=place.access,
        providers=place.providers,
        people=people,
        factors=place.factors,
        closed=lambda: held.lost() or sealer.closed() or channel.closed(),
        start=keeper.start,
    )
    echo = Echo()
    channels = Channels(config.channels.requests, config.channels.audit, config.channels.security)
    return Server(
        config=config,
        clock=clock,
        pause=pause,
        store=store,
        vault=place.vault,
        client=client,
        keeper=keeper,
        sealer=sealer,
        people=people,
        channel=channel,
        rounds=Rounds(client, store, channel, pause),
        desk=desk,
        delivery=Delivery(client, store, channels, channel, people.faces, pause=pause, echo=echo),
        channels=channels,
        transport=_transport(config, store, client, echo, pause),
        right=held,
    )


def _transport(config: Config, store: Store, client: AsyncWebClient, echo: Echo, pause: Pause) -> Transport:
    if config.slack.transport == "http":
        return SignedHttp(store, config.environment.slack_signing_secrets, echo)
    return SocketMode(client, config.environment.slack_app_token, echo, pause)


async def run(server: Server, stop: asyncio.Event) -> None:
    """Serves until `stop` is set; then finishes what is under way, and says so in the history."""
    config, store, keeper = server.config, server.store, server.keeper
    async with AsyncExitStack() as stack:
        work = await stack.enter_async_context(_background())
        work.start(server.right.keep(server.pause))
        await keeper.boot()
        work.start(keeper.run())
        await _seal_anew(store, server.vault)
        await stack.enter_async_context(
            health_pages(config.http.listen, server.trouble, server.transport.routes)
        )
        other = config.environment.other_slack
        await store.note(e.ServerStarted(version=__version__, policy=config.policy.hash, other_slack=other))
        work.start(server.sealer.run())
        if await _or_stop(stop, _meet_slack(server)):
            stack.push_async_callback(server.channel.close)
            work.start(server.people.keep_fresh(partial(_look_at_people, server)))
            work.start(server.channel.keep_checking())
            work.start(server.rounds.run())
            work.start(server.delivery.run())
            counter = bolt.Counter(
                desk=server.desk,
                store=store,
                client=server.client,
                channels=server.channels,
                pause=server.pause,
            )
            stack.push_async_callback(_briefly, counter.aside.settle)
            people, channel, changed = server.people, server.channel, keeper.person_changed
            app = bolt.build_app(counter, lambda app: watch.register(app, people, channel, changed))
            await stack.enter_async_context(server.transport.hears(app))
            work.start(server.transport.watch())
            log.info("Breakglass %s serves installation %s.", __version__, config.installation)
            await stop.wait()
        log.info("Stopping: what is under way at providers is finished first.")
    await keeper.drain(DRAIN)
    await store.note(e.ServerStopped())
    await server.sealer.seal()


async def _seal_anew(store: Store, vault: Vault) -> None:
    """Everything that rests encrypted comes under the first of the secret keys: the others can go then."""
    anew = await store.reseal(vault.renew)
    if anew:
        log.info("%d stored secrets were sealed anew; older keys in BREAKGLASS_SECRET_KEYS can go.", anew)


async def _meet_slack(server: Server) -> None:
    """Learns who we are and who people are. The keeper works meanwhile, however long Slack takes."""
    store, people, channel = server.store, server.people, server.channel
    team, channel.bot_id, channel.user_id = await who_we_are(server.client, server.pause)
    people.team = team
    bound = await store.team()
    if not bound:
        await store.note(e.WorkspaceBound(team=team), also=[bind_team(team)])
    elif bound != team:
        raise BreakglassError(
            f"This installation belongs to Slack workspace {bound}, and the token is of {team}. "
            "Use the token of that workspace, or another database."
        )
    await _look_at_people(server)
    await channel.check()


async def _look_at_people(server: Server) -> None:
    """Who is who, and who left: so that an event of Slack's that was lost costs a minute and no more."""
    requesters = await server.keeper.requesters()
    await server.people.refresh(*requesters)
    await server.keeper.see_who_left(requesters)


# --- running things -------------------------------------------------------------------------------------


class _Background:
    """Tasks that live as long as the server. One that dies takes the server down: a restart is safer."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self._server = asyncio.current_task()

    def start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self.tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._server is not None:
            log.error("A part of the server died; stopping it all.", exc_info=task.exception())
            self._server.cancel()


@asynccontextmanager
async def _background() -> AsyncIterator[_Background]:
    background = _Background()
    try:
        yield background
    finally:
        for task in background.tasks:
            task.cancel()
        await asyncio.gather(*background.tasks, return_exceptions=True)


async def _briefly(settle: Callable[[], Awaitable[None]]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_ANSWERS.total_seconds()):
            await settle()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _or_stop(stop: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Waits for `work` unless the server is told to stop first. Returns whether the work was done."""
    doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not doing.done():
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
        return False
    await doing
    return True
