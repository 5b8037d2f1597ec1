"""One of every block and of every element that the workspace takes; a test holds the lists complete."""

from typing import Any

Json = dict[str, Any]


def text(words: str) -> Json:
    return {"type": "plain_text", "text": words}


def mrkdwn(words: str) -> Json:
    return {"type": "mrkdwn", "text": words}


def option(words: str, **more: Any) -> Json:  # noqa: ANN401 - any key of an option
    return {"text": text(words), "value": words.lower(), **more}


ONE, TWO, THREE = (option(words) for words in ("One", "Two", "Three"))
OPTIONS = [ONE, TWO, THREE]
PICTURE = {"image_url": "https://pictures.example/a.png", "alt_text": "A cat on a rack"}
RICH: Json = {
    "type": "rich_text",
    "elements": [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "Loud ", "style": {"bold": True, "italic": True}},
                {"type": "user", "user_id": "U1"},
                {"type": "channel", "channel_id": "C1"},
                {"type": "usergroup", "usergroup_id": "S1"},
                {"type": "broadcast", "range": "here"},
                {"type": "emoji", "name": "fire"},
                {"type": "emoji", "name": "odd", "unicode": "1f9ea"},
                {"type": "link", "url": "https://a.example", "text": "label"},
                {"type": "date", "timestamp": 1763691420, "format": "{date_num}", "fallback": "then"},
                {"type": "color", "value": "#ff0000"},
                {"type": "team", "team_id": "T1"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "ordered",
            "indent": 1,
            "offset": 2,
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "third"}]}],
        },
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "two\nlines"}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "  code"}]},
    ],
}
CELLS = [{"type": "raw_text", "text": "Asked"}, {"type": "raw_number", "value": 7, "text": "7"}]
HEAD = [{"type": "raw_text", "text": "What"}, {"type": "raw_text", "text": "How often"}]
SERIES = [{"name": "Week", "data": [{"label": "Mon", "value": 3}, {"label": "Tue", "value": 6}]}]

ELEMENTS: dict[str, Json] = {
    "button": {"text": text("Press"), "style": "primary", "accessibility_label": "Press it well"},
    "checkboxes": {"options": [{**option("Tea"), "description": mrkdwn("_hot_")}, option("Milk")]},
    "radio_buttons": {"options": OPTIONS, "initial_option": TWO},
    "datepicker": {"initial_date": "2026-11-21", "placeholder": text("A day")},
    "timepicker": {"initial_time": "02:17"},
    "datetimepicker": {"initial_date_time": 1763691420},
    "static_select": {
        "option_groups": [
            {"label": text("Low"), "options": [ONE]},
            {"label": text("High"), "options": [TWO, THREE]},
        ],
        "placeholder": text("Pick one"),
    },
    "multi_static_select": {"options": OPTIONS, "max_selected_items": 2},
    "external_select": {"min_query_length": 0, "placeholder": text("Type a word of it")},
    "multi_external_select": {"min_query_length": 2},
    "users_select": {},
    "multi_users_select": {},
    "conversations_select": {"filter": {"include": ["private", "im"]}},
    "multi_conversations_select": {},
    "channels_select": {},
    "multi_channels_select": {},
    "overflow": {"options": [ONE, option("Way out", url="https://a.example/")]},
    "plain_text_input": {"multiline": True, "max_length": 20, "placeholder": text("Why?")},
    "number_input": {"is_decimal_allowed": False, "min_value": "1"},
    "email_text_input": {},
    "url_text_input": {},
    "rich_text_input": {},
    "file_input": {},
    "workflow_button": {"text": text("Flow"), "workflow": {}},
}
for _name, _element in ELEMENTS.items():
    _element |= {"type": _name, "action_id": _name}

BLOCKS: dict[str, Json] = {
    "section": {"text": mrkdwn("*Bold* words"), "fields": [mrkdwn("*Risk*\nhigh"), text("plain")]},
    "divider": {},
    "header": {"text": text("BG-7K3Q2M: Restart")},
    "image": {**PICTURE, "title": text("Its title")},
    "actions": {"elements": [ELEMENTS["button"], ELEMENTS["overflow"]]},
    "context": {"elements": [mrkdwn("_small_"), {"type": "image", **PICTURE}]},
    "context_actions": {
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "feedback",
                "positive_button": {"text": text("Good"), "value": "good"},
                "negative_button": {"text": text("Bad"), "value": "bad"},
            },
            {"type": "icon_button", "icon": "trash", "text": text("Remove"), "action_id": "remove"},
        ]
    },
    "rich_text": RICH,
    "input": {"label": text("Reason"), "element": ELEMENTS["plain_text_input"], "hint": text("Read first")},
    "video": {
        "title": text("How to"),
        "alt_text": "See it",
        "thumbnail_url": "https://pictures.example/v.png",
        "video_url": "https://videos.example/v",
    },
    "markdown": {
        "text": "# Title\n- **bold** [a](https://a.example) [b](javascript:alert(1))\n"
        "\n<b>no</b>\n```\ncode\n```"
    },
    "alert": {"text": text("Look out"), "level": "error"},
    "card": {"title": text("Card"), "body": mrkdwn("*Body*"), "actions": [ELEMENTS["button"]]},
    "carousel": {"elements": [{"type": "card", "title": text("First"), "actions": [ELEMENTS["button"]]}]},
    "container": {
        "title": text("Folded"),
        "is_collapsible": True,
        "child_blocks": [{"type": "section", "block_id": "child", "text": text("inside")}],
    },
    "table": {"rows": [HEAD, CELLS], "column_settings": [{"align": "left"}, {"align": "right"}]},
    "data_table": {"rows": [HEAD, *[CELLS] * 7], "caption": "Seven rows", "row_header_column_index": 0},
    "data_visualization": {"title": "The week", "chart": {"type": "bar", "series": SERIES}},
    "task_card": {"task_id": "t", "title": "Look it up", "status": "complete"},
    "plan": {"title": "A plan", "tasks": [{"task_id": "t", "title": "First", "status": "in_progress"}]},
}
for _name, _block in BLOCKS.items():
    _block |= {"type": _name, "block_id": _name}


def field(kind: str, **more: Any) -> Json:  # noqa: ANN401 - any key of the element
    """An input block around an element of this kind."""
    element = {**ELEMENTS[kind], **more}
    return {"type": "input", "block_id": "b", "label": text("Field"), "element": element, "optional": False}


def beside(kind: str, **more: Any) -> Json:  # noqa: ANN401 - any key of the element
    """A section with an element of this kind at its side."""
    return {
        "type": "section",
        "block_id": "b",
        "text": mrkdwn("Beside"),
        "accessory": {**ELEMENTS[kind], **more},
    }
