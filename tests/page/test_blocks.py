"""Blocks in the browser: every kind is shown, and what has not changed is not touched."""

import re
from typing import Literal

import pytest

from bot.sandbox.kit import check_message, check_view, stored_blocks
from bot.sandbox.kit.elements import ELEMENTS, IN_ACTIONS, IN_INPUT
from bot.sandbox.kit.layout import BLOCKS, SURFACES
from tests.page import samples
from tests.page.bench import Bench
from tests.page.browser import accessible, picture
from tests.page.samples import Json, beside, field, mrkdwn, text

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.heavy,
]


async def test_the_samples_are_all_that_the_workspace_takes() -> None:
    assert set(samples.BLOCKS) == set(BLOCKS)
    assert set(samples.ELEMENTS) == set(ELEMENTS)
    for name, block in samples.BLOCKS.items():
        if "modal" in SURFACES.get(name, ()):
            assert check_view({"type": "modal", "title": text("t"), "blocks": [block]}) == []
        else:
            assert check_message([block]) == [], name


SHOWN = {
    "section": "Bold words\nRisk\nhigh\nplain",
    "divider": "",
    "header": "BG-7K3Q2M: Restart",
    "image": "Picture: A cat on a rack open Its title",
    "actions": "Press\n⋯",
    "context": "small\nPicture: A cat on a rack\nopen",
    "context_actions": "Good\nBad\nRemove",
    "rich_text": "Loud @Alice#incidents@on-call@here🔥🧪label2025-11-21#ff0000T1 third two\nlines code",
    "input": "Reason Read first",
    "video": "Video: How to See it",
    "markdown": "Title bold a [b](javascript:alert(1)) <b>no</b> code",
    "alert": "Error: Look out",
    "card": "Card Body Press",
    "carousel": "First Press",
    "container": "Folded inside",
    "table": "What How often Asked 7",
    "data_table": "Seven rows What How often" + " Asked 7" * 5 + " Previous Rows 1 to 5 of 7 Next",
    "data_visualization": "The week Label Week Mon 3 Tue 6",
    "task_card": "Complete: Look it up",
    "plan": "A plan In progress: First",
}


@pytest.mark.parametrize(("kind", "shown"), SHOWN.items())
async def test_every_block_is_shown_with_all_its_words(bench: Bench, kind: str, shown: str) -> None:
    await bench.render(*stored_blocks([samples.BLOCKS[kind]]))
    assert sorted((await bench.place.inner_text()).split()) == sorted(shown.split())


async def test_an_unknown_block_says_that_something_is_there(bench: Bench) -> None:
    await bench.render({"type": "hologram", "block_id": "b"}, field("button", type="lever"))
    said = await bench.place.inner_text()
    assert said.split("\n\n") == [
        "Cannot show a block of type hologram.",
        "Cannot show a field of type lever.",
    ]


@pytest.mark.parametrize("dark", [False, True])
async def test_all_of_it_is_accessible(bench: Bench, dark: bool) -> None:
    await bench.page.emulate_media(color_scheme="dark" if dark else "light")
    blocks = [{**block, "block_id": f"b{number}"} for number, block in enumerate(samples.BLOCKS.values())]
    blocks += [{**field(kind), "block_id": f"i{kind}"} for kind in IN_INPUT]
    blocks += [{**beside(kind), "block_id": f"s{kind}"} for kind in IN_ACTIONS]
    await bench.render(*blocks, errors={"iplain_text_input": "Too short.", "icheckboxes": "Tick one."})
    await picture(bench.page, f"blocks-{'dark' if dark else 'light'}", whole=True)
    await accessible(bench.page)
    await bench.page.emulate_media(color_scheme="light")


async def test_pictures_are_fetched_from_this_page_alone(bench: Bench) -> None:
    dot = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    svg = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    for number, address in enumerate(
        ["/files/icon.svg", dot, svg, "https://evil.example/a.png", "javascript:alert(1)"]
    ):
        shown = address if number else bench.page.url.replace("/bench", address)
        await bench.render({"type": "image", "block_id": str(number), "image_url": shown, "alt_text": "cat"})
        assert await bench.place.locator("img").count() == int(number < 2), address


# --- what survives an update ----------------------------------------------------------------------------


async def test_what_has_not_changed_keeps_its_node(bench: Bench) -> None:
    blocks: list[Json] = [
        {"type": "section", "block_id": f"b{number}", "text": mrkdwn(f"{number}")} for number in range(4)
    ]
    await bench.render(*blocks)
    before = await bench.place.locator(".bk-section").element_handles()
    changed = {**blocks[1], "text": mrkdwn("changed")}
    invented = [{**block, "block_id": f"new{number}"} for number, block in enumerate(blocks)]
    await bench.render(invented[0], changed, {"type": "divider", "block_id": "d"}, invented[2])
    after = await bench.place.locator(".bk-section").element_handles()
    same = [await bench.page.evaluate("([a, b]) => a === b", [before[n], after[n]]) for n in range(3)]
    assert same == [True, False, True]
    assert (await bench.place.inner_text()).split() == ["0", "changed", "2"]


