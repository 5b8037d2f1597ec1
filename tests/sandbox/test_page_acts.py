"""The verbs of the page: each does what the persona can do, and says in a sentence why not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Persona, Sandbox, VirtualClock
from bot.sandbox.page import Page
from bot.sandbox.page.acts import LONGEST, VERBS
from tests.sandbox.door import buttons, field, modal, section, text
from tests.sandbox.visitor import Visitor
from tests.sandbox.wire import Frame, Wire

PROMISED = {
    *("say", "edit", "delete", "dismiss", "open_home", "open_direct", "shortcut"),
    *("put", "act", "suggest", "submit", "close"),
    *("invite", "kick", "join", "leave", "archive", "unarchive", "rename", "convert", "restrict", "topic"),
}


class Scene:
    """Alice, Bob and an admin in a channel with the app, which the test itself plays over the wire."""

    def __init__(
        self, sandbox: Sandbox, app: App, client: AsyncWebClient, wire: Wire, visitor: Visitor
    ) -> None:
        self.sandbox = sandbox
        self.app = app
        self.client = client
        self.wire = wire
        self.visitor = visitor
        self.alice = sandbox.add_user("alice").id
        self.bob = sandbox.add_user("bob").id
        self.erik = sandbox.add_user("erik", is_admin=True).id
        members = [self.alice, self.bob, self.erik, app.bot_user_id]
        self.doors = sandbox.add_channel("doors", members=members).id

    @property
    def hers(self) -> Persona:
        """Alice's own hands."""
        return self.sandbox.persona(self.alice)

    @property
    def channel(self) -> Channel:
        """The channel as it is now."""
        return self.sandbox.channels[self.doors]

    def texts(self) -> list[str]:
        """What stands in the channel."""
        return [message.text for message in self.hers.messages(self.doors) if message.subtype is None]

    async def act(self, verb: str, who: str = "", **args: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        """Do something as Alice, or as somebody else."""
        return await self.visitor.act(who or self.alice, verb, **args)

    async def refused(self, verb: str, who: str = "", **args: Any) -> str:  # noqa: ANN401  JSON
        """The sentence with which it is refused."""
        return await self.visitor.refused(who or self.alice, verb, **args)

    async def answered(
        self, doing: Awaitable[dict[str, Any]], answer: Frame | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Play the app for one interaction: what it was told, and what became of the act."""
        waiting = asyncio.ensure_future(doing)
        frame = await self.wire.frame()
        while frame["type"] == "events_api":
            await self.wire.ack(frame)
            frame = await self.wire.frame()
        await self.wire.ack(frame, answer)
        return frame["payload"], await waiting

    async def form(self, *blocks: Frame, **more: Any) -> str:  # noqa: ANN401  any key of a view
        """Put a form on Alice's screen; its id."""
        payload, _ = await self.answered(self.act("say", channel=self.doors, text="/door"))
        view = await self.client.views_open(trigger_id=payload["trigger_id"], view=modal(*blocks, **more))
        return str(view["view"]["id"])


def in_view(view: str, block_id: str) -> Frame:
    """Where a field of a form is."""
    return {"where": {"view": view}, "block_id": block_id, "action_id": "v"}


@pytest.fixture
async def scene(sandbox: Sandbox, door: App, client: AsyncWebClient, wire: Wire) -> AsyncIterator[Scene]:
    page = Page(sandbox)
    await page.up()
    async with Visitor(page) as visitor:
        yield Scene(sandbox, door, client, wire, visitor)
    await page.close()


REASON = field("Reason", {"type": "plain_text_input", "max_length": 10})


def test_the_verbs_are_those_that_the_page_was_promised() -> None:
    assert set(VERBS) == PROMISED


# --- words


async def test_what_is_typed_is_posted_as_slacks_composer_sends_it(scene: Scene) -> None:
    """Names become ids, signs stay signs: nobody types mark-up of machines."""
    leads = scene.sandbox.add_usergroup("leads", [scene.bob]).id
    typed = " @bob & @leads & @nobody in #doors: <!channel> <script> 1 < 2 @here "
    answer = await scene.act("say", channel=scene.doors, text=typed)
    names = f"<@{scene.bob}|bob> &amp; <!subteam^{leads}|@leads> &amp; @nobody in <#{scene.doors}|doors>"
    assert scene.texts() == [f"{names}: &lt;!channel&gt; &lt;script&gt; 1 &lt; 2 <!here>"]
    message = scene.sandbox.message(scene.doors, answer["ts"])
    assert message is not None
    assert message.human_text() == "@bob & @leads & @nobody in #doors: <!channel> <script> 1 < 2 @here"


async def test_a_reply_stands_in_its_thread(scene: Scene) -> None:
    first = await scene.act("say", channel=scene.doors, text="knock")
    await scene.act("say", channel=scene.doors, text="who?", thread_ts=first["ts"])
    assert [message.text for message in scene.hers.messages(scene.doors) if message.thread_ts] == ["who?"]
    assert "thread_not_found" in await scene.refused(
        "say", channel=scene.doors, text="x", thread_ts="1.000001"
    )


async def test_a_line_that_begins_with_a_slash_is_a_command(scene: Scene) -> None:
    doing = scene.act("say", channel=scene.doors, text="/door  open it for @bob")
    payload, answer = await scene.answered(doing, {"text": "It is open."})
    assert (payload["command"], payload["text"]) == ("/door", f"open it for <@{scene.bob}|bob>")
    assert answer == {"ok": True, "text": "It is open."}
    assert [message.text for message in scene.hers.ephemerals()] == ["It is open."]
    assert scene.texts() == []


async def test_an_unknown_command_is_refused_and_so_is_one_in_a_thread(scene: Scene) -> None:
    assert (
        await scene.refused("say", channel=scene.doors, text="/nope")
        == "No app here knows the command /nope."
    )
    said = await scene.act("say", channel=scene.doors, text="knock")
    words = await scene.refused("say", channel=scene.doors, text="/door", thread_ts=said["ts"])
    assert "do not work in threads" in words


async def test_an_app_that_is_silent_is_said_to_be_silent(scene: Scene, clock: VirtualClock) -> None:
    """In a sentence, with Slack's own code beside it."""
    doing = asyncio.ensure_future(scene.act("say", channel=scene.doors, text="/door"))
    await scene.wire.frame()
    await clock.advance(3.1)
    answer = await doing
    assert answer == {
        "ok": False,
        "code": "operation_timeout",
        "error": "/door failed: the app did not answer within three seconds. Try again in a moment "
        "(operation_timeout).",
    }


async def test_own_words_are_edited_and_deleted_and_an_admin_deletes_anybodys(scene: Scene) -> None:
    said = (await scene.act("say", channel=scene.doors, text="one"))["ts"]
    place = {"channel": scene.doors, "ts": said}
    assert "your own" in await scene.refused("edit", scene.bob, **place, text="x")
    assert "your own" in await scene.refused("delete", scene.bob, **place)
    assert (await scene.act("edit", **place, text="two @bob"))["ok"]
    assert scene.texts() == [f"two <@{scene.bob}|bob>"]
    assert (await scene.act("delete", scene.erik, **place))["ok"]
    assert scene.texts() == []
    assert await scene.refused("delete", **place) == "That message is gone."


async def test_an_admin_deletes_what_an_app_wrote(scene: Scene) -> None:
    posted = await scene.client.chat_postMessage(channel=scene.doors, text="on the record")
    assert (await scene.act("delete", scene.erik, channel=scene.doors, ts=posted["ts"]))["ok"]
    assert scene.texts() == []


async def test_a_whisper_is_put_away_by_its_reader_alone(scene: Scene) -> None:
    said = await scene.client.chat_postEphemeral(channel=scene.doors, user=scene.alice, text="psst")
    place = {"channel": scene.doors, "ts": said["message_ts"]}
    assert await scene.refused("dismiss", scene.bob, **place) == "That message is gone."
    assert (await scene.act("dismiss", **place))["ok"]
    assert scene.hers.ephemerals() == []


@pytest.mark.parametrize("words", ["", "   ", 7, None, ["x"]])
async def test_nothing_cannot_be_said(scene: Scene, words: object) -> None:
    assert "“text” is missing" in await scene.refused("say", channel=scene.doors, text=words)


async def test_a_message_that_is_too_long_is_not_sent(scene: Scene) -> None:
    words = await scene.refused("say", channel=scene.doors, text="x" * (LONGEST + 1))
    assert f"at most {LONGEST}" in words
    assert scene.texts() == []


# --- apps


async def test_a_button_of_a_message_is_pressed_by_its_ids(scene: Scene) -> None:
    posted = await scene.client.chat_postMessage(
        channel=scene.doors, text="card", blocks=[section("Card"), {**buttons("Approve"), "block_id": "b"}]
    )
    where = {"channel": scene.doors, "ts": posted["ts"]}
    payload, answer = await scene.answered(scene.act("act", where=where, block_id="b", action_id="approve"))
    assert answer == {"ok": True}
    assert (payload["type"], payload["user"]["id"], payload["actions"][0]["value"]) == (
        "block_actions",
        scene.alice,
        "1",
    )
    words = await scene.refused("act", where=where, block_id="b", action_id="deny")
    assert words == "This has changed meanwhile. Look at it again, then choose."


async def test_a_button_that_is_there_no_longer_but_was_a_moment_ago_still_reaches_the_app(
    scene: Scene,
) -> None:
    """The client shows it until the update arrives; the app is told of the message as it is now."""
    old = {**buttons("Approve"), "block_id": "first"}
    posted = await scene.client.chat_postMessage(channel=scene.doors, text="card", blocks=[old])
    where = {"channel": scene.doors, "ts": posted["ts"]}
    new = [{**buttons("Deny"), "block_id": "second"}]
    await scene.client.chat_update(channel=scene.doors, ts=posted["ts"], text="card", blocks=new)
    payload, answer = await scene.answered(
        scene.act("act", where=where, block_id="first", action_id="approve")
    )
    assert answer == {"ok": True}
    assert payload["actions"][0]["block_id"] == "first"
    assert [block["block_id"] for block in payload["message"]["blocks"]] == ["second"]


async def test_only_what_an_overflow_menu_offers_can_be_chosen(scene: Scene) -> None:
    option = {"text": {**text("Details"), "emoji": True}, "value": "d"}
    menu = {"type": "overflow", "action_id": "more", "options": [option]}
    posted = await scene.client.chat_postMessage(
        channel=scene.doors, text="card", blocks=[section("Card", accessory=menu, block_id="b")]
    )
    place: Frame = {
        "where": {"channel": scene.doors, "ts": posted["ts"]},
        "block_id": "b",
        "action_id": "more",
    }
    assert "no longer offered" in await scene.refused("act", **place, option={**option, "value": "forged"})
    payload, _ = await scene.answered(scene.act("act", **place, option=option))
    assert payload["actions"][0]["selected_option"]["value"] == "d"


async def test_a_form_is_filled_and_handed_in(scene: Scene) -> None:
    view = await scene.form(REASON)
    place = in_view(view, "reason")
    entry = {"type": "plain_text_input", "value": "it burns"}
    assert await scene.act("put", **place, entry=entry) == {"ok": True}
    payload, answer = await scene.answered(scene.act("submit", view=view))
    assert payload["view"]["state"]["values"]["reason"]["v"] == entry
    assert answer == {"ok": True}
    assert scene.hers.modal is None
    assert "closed" in await scene.refused("submit", view=view)


async def test_what_is_wrong_with_a_form_comes_back_by_block(scene: Scene) -> None:
    """From the client itself, from the app, and when the app says nothing that makes sense."""
    view = await scene.form(REASON)
    missing = {"reason": "Please complete this required field."}
    assert (await scene.act("submit", view=view))["fields"] == missing
    entry = {"type": "plain_text_input", "value": "it burns"}
    await scene.act("put", where={"view": view}, block_id="reason", action_id="v", entry=entry)
    errors = {"response_action": "errors", "errors": {"reason": "Say more."}}
    _, answer = await scene.answered(scene.act("submit", view=view), errors)
    assert (answer["ok"], answer["fields"]) == (False, {"reason": "Say more."})
    _, answer = await scene.answered(scene.act("submit", view=view), {"response_action": "dance"})
    assert (answer["fields"], answer["error"]) == ({}, "We had some trouble connecting. Try again?")
    assert scene.hers.modal is not None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "plain_text_input", "value": ["x"]}, "holds text"),
        ("x", "is an object"),
        (None, "is an object"),
    ],
)
async def test_a_field_takes_only_what_it_can_hold(scene: Scene, entry: object, words: str) -> None:
    view = await scene.form(REASON)
    place = in_view(view, "reason")
    assert words in await scene.refused("put", **place, entry=entry)


