"""What a person sees through the page: all of it, at once, and nothing of what is not theirs."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Exchange, Persona, Sandbox
from bot.sandbox.page import Page
from bot.sandbox.page.exchanges import HIDDEN, LAST
from bot.sandbox.page.stream import Watcher
from tests.sandbox.door import buttons, field, modal, section
from tests.sandbox.visitor import Visitor
from tests.sandbox.wire import Frame, Wire


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("alice", name="Alice Ito").id)


@pytest.fixture
def bob(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("bob").id)


@pytest.fixture
def doors(sandbox: Sandbox, door: App, alice: Persona) -> Channel:
    return sandbox.add_channel("doors", private=True, members=[alice.id, door.bot_user_id])


@dataclass
class Scene:
    """An app on the wire that the test plays, and a visitor of the page."""

    app: App
    client: AsyncWebClient
    wire: Wire
    visitor: Visitor


@pytest.fixture
def scene(door: App, client: AsyncWebClient, wire: Wire, visitor: Visitor) -> Scene:
    return Scene(door, client, wire, visitor)


@pytest.fixture
async def page(sandbox: Sandbox) -> AsyncIterator[Page]:
    page = Page(sandbox)
    await page.up()
    yield page
    await page.close()


@pytest.fixture
async def visitor(page: Page) -> AsyncIterator[Visitor]:
    async with Visitor(page) as visitor:
        yield visitor


async def test_a_reset_comes_first_and_then_everything(
    sandbox: Sandbox, alice: Persona, doors: Channel, door: App, visitor: Visitor
) -> None:
    group = sandbox.add_usergroup("keys", [alice.id])
    message = await alice.post(doors, "knock")
    async with visitor.watching(alice.id) as seen:
        await seen.until(lambda: seen.texts() == ["knock"])
    kind, value = seen.events[0]
    assert (kind, value["you"], value["team"]["name"]) == ("reset", alice.id, "Sandbox")
    assert seen.held["person"][alice.id]["name"] == "Alice Ito"
    assert (
        seen.held["person"][door.bot_user_id] | {"is_bot": True, "app_id": door.app_id}
        == seen.held["person"][door.bot_user_id]
    )
    assert seen.held["group"][group.id]["users"] == [alice.id]
    assert (
        seen.held["channel"][doors.id] | {"is_private": True, "is_member": True}
        == seen.held["channel"][doors.id]
    )
    assert seen.held["message"][f"{doors.id}:{message.ts}"]["channel"] == doors.id
    assert seen.held["command"]["/door"]["description"] == "Open the door"
    assert seen.held["shortcut"]["open"] == {
        "id": "open",
        "app_id": door.app_id,
        "kind": "global",
        "name": "Open",
    }
    assert seen.held["home"][door.app_id]["view"] is None


async def test_a_change_sends_what_changed_and_nothing_else(
    alice: Persona, doors: Channel, visitor: Visitor
) -> None:
    first = await alice.post(doors, "one")
    await alice.post(doors, "two")
    async with visitor.watching(alice.id) as seen:
        await seen.until(lambda: seen.texts() == ["one", "two"])
        before = len(seen.events)
        await alice.edit(first, "ONE")
        await seen.until(lambda: "ONE" in seen.texts())
        put = [
            part["id"]
            for _, value in seen.events[before:]
            for part in value["put"]
            if part["kind"] != "exchange"
        ]
        assert put == [f"{doors.id}:{first.ts}"]
        await alice.delete(first)
        await seen.until(lambda: seen.texts() == ["two"])


async def test_a_strangers_channel_is_not_streamed(
    sandbox: Sandbox, alice: Persona, bob: Persona, doors: Channel, visitor: Visitor
) -> None:
    """Neither the channel nor what is in it; becoming a member shows both, leaving takes them away."""
    await alice.post(doors, "secret")
    async with visitor.watching(bob.id) as seen:
        await seen.until(lambda: bob.id in seen.held.get("person", {}))
        await alice.post(doors, "secret again")
        lobby = sandbox.add_channel("lobby", members=[bob.id])
        await seen.until(lambda: lobby.id in seen.held.get("channel", {}))
        assert doors.id not in seen.held["channel"]
        assert "secret" not in json.dumps(seen.all("message"))
        sandbox.invite(doors, bob.id)
        await seen.until(lambda: "secret again" in seen.texts())
        await bob.leave(doors)
        await seen.until(lambda: doors.id not in seen.held["channel"])
        assert not any("secret" in text for text in seen.texts())


@pytest.mark.parametrize("outside", ["is_stranger", "is_restricted", "is_ultra_restricted"])
async def test_guests_and_strangers_see_only_where_they_are_members(
    sandbox: Sandbox, alice: Persona, visitor: Visitor, outside: str
) -> None:
    public = sandbox.add_channel("public", members=[alice.id])
    guest = sandbox.add_user("guest", **{outside: True})  # type: ignore[arg-type] # one of three flags
    shared = sandbox.add_channel("shared", members=[alice.id, guest.id])
    async with visitor.watching(guest.id) as seen:
        await seen.until(lambda: shared.id in seen.held.get("channel", {}))
        assert public.id not in seen.held["channel"]
    assert "do not see" not in await visitor.refused(guest.id, "join", channel=public.id)
    assert guest.id not in sandbox.channels[public.id].members


async def test_a_whisper_and_a_window_are_seen_by_one_person(
    sandbox: Sandbox, alice: Persona, bob: Persona, doors: Channel, scene: Scene
) -> None:
    sandbox.invite(doors, bob.id)
    await scene.client.chat_postEphemeral(channel=doors.id, user=alice.id, text="for Alice alone")
    await opened(alice, scene.wire, scene.client)
    async with scene.visitor.watching(alice.id) as hers, scene.visitor.watching(bob.id) as his:
        await hers.until(lambda: hers.texts("ephemeral") == ["for Alice alone"])
        await hers.until(lambda: len(hers.all("modal")) == 1)
        await his.until(lambda: doors.id in his.held.get("channel", {}))
        assert (his.all("ephemeral"), his.all("modal")) == ([], [])
        [window] = hers.all("modal")
        assert (window["depth"], window["top"], window["view"]["title"]["text"]) == (0, True, "Door")
        assert window["values"]["reason"]["v"] == {"type": "plain_text_input", "value": None}


async def test_what_is_typed_is_there_after_a_reload(alice: Persona, scene: Scene) -> None:
    await opened(alice, scene.wire, scene.client)
    [view] = [window.view.id for window in alice.modals()]
    entry = {"type": "plain_text_input", "value": "half a sen"}
    place = {"where": {"view": view}, "block_id": "reason", "action_id": "v"}
    assert await scene.visitor.act(alice.id, "put", **place, entry=entry) == {"ok": True}
    for _ in range(2):
        async with scene.visitor.watching(alice.id) as seen:
            await seen.until(lambda: len(seen.all("modal")) == 1)
            assert seen.all("modal")[0]["values"]["reason"]["v"] == entry


async def asked(wire: Wire, act: Awaitable[object]) -> Frame:
    """Do something of which the app hears, and ack it; what the app was told."""
    doing = asyncio.ensure_future(act)
    frame = await wire.frame()
    while frame["type"] == "events_api":  # other people talk, too
        await wire.ack(frame)
        frame = await wire.frame()
    await wire.ack(frame)
    await doing
    return frame


async def opened(alice: Persona, wire: Wire, client: AsyncWebClient) -> None:
    """Put a form on Alice's screen."""
    frame = await asked(wire, alice.command("/door"))
    await client.views_open(
        trigger_id=frame["payload"]["trigger_id"], view=modal(field("Reason", {"type": "plain_text_input"}))
    )


