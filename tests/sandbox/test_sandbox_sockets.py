"""Socket Mode and event delivery: what is lost, repeated, retried, and who hears it (S14, S15)."""

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Persona, Sandbox, VirtualClock
from tests.sandbox.door import MANIFEST, Connect
from tests.sandbox.wire import Wire


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("alice", is_admin=True).id)


@pytest.fixture
def doors(sandbox: Sandbox, door: App, alice: Persona) -> Channel:
    return sandbox.add_channel("doors", private=True, members=[alice.id, door.bot_user_id])


async def acked(wire: Wire) -> dict[str, Any]:
    """The next envelope, acknowledged."""
    frame = await wire.frame()
    await wire.ack(frame)
    return frame


async def test_s14_a_duplicated_event_keeps_its_id(
    sandbox: Sandbox, alice: Persona, doors: Channel, wire: Wire
) -> None:
    """The same event can come twice: a new envelope, the same event_id."""
    sandbox.faults.duplicate_events()
    await alice.post(doors, "hello")
    one, two = await acked(wire), await acked(wire)
    assert one["payload"]["event_id"] == two["payload"]["event_id"]
    assert one["envelope_id"] != two["envelope_id"]


async def test_s14_events_can_be_lost_and_overtaken(
    sandbox: Sandbox, alice: Persona, doors: Channel, wire: Wire
) -> None:
    """A lost event never comes; a held one comes after the next."""
    sandbox.faults.lose_events()
    sandbox.faults.reorder_events()
    for word in ("lost", "held", "quick"):
        await alice.post(doors, word)
    frames = [await acked(wire), await acked(wire)]
    assert [frame["payload"]["event"]["text"] for frame in frames] == ["quick", "held"]


async def test_s15_a_ticket_works_once(sandbox: Sandbox, door: App, wire: Wire, clock: VirtualClock) -> None:
    """A used ticket and one older than 30 seconds are refused."""
    url = await wire.url()
    async with Wire(sandbox, door) as other:
        await other.connect(url)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await other.connect(url)
        late = await wire.url()
        await clock.advance(31)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await other.connect(late)


@pytest.mark.usefixtures("wire")
async def test_s15_ten_sockets_are_the_limit(sandbox: Sandbox, door: App) -> None:
    """The eleventh connection is told too_many_websockets and closed."""
    others = [Wire(sandbox, door) for _ in range(9)]
    hellos = [await other.connect() for other in others]
    assert [hello["num_connections"] for hello in hellos] == list(range(2, 11))
    eleventh = Wire(sandbox, door)
    frame = await eleventh.connect()
    assert (frame["type"], frame["reason"]) == ("disconnect", "too_many_websockets")
    assert (await eleventh.socket.receive()).type is aiohttp.WSMsgType.CLOSE
    for wire_ in (*others, eleventh):
        await wire_.__aexit__()


async def test_s15_each_envelope_goes_to_one_connection(
    sandbox: Sandbox, door: App, alice: Persona, doors: Channel, wire: Wire
) -> None:
    """With two connections each event arrives once, on either of them."""
    async with Wire(sandbox, door) as other:
        for word in ("one", "two"):
            await alice.post(doors, word)
        heard = {(await acked(each))["payload"]["event"]["text"] for each in (wire, other)}
        assert heard == {"one", "two"}


async def test_s15_a_refresh_is_announced(sandbox: Sandbox, wire: Wire, clock: VirtualClock) -> None:
    """A connection is warned ten seconds before it is asked to be replaced; so is one that grows old."""
    await sandbox.refresh_sockets()
    assert [(await wire.frame())["reason"] for _ in range(2)] == ["warning", "refresh_requested"]
    await wire.connect(f"{await wire.url()}&debug_reconnects=true")
    await clock.advance(350)
    assert (await wire.frame())["reason"] == "warning"
    await clock.advance(10)
    assert (await wire.frame())["reason"] == "refresh_requested"