@pytest.mark.parametrize(
    ("element", "entry"),
    [
        (
            {"type": "static_select", "options": [{"text": text("A"), "value": "a"}]},
            {"selected_option": {"text": text("B"), "value": "b"}},
        ),
        ({"type": "checkboxes", "options": [{"text": text("A"), "value": "a"}]}, {"selected_options": "a"}),
        ({"type": "users_select"}, {"selected_user": "U0NOBODY"}),
        ({"type": "datetimepicker"}, {"selected_date_time": "tomorrow"}),
        ({"type": "rich_text_input"}, {"rich_text_value": "x"}),
        ({"type": "file_input"}, {"files": ["x"]}),
    ],
    ids=lambda value: str(value.get("type", "")),
)
async def test_what_was_never_offered_cannot_be_put(scene: Scene, element: Frame, entry: Frame) -> None:
    view = await scene.form(field("Field", element))
    place = in_view(view, "field")
    await scene.refused("put", **place, entry={"type": element["type"], **entry})


async def test_choosing_in_a_field_that_dispatches_is_heard(scene: Scene) -> None:
    options = [{"text": {**text(name), "emoji": True}, "value": name} for name in ("one", "two")]
    view = await scene.form(
        field("Pick", {"type": "static_select", "options": options}, dispatch_action=True), REASON
    )
    entry = {"type": "static_select", "selected_option": options[1]}
    where = {"view": view}
    payload, answer = await scene.answered(
        scene.act("act", where=where, block_id="pick", action_id="v", entry=entry)
    )
    assert payload["actions"][0]["selected_option"] == options[1]
    assert answer == {"ok": True}
    quiet = {"type": "plain_text_input", "value": "x"}
    assert await scene.act("act", where=where, block_id="reason", action_id="v", entry=quiet) == {"ok": True}