async def test_tokens_and_secrets_are_not_in_the_exchanges(
    alice: Persona, bob: Persona, doors: Channel, scene: Scene
) -> None:
    """Not by name, not by value, not in what a window shows as code, not a code that was typed."""
    frame = await asked(scene.wire, alice.command("/door", doors))
    shown = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "pa55-word"}]}],
    }
    view = modal(field("Code", {"type": "plain_text_input"}), shown, private_metadata="remembered")
    await scene.client.views_open(trigger_id=frame["payload"]["trigger_id"], view=view)
    assert alice.modal
    alice.modal.fill("Code", "123456")
    await asked(scene.wire, alice.modal.submit())
    await scene.client.chat_postMessage(
        channel=doors.id, text=f"my token is {scene.app.bot_token} and xoxp-1-2-3"
    )
    with pytest.raises(SlackApiError, match="invalid_auth"):
        await scene.client.auth_test(token="xoxb-unknown")
    async with scene.visitor.watching(bob.id) as seen:
        await seen.until(lambda: any(one["method"] == "auth.test" for one in seen.all("exchange")))
    text = json.dumps(seen.all("exchange"))
    secrets = [
        scene.app.bot_token,
        scene.app.app_token,
        scene.app.signing_secret,
        scene.app.verification_token,
        "xoxp-1-2-3",
        "xoxb-unknown",
    ]
    secrets += [
        frame["payload"]["response_url"],
        frame["payload"]["trigger_id"],
        "ticket=",
        "pa55-word",
        "remembered",
        "123456",
    ]
    assert [secret for secret in secrets if secret in text] == []
    assert HIDDEN in text
    posted = next(one for one in seen.all("exchange") if one["method"] == "chat.postMessage")
    assert posted | {"direction": "to_slack", "status": 200, "ok": True, "app_id": scene.app.app_id} == posted


