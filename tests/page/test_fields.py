"""Fields in the browser: each gives the entry that Slack would give, by mouse or keys, and loses nothing."""

from typing import Any

import pytest

from tests.page.bench import Bench
from tests.page.samples import ONE, OPTIONS, THREE, TWO, Json, beside, field, option, text

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.heavy,
]


async def typed(bench: Bench, kind: str, words: str, **more: Any) -> list[list[Any]]:  # noqa: ANN401 - of an element
    await bench.render(field(kind, **more))
    await bench.page.get_by_label("Field", exact=True).press_sequentially(words)
    return await bench.asked()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("plain_text_input", "no longer than it may be? It stays, and is said."),
        ("number_input", "1.5e"),
        ("email_text_input", "a@b.example"),
        ("url_text_input", "https://a.example"),
    ],
)
async def test_every_keystroke_is_kept_and_nobody_else_hears_of_it(
    bench: Bench, kind: str, words: str
) -> None:
    calls = await typed(bench, kind, words)
    assert [call[0] for call in calls] == ["put"] * len(words)
    assert calls[-1] == ["put", "b", kind, {"type": kind, "value": words}]


async def test_an_emptied_field_holds_nothing(bench: Bench) -> None:
    await bench.render(field("email_text_input", initial_value="x"))
    await bench.page.get_by_label("Field").fill("")
    assert await bench.asked() == [
        ["put", "b", "email_text_input", {"type": "email_text_input", "value": None}]
    ]


async def test_rich_text_travels_as_rich_text(bench: Bench) -> None:
    calls = await typed(bench, "rich_text_input", "a")
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": "a"}]}
    value = {"type": "rich_text", "elements": [section]}
    assert calls == [["put", "b", "rich_text_input", {"type": "rich_text_input", "rich_text_value": value}]]


async def test_what_is_too_long_stays_and_is_said(bench: Bench) -> None:
    await bench.render(field("plain_text_input", max_length=20))
    box = bench.page.get_by_label("Field")
    await box.fill("x" * 18)
    assert await bench.place.get_by_role("status").inner_text() == "18 of 20 characters"
    await box.fill("x" * 19 + "👋👋")
    assert (
        await bench.place.get_by_role("status").inner_text() == "Too long by 1: shorten it to 20 characters."
    )
    assert await box.input_value() == "x" * 19 + "👋👋"


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("datepicker", "2026-12-24", {"selected_date": "2026-12-24"}),
        ("timepicker", "23:59", {"selected_time": "23:59"}),
        ("datetimepicker", "2025-11-21T03:17", {"selected_date_time": 1763691420}),
    ],
)
async def test_pickers_give_dates_times_and_moments(bench: Bench, kind: str, given: str, value: Json) -> None:
    await bench.render(field(kind, initial_date="2026-11-21"))
    await bench.page.get_by_label("Field").fill(given)
    assert (await bench.asked())[-1] == ["put", "b", kind, {"type": kind, **value}]


async def test_a_menu_gives_the_chosen_option_by_keyboard_too(bench: Bench) -> None:
    await bench.render(field("static_select"))
    menu = bench.page.get_by_label("Field")
    assert await menu.locator("optgroup").evaluate_all("(all) => all.map((each) => each.label)") == [
        "Low",
        "High",
    ]
    await menu.focus()
    await bench.page.keyboard.type("tw")
    assert await bench.asked() == [
        ["put", "b", "static_select", {"type": "static_select", "selected_option": TWO}]
    ]
    await menu.select_option("Pick one")
    assert (await bench.asked())[-1][3] == {"type": "static_select", "selected_option": None}


MENUS: list[tuple[str, str, Json]] = [
    ("users_select", "Bob", {"selected_user": "U2"}),
    ("conversations_select", "#security", {"selected_conversation": "C2"}),
    ("channels_select", "#incidents", {"selected_channel": "C1"}),
]


@pytest.mark.parametrize(("kind", "name", "value"), MENUS)
async def test_menus_of_people_and_channels_give_ids(bench: Bench, kind: str, name: str, value: Json) -> None:
    await bench.render(field(kind))
    menu = bench.page.get_by_label("Field")
    offered = await menu.locator("option").all_inner_texts()
    label = next(each for each in offered if name in each)
    await menu.select_option(label)
    assert await bench.asked() == [["put", "b", kind, {"type": kind, **value}]]
    assert not any("Gone" in each for each in offered)


@pytest.mark.parametrize(
    ("kind", "key", "first"),
    [
        ("multi_static_select", "selected_options", ONE),
        ("multi_users_select", "selected_users", "U1"),
        ("multi_channels_select", "selected_channels", "C1"),
        ("multi_conversations_select", "selected_conversations", "C1"),
    ],
)
async def test_several_are_ticked_and_unticked(bench: Bench, kind: str, key: str, first: object) -> None:
    await bench.render(field(kind))
    box = bench.page.get_by_role("checkbox").first
    await box.press("Space")
    await box.press("Space")
    entries = [call[3] for call in await bench.asked()]
    assert entries == [{"type": kind, key: [first]}, {"type": kind, key: []}]


