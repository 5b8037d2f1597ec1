"""Whole payloads: what only shows when all blocks are seen together, and the three entries to the rules."""

import json
from collections.abc import Iterator

from bot.sandbox.kit.elements import GROUPS, PLAIN_OPTION, plain
from bot.sandbox.kit.layout import BLOCK, TABLES
from bot.sandbox.kit.rich import TABLE_CHARACTERS, characters
from bot.sandbox.kit.schema import Json, Problem, Rule, Spot, array, boolean, choice, record, string

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
MARKDOWN_CHARACTERS = 12_000
VIEW_BYTES = 250_000


def check_message(blocks: object) -> list[Problem]:
    """What Slack would refuse in the blocks of a message; pointers start at /blocks."""
    spot = Spot("message")
    _blocks(blocks, spot.at("blocks"), MESSAGE_BLOCKS)
    return spot.problems


def check_view(view: object, pointer: str = "/view") -> list[Problem]:
    """What Slack would refuse in a modal or a Home view; a view as Slack returns it is refused, too."""
    kind = view.get("type") if isinstance(view, dict) else None
    spot = Spot("home" if kind == "home" else "modal", pointer)
    if not isinstance(view, dict):
        spot.fail("must provide an object", "invalid_type")
    elif "type" not in view:
        spot.fail("missing required field: type", "missing_field")
    elif kind not in ("modal", "home"):
        spot.at("type").fail(f"unsupported type: {kind}", "unsupported_type")
    else:
        _VIEWS[kind](view, spot)
    return spot.problems


def check_options(answer: object) -> list[Problem]:
    """What Slack would refuse in the answer to a block_suggestion."""
    spot = Spot("modal")
    rule = record({}, {"options": array(PLAIN_OPTION, high=100), "option_groups": GROUPS})
    rule(answer, spot)
    return spot.problems


def _blocks(blocks: object, spot: Spot, high: int) -> None:
    before = len(spot.problems)
    array(BLOCK, high=high)(blocks, spot)
    if isinstance(blocks, list) and len(spot.problems) == before:
        _unique(blocks, spot)
        _tables(blocks, spot)
        _markdown(blocks, spot)


def _unique(blocks: list[Json], spot: Spot) -> None:
    seen: set[str] = set()
    for position, block in enumerate(blocks):
        name = block.get("block_id")
        if name in seen:
            spot.at(position).at("block_id").fail(f"`block_id` already exists: {name}", "duplicate_block_id")
        elif name is not None:
            seen.add(name)


def _tables(blocks: list[Json], spot: Spot) -> None:
    """One table in a message: the rule that a digest meets first."""
    places = [
        (spot.at(position), block)
        for position, outer in enumerate(blocks)
        for block in (outer, *outer.get("child_blocks", []))
        if block["type"] in TABLES
    ]
    for place, _ in places[1:]:
        place.fail("only_one_table_allowed", "only_one_table_allowed")
    if sum(characters(block["rows"]) for _, block in places) > TABLE_CHARACTERS:
        spot.fail(f"must be less than {TABLE_CHARACTERS + 1} characters in all tables", "too_long")


def _markdown(blocks: list[Json], spot: Spot) -> None:
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MARKDOWN_CHARACTERS:
        spot.fail(f"must be less than {MARKDOWN_CHARACTERS + 1} characters of markdown", "too_long")


def _elements(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        for key in ("element", "accessory"):
            if key in block:
                yield block[key]
        yield from block.get("elements", [])


def _focus(view: Json, spot: Spot) -> None:
    if sum(element.get("focus_on_load") is True for element in _elements(view["blocks"])) > 1:
        spot.fail("only one element can have focus_on_load")


def _modal(view: Json, spot: Spot) -> None:
    if any(block["type"] == "input" for block in view["blocks"]) and "submit" not in view:
        spot.fail("missing required field: submit", "missing_field")
    _focus(view, spot)


def _view_blocks(value: object, spot: Spot) -> None:
    _blocks(value, spot, VIEW_BLOCKS)


_ANYWHERE: dict[str, Rule] = {
    "private_metadata": string(3000),
    "callback_id": string(255),
    "external_id": string(255),
}
_VIEWS = {
    "modal": record(
        {"type": choice("modal"), "title": plain(24), "blocks": _view_blocks},
        {
            **_ANYWHERE,
            "submit": plain(24),
            "close": plain(24),
            "clear_on_close": boolean,
            "notify_on_close": boolean,
            "submit_disabled": boolean,
        },
        also=_modal,
    ),
    "home": record({"type": choice("home"), "blocks": _view_blocks}, _ANYWHERE, also=_focus),
}


def too_large(view: object) -> bool:
    """More than 250 kB, which has an error of its own (`view_too_large`)."""
    return len(json.dumps(view)) > VIEW_BYTES
