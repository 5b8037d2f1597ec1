"""Block Kit: what Slack refuses, and where it says the fault is."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.sandbox.kit import check_message, check_view
from tests.sandbox.door import REASON, buttons, field, modal, section, text

Block = dict[str, Any]


def option(name: str = "a") -> Block:
    return {"text": text(name), "value": name}


def button(**more: object) -> Block:
    return {"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": text("A"), **more}]}


def menu(number: int, **more: object) -> Block:
    options = [option(str(each)) for each in range(number)]
    return field("Menu", {"type": "static_select", "options": options, **more})


def table(words: str = "x") -> Block:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": words}]]}


def rich(*parts: Block) -> Block:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(parts)}]}


MESSAGES: list[tuple[str, list[Any], str]] = [
    ("too many blocks", [section()] * 51, "/blocks"),
    ("no block", ["section"], "/blocks/0"),
    ("no type", [{}], "/blocks/0"),
    ("unknown type", [{"type": "chart"}], "/blocks/0/type"),
    ("unknown key", [section(colour="red")], "/blocks/0"),
    ("empty section", [{"type": "section"}], "/blocks/0"),
    ("empty text", [section("")], "/blocks/0/text/text"),
    ("long section", [section("x" * 3001)], "/blocks/0/text/text"),
    ("eleven fields", [{"type": "section", "fields": [text("x")] * 11}], "/blocks/0/fields"),
    ("long field", [{"type": "section", "fields": [text("x" * 2001)]}], "/blocks/0/fields/0/text"),
    ("mrkdwn header", [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "/blocks/0/text/type"),
    ("long header", [{"type": "header", "text": text("x" * 151)}], "/blocks/0/text/text"),
    ("long block_id", [section(block_id="x" * 256)], "/blocks/0/block_id"),
    ("same block_id", [section(block_id="x"), section(block_id="x")], "/blocks/1/block_id"),
    ("context of eleven", [{"type": "context", "elements": [text("x")] * 11}], "/blocks/0/elements"),
    ("26 buttons", [{"type": "actions", "elements": button()["elements"] * 26}], "/blocks/0/elements"),
    (
        "same action_id",
        [{"type": "actions", "elements": button()["elements"] * 2}],
        "/blocks/0/elements/1/action_id",
    ),
    ("long button", [buttons("x" * 76)], "/blocks/0/elements/0/text/text"),
    ("button style", [button(style="success")], "/blocks/0/elements/0/style"),
    ("button value", [button(value="x" * 2001)], "/blocks/0/elements/0/value"),
    (
        "long label for readers",
        [button(accessibility_label="x" * 76)],
        "/blocks/0/elements/0/accessibility_label",
    ),
    ("half a confirm dialog", [button(confirm={"title": text("Sure?")})], "/blocks/0/elements/0/confirm"),
    ("image without alt_text", [{"type": "image", "image_url": "https://x.io/y.png"}], "/blocks/0"),
    ("image without source", [{"type": "image", "alt_text": "x"}], "/blocks/0"),
    ("alert", [{"type": "alert", "text": text("x")}], "/blocks/0/type"),
    ("modal input", [field("E", {"type": "email_text_input"})], "/blocks/0/element/type"),
    ("two tables", [table(), table()], "/blocks/1"),
    ("large table", [table("x" * 10_001)], "/blocks/0/rows"),
    ("empty cell", [table("")], "/blocks/0/rows/0/0/text"),
    ("21 cells", [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}], "/blocks/0/rows/0"),
    (
        "uneven data table",
        [{"type": "data_table", "caption": "c", "rows": [table()["rows"][0], table()["rows"][0] * 2]}],
        "/blocks/0/rows",
    ),
    ("much markdown", [{"type": "markdown", "text": "x" * 7000}] * 2, "/blocks"),
    ("rich text of nothing", [rich({"type": "text", "text": ""})], "/blocks/0/elements/0/elements/0/text"),
    ("rich date without format", [rich({"type": "date", "timestamp": 1})], "/blocks/0/elements/0/elements/0"),
    (
        "overflow of six",
        [section(accessory={"type": "overflow", "options": [option()] * 6})],
        "/blocks/0/accessory/options",
    ),
    (
        "container in container",
        [
            {
                "type": "container",
                "title": text("x"),
                "child_blocks": [{"type": "container", "child_blocks": []}],
            }
        ],
        "/blocks/0/child_blocks/0/type",
    ),
    (
        "chart with a negative slice",
        [
            {
                "type": "data_visualization",
                "title": "x",
                "chart": {"type": "pie", "segments": [{"label": "a", "value": -1}]},
            }
        ],
        "/blocks/0/chart/segments/0/value",
    ),
    ("file", [{"type": "file", "external_id": "x", "source": "remote"}], "/blocks/0/type"),
]

VIEWS: list[tuple[str, Any, str]] = [
    ("no view", "modal", "/view"),
    ("no type", {}, "/view"),
    ("unknown type", {"type": "dialog"}, "/view/type"),
    ("no title", {"type": "modal", "blocks": []}, "/view"),
    ("long title", modal(title="x" * 25), "/view/title/text"),
    ("long submit", {**modal(), "submit": text("x" * 25)}, "/view/submit/text"),
    ("input without submit", {"type": "modal", "title": text("x"), "blocks": [REASON]}, "/view"),
    ("much private metadata", modal(private_metadata="x" * 3001), "/view/private_metadata"),
    ("long callback_id", modal(callback_id="x" * 256), "/view/callback_id"),
    ("101 blocks", modal(*[section()] * 101), "/view/blocks"),
    ("table", modal(table()), "/view/blocks/0/type"),
    ("container", modal({"type": "container", "child_blocks": [section()]}), "/view/blocks/0/type"),
    ("home with title", {"type": "home", "title": text("x"), "blocks": []}, "/view"),
    (
        "home with alert",
        {"type": "home", "blocks": [{"type": "alert", "text": text("x")}]},
        "/view/blocks/0/type",
    ),
    (
        "home with moment",
        {"type": "home", "blocks": [field("M", {"type": "datetimepicker"})]},
        "/view/blocks/0/element/type",
    ),
    ("no options", modal(menu(0)), "/view/blocks/0/element/options"),
    ("101 options", modal(menu(101)), "/view/blocks/0/element/options"),
    (
        "foreign initial option",
        modal(menu(2, initial_option=option("z"))),
        "/view/blocks/0/element/initial_option",
    ),
    ("long option", modal(menu(1, options=[option("x" * 76)])), "/view/blocks/0/element/options/0/text/text"),
    (
        "button as input",
        modal(field("B", {"type": "button", "text": text("x")})),
        "/view/blocks/0/element/type",
    ),
    ("input without label", modal({"type": "input", "element": REASON["element"]}), "/view/blocks/0"),
    (
        "eleven boxes",
        modal(field("B", {"type": "checkboxes", "options": [option()] * 11})),
        "/view/blocks/0/element/options",
    ),
    ("number without kind", modal(field("N", {"type": "number_input"})), "/view/blocks/0/element"),
    (
        "bad date",
        modal(field("D", {"type": "datepicker", "initial_date": "24.12."})),
        "/view/blocks/0/element/initial_date",
    ),
    (
        "bad time",
        modal(field("T", {"type": "timepicker", "initial_time": "25:00"})),
        "/view/blocks/0/element/initial_time",
    ),
    (
        "min above max",
        modal(field("R", {"type": "plain_text_input", "min_length": 9, "max_length": 3})),
        "/view/blocks/0/element",
    ),
    (
        "true as text",
        modal(field("R", {"type": "plain_text_input"}, optional="yes")),
        "/view/blocks/0/optional",
    ),
    (
        "two in focus",
        modal(*[field(name, {"type": "plain_text_input", "focus_on_load": True}) for name in "AB"]),
        "/view",
    ),
    ("as returned", {**modal(), "id": "V1"}, "/view"),
]


@pytest.mark.parametrize(
    ("blocks", "pointer"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_bad_message_is_refused_at_its_place(blocks: object, pointer: str) -> None:
    """Each fault is reported at the place where it is, and nowhere else."""
    assert {problem.pointer for problem in check_message(blocks)} == {pointer}


@pytest.mark.parametrize(("view", "pointer"), [case[1:] for case in VIEWS], ids=[case[0] for case in VIEWS])
def test_a_bad_view_is_refused_at_its_place(view: object, pointer: str) -> None:
    """The same for modals and Home tabs."""
    assert {problem.pointer for problem in check_view(view)} == {pointer}


CHART = {"type": "bar", "series": [{"name": "grants", "data": [{"label": "Mon", "value": 2}]}]}


@pytest.mark.parametrize(
    "block",
    [
        section(),
        section(accessory={"type": "image", "image_url": "https://x.io/y.png", "alt_text": "y"}),
        section(accessory={"type": "users_select", "action_id": "u"}),
        button(style="danger", url="https://x.io"),
        {"type": "context", "elements": [text("x"), {"type": "mrkdwn", "text": "*y*"}]},
        rich({"type": "user", "user_id": "U1"}, {"type": "date", "timestamp": 1, "format": "{time}"}),
        table(),
        {"type": "data_visualization", "title": "Grants", "chart": CHART},
        {"type": "container", "title": text("x"), "child_blocks": [section()], "is_collapsible": True},
        {"type": "markdown", "text": "# x"},
    ],
    ids=lambda block: block["type"],
)
def test_a_good_block_passes(block: Block) -> None:
    """What the documentation shows is accepted."""
    assert check_message([block]) == []


@pytest.mark.parametrize(
    "make", [lambda: modal(REASON, menu(100)), lambda: {"type": "home", "blocks": [section()]}]
)
def test_a_good_view_passes(make: Callable[[], Block]) -> None:
    """The same for views."""
    assert check_view(make()) == []
