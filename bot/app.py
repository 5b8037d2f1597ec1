"""The composition root: the only place where real things are built and joined.

The order is the promise: lock, schema, boot sweep (everything overdue ends) and only then Slack.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import make_url

from bot import __version__
from bot.audit.checkpoint import Signer
from bot.config import Config
from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.desk import Desk
from bot.keeper import Keeper
from bot.office import Office, office, utc_now
from bot.sealer import Sealer
from bot.slack import bolt, watch
from bot.slack.channel import AuditChannel
from bot.slack.connect import socket_mode, web_client, who_we_are
from bot.slack.delivery import Channels, Delivery
from bot.slack.people import SlackPeople
from bot.store import Store, migrate, only_server, open_engine
from bot.store.also import bind_team
from bot.web.health import health_pages

log = logging.getLogger(__name__)

DRAIN: Final = timedelta(seconds=10)
"""How long a stopping server waits for what is under way at providers."""


async def serve(config: Config, env: Mapping[str, str]) -> None:
    """Runs the server until SIGINT or SIGTERM.

    Raises:
        AlreadyServed: another server has this database.
        BreakglassError: it cannot start; the text says why.
    """
    url = config.environment.database_url.reveal()
    with only_server(url):
        if make_url(url).drivername.startswith("sqlite"):
            engine = open_engine(url)
            await migrate(engine)
            await engine.dispose()
        async with office(config, env) as place:
            await _run(config, place)


async def _run(config: Config, place: Office) -> None:
    store, access = place.store, place.access
    stop = _stop_signal()
    keeper = Keeper(store, access, place.providers, config.keeper.reconcile_every)
    client = web_client(config.environment.slack_bot_token, config.environment.slack_api_url)
    assert config.environment.signing_key_file is not None
    signer = Signer.load(config.environment.signing_key_file)
    sealer = Sealer(store, signer, every=config.history.checkpoint_every, heartbeat=config.history.heartbeat)
    channel = AuditChannel(client, store, config.channels.audit)
    people = SlackPeople(client, config.roles, utc_now)
    desk = Desk(
        policy=config.policy,
        installation=config.installation,
        store=store,
        access=access,
        providers=place.providers,
        people=people,
        factors=place.factors,
        closed=lambda: sealer.closed() or channel.closed(),
        start=keeper.start,
    )
    channels = Channels(config.channels.requests, config.channels.audit, config.channels.security)
    delivery = Delivery(client, store, channels, channel, people.faces)

    def ready() -> dict[str, str]:
        trouble = {
            "keeper": None if keeper.is_fresh(utc_now()) else "the keeper has not swept lately.",
            "audit_channel": channel.closed(),
            "history": sealer.closed(),
        }
        return {name: text for name, text in trouble.items() if text is not None}

    async with AsyncExitStack() as stack:
        work = await stack.enter_async_context(_background())
        await keeper.boot()
        work.start(keeper.run())
        await stack.enter_async_context(health_pages(config.http.listen, ready))
        other = config.environment.other_slack
        await store.note(e.ServerStarted(version=__version__, policy=config.policy.hash, other_slack=other))
        work.start(sealer.run())
        if not await _or_stop(stop, _meet_slack(store, client, people, channel)):
            return
        work.start(people.keep_fresh())
        work.start(channel.keep_checking())
        work.start(delivery.run())
        counter = bolt.Counter(desk=desk, store=store, client=client, channels=channels)
        stack.push_async_callback(counter.aside.settle)
        app = bolt.build_app(counter, lambda app: watch.register(app, people, channel))
        await stack.enter_async_context(socket_mode(app, config.environment.slack_app_token))
        log.info("Breakglass %s serves installation %s.", __version__, config.installation)
        await stop.wait()
        log.info("Stopping: what is under way at providers is finished first.")
    await keeper.drain(DRAIN)
    await store.note(e.ServerStopped())
    await sealer.seal()


async def _meet_slack(
    store: Store, client: AsyncWebClient, people: SlackPeople, channel: AuditChannel
) -> None:
    """Learns who we are and who people are. The keeper works meanwhile, however long Slack takes."""
    team, bot_id = await who_we_are(client)
    people.team, channel.bot_id = team, bot_id
    bound = await store.team()
    if not bound:
        await store.note(e.WorkspaceBound(team=team), also=[bind_team(team)])
    elif bound != team:
        raise BreakglassError(
            f"This installation belongs to Slack workspace {bound}, and the token is of {team}. "
            "Use the token of that workspace, or another database."
        )
    await people.refresh()
    await channel.check()


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
