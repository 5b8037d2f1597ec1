"""The page with an app in it: what a person fills in and presses reaches the app as Slack would send it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Route, expect
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Sandbox
from bot.sandbox.page import Page
from tests.page.browser import accessible, window
from tests.page.samples import ELEMENTS, ONE, OPTIONS, THREE, TWO, Json, field, option, text
from tests.page.visitor import Visitor
from tests.sandbox.door import MANIFEST

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.heavy,
]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e<!channel> *_~`<javascript:alert(1)|x>"
KINDS = [kind for kind in ELEMENTS if kind not in ("file_input", "button", "overflow", "workflow_button")]


class Door:
    """A Bolt app that opens what it is told to, and keeps what it hears."""

    def __init__(self, bolt: AsyncApp, app: App) -> None:
        self.app = app
        self.view: Json = {}
        self.heard: asyncio.Queue[Json] = asyncio.Queue()
        self.answer: Json | None = None
        bolt.command("/door")(self._command)
        bolt.view("door")(self._submitted)
        bolt.view_closed("door")(self._keep)
        bolt.event("message")(self._overhear)
        bolt.action({"type": "block_actions"})(self._keep)
        bolt.options("external_select")(self._suggest)
        bolt.options("multi_external_select")(self._suggest)

    def opens(self, *blocks: Json, **more: Any) -> None:  # noqa: ANN401 - any key of a view
        """The window that /door opens."""
        self.view = {
            "type": "modal",
            "callback_id": "door",
            "title": text("Door"),
            "submit": text("Go"),
            "blocks": list(blocks),
            "notify_on_close": True,
            **more,
        }

    async def next(self) -> Json:
        """What it hears next."""
        return await asyncio.wait_for(self.heard.get(), 5)

    async def _command(self, ack: Any, client: AsyncWebClient, body: Json) -> None:  # noqa: ANN401 - Bolt's own
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=self.view)

    async def _submitted(self, ack: Any, body: Json) -> None:  # noqa: ANN401 - the same
        await ack(**(self.answer or {}))
        self.heard.put_nowait(body)

    async def _keep(self, ack: Any, body: Json) -> None:  # noqa: ANN401 - the same
        await ack()
        self.heard.put_nowait(body)

    async def _overhear(self) -> None:
        """What people say to each other is none of its business."""

    async def _suggest(self, ack: Any, body: Json) -> None:  # noqa: ANN401 - the same
        await ack(options=[each for each in OPTIONS if body["value"] in each["value"]])


@pytest_asyncio.fixture(loop_scope="session")
async def door(sandbox: Sandbox) -> AsyncIterator[Door]:
    """A workspace with people, a channel and the app in it."""
    alice = sandbox.add_user("alice", name="Alice")
    bob = sandbox.add_user("bob", name="Bob")
    app = sandbox.install(MANIFEST)
    channel = sandbox.add_channel("general", members=[alice.id, bob.id, app.bot_user_id])
    client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url, retry_handlers=[])
    bolt = AsyncApp(client=client, ignoring_self_events_enabled=False)
    door = Door(bolt, app)
    handler = AsyncSocketModeHandler(bolt, app.app_token)
    await handler.connect_async()  # type: ignore[no-untyped-call] # slack_bolt leaves it untyped
    await client.chat_postMessage(channel=channel.id, text="Door is here")
    yield door
    await handler.close_async()  # type: ignore[no-untyped-call] # the same


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Browser, served: Page, door: Door) -> AsyncIterator[Visitor]:  # noqa: ARG001 - it must be in
    async with window(chromium) as (page, _):
        yield await Visitor.arrive(page, served.url)


def fields() -> list[Json]:
    return [
        {
            **field(kind),
            "block_id": f"b_{kind}",
            "label": text(f"The {kind.replace('_', ' ')}"),
            "optional": True,
        }
        for kind in KINDS
    ]


FILLED: Json = {
    "checkboxes": {"selected_options": [option("Milk")]},
    "radio_buttons": {"selected_option": THREE},
    "datepicker": {"selected_date": "2026-12-24"},
    "timepicker": {"selected_time": "23:59"},
    "datetimepicker": {"selected_date_time": 1763691420},
    "static_select": {"selected_option": THREE},
    "multi_static_select": {"selected_options": [ONE, THREE]},
    "external_select": {"selected_option": TWO},
    "multi_external_select": {"selected_options": [TWO]},
    "plain_text_input": {"value": "Because"},
    "number_input": {"value": "12"},
    "email_text_input": {"value": "a@b.example"},
    "url_text_input": {"value": "https://a.example"},
}


async def fill_in(visitor: Visitor) -> None:
    """Everything in the form, the way a person does."""
    form = visitor.window

    def at(kind: str) -> Any:  # noqa: ANN401 - a locator
        return form.get_by_label(f"The {kind.replace('_', ' ')}", exact=True)

    def within(kind: str) -> Any:  # noqa: ANN401 - a locator
        return form.locator("fieldset").filter(has_text=f"The {kind.replace('_', ' ')}")

    await within("checkboxes").get_by_label("Milk").check()
    await within("radio_buttons").get_by_label("Three").check()
    for kind in ("datepicker", "timepicker"):
        await form.locator(f"[data-action={kind}]").fill(next(iter(FILLED[kind].values())))
    await form.locator("[data-action=datetimepicker]").fill("2025-11-21T03:17")
    await form.locator("[data-action=static_select]").select_option("Three")
    await form.get_by_role("group", name="The multi static select").get_by_label("One").check()
    await form.get_by_role("group", name="The multi static select").get_by_label("Three").check()
    await form.locator("[data-action=external_select]").fill("tw")
    await form.get_by_role("listbox").get_by_text("Two").click()
    several = form.get_by_role("group", name="The multi external select")
    await several.get_by_role("searchbox").fill("tw")
    await several.get_by_label("Two").check()
    for kind in ("plain_text_input", "number_input", "email_text_input", "url_text_input"):
        await form.locator(f"[data-action={kind}]").fill(FILLED[kind]["value"])
    await form.locator("[data-action=users_select]").select_option(index=2)
    await form.locator("[data-action=channels_select]").select_option("#general")
    await form.locator("[data-action=conversations_select]").select_option(index=0)
    await form.locator("[data-action=rich_text_input]").fill("Rich")


async def test_every_field_reaches_the_app_as_slack_would_send_it(
    visitor: Visitor, door: Door, sandbox: Sandbox
) -> None:
    door.opens(*fields())
    await visitor.say("/door")
    await fill_in(visitor)
    await visitor.submit()
    values = (await door.next())["view"]["state"]["values"]
    told = {kind: values[f"b_{kind}"][kind] for kind in FILLED}
    plain = {kind: {"type": kind, **value} for kind, value in FILLED.items()}
    assert _without_emoji(told) == plain
    channel = next(channel.id for channel in sandbox.channels.values() if channel.name == "general")
    assert values["b_channels_select"]["channels_select"]["selected_channel"] == channel
    assert values["b_users_select"]["users_select"]["selected_user"] in sandbox.users
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": "Rich"}]}
    rich = values["b_rich_text_input"]["rich_text_input"]["rich_text_value"]
    assert rich == {"type": "rich_text", "elements": [section]}
    await expect(visitor.window).to_have_count(0)


def _without_emoji(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Slack adds `emoji` and `verbatim` to the texts it keeps."""
    if isinstance(value, list):
        return [_without_emoji(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_emoji(each) for key, each in value.items() if key not in ("emoji", "verbatim")}
    return value


async def test_a_form_survives_a_reload_and_a_change_of_person(visitor: Visitor, door: Door) -> None:
    door.opens(*fields())
    await visitor.say("/door")
    await fill_in(visitor)
    await visitor.page.wait_for_timeout(400)  # what is typed is sent after a pause in typing
    await visitor.page.reload()
    await expect(visitor.window.locator("[data-action=plain_text_input]")).to_have_value("Because")
    await visitor.be("Bob")
    await expect(visitor.window).to_have_count(0)
    await visitor.be("Alice")
    await visitor.window.wait_for()
    await visitor.submit()
    values = (await door.next())["view"]["state"]["values"]
    told = {kind: values[f"b_{kind}"][kind] for kind in FILLED}
    assert _without_emoji(told) == {kind: {"type": kind, **value} for kind, value in FILLED.items()}


async def test_hostile_words_in_every_place_stay_words(visitor: Visitor, door: Door) -> None:
    label = {"type": "plain_text", "text": HOSTILE}
    words = {"type": "mrkdwn", "text": HOSTILE}
    trap: Json = {**field("plain_text_input", max_length=3000), "label": label, "hint": label}
    door.opens({"type": "header", "text": label}, {"type": "section", "text": words, "fields": [words]}, trap)
    await visitor.say(HOSTILE)
    await visitor.message("onerror").wait_for()
    await visitor.say("/door")
    await visitor.window.locator("textarea").fill(HOSTILE)
    door.answer = {"response_action": "errors", "errors": {"b": HOSTILE}}
    await visitor.submit()
    assert (await door.next())["view"]["state"]["values"]["b"]["plain_text_input"]["value"] == HOSTILE
    await visitor.window.get_by_text("onerror").last.wait_for()
    alive = "iframe, object, embed, body script, img, [onerror], [onload], a[href^=javascript]"
    assert await visitor.page.locator(alive).count() == 0


async def test_escape_closes_the_window_and_the_app_is_told(visitor: Visitor, door: Door) -> None:
    door.opens(*fields())
    await visitor.say("/door")
    await visitor.window.wait_for()
    await visitor.page.keyboard.press("Escape")
    assert (await door.next())["type"] == "view_closed"
    await expect(visitor.window).to_have_count(0)


async def test_errors_stand_at_their_fields_and_what_was_typed_stays(visitor: Visitor, door: Door) -> None:
    door.opens({**field("plain_text_input", max_length=3000)}, {**field("number_input"), "block_id": "n"})
    await visitor.say("/door")
    await visitor.submit()
    box = visitor.window.get_by_role("textbox", name="Field").first
    await expect(box).to_be_focused()
    await expect(box).to_have_accessible_description("Please complete this required field.")
    await box.fill("W" * 3001)
    await visitor.window.locator("[data-action=number_input]").fill("1.5")
    await visitor.submit()
    await expect(box).to_have_accessible_description("Please enter at most 3000 characters; these are 3001.")
    number = visitor.window.locator("[data-action=number_input]")
    await expect(number).to_have_accessible_description("Please enter a whole number.")
    await expect(box).to_have_value("W" * 3001)
    await accessible(visitor.page)


@asynccontextmanager
async def on_its_way(visitor: Visitor, words: str) -> AsyncIterator[None]:
    """These words were sent when the block begins, and reach the workspace when it ends."""
    began, go = asyncio.Event(), asyncio.Event()

    async def slowly(route: Route) -> None:
        if '"verb":"say"' in (route.request.post_data or ""):
            began.set()
            await go.wait()
        await route.continue_()

    await visitor.page.route("**/act", slowly)
    await visitor.composer.fill(words)
    await visitor.composer.press("Enter")
    await asyncio.wait_for(began.wait(), 5)
    yield
    go.set()


async def bob_says(visitor: Visitor, sandbox: Sandbox, words: str) -> None:
    """Bob writes, and everybody sees it."""
    bob = next(user.id for user in sandbox.users.values() if user.handle == "bob")
    channel = next(channel for channel in sandbox.channels.values() if channel.name == "general")
    await sandbox.persona(bob).post(channel, words)
    await visitor.message(words).wait_for()


def complaint(visitor: Visitor) -> Locator:
    """What is said above the field in which one writes."""
    return visitor.page.locator("form.composer", has=visitor.composer).get_by_role("alert")


async def test_what_was_sent_leaves_the_field_though_somebody_else_wrote_meanwhile(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    async with on_its_way(visitor, "Mine"):
        await bob_says(visitor, sandbox, "Meanwhile")
        await expect(visitor.composer).to_have_value("Mine")
    await visitor.message("Mine").wait_for()
    await expect(visitor.composer).to_have_value("")


async def test_what_could_not_be_sent_stays_with_the_reason_though_somebody_else_wrote_meanwhile(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    async with on_its_way(visitor, "/nowhere to go"):
        await bob_says(visitor, sandbox, "Meanwhile")
    await expect(complaint(visitor)).to_contain_text("/nowhere")
    await expect(visitor.composer).to_have_value("/nowhere to go")
    await bob_says(visitor, sandbox, "Afterwards")
    await expect(complaint(visitor)).to_contain_text("/nowhere")


async def test_who_comes_back_while_it_is_being_sent_finds_the_field_empty_afterwards(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    sandbox.add_channel("other", members=[user.id for user in sandbox.users.values()])
    async with on_its_way(visitor, "Mine"):
        await visitor.go("other")
        await expect(visitor.composer).to_have_value("")
        await visitor.go("general")
        await expect(visitor.composer).to_have_value("Mine")
    await visitor.message("Mine").wait_for()
    await expect(visitor.composer).to_have_value("")
