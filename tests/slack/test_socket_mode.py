"""Socket Mode against all that a connection can do: real Bolt, the sandbox's faults, time passed in."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.model import Secret
from bot.sandbox import App, Channel, Persona, Sandbox, VirtualClock
from bot.slack import connection, socket_mode
from bot.slack.echo import PATIENCE, Echo
from bot.slack.socket_mode import LAST_RESORT, SLOWLY, LostSlack, SocketMode
from tests.sandbox.door import MANIFEST

NOTHING = "nothing that people do in Slack arrives"


@dataclass
class Line:
    """The app Door at the end of its line, and one person who uses it."""

    sandbox: Sandbox
    slack: VirtualClock
    app: App
    mode: SocketMode
    echo: Echo
    alice: Persona
    doors: Channel
    now: list[float]
    pauses: list[float]
    overlap: asyncio.Event
    """An old connection is still read until this is set."""
    heard: list[str] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    answer: Callable[[], Any] = lambda: asyncio.sleep(0)

    def bolt(self) -> AsyncApp:
        client = AsyncWebClient(self.app.bot_token, base_url=self.sandbox.api_url, retry_handlers=[])
        app = AsyncApp(client=client, ignoring_self_events_enabled=False)

        async def message(event: dict[str, Any]) -> None:
            self.heard.append(event["text"])

        async def door(ack: AsyncAck) -> None:
            await self.answer()
            await ack("open")

        app.event("message")(message)
        app.command("/door")(door)
        return app

    async def hears(self, *, wait: bool = True) -> None:
        await self.stack.enter_async_context(self.mode.hears(self.bolt()))
        if wait:
            await self.until(lambda: self.mode.closed() is None)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  several things move it
                await asyncio.sleep(0.002)

    async def says(self, sentence: str) -> None:
        """What `/ready` would say."""
        await self.until(lambda: sentence in (self.mode.closed() or ""))

    async def works(self) -> None:
        await self.until(lambda: self.mode.closed() is None)
        outcome = await self.alice.command("/door", self.doors)
        assert outcome.ok, outcome.error

    def opened(self) -> int:
        return len(self.sandbox.wire_log.calls("apps.connections.open"))


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    slack, now, pauses, overlap = VirtualClock(), [1000.0], list[float](), asyncio.Event()
    overlap.set()

    async def hurried(seconds: float) -> None:
        pauses.append(seconds)
        if seconds == socket_mode.OVERLAP:
            await overlap.wait()
        await asyncio.sleep(seconds / 200)

    async with await Sandbox.start(clock=slack) as sandbox:
        app = sandbox.install(MANIFEST)
        alice = sandbox.persona(sandbox.add_user("alice").id)
        doors = sandbox.add_channel("doors", members=[alice.id, app.bot_user_id])
        client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url, retry_handlers=[])
        echo = Echo(lambda: now[0])
        mode = SocketMode(client, Secret(app.app_token), echo, hurried, ping=0.1)
        built = Line(sandbox, slack, app, mode, echo, alice, doors, now, pauses, overlap)
        async with built.stack:
            yield built


async def test_it_is_open_from_slacks_hello_on(line: Line) -> None:
    assert line.mode.closed() == f"{NOTHING} yet."
    await line.hears()
    await line.works()


async def test_when_it_ends_its_connections_are_closed(line: Line) -> None:
    await line.hears()
    await line.stack.aclose()
    await line.until(lambda: not line.sandbox.sockets.all())
    assert line.mode.closed() is not None


# --- connections that go bad ----------------------------------------------------------------------------


async def test_a_connection_that_answers_no_ping_is_replaced(line: Line) -> None:
    line.sandbox.faults.mute_pongs = True
    await line.hears()
    await line.until(lambda: line.opened() > 1)
    line.sandbox.faults.mute_pongs = False
    await line.works()


async def test_a_connection_without_hello_is_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HELLO", 0.1)
    line.sandbox.faults.mute_hello = True
    await line.hears(wait=False)
    await line.says("Slack said nothing on the new connection.")
    assert line.heard == []
    line.sandbox.faults.mute_hello = False
    await line.works()


async def test_a_connection_that_was_cut_is_made_again_and_events_in_between_arrive(line: Line) -> None:
    await line.hears()
    await line.sandbox.drop_sockets()
    await line.alice.post(line.doors, "in the gap")
    await line.until(lambda: line.heard)
    assert line.heard == ["in the gap"]
    await line.works()


async def test_until_it_is_made_again_ready_says_that_it_was_cut(line: Line) -> None:
    await line.hears()
    await line.sandbox.down()
    await line.says("the connection was cut. It is made again.")
    await line.says("Slack does not answer (ClientConnectorError).")
    await line.sandbox.up()
    await line.works()


@pytest.mark.parametrize("times", [1, 5])
async def test_the_new_connection_stands_before_the_old_one_goes(line: Line, times: int) -> None:
    await line.hears()
    for _ in range(times):
        (old,) = line.sandbox.sockets.all()
        line.overlap.clear()
        await line.sandbox.refresh_sockets()
        await line.until(lambda: len(line.sandbox.sockets.all()) == 2)
        for _ in range(2):
            assert (await line.alice.command("/door", line.doors)).ok, "on either of the two"
        line.overlap.set()
        await line.until(lambda old=old: old not in line.sandbox.sockets.all())  # type: ignore[misc]  # bound on purpose
        line.now[0] += 60
    assert line.mode.closed() is None


async def test_what_is_under_way_on_the_old_connection_is_answered_on_it(line: Line) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        inside.set()
        await go_on.wait()

    line.answer = slowly
    await line.hears()
    command = asyncio.create_task(line.alice.command("/door", line.doors))
    await inside.wait()
    line.overlap.clear()
    await line.sandbox.refresh_sockets()
    await line.until(lambda: len(line.sandbox.sockets.all()) == 2)
    line.overlap.set()
    go_on.set()
    assert (await command).ok


async def test_what_is_under_way_at_the_end_is_answered(line: Line) -> None:
    inside = asyncio.Event()

    async def slowly() -> None:
        inside.set()
        await asyncio.sleep(0.05)

    line.answer = slowly
    await line.hears()
    command = asyncio.create_task(line.alice.command("/door", line.doors))
    await inside.wait()
    await line.stack.aclose()
    assert (await command).ok


@pytest.mark.parametrize(
    "frame", ["nonsense", "", "[1]", '{"type": 3}', "{}", "[" * 100_000, '{"type": "news"}']
)
async def test_a_frame_that_is_none_is_ignored(line: Line, frame: str) -> None:
    await line.hears()
    (open_one,) = line.sandbox.sockets.all()
    await open_one.socket.send_str(frame)
    await line.works()
    assert line.opened() == 1


# --- what Slack says against it -------------------------------------------------------------------------


async def test_too_many_connections_is_said_with_what_to_do(line: Line) -> None:
    line.sandbox.faults.too_many = True
    await line.hears(wait=False)
    await line.says("ten connections are open already. Stop whatever else uses this SLACK_APP_TOKEN.")
    line.sandbox.faults.too_many = False
    await line.works()


async def test_socket_mode_switched_off_is_said_and_tried_again_slowly(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    await line.hears()
    line.now[0] += 60
    await line.sandbox.disable_link()
    await line.says("Socket Mode is switched off. Switch it on in the app's settings.")
    await line.until(lambda: SLOWLY in line.pauses)
    assert line.opened() == 1, "not before a minute"
    assert "Socket Mode is switched off" in caplog.text
    await line.works()


async def test_a_revoked_app_token_is_said_and_tried_again_slowly(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line.sandbox._set_token(line.app.app_token, "revoked")
    await line.hears(wait=False)
    await line.says("Slack refuses SLACK_APP_TOKEN (token_revoked). Make a new one in the app's settings")
    await line.until(lambda: line.pauses.count(SLOWLY) >= 3)
    assert caplog.text.count("Slack refuses SLACK_APP_TOKEN") == 1, "said once"
    assert line.app.app_token not in caplog.text
    line.sandbox._set_token(line.app.app_token, "live")
    await line.works()


async def test_a_bot_token_in_its_place_is_said(line: Line) -> None:
    line.mode._app_token = Secret(line.app.bot_token)
    await line.hears(wait=False)
    await line.says("Slack refuses SLACK_APP_TOKEN (not_allowed_token_type).")


async def test_an_error_of_slacks_own_is_waited_out(line: Line) -> None:
    line.sandbox.faults.add(method="apps.connections.open", kind="error", error="internal_error", times=2)
    await line.hears(wait=False)
    await line.says("Slack says internal_error.")
    await line.works()
    assert SLOWLY not in line.pauses


async def test_while_slack_is_away_attempts_become_rare(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    line.sandbox.faults.add(method="apps.connections.open", kind="cut_before", times=7)
    await line.hears()
    assert line.pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert caplog.text.count("Slack lets us open no connection") == 1


# --- the connection that looks well ---------------------------------------------------------------------


async def is_deaf(line: Line) -> None:
    """It said hello, it answers pings, and our own post never comes back."""
    line.sandbox.faults.deaf = True
    await line.hears()
    line.now[0] += 1
    began = line.echo.clock()
    await line.alice.post(line.doors, "not heard")
    line.echo.posted(began)
    line.sandbox.faults.deaf = False


async def test_a_connection_on_which_nothing_arrives_is_said_and_replaced(line: Line) -> None:
    await is_deaf(line)
    line.now[0] += PATIENCE - 1
    assert line.mode.closed() is None
    line.now[0] += 2
    assert line.mode.closed() == (
        f"{NOTHING}: the connection stands, and not even our own posts come back. It is replaced."
    )
    line.overlap.clear()
    watching = asyncio.create_task(line.mode.watch())
    await line.until(lambda: len(line.sandbox.sockets.all()) == 2)
    line.overlap.set()
    await line.slack.advance(3.1)  # Slack delivers again what was not acknowledged
    await line.slack.advance(60)
    await line.until(lambda: line.heard)
    assert line.mode.closed() is None
    watching.cancel()


async def test_a_night_without_any_event_is_no_reason_to_replace_it(line: Line) -> None:
    await line.hears()
    watching = asyncio.create_task(line.mode.watch())
    for _ in range(20):
        line.now[0] += 3600
        await asyncio.sleep(0.03)
    assert line.mode.closed() is None
    assert line.opened() == 1
    watching.cancel()


async def test_what_was_posted_before_it_opened_is_not_waited_for(line: Line) -> None:
    line.now[0] += 1
    began = line.echo.clock()
    line.now[0] += 1
    await line.hears()
    line.echo.posted(began)
    line.now[0] += PATIENCE + 1
    assert line.mode.closed() is None


async def test_an_event_that_overtakes_the_answer_to_its_post_counts(line: Line) -> None:
    line.now[0] += 1
    began = line.echo.clock()
    line.now[0] += 1
    line.echo.heard()
    line.echo.posted(began)
    line.now[0] += PATIENCE + 1
    assert not line.echo.is_deaf()


# --- the last resort ------------------------------------------------------------------------------------


async def lasts(line: Line, seconds: float) -> asyncio.Task[None]:
    """The watchdog, after it saw that and this long afterwards."""
    watching = asyncio.create_task(line.mode.watch())
    await line.until(lambda: line.mode._lost_since is not None)
    line.now[0] += seconds
    looks = line.pauses.count(socket_mode.LOOK)
    await line.until(lambda: watching.done() or line.pauses.count(socket_mode.LOOK) > looks + 3)
    return watching


async def lost(line: Line) -> None:
    """It heard Slack once; now connections open no more, and the rest of Slack answers."""
    await line.hears()
    await line.alice.post(line.doors, "hello")
    await line.until(lambda: line.echo.ever)
    line.sandbox.faults.add(method="apps.connections.open", kind="500", times=10_000)
    await line.sandbox.drop_sockets()
    await line.until(line.mode.closed)


async def test_a_process_that_does_not_get_its_connection_back_ends_itself(line: Line) -> None:
    await lost(line)
    watching = await lasts(line, LAST_RESORT + 1)
    with pytest.raises(LostSlack, match="This process ends, so that a new one can try"):
        await watching


async def test_a_process_that_is_deaf_for_good_ends_itself(line: Line) -> None:
    line.echo.heard()
    await is_deaf(line)
    line.sandbox.faults.deaf = True
    line.echo.posted(line.echo.clock())
    line.now[0] += PATIENCE + 1
    watching = await lasts(line, LAST_RESORT + 1)
    with pytest.raises(LostSlack):
        await watching


async def stays(line: Line, seconds: float = LAST_RESORT + 1) -> None:
    watching = await lasts(line, seconds)
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_before_a_quarter_of_an_hour_it_does_not(line: Line) -> None:
    await lost(line)
    await stays(line, LAST_RESORT - 60)


async def test_while_the_web_api_is_away_too_it_does_not(line: Line) -> None:
    await lost(line)
    await line.sandbox.down()
    await stays(line)


async def test_one_post_that_never_came_back_is_not_enough_for_it(line: Line) -> None:
    line.echo.heard()
    await is_deaf(line)
    line.sandbox.faults.deaf = True
    line.now[0] += PATIENCE + 1
    await stays(line)


async def test_where_nothing_ever_arrived_another_process_would_hear_no_more(line: Line) -> None:
    """Events that nobody subscribed to: it says so on /ready, and goes on ending access."""
    await is_deaf(line)
    line.sandbox.faults.deaf = True
    line.echo.posted(line.echo.clock())
    line.now[0] += PATIENCE + 1
    await stays(line)
    assert line.mode.closed() is not None


async def test_when_slack_says_what_is_wrong_a_restart_would_not_mend_it(line: Line) -> None:
    await line.hears()
    line.echo.heard()
    line.sandbox._set_token(line.app.app_token, "revoked")
    await line.sandbox.drop_sockets()
    await line.says("Slack refuses SLACK_APP_TOKEN")
    watching = asyncio.create_task(line.mode.watch())
    for _ in range(5):
        line.now[0] += LAST_RESORT
        await asyncio.sleep(0.03)
    assert not watching.done()
    watching.cancel()