async def test_the_inspector_holds_the_last_three_hundred(
    sandbox: Sandbox, alice: Persona, visitor: Visitor
) -> None:
    """An answer that comes later completes the entry."""
    for _ in range(LAST + 5):
        sandbox.wire_log.append(Exchange("to_slack", "auth.test", {}, 1.5, answer={"ok": True}, status=200))
    async with visitor.watching(alice.id) as seen:
        await seen.until(lambda: len(seen.all("exchange")) == LAST)
        late = Exchange("to_app", "interactive", {}, 2.5)
        sandbox.wire_log.append(late)
        await seen.until(lambda: str(LAST + 5) in seen.held["exchange"])
        assert "5" not in seen.held["exchange"]
        assert seen.held["exchange"][str(LAST + 5)]["ok"] is None
        late.answer = {}
        sandbox.workspace.pulse.beat()
        await seen.until(lambda: seen.held["exchange"][str(LAST + 5)]["ok"] is True)


@pytest.mark.parametrize("who", ["", "U0NOBODY", "bot"])
async def test_nobody_is_no_person_and_neither_is_a_bot(door: App, visitor: Visitor, who: str) -> None:
    params = {"as": door.bot_user_id if who == "bot" else who, "key": visitor.key}
    async with visitor.session.get(f"{visitor.page.url}stream", params=params) as answer:
        assert answer.status == 404


async def test_a_closed_account_sees_nothing(
    sandbox: Sandbox, alice: Persona, doors: Channel, visitor: Visitor
) -> None:
    await alice.post(doors, "mine")
    async with visitor.watching(alice.id) as seen:
        await seen.until(lambda: seen.texts() == ["mine"])
        sandbox.deactivate(alice.id)
        await seen.until(lambda: seen.texts() == [])
    assert (
        await visitor.refused(alice.id, "say", channel=doors.id, text="still here")
        == "This account is deactivated."
    )


async def test_a_stream_ends_with_the_page(page: Page, alice: Persona, visitor: Visitor) -> None:
    async with visitor.watching(alice.id) as seen:
        await seen.until(lambda: alice.id in seen.held.get("person", {}))
        await asyncio.wait_for(page.close(), 3)
        await seen.until(lambda: seen.ended)


async def test_one_change_among_thousands_of_messages_builds_one_value(
    sandbox: Sandbox, alice: Persona
) -> None:
    """What did not change is neither built nor sent again, however much there is of it."""
    hall = sandbox.add_channel("hall", members=[alice.id])
    for number in range(2000):
        sandbox.workspace.say(hall.id, alice.id, f"message {number}")
    watcher = Watcher(sandbox, alice)
    first = [part for portion in watcher.changes() for part in portion["put"]]
    assert len([part for part in first if part["kind"] == "message"]) == 2000
    assert list(watcher.changes()) == []
    await alice.post(hall, "one more")
    [portion] = watcher.changes()
    assert [part["value"]["text"] for part in portion["put"] if part["kind"] == "message"] == ["one more"]


async def test_blocks_and_a_changed_card_arrive_as_stored(
    alice: Persona, doors: Channel, client: AsyncWebClient, visitor: Visitor
) -> None:
    said = await client.chat_postMessage(
        channel=doors.id, text="card", blocks=[section("*Waiting*"), buttons("Approve")]
    )
    async with visitor.watching(alice.id) as seen:
        await seen.until(lambda: len(seen.all("message")) == 1)
        await client.chat_update(channel=doors.id, ts=said["ts"], text="card", blocks=[section("*Active*")])
        await seen.until(lambda: seen.all("message")[0]["blocks"][0]["text"]["text"] == "*Active*")
        assert [block["type"] for block in seen.all("message")[0]["blocks"]] == ["section"]
