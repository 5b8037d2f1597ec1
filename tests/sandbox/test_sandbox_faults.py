"""What goes wrong between an app and Slack (S16 to S18)."""

import asyncio
import gc
import socket
from contextlib import suppress

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Persona, Sandbox, VirtualClock


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("alice", is_admin=True).id)


@pytest.fixture
def doors(sandbox: Sandbox, door: App, alice: Persona) -> Channel:
    return sandbox.add_channel("doors", members=[alice.id, door.bot_user_id])


async def post(client: AsyncWebClient, channel: Channel, text: str) -> SlackApiError | None:
    """Post; the error, if any."""
    try:
        await client.chat_postMessage(channel=channel.id, text=text)
    except SlackApiError as error:
        return error
    return None


async def test_s16_a_channel_takes_one_message_a_second(
    client: AsyncWebClient, doors: Channel, alice: Persona, clock: VirtualClock
) -> None:
    """A short burst passes, then 429 with Retry-After; after that second the next one passes, in order."""
    outcomes = [await post(client, doors, str(number)) for number in range(6)]
    assert outcomes[:5] == [None] * 5
    refused = outcomes[5]
    assert refused is not None
    assert (refused.response.status_code, refused.response["error"]) == (429, "ratelimited")
    assert refused.response.headers["Retry-After"] == "1"
    await clock.advance(1)
    assert await post(client, doors, "5") is None
    assert [message.text for message in alice.messages(doors)] == list("012345")


async def test_s16_one_busy_channel_does_not_block_another(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, door: App
) -> None:
    """The second is counted for each channel."""
    other = sandbox.add_channel("other", members=[door.bot_user_id])
    for number in range(5):
        await post(client, doors, str(number))
    assert await post(client, doors, "too fast")
    assert await post(client, other, "fine") is None


async def test_s16_methods_are_limited_by_tier(
    client: AsyncWebClient, sandbox: Sandbox, alice: Persona, clock: VirtualClock
) -> None:
    """Twenty calls a minute of a tier 2 method, not twenty-one; the window slides."""
    for _ in range(20):
        await client.users_list()
    with pytest.raises(SlackApiError) as caught:
        await client.users_list()
    assert caught.value.response.headers["Retry-After"] == "60"
    assert await client.users_info(user=alice.id)
    await clock.advance(60)
    assert await client.users_list()
    assert sandbox.wire_log.calls("users.list")[20].status == 429


async def test_s16_the_sdk_waits_and_succeeds(sandbox: Sandbox, door: App, doors: Channel) -> None:
    """With its rate limit handler the SDK repeats after Retry-After."""
    sandbox.faults.add(method="chat.postMessage", kind="ratelimited", retry_after=0)
    patient = AsyncWebClient(
        door.bot_token, base_url=sandbox.api_url, retry_handlers=[AsyncRateLimitErrorRetryHandler()]
    )
    assert await post(patient, doors, "hello") is None
    assert len(sandbox.wire_log.calls("chat.postMessage")) == 2


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("503", 503), ("html", 503)])
async def test_s17_slack_fails_in_many_ways(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, kind: str, status: int
) -> None:
    """500, 503 and a page of HTML store nothing."""
    sandbox.faults.add(method="chat.postMessage", kind=kind)  # type: ignore[arg-type] # from the table above
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=doors.id, text="hello")
    assert caught.value.response.status_code == status
    assert not sandbox.workspace.messages[doors.id]
    assert await post(client, doors, "again") is None


@pytest.mark.parametrize(("kind", "stored"), [("cut_before", 0), ("cut_after_store", 1)])
async def test_s17_a_cut_connection_leaves_it_open_what_happened(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, kind: str, stored: int
) -> None:
    """The app sees the same broken connection whether or not its message was stored (double posts!)."""
    sandbox.faults.add(method="chat.postMessage", kind=kind)  # type: ignore[arg-type] # from the table above
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel=doors.id, text="hello")
    assert len(sandbox.workspace.messages[doors.id]) == stored


async def test_s17_slow_answers_take_the_time_of_the_clock(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, clock: VirtualClock
) -> None:
    """Latency and slowness pass on the sandbox's clock."""
    sandbox.faults.latency = 0.15
    sandbox.faults.add(kind="slow", delay=10)
    waiting = asyncio.create_task(post(client, doors, "hello"))
    await sandbox.wait_for(lambda: sandbox.wire_log)
    await clock.advance(10)
    assert not waiting.done()
    await clock.advance(0.15)
    assert await waiting is None


async def test_s17_slack_can_be_down(sandbox: Sandbox, client: AsyncWebClient, doors: Channel) -> None:
    """Down, connections are refused; up again, everything is where it was."""
    await sandbox.down()
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel=doors.id, text="hello")
    await sandbox.up()
    assert await post(client, doors, "hello") is None


async def test_s17_any_error_can_be_asked_for(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel
) -> None:
    """An error of Slack's that has no cause here can be planned, for some calls of some method."""
    sandbox.faults.add(method="chat.postMessage", kind="error", error="ekm_access_denied", times=2)
    refusals = [await post(client, doors, "hello") for _ in range(3)]
    assert [error and error.response["error"] for error in refusals] == ["ekm_access_denied"] * 2 + [None]


async def test_s18_an_app_can_lose_its_channel_and_its_token(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, door: App, alice: Persona
) -> None:
    """Archived, removed, revoked: each answers in its own words, and each ends when it is undone."""
    sandbox.rates.enforced = False
    steps = (
        (alice.archive(doors), "is_archived"),
        (alice.unarchive(doors), None),
        (alice.kick(doors, door.bot_user_id), "not_in_channel"),
        (alice.convert(doors, private=True), "channel_not_found"),
        (alice.invite(doors, door.bot_user_id), None),
        (alice.restrict(doors, only_admins_post=True), "restricted_action"),
        (alice.restrict(doors, only_admins_post=False), None),
    )
    for step, expected in steps:
        await step
        refused = await post(client, doors, "hello")
        assert (refused.response["error"] if refused else None) == expected
    sandbox.revoke(door)
    refused = await post(client, doors, "hello")
    assert refused
    assert refused.response["error"] == "token_revoked"
    sandbox.restore(door)
    assert await post(client, doors, "hello") is None


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_being_accepted_as_slack_goes_down_is_cut_too(sandbox: Sandbox, turns: int) -> None:
    """At whatever turn of the loop that is, nobody is left holding the connection."""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as caller:
        caller.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await sandbox.down()
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(caller, 1) == b""
    await sandbox.up()
    gc.collect()
