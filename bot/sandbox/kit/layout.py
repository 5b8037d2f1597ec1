"""The layout blocks, and the surfaces each is for (docs.slack.dev/reference/block-kit/blocks)."""

from collections.abc import Callable, Mapping

from bot.sandbox.kit.elements import IN_ACTIONS, IN_INPUT, IN_SECTION, TYPE, URL, element, plain, text
from bot.sandbox.kit.rich import CHART, DATA_TABLE, RICH_TEXT, TABLE
from bot.sandbox.kit.schema import (
    Json,
    Rule,
    Spot,
    Surface,
    anything,
    array,
    boolean,
    choice,
    record,
    string,
    variant,
)

BLOCK_ID: Mapping[str, Rule] = {"block_id": string(255, low=1)}
SLACK_FILE = record({}, {"id": string(low=1), "url": URL})


def _block(
    required: Mapping[str, Rule] | None = None,
    also: Callable[[Json, Spot], None] | None = None,
    **optional: Rule,
) -> Rule:
    return record({**TYPE, **(required or {})}, {**BLOCK_ID, **optional}, also=also)


def _pictured(value: Json, spot: Spot) -> None:
    if ("image_url" in value) == ("slack_file" in value):
        spot.fail("must define either `image_url` or `slack_file`", "missing_field")


def _told(value: Json, spot: Spot) -> None:
    if "text" not in value and "fields" not in value:
        spot.fail("must define either `text` or `fields`", "missing_field")


def _once_per_block(value: Json, spot: Spot) -> None:
    seen: set[str] = set()
    for position, part in enumerate(value["elements"]):
        action = part.get("action_id")
        if action in seen:
            spot.at("elements").at(position).at("action_id").fail(f"`action_id` already exists: {action}")
        elif action is not None:
            seen.add(action)


def _image(*, titled: bool) -> Rule:
    more: dict[str, Rule] = {"image_url": URL, "slack_file": SLACK_FILE}
    if titled:
        more |= {**BLOCK_ID, "title": plain(2000)}
    return record({**TYPE, "alt_text": string(2000, low=1)}, more, also=_pictured)


IMAGE_ELEMENT: Mapping[str, Rule] = {"image": _image(titled=False)}
_CONTEXT: Mapping[str, Rule] = {
    **IMAGE_ELEMENT,
    "plain_text": record({**TYPE, "text": string(3000, low=1)}, {"emoji": boolean}),
    "mrkdwn": record({**TYPE, "text": string(3000, low=1)}, {"verbatim": boolean}),
}
_FEEDBACK = record(
    {"text": plain(75), "value": string(2000)}, {"accessibility_label": string(75), "action_id": string(255)}
)
_CONTEXT_ACTIONS: Mapping[str, Rule] = {
    "feedback_buttons": record(
        {**TYPE, "positive_button": _FEEDBACK, "negative_button": _FEEDBACK}, {"action_id": string(255)}
    ),
    "icon_button": record(
        {**TYPE, "icon": string(low=1), "text": plain(75)},
        {
            "action_id": string(255),
            "value": string(2000),
            "confirm": anything,
            "accessibility_label": string(75),
        },
    ),
}
_CARD = _block(
    hero_image=anything,
    icon=anything,
    title=text(150),
    subtitle=text(150),
    body=text(200),
    actions=array(element("button"), low=1, high=5),
    slack_icon=anything,
)

BLOCKS: dict[str, Rule] = {
    "section": _block(
        also=_told,
        text=text(3000),
        fields=array(text(2000), low=1, high=10),
        accessory=element(*IN_SECTION, more=IMAGE_ELEMENT),
        expand=boolean,
    ),
    "divider": _block(),
    "header": _block({"text": plain(150)}),
    "image": _image(titled=True),
    "actions": _block({"elements": array(element(*IN_ACTIONS), low=1, high=25)}, also=_once_per_block),
    "context": _block({"elements": array(variant(lambda: _CONTEXT, {}), low=1, high=10)}),
    "context_actions": _block({"elements": array(variant(lambda: _CONTEXT_ACTIONS, {}), low=1, high=5)}),
    "rich_text": RICH_TEXT,
    "input": _block(
        {"label": plain(2000), "element": element(*IN_INPUT)},
        hint=plain(2000),
        optional=boolean,
        dispatch_action=boolean,
    ),
    "video": _block(
        {
            "title": plain(199),
            "alt_text": string(2000, low=1),
            "thumbnail_url": URL,
            "video_url": URL,
        },
        title_url=URL,
        author_name=string(49),
        description=plain(199),
        provider_name=string(),
        provider_icon_url=URL,
    ),
    "markdown": _block({"text": string(12_000, low=1)}),
    "alert": _block({"text": text(3000)}, level=choice("default", "info", "warning", "error", "success")),
    "card": _CARD,
    "carousel": _block({"elements": array(variant(lambda: {"card": _CARD}, {}), low=1, high=10)}),
    "container": _block(
        {"child_blocks": array(variant(lambda: _CHILDREN, {}), low=1, high=10)},
        title=plain(150),
        rich_text_title=RICH_TEXT,
        subtitle=plain(150),
        width=choice("narrow", "standard", "wide", "full"),
        icon=anything,
        is_collapsible=boolean,
        default_collapsed=boolean,
        has_header_divider=boolean,
    ),
    "table": TABLE,
    "data_table": DATA_TABLE,
    "data_visualization": CHART,
    "task_card": _block(
        {"task_id": string(low=1), "title": string(low=1)},
        details=anything,
        output=anything,
        sources=anything,
        status=choice("pending", "in_progress", "complete", "error"),
    ),
    "plan": _block({"title": string(low=1)}, tasks=anything),
}
_CHILD_KINDS = (
    *("actions", "context", "divider", "header", "image"),
    *("input", "rich_text", "section", "table", "video"),
)
_CHILDREN: dict[str, Rule] = {kind: BLOCKS[kind] for kind in _CHILD_KINDS}

SURFACES: dict[str, tuple[Surface, ...]] = {
    "alert": ("modal",),
    "table": ("message",),
    "data_table": ("message",),
    "markdown": ("message",),
    "plan": ("message",),
    "task_card": ("message",),
    "context_actions": ("message",),
    "container": ("message", "home"),
    "data_visualization": ("message", "home"),
    "card": ("message", "home"),
    "carousel": ("message", "home"),
}
BLOCK = variant(lambda: BLOCKS, SURFACES)
TABLES = ("table", "data_table")