async def test_options_are_suggested_for_what_is_typed(scene: Scene) -> None:
    menu = field("Pick", {"type": "external_select", "min_query_length": 1})
    view = await scene.form(menu)
    option = {"text": text("Production"), "value": "p"}
    place = in_view(view, "pick")
    payload, answer = await scene.answered(scene.act("suggest", **place, typed="pro"), {"options": [option]})
    assert (payload["type"], payload["value"]) == ("block_suggestion", "pro")
    assert answer == {"ok": True, "options": [option]}
    entry = {"type": "external_select", "selected_option": option}
    assert await scene.act("put", **place, entry=entry) == {"ok": True}


async def test_a_window_is_closed_once_and_the_app_is_told(scene: Scene) -> None:
    view = await scene.form(REASON, notify_on_close=True)
    payload, answer = await scene.answered(scene.act("close", view=view, everything=False))
    assert (payload["type"], payload["is_cleared"], answer) == ("view_closed", False, {"ok": True})
    assert await scene.act("close", view=view) == {"ok": True}
    assert scene.hers.modal is None


async def test_nobody_acts_in_another_persons_window(scene: Scene) -> None:
    view = await scene.form(REASON)
    place = in_view(view, "reason")
    entry = {"type": "plain_text_input", "value": "forged"}
    assert "closed" in await scene.refused("put", scene.bob, **place, entry=entry)
    assert "closed" in await scene.refused("act", scene.bob, **place)
    assert "closed" in await scene.refused("submit", scene.bob, view=view)
    await scene.act("close", scene.bob, view=view)
    assert scene.hers.modal is not None


