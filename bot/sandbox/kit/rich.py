"""Rich text and tables: the blocks whose content is itself a small document."""

from bot.sandbox.kit.elements import TYPE, URL
from bot.sandbox.kit.schema import (
    Json,
    Rule,
    Spot,
    anything,
    array,
    boolean,
    choice,
    integer,
    number,
    record,
    string,
    variant,
)

TABLE_CHARACTERS = 10_000  # per table and per message (docs.slack.dev/reference/block-kit/blocks/table-block)

_STYLE = record(
    {},
    dict.fromkeys(
        ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"), boolean
    ),
)
_ID = string(low=1)


def _inline(required: dict[str, Rule], optional: dict[str, Rule] | None = None) -> Rule:
    return record({**TYPE, **required}, {"style": _STYLE, **(optional or {})})


_INLINE: dict[str, Rule] = {
    "text": _inline({"text": string(low=1)}),
    "link": _inline({"url": URL}, {"text": string(), "unsafe": boolean}),
    "user": _inline({"user_id": _ID}),
    "usergroup": _inline({"usergroup_id": _ID}),
    "channel": _inline({"channel_id": _ID}),
    "team": _inline({"team_id": _ID}),
    "emoji": _inline({"name": _ID}, {"unicode": string(), "skin_tone": integer(1, 6), "url": URL}),
    "date": _inline({"timestamp": integer(0), "format": _ID}, {"fallback": string(), "url": URL}),
    "broadcast": _inline({"range": choice("here", "channel", "everyone")}),
    "color": _inline({"value": string(pattern="#[0-9a-fA-F]{6}")}),
}
_RUN = array(variant(lambda: _INLINE, {}))
_SECTION = record({**TYPE, "elements": _RUN})
_BORDER = {"border": integer(0, 1)}
_PARTS: dict[str, Rule] = {
    "rich_text_section": _SECTION,
    "rich_text_list": record(
        {
            **TYPE,
            "elements": array(variant(lambda: {"rich_text_section": _SECTION}, {})),
            "style": choice("bullet", "ordered"),
        },
        {"indent": integer(0, 8), "offset": integer(0), **_BORDER},
    ),
    "rich_text_preformatted": record({**TYPE, "elements": _RUN}, {**_BORDER, "language": string()}),
    "rich_text_quote": record({**TYPE, "elements": _RUN}, _BORDER),
}
RICH_TEXT = record({**TYPE, "elements": array(variant(lambda: _PARTS, {}))}, {"block_id": string(255, low=1)})

_CELLS: dict[str, Rule] = {
    "raw_text": record({**TYPE, "text": string(low=1)}),
    "raw_number": record({**TYPE, "value": number}, {"text": string(low=1)}),
    "rich_text": RICH_TEXT,
}
CELL = variant(lambda: _CELLS, {})


def characters(value: object) -> int:
    """How many characters a reader sees in these cells."""
    if isinstance(value, dict):
        return sum(
            len(str(part)) if key == "text" and isinstance(part, str) else characters(part)
            for key, part in value.items()
        )
    return sum(characters(part) for part in value) if isinstance(value, list) else 0


def _small(value: Json, spot: Spot) -> None:
    if characters(value["rows"]) > TABLE_CHARACTERS:
        spot.at("rows").fail(f"must be less than {TABLE_CHARACTERS + 1} characters in all cells", "too_long")


def _even(value: Json, spot: Spot) -> None:
    if len({len(row) for row in value["rows"]}) > 1:
        spot.at("rows").fail("all rows must have the same number of cells")
    if any(cell["type"] == "rich_text" for cell in value["rows"][0]):
        spot.at("rows").at(0).fail("the header row must not contain rich_text")
    _small(value, spot)


_SETTINGS = record({}, {"align": choice("left", "center", "right"), "is_wrapped": boolean})

TABLE = record(
    {**TYPE, "rows": array(array(CELL, high=20), low=1, high=100)},
    {"block_id": string(255, low=1), "column_settings": array(_SETTINGS, high=20)},
    also=_small,
)
DATA_TABLE = record(
    {**TYPE, "rows": array(array(CELL, low=1, high=20), low=2, high=101), "caption": string(low=1)},
    {
        "block_id": string(255, low=1),
        "page_size": integer(1, 100),
        "row_header_column_index": integer(0, 19),
    },
    also=_even,
)

_POINTS = array(record({"label": string(20, low=1), "value": number}), low=1)
_SERIES = array(record({"name": string(20, low=1), "data": _POINTS}), low=1, high=6)


def _positive(value: Json, spot: Spot) -> None:
    for position, segment in enumerate(value["segments"]):
        if segment["value"] <= 0:
            spot.at("segments").at(position).at("value").fail("must be greater than 0")


_PLOT = record({**TYPE, "series": _SERIES}, {"axis_config": anything})
_CHARTS: dict[str, Rule] = {
    "pie": record(
        {
            **TYPE,
            "segments": array(record({"label": string(20, low=1), "value": number}), low=1, high=6),
        },
        also=_positive,
    ),
    "bar": _PLOT,
    "line": _PLOT,
    "area": _PLOT,
}
CHART = record(
    {**TYPE, "title": string(50, low=1), "chart": variant(lambda: _CHARTS, {})},
    {"block_id": string(255, low=1)},
)
