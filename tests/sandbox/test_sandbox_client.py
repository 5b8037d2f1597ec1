"""What a person can see and do: reading blocks, forms that complain, menus, shortcuts."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, CannotDoError, Channel, Outcome, Persona, Sandbox
from bot.sandbox.kit import human_text
from tests.sandbox.door import MANIFEST, buttons, field, modal, section, text
from tests.sandbox.wire import Frame, Wire


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("alice").id)


@pytest.fixture
def doors(sandbox: Sandbox, door: App, alice: Persona) -> Channel:
    return sandbox.add_channel("doors", private=True, members=[alice.id, door.bot_user_id])


async def answered(wire: Wire, act: Awaitable[Any], answer: Frame | None = None) -> tuple[Frame, Any]:
    """Do something, answer the app's side of it; what the app was told, and what came of it."""
    waiting = asyncio.ensure_future(act)
    frame = await wire.frame()
    while frame["type"] == "events_api":  # other people talk, too
        await wire.ack(frame)
        frame = await wire.frame()
    await wire.ack(frame, answer)
    return frame["payload"], await waiting


async def form(alice: Persona, wire: Wire, client: AsyncWebClient, *fields: Frame) -> None:
    """Put a modal with these fields on the screen."""
    payload, _ = await answered(wire, alice.command("/door"))
    await client.views_open(trigger_id=payload["trigger_id"], view=modal(*fields))


def test_rich_text_and_tables_are_read_aloud() -> None:
    """A reader sees names, dates and cells, not mark-up."""
    parts = [
        {"type": "text", "text": "for "},
        {"type": "user", "user_id": "U1"},
        {"type": "text", "text": " of "},
        {"type": "usergroup", "usergroup_id": "S1"},
        {"type": "text", "text": " in "},
        {"type": "channel", "channel_id": "C1"},
        {"type": "text", "text": " until "},
        {"type": "date", "timestamp": 1, "format": "{time}", "fallback": "noon"},
        {"type": "broadcast", "range": "here"},
        {"type": "emoji", "name": "lock"},
        {"type": "link", "url": "https://x.io"},
    ]
    words = "<!subteam^S1> <!date^1^{time}|noon> <#C1> <https://x.io|here> &lt;b&gt;"
    blocks: list[dict[str, Any]] = [
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}, {"type": "raw_number", "value": 3}]]},
        section(words),
        {"type": "image", "image_url": "https://x.io/y.png", "alt_text": "a picture"},
    ]
    assert human_text(blocks, {"U1": "alice", "S1": "leads", "C1": "doors"}).split("\n") == [
        "for @alice of @leads in #doors until noon@here:lock:https://x.io",
        "a",
        "3",
        "@leads noon #doors here <b>",
        "a picture",
    ]