async def test_shortcuts_home_and_direct_messages(scene: Scene) -> None:
    payload, _ = await scene.answered(scene.act("shortcut", callback_id="open"))
    assert payload["type"] == "shortcut"
    assert "no global shortcut" in await scene.refused("shortcut", callback_id="nope")
    assert (await scene.act("open_home", app_id=scene.app.app_id))["ok"]
    frame = await scene.wire.frame()
    assert frame["payload"]["event"]["type"] == "app_home_opened"
    assert "not installed" in await scene.refused("open_home", app_id="A0NONE")
    channel = (await scene.act("open_direct", user=scene.bob))["channel"]
    assert (await scene.act("open_direct", user=scene.bob))["channel"] == channel
    assert set(scene.sandbox.channels[channel].members) == {scene.alice, scene.bob}
    assert "nobody" in await scene.refused("open_direct", user="U0NOBODY")


# --- channels


async def test_what_admins_do_to_a_channel_only_admins_do(scene: Scene) -> None:
    """Archive, bring back, rename, make private and public, restrict, remove: each refused to Alice first."""
    place = {"channel": scene.doors}
    acts: list[tuple[str, dict[str, Any], Any]] = [
        ("archive", {}, lambda channel: channel.is_archived),
        ("unarchive", {}, lambda channel: not channel.is_archived),
        ("rename", {"name": "#windows"}, lambda channel: channel.name == "windows"),
        ("convert", {"private": True}, lambda channel: channel.is_private),
        ("convert", {"private": False}, lambda channel: not channel.is_private),
        ("restrict", {"only_admins_post": True}, lambda channel: channel.only_admins_post),
        (
            "kick",
            {"user": scene.app.bot_user_id},
            lambda channel: scene.app.bot_user_id not in channel.members,
        ),
    ]
    for verb, args, done in acts:
        assert await scene.refused(verb, **place, **args) == "Only admins may do that."
        assert (await scene.act(verb, scene.erik, **place, **args)) == {"ok": True}
        assert done(scene.channel), verb
    assert await scene.refused("say", **place, text="x") == "Only admins may post in this channel."