async def test_no_more_can_be_ticked_than_the_app_takes(bench: Bench) -> None:
    await bench.render(field("multi_static_select"))
    await bench.page.get_by_label("One").check()
    await bench.page.get_by_label("Two").check()
    assert await bench.page.get_by_label("Three").is_disabled()
    assert await bench.place.get_by_role("status").inner_text() == "No more than 2 can be chosen."


async def test_many_choices_can_be_searched_and_what_is_ticked_stays_in_sight(bench: Bench) -> None:
    many = [option(f"Access {number}") for number in range(30)]
    await bench.render(field("multi_static_select", options=many, max_selected_items=9))
    await bench.page.get_by_label("Access 7").check()
    await bench.page.get_by_role("searchbox").fill("access 21")
    assert await bench.place.locator(".bk-choice").all_inner_texts() == ["Access 7", "Access 21"]


async def test_radio_buttons_and_boxes_give_their_options(bench: Bench) -> None:
    await bench.render(field("radio_buttons"))
    await bench.page.get_by_label("Two").focus()
    await bench.page.keyboard.press("ArrowDown")
    assert await bench.asked() == [
        ["put", "b", "radio_buttons", {"type": "radio_buttons", "selected_option": THREE}]
    ]
    await bench.render(field("checkboxes", options=OPTIONS))
    await bench.page.get_by_label("Three").check()
    await bench.page.get_by_label("One").check()
    chosen = {"type": "checkboxes", "selected_options": [ONE, THREE]}
    assert (await bench.asked())[-1] == ["put", "b", "checkboxes", chosen]


async def test_a_combobox_asks_the_app_and_works_by_keyboard(bench: Bench) -> None:
    await bench.render(field("external_select"))
    await bench.offer(*OPTIONS)
    box = bench.page.get_by_role("combobox")
    await box.fill("t")
    await bench.page.get_by_role("option", name="Three").wait_for()
    assert await bench.asked() == [["suggest", "b", "external_select", "t"]]
    await box.press("ArrowDown")
    await box.press("ArrowDown")
    assert await bench.page.get_by_role("option", selected=True).all_inner_texts() == ["Two"]
    await box.press("Enter")
    entry = {"type": "external_select", "selected_option": TWO}
    assert await bench.asked() == [["put", "b", "external_select", entry]]
    await box.fill("something else")
    await box.press("Escape")
    assert await box.input_value() == "Two"


async def test_a_combobox_says_how_much_must_be_typed_and_when_nothing_fits(bench: Bench) -> None:
    await bench.render(field("external_select", min_query_length=3))
    box = bench.page.get_by_role("combobox")
    await box.fill("ab")
    status = bench.place.get_by_role("status")
    assert await status.inner_text() == "Type at least 3 characters."
    await box.fill("abc")
    await status.get_by_text("Nothing found. Type something else.").wait_for()
    assert await bench.asked() == [["suggest", "b", "external_select", "abc"]]


async def test_a_dispatching_field_tells_the_app_when_it_is_let_go(bench: Bench) -> None:
    await bench.render({**field("static_select"), "dispatch_action": True})
    await bench.page.get_by_label("Field").select_option("Two")
    entry = {"type": "static_select", "selected_option": TWO}
    assert await bench.asked() == [["act", "b", "static_select", {"entry": entry}]]


@pytest.mark.parametrize(("triggers", "acts"), [(["on_enter_pressed"], 1), (["on_character_entered"], 2)])
async def test_a_dispatching_text_tells_the_app_on_enter_or_on_every_character(
    bench: Bench, triggers: list[str], acts: int
) -> None:
    element = {"dispatch_action_config": {"trigger_actions_on": triggers}}
    await bench.render({**field("url_text_input", **element), "dispatch_action": True})
    box = bench.page.get_by_label("Field")
    await box.press_sequentially("ab")
    await box.press("Enter")
    told = await bench.asked("act")
    assert len(told) == acts
    assert told[-1] == ["act", "b", "url_text_input", {"entry": {"type": "url_text_input", "value": "ab"}}]


async def test_a_choice_refused_in_its_confirm_dialog_is_taken_back(bench: Bench) -> None:
    confirm = {key: text(key) for key in ("title", "text", "confirm", "deny")}
    await bench.render(beside("radio_buttons", confirm=confirm))
    await bench.confirm_with(False)
    await bench.page.get_by_label("Three").click()
    assert await bench.asked("act") == []
    assert await bench.page.get_by_label("Two").is_checked()


async def test_files_cannot_be_given_and_it_says_so(bench: Bench) -> None:
    await bench.render(field("file_input"))
    assert await bench.page.get_by_label("Field").is_disabled()
    assert await bench.place.get_by_text("Files cannot be given in this workspace.").is_visible()