async def test_a_form_complains_before_it_is_sent(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """Numbers, addresses and dates are checked by the client; the app hears nothing of a bad form."""
    whole = {"type": "number_input", "is_decimal_allowed": False, "min_value": "1", "max_value": "60"}
    email = {"type": "email_text_input"}
    await form(alice, wire, client, field("Minutes", whole), field("Mail", email, optional=True))
    assert alice.modal
    before = len(sandbox.wire_log.pushes("interactive"))
    complaints = {
        "0.5": "Please enter a whole number.",
        "0": "Please enter a number of at least 1.",
        "90": "Please enter a number of at most 60.",
        "many": "Please enter a valid value.",
    }
    for value, complaint in complaints.items():
        alice.modal.fill("Minutes", value)
        assert await alice.modal.submit() == {"Minutes": complaint}
    alice.modal.fill("Minutes", 30)
    alice.modal.fill("Mail", "nonsense")
    assert await alice.modal.submit() == {"Mail": "Please enter a valid value."}
    assert len(sandbox.wire_log.pushes("interactive")) == before


async def test_menus_in_messages(alice: Persona, doors: Channel, wire: Wire, client: AsyncWebClient) -> None:
    """A menu, an overflow entry and a link button of a message each arrive as the action they are."""
    options = [{"text": text(name), "value": name.lower()} for name in ("One", "Two")]
    menu = {"type": "static_select", "action_id": "menu", "placeholder": text("Pick"), "options": options}
    more = {"type": "overflow", "action_id": "more", "options": [{"text": text("Details"), "value": "d"}]}
    blocks = [{"type": "actions", "elements": [menu]}, section("Card", accessory=more), buttons("Go")]
    await client.chat_postMessage(channel=doors.id, text="card", blocks=blocks)
    screen = alice.on(alice.messages(doors)[-1])
    assert (screen.labels(), screen.buttons(), screen.options("Pick")) == (["Pick"], ["Go"], ["One", "Two"])
    payload, outcome = await answered(wire, screen.choose("Pick", "Two"))
    assert outcome.ok
    assert payload["actions"][0]["selected_option"]["value"] == "two"
    [held] = payload["state"]["values"].values()
    assert held["menu"]["selected_option"]["value"] == "two"
    payload, _ = await answered(wire, screen.press("Details"))
    assert payload["actions"][0]["type"] == "overflow"


async def test_shortcuts_global_and_of_a_message(
    sandbox: Sandbox, alice: Persona, door: App, doors: Channel, wire: Wire
) -> None:
    """A global shortcut knows no channel; that of a message carries it."""
    payload, outcome = await answered(wire, alice.shortcut("open"))
    assert outcome.ok
    assert payload["type"] == "shortcut"
    assert not {"channel", "response_url"} & set(payload)
    shortcut = {"name": "Report", "type": "message", "callback_id": "report", "description": "Report"}
    settings = {**MANIFEST["settings"], "event_subscriptions": {}}
    other = sandbox.install({**MANIFEST, "features": {"shortcuts": [shortcut]}, "settings": settings})
    message = await alice.post(doors, "look at this")
    async with Wire(sandbox, other) as their:
        payload, _ = await answered(their, alice.message_shortcut("report", message))
        assert (payload["type"], payload["message"]["text"]) == ("message_action", "look at this")
    assert door.app_id != other.app_id
    with pytest.raises(CannotDoError):
        await alice.shortcut("report")


async def test_a_command_knows_whom_it_names(
    sandbox: Sandbox, alice: Persona, doors: Channel, wire: Wire
) -> None:
    """With should_escape, names in the text arrive as ids; an unknown one stays text."""
    bob = sandbox.add_user("bob")
    payload, _ = await answered(wire, alice.command("/door for @bob in #doors not @nobody", doors))
    assert payload["text"] == f"for <@{bob.id}|bob> in <#{doors.id}|doors> not @nobody"
    assert payload["channel_name"] == "privategroup"
    with pytest.raises(CannotDoError):
        await alice.command("/window")


async def test_a_command_can_answer_everybody(alice: Persona, doors: Channel, wire: Wire) -> None:
    """response_type in_channel is a message of the app; invalid blocks are an error the person sees."""
    answer = {"response_type": "in_channel", "text": "done"}
    _, outcome = await answered(wire, alice.command("/door", doors), answer)
    assert outcome.in_channel
    assert [message.text for message in alice.messages(doors)] == ["done"]
    bad = {"text": "x", "blocks": [{"type": "nonsense"}]}
    _, outcome = await answered(wire, alice.command("/door", doors), bad)
    assert outcome == Outcome(error="invalid_command_response")


async def test_a_response_url_answers_in_the_channel_too(alice: Persona, doors: Channel, wire: Wire) -> None:
    """An answer replaces the message it belongs to, or posts; without JSON or content it is refused."""
    payload, _ = await answered(wire, alice.command("/door", doors))
    async with aiohttp.ClientSession() as session:

        async def say(data: bytes) -> int:
            async with session.post(payload["response_url"], data=data) as answer:
                return answer.status

        assert await say(b'{"response_type": "in_channel", "text": "hello"}') == 200
        assert await say(b"text=hello") == 400
        assert await say(b"{}") == 400
    assert [message.text for message in alice.messages(doors)] == ["hello"]


async def test_a_direct_word_to_the_bot_is_heard(alice: Persona, door: App, wire: Wire) -> None:
    """What a person writes to the app arrives as message.im."""
    await alice.post(alice.direct(), "help")
    frame = await wire.frame()
    event = frame["payload"]["event"]
    assert (event["text"], event["channel_type"], event["user"]) == ("help", "im", alice.id)
    assert [message.text for message in alice.direct_messages(door)] == ["help"]


async def test_people_see_only_what_is_theirs(sandbox: Sandbox, alice: Persona, doors: Channel) -> None:
    """Who is no member of a private channel sees nothing of it and cannot write there."""
    bob = sandbox.persona(sandbox.add_user("bob").id)
    message = await alice.post(doors, "secret")
    assert bob.messages(doors) == []
    for attempt in (bob.post(doors, "x"), bob.delete(message), bob.command("/door", "nowhere")):
        with pytest.raises(CannotDoError):
            await attempt
    assert (await alice.edit(message, "public")).edited
    await alice.leave(doors)
    assert alice.messages(doors) == []


async def test_channels_are_managed_by_method(sandbox: Sandbox) -> None:
    """With the scopes for it an app creates, names, fills, empties and archives channels."""
    scopes = (
        "channels:manage",
        "channels:read",
        "channels:join",
        "chat:write",
        "reactions:write",
        "team:read",
    )
    app = sandbox.install({**MANIFEST, "oauth_config": {"scopes": {"bot": [*scopes, "users:read"]}}})
    client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url)
    bob = sandbox.add_user("bob")
    created = (await client.conversations_create(name="one"))["channel"]["id"]
    await client.conversations_rename(channel=created, name="two")
    await client.conversations_invite(channel=created, users=[bob.id])
    await client.conversations_setTopic(channel=created, topic="doors")
    await client.conversations_setPurpose(channel=created, purpose="to open")
    said = await client.chat_postMessage(channel=created, text="hello")
    await client.reactions_add(channel=created, name="lock", timestamp=said["ts"])
    await client.conversations_kick(channel=created, user=bob.id)
    await client.conversations_leave(channel=created)
    await client.conversations_join(channel=created)
    info = (await client.conversations_info(channel=created, include_num_members=True))["channel"]
    assert (info["name"], info["topic"]["value"], info["num_members"]) == ("two", "doors", 1)
    assert (await client.team_info())["team"]["id"] == sandbox.workspace.team.id
    assert (await client.bots_info(bot=app.bot_id))["bot"]["app_id"] == app.app_id
    await client.conversations_archive(channel=created)
    refusals = {
        "already_archived": client.conversations_archive(channel=created),
        "is_archived": client.conversations_join(channel=created),
        "name_taken": client.conversations_create(name="two"),
        "invalid_name_specials": client.conversations_create(name="No Good"),
        "invalid_cursor": client.conversations_list(cursor="!"),
        "invalid_types": client.conversations_list(types="secret"),
        "user_not_found": client.users_info(user="U1"),
        "missing_scope": client.conversations_create(name="three", is_private=True),
    }
    for error, call in refusals.items():
        with pytest.raises(SlackApiError, match=error):
            await call
    await client.conversations_unarchive(channel=created)
    assert not sandbox.channels[created].is_archived