async def test_s15_bolt_survives_a_refresh(
    sandbox: Sandbox, door: App, bolt: AsyncApp, connect: Connect, alice: Persona
) -> None:
    """Real Bolt reconnects when asked to, and hears what happened in between."""
    doors = sandbox.add_channel("doors", members=[alice.id, door.bot_user_id])
    heard: list[str] = []

    @bolt.event("message")
    async def message(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    await connect(bolt, door)
    await sandbox.refresh_sockets()
    await alice.post(doors, "in the gap")
    await sandbox.wait_for(lambda: sandbox.wire_log.calls("apps.connections.open")[1:])
    await sandbox.wait_for(lambda: heard)
    assert heard[0] == "in the gap"


async def test_s15_an_event_outlives_the_gap(
    sandbox: Sandbox, alice: Persona, doors: Channel, wire: Wire
) -> None:
    """What happens while no socket is open, or is lost with a cut one, is delivered on the next."""
    await alice.post(doors, "cut off")
    await wire.frame()  # received, never acknowledged
    await sandbox.drop_sockets()
    await alice.post(doors, "in the gap")
    await wire.connect()
    frames = [await acked(wire), await acked(wire)]
    heard = {frame["payload"]["event"]["text"]: frame["retry_attempt"] for frame in frames}
    assert heard == {"cut off": 1, "in the gap": 0}


async def test_s15_a_command_in_the_gap_fails(sandbox: Sandbox, alice: Persona, wire: Wire) -> None:
    """Commands and clicks are never repeated: without a socket the person sees an error at once."""
    waiting = asyncio.create_task(alice.command("/door"))
    await wire.frame()
    await sandbox.drop_sockets()
    assert (await waiting).error == "dispatch_failed"
    assert (await alice.command("/door")).error == "dispatch_failed"


async def test_s15_an_event_without_ack_is_retried_with_its_reason(
    alice: Persona, doors: Channel, wire: Wire, clock: VirtualClock
) -> None:
    """An event that is never acknowledged comes four times, the same event_id each time."""
    await alice.post(doors, "hello")
    frames = [await wire.frame()]
    for pause in (3.1, 60, 300):
        await clock.advance(pause)
        frames.append(await wire.frame())
    assert [frame["retry_attempt"] for frame in frames] == [0, 1, 2, 3]
    assert [frame["retry_reason"] for frame in frames] == ["", "timeout", "timeout", "timeout"]
    assert len({frame["payload"]["event_id"] for frame in frames}) == 1


async def test_s15_pings_can_stay_unanswered(sandbox: Sandbox, wire: Wire) -> None:
    """A connection can look open and be dead."""
    await wire.socket.ping(b"alive?")
    sandbox.faults.mute_pongs = True
    await wire.connect()
    await wire.socket.ping(b"alive?")
    await sandbox.disable_link()
    assert (await wire.frame())["reason"] == "link_disabled"


async def test_quiet_waits_for_what_is_in_flight(
    sandbox: Sandbox, alice: Persona, doors: Channel, wire: Wire
) -> None:
    """quiet returns once everything sent has been answered."""
    await alice.post(doors, "hello")
    frame = await wire.frame()
    waiting = asyncio.create_task(sandbox.quiet())
    await asyncio.sleep(0)
    assert not waiting.done()
    await wire.ack(frame)
    await waiting


async def test_a_bot_token_opens_no_socket(client: AsyncWebClient, door: App) -> None:
    """apps.connections.open takes the app-level token only."""
    answer = await client.api_test()
    assert answer["ok"]
    with pytest.raises(Exception, match="not_allowed_token_type"):
        await client.apps_connections_open(app_token=door.bot_token)


async def test_an_app_hears_only_what_it_asked_for(
    sandbox: Sandbox, alice: Persona, door: App, wire: Wire
) -> None:
    """No subscription, no scope, or no membership: the event is dropped."""
    outside = sandbox.add_channel("outside", members=[alice.id])
    await alice.post(outside, "not for bots")
    unscoped = sandbox.install({**MANIFEST, "oauth_config": {"scopes": {"bot": ["commands"]}}})
    inside = sandbox.add_channel("inside", members=[alice.id, door.bot_user_id, unscoped.bot_user_id])
    await alice.set_topic(inside, "not subscribed as channel_topic, but it is a message")
    sandbox.change_user(alice.id, name="Alice I.")
    events = [(await acked(wire))["payload"]["event"] for _ in range(2)]
    assert [event.get("subtype", event["type"]) for event in events] == ["channel_topic", "user_change"]
    assert {entry.app_id for entry in sandbox.wire_log.pushes("events_api")} == {door.app_id}


async def test_a_connection_can_be_deaf(
    sandbox: Sandbox, door: App, alice: Persona, doors: Channel, clock: VirtualClock
) -> None:
    """It says hello and answers pings; what is sent on it never arrives, and is tried again on the next."""
    sandbox.faults.deaf = True
    async with Wire(sandbox, door) as deaf, Wire(sandbox, door) as other:
        await deaf.socket.ping(b"alive?")
        sandbox.faults.deaf = False
        await other.connect()
        waiting = asyncio.create_task(alice.command("/door"))
        await sandbox.wait_for(lambda: sandbox.wire_log.pushes("slash_commands"))
        await clock.advance(3.1)
        assert (await waiting).error == "operation_timeout"
        await alice.post(doors, "hello")
        assert (await acked(other))["payload"]["event"]["text"] == "hello"


async def test_a_connection_can_open_without_hello(sandbox: Sandbox, door: App) -> None:
    sandbox.faults.mute_hello = True
    silent = Wire(sandbox, door)
    connecting = asyncio.create_task(silent.connect())
    await sandbox.wait_for(sandbox.sockets.all)
    await sandbox.disable_link()
    assert (await connecting)["type"] == "disconnect"
    await silent.__aexit__()
