"""HTTP mode: signed requests, retries, and a conversation with Bolt's own web server (S1 to S3, S12, S13)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Persona, Sandbox, VirtualClock
from bot.sandbox.kit.schema import Json
from tests.sandbox.door import MANIFEST
from tests.sandbox.test_sandbox_end_to_end import conversation, listeners

Serve = Callable[[web.Application], Awaitable[str]]
Answers = list[web.Response]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a web application on a free port."""
    runners: list[web.AppRunner] = []

    async def served(application: web.Application) -> str:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"

    yield served
    for runner in runners:
        await runner.cleanup()


def manifest(url: str) -> Json:
    """Door, reached by HTTP at one address."""
    features = MANIFEST["features"]
    commands = [{**command, "url": url} for command in features["slash_commands"]]
    events = {**MANIFEST["settings"]["event_subscriptions"], "request_url": url}
    interactivity = {"is_enabled": True, "request_url": url}
    settings = {"event_subscriptions": events, "interactivity": interactivity, "socket_mode_enabled": False}
    return {**MANIFEST, "features": {**features, "slash_commands": commands}, "settings": settings}


class Served:
    """Door behind Bolt's web server, and one person in a channel with it."""

    def __init__(self, app: App, bolt: AsyncApp, channel: Channel, alice: Persona, seen: list[Json]) -> None:
        self.app, self.bolt, self.channel, self.alice, self.seen = app, bolt, channel, alice, seen


@pytest.fixture
async def served(sandbox: Sandbox, serve: Serve) -> Served:
    inner: list[web.Application] = []

    async def pass_on(request: web.Request) -> web.StreamResponse:
        match = await inner[0].router.resolve(request)
        return await match.handler(request)

    outer = web.Application()
    outer.router.add_post("/slack/events", pass_on)
    app = sandbox.install(manifest(await serve(outer)))
    client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url)
    bolt = AsyncApp(client=client, signing_secret=app.signing_secret, ignoring_self_events_enabled=False)
    inner.append(bolt.web_app(path="/slack/events"))
    seen: list[Json] = []

    @bolt.event("message")
    async def message(event: Json) -> None:
        seen.append(event)

    alice = sandbox.persona(sandbox.add_user("alice", is_admin=True).id)
    channel = sandbox.add_channel("doors", members=[alice.id, app.bot_user_id])
    return Served(app, bolt, channel, alice, seen)


async def test_a_conversation_over_http(sandbox: Sandbox, served: Served) -> None:
    """The same conversation as over a socket, by signed requests to Bolt's web server."""
    bob = sandbox.add_user("bob")
    sandbox.invite(served.channel, bob.id)
    listeners(served.bolt, served.channel.id)
    await conversation(sandbox, served.channel.id, served.alice.id, bob.id)


async def test_a_new_address_is_challenged(sandbox: Sandbox, served: Served) -> None:
    """Bolt echoes the challenge of url_verification."""
    assert await sandbox.verify_url(served.app)


async def test_s01_a_changed_body_is_refused(sandbox: Sandbox, served: Served) -> None:
    """One byte changed after signing, and Bolt answers 401."""
    sandbox.faults.tamper = True
    outcome = await served.alice.command("/door open")
    assert outcome.error == "http_client_error"
    assert sandbox.wire_log.pushes("slash_commands")[-1].status == 401


@pytest.mark.parametrize("skew", [-301.0, 302.0])
async def test_s02_an_old_or_future_timestamp_is_refused(
    sandbox: Sandbox, served: Served, skew: float
) -> None:
    """A signature more than five minutes off, either way, is refused with 401."""
    sandbox.faults.skew = skew
    await served.alice.command("/door open")
    assert sandbox.wire_log.pushes("slash_commands")[-1].status == 401


async def test_s03_a_replay_passes_the_signature_check(sandbox: Sandbox, served: Served) -> None:
    """The same signed bytes within five minutes are good again: deduplication is the app's own work."""
    await served.alice.post(served.channel, "hello")
    await sandbox.wait_for(lambda: served.seen)
    [first] = sandbox.wire_log.pushes("events_api")
    again = await sandbox.replay(first)
    assert again.status == 200
    await sandbox.wait_for(lambda: len(served.seen) == 2)
    assert served.seen[0] == served.seen[1]


class Stubborn:
    """An endpoint that answers events as it is told to, and remembers what came."""

    def __init__(self, answer: Callable[[], web.Response]) -> None:
        self.requests: list[tuple[str | None, str | None, str]] = []
        self._answer = answer
        self.application = web.Application()
        self.application.router.add_post("/slack/events", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        headers = request.headers
        self.requests.append(
            (headers.get("x-slack-retry-num"), headers.get("x-slack-retry-reason"), body["event_id"])
        )
        return self._answer()


async def spoken_to(sandbox: Sandbox, serve: Serve, stubborn: Stubborn) -> None:
    """Somebody says something to an app at this endpoint."""
    app = sandbox.install(manifest(await serve(stubborn.application)))
    alice = sandbox.persona(sandbox.add_user("alice").id)
    channel = sandbox.add_channel("doors", members=[alice.id, app.bot_user_id])
    await alice.post(channel, "hello")
    await sandbox.wait_for(lambda: stubborn.requests)


async def test_s12_an_event_is_tried_four_times(sandbox: Sandbox, serve: Serve, clock: VirtualClock) -> None:
    """Without a 2xx an event comes at once again, after a minute and after five, then never more."""
    stubborn = Stubborn(lambda: web.Response(status=500))
    await spoken_to(sandbox, serve, stubborn)
    await sandbox.wait_for(lambda: len(stubborn.requests) == 2)
    for pause, expected in ((59, 2), (2, 3), (238, 3), (2, 4), (3600, 4)):
        await clock.advance(pause)
        await sandbox.wait_for(lambda expected=expected: len(stubborn.requests) == expected)  # type: ignore[misc] # bound on purpose
    numbers, reasons, events = zip(*stubborn.requests, strict=True)
    assert numbers == (None, "1", "2", "3")
    assert reasons == (None, "http_error", "http_error", "http_error")
    assert len(set(events)) == 1


async def test_s13_an_app_can_refuse_retries(sandbox: Sandbox, serve: Serve, clock: VirtualClock) -> None:
    """x-slack-no-retry: 1 beside an error ends the event."""
    stubborn = Stubborn(lambda: web.Response(status=500, headers={"x-slack-no-retry": "1"}))
    await spoken_to(sandbox, serve, stubborn)
    await clock.advance(3600)
    assert len(stubborn.requests) == 1


async def test_an_unreachable_app_is_told_as_dispatch_failed(sandbox: Sandbox) -> None:
    """A command to an address where nobody listens fails before its three seconds."""
    sandbox.install(manifest("http://127.0.0.1:9/slack/events"))
    alice = sandbox.persona(sandbox.add_user("alice").id)
    assert (await alice.command("/door")).error == "dispatch_failed"


async def test_an_app_without_an_address_says_so(sandbox: Sandbox) -> None:
    """Without an interactivity URL a shortcut ends in app_missing_action_url."""
    bare: Any = {**MANIFEST, "settings": {"socket_mode_enabled": False}}
    sandbox.install(bare)
    alice = sandbox.persona(sandbox.add_user("alice").id)
    assert (await alice.shortcut("open")).error == "app_missing_action_url"
