"""A workspace on virtual time, the app Door in it, and real Bolt over real connections."""

from collections.abc import AsyncIterator

import pytest
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Sandbox, VirtualClock
from tests.sandbox.door import MANIFEST, Connect
from tests.sandbox.wire import Wire


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def sandbox(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with await Sandbox.start(clock=clock) as running:
        yield running


@pytest.fixture
def door(sandbox: Sandbox) -> App:
    """The installed app."""
    return sandbox.install(MANIFEST)


@pytest.fixture
def client(sandbox: Sandbox, door: App) -> AsyncWebClient:
    """The app's own client, without retries: what Slack answers is what a test sees."""
    return AsyncWebClient(door.bot_token, base_url=sandbox.api_url, retry_handlers=[])


@pytest.fixture
def bolt(client: AsyncWebClient) -> AsyncApp:
    """A real Bolt app, without listeners yet."""
    return AsyncApp(client=client, ignoring_self_events_enabled=False)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects a Bolt app by Socket Mode, and disconnects it after the test."""
    handlers: list[AsyncSocketModeHandler] = []

    async def connected(bolt: AsyncApp, app: App) -> AsyncSocketModeHandler:
        handler = AsyncSocketModeHandler(bolt, app.app_token)
        handlers.append(handler)
        await handler.connect_async()  # type: ignore[no-untyped-call] # slack_bolt leaves it untyped
        return handler

    yield connected
    for handler in handlers:
        await handler.close_async()  # type: ignore[no-untyped-call] # the same


@pytest.fixture
async def wire(sandbox: Sandbox, door: App) -> AsyncIterator[Wire]:
    """A bare Socket Mode connection: the test itself is the app, and acks what it likes."""
    async with Wire(sandbox, door) as connected:
        yield connected