async def test_typing_focus_and_caret_survive_updates_around_and_of_the_field(bench: Bench) -> None:
    await bench.render({"type": "section", "block_id": "a", "text": mrkdwn("x")}, field("plain_text_input"))
    box = bench.page.get_by_label("Field")
    await box.fill("half a sentence")
    await box.evaluate("(box) => box.setSelectionRange(4, 6)")
    newer = {**field("plain_text_input", initial_value="the app's words"), "hint": text("A new hint")}
    await bench.render({"type": "section", "block_id": "a", "text": mrkdwn("y")}, newer, errors={"b": "No."})
    caret = await box.evaluate(
        "(box) => [document.activeElement === box, box.value, box.selectionStart, box.selectionEnd]"
    )
    assert caret == [True, "half a sentence", 4, 6]
    assert await bench.place.get_by_text("A new hint").is_visible()


async def test_a_field_nobody_touched_follows_the_app(bench: Bench) -> None:
    await bench.render(field("plain_text_input", initial_value="old"))
    node = await bench.page.get_by_label("Field").element_handle()
    assert node is not None
    await bench.render(field("plain_text_input", initial_value="new"))
    assert await node.evaluate("(box) => [box.isConnected, box.value]") == [True, "new"]


async def test_what_was_put_before_a_reload_is_there_again(bench: Bench) -> None:
    entry = {"type": "plain_text_input", "value": "from before"}
    await bench.render(
        field("plain_text_input", initial_value="old"), values={"b": {"plain_text_input": entry}}
    )
    assert await bench.page.get_by_label("Field").input_value() == "from before"


async def test_the_focus_of_a_button_that_goes_is_not_lost(bench: Bench) -> None:
    def row(version: int, *names: str) -> Json:
        buttons = [{**samples.ELEMENTS["button"], "action_id": name, "text": text(name)} for name in names]
        return {"type": "actions", "block_id": f"BG:{version}", "elements": buttons}

    await bench.render(row(1, "approve", "deny"))
    await bench.page.locator("[data-action=deny]").focus()
    await bench.render(row(2, "deny", "withdraw"))
    assert await bench.page.evaluate("() => document.activeElement.dataset.action") == "deny"
    await bench.render({"type": "section", "block_id": "s", "text": mrkdwn("Denied.")})
    assert await bench.page.evaluate("() => document.activeElement.id") == "place"


# --- pressing -------------------------------------------------------------------------------------------

CONFIRM = {"title": text("Sure?"), "text": text("It ends."), "confirm": text("Yes"), "deny": text("No")}


async def test_a_button_acts_once_its_confirm_dialog_is_answered_with_yes(bench: Bench) -> None:
    block = beside("button", confirm=CONFIRM, value="BG-1")
    await bench.render(block)
    button = bench.page.get_by_role("button", name="Press it well")
    await bench.confirm_with(False)
    await button.click()
    assert await bench.asked() == [["confirm", CONFIRM]]
    await bench.confirm_with(True)
    await button.press("Enter")
    assert await bench.asked() == [["confirm", CONFIRM], ["act", "b", "button", {}]]


async def test_while_an_act_is_under_way_nothing_is_pressed_and_the_focus_stays(bench: Bench) -> None:
    await bench.render(beside("button"), disabled=True)
    button = bench.page.get_by_role("button")
    await button.click()
    assert await bench.asked() == []
    assert await button.evaluate("(button) => button === document.activeElement")


@pytest.mark.parametrize(("url", "role"), [("https://a.example/", "link"), ("javascript:alert(1)", "button")])
async def test_a_button_with_an_address_is_a_link_when_it_is_safe(
    bench: Bench, url: str, role: Literal["link", "button"]
) -> None:
    await bench.render(beside("button", url=url))
    await bench.page.get_by_role(role).click()
    followed = [["follow", url]] if role == "link" else []
    assert await bench.asked() == [*followed, ["act", "b", "button", {}]]


async def test_an_overflow_menu_works_by_keyboard(bench: Bench) -> None:
    await bench.render(beside("overflow"))
    opener = bench.page.get_by_role("button", name="Beside")
    await opener.press("Enter")
    await bench.page.keyboard.press("ArrowDown")
    await bench.page.keyboard.press("ArrowDown")  # round to the first
    await bench.page.keyboard.press("Enter")
    assert await bench.asked() == [["act", "b", "overflow", {"option": samples.ONE}]]
    await opener.press("Enter")
    await bench.page.keyboard.press("Escape")
    assert await bench.page.get_by_role("menu").is_hidden()
    assert await opener.evaluate("(opener) => opener === document.activeElement")


# --- labels and errors ----------------------------------------------------------------------------------


async def test_hint_and_error_belong_to_the_field_for_everybody(bench: Bench) -> None:
    block = {**field("plain_text_input"), "hint": text("Read first")}
    await bench.render(block, errors={"b": "Say more."})
    box = bench.page.get_by_role("textbox", name=re.compile("^Field$"))
    told = await box.evaluate(
        """(box) => box.getAttribute('aria-describedby').split(' ')
                        .map((id) => document.getElementById(id).innerText)"""
    )
    assert told == ["Say more.", "Read first"]
    assert await box.get_attribute("aria-invalid") == "true"
    assert await box.get_attribute("aria-required") == "true"
    assert await bench.page.evaluate("() => window.bench.focusFirstError()")
    assert await box.evaluate("(box) => box === document.activeElement")
    await bench.render(block)
    assert await box.get_attribute("aria-invalid") == "false"
    assert not await bench.place.get_by_text("Say more.").count()


async def test_a_group_says_in_words_that_it_is_required(bench: Bench) -> None:
    await bench.render(field("checkboxes"))
    assert await bench.page.get_by_role("group", name="Field (required)").count() == 1
    await bench.render({**field("checkboxes"), "optional": True})
    assert await bench.page.get_by_role("group", name="Field (optional)").count() == 1