@pytest.mark.parametrize("name", ["No Good", "x" * 81, "taken", "ünder score!"])
async def test_a_channel_gets_only_a_name_that_slack_would_take(scene: Scene, name: str) -> None:
    scene.sandbox.add_channel("taken")
    await scene.refused("rename", scene.erik, channel=scene.doors, name=name)
    assert scene.channel.name == "doors"


async def test_people_come_and_go(scene: Scene) -> None:
    carol = scene.sandbox.add_user("carol").id
    place = {"channel": scene.doors}
    assert "not a member" in await scene.refused("say", carol, **place, text="x")
    assert (await scene.act("join", carol, **place))["ok"]
    assert (await scene.act("topic", carol, **place, topic=" Knock first "))["ok"]
    assert scene.channel.topic == "Knock first"
    assert (await scene.act("leave", carol, **place))["ok"]
    assert (await scene.act("invite", **place, user=carol))["ok"]
    assert carol in scene.channel.members
    assert "nobody" in await scene.refused("invite", **place, user="U0NOBODY")


async def test_a_private_channel_cannot_be_joined_or_looked_into(scene: Scene) -> None:
    vault = scene.sandbox.add_channel("vault", private=True, members=[scene.erik])
    said = await scene.act("say", scene.erik, channel=vault.id, text="secret")
    attempts: dict[str, Frame] = {
        "join": {},
        "say": {"text": "x"},
        "delete": {"ts": said["ts"]},
        "edit": {"ts": said["ts"], "text": "x"},
        "shortcut": {"callback_id": "open", "ts": said["ts"]},
    }
    for verb, args in attempts.items():
        assert "secret" not in await scene.refused(verb, channel=vault.id, **args)
    assert "you see" in await scene.refused("say", channel=vault.id, text="/door")


# --- nonsense


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"as": 1, "verb": 2}']
)
async def test_nonsense_gets_a_sentence(scene: Scene, body: bytes) -> None:
    status, said = await scene.visitor.send(body)
    assert status == 200
    assert '"ok": false' in said
    assert "again" in said or "Reload" in said


async def test_nobody_acts_as_an_app_or_as_nobody(scene: Scene) -> None:
    for who in (scene.app.bot_user_id, "U0NOBODY"):
        assert "nobody of that id" in await scene.visitor.refused(who, "say", channel=scene.doors, text="x")


@pytest.mark.parametrize("verb", ["", "nope", "__init__", "do", "_work"])
async def test_a_verb_that_is_none_is_refused(scene: Scene, verb: str) -> None:
    assert "Reload" in await scene.refused(verb) or verb == ""


@pytest.mark.parametrize("verb", sorted(PROMISED - {"topic"}))
async def test_every_verb_survives_missing_and_odd_arguments(scene: Scene, verb: str) -> None:
    """A sentence, never a failure of the server; and nothing has changed."""
    before = scene.channel
    odd: list[dict[str, Any]] = [{}, {"channel": 7}]
    odd.append({"channel": "C0NONE", "ts": "x", "view": [], "user": {}, "where": "x"})
    for args in odd:
        await scene.refused(verb, scene.erik, **args)
    assert scene.channel == before
