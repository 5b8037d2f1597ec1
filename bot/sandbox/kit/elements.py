"""The interactive elements and what they are made of (docs.slack.dev/reference/block-kit/block-elements)."""

from collections.abc import Mapping

from bot.sandbox.kit.schema import (
    Json,
    Rule,
    Spot,
    Surface,
    anything,
    array,
    boolean,
    choice,
    integer,
    record,
    string,
    variant,
)

TYPE: Mapping[str, Rule] = {"type": anything}  # `variant` has read it already
URL = string(3000, low=1)
DATE = string(pattern=r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
TIME = string(pattern=r"([01]\d|2[0-3]):[0-5]\d")
DECIMAL = string(pattern=r"-?\d+(\.\d+)?")


def text(high: int, *kinds: str, low: int = 1) -> Rule:
    """A text object of one of these kinds (both, when none is named)."""
    allowed = kinds or ("plain_text", "mrkdwn")
    rules = {
        "plain_text": record({**TYPE, "text": string(high, low=low)}, {"emoji": boolean}),
        "mrkdwn": record({**TYPE, "text": string(high, low=low)}, {"verbatim": boolean}),
    }
    return variant(lambda: {kind: rules[kind] for kind in allowed}, {})


def plain(high: int) -> Rule:
    """A plain_text object."""
    return text(high, "plain_text")


CONFIRM = record(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": choice("primary", "danger")},
)
DISPATCH = record(
    {}, {"trigger_actions_on": array(choice("on_enter_pressed", "on_character_entered"), low=1, high=2)}
)


def option(label: Rule, *, url: bool = False) -> Rule:
    """One choice: its label, and the value the app gets (150 characters, by the documentation)."""
    more: dict[str, Rule] = {"description": text(75)}
    if url:
        more["url"] = URL
    return record({"text": label, "value": string(150)}, more)


PLAIN_OPTION, RICH_OPTION = option(plain(75)), option(text(75))
OPTIONS = array(PLAIN_OPTION, low=1, high=100)
GROUPS = array(record({"label": plain(75), "options": OPTIONS}), low=1, high=100)

_COMMON: Mapping[str, Rule] = {"action_id": string(255, low=1), "confirm": CONFIRM, "focus_on_load": boolean}
_MENU: Mapping[str, Rule] = {**_COMMON, "placeholder": plain(150)}
_MANY: Mapping[str, Rule] = {**_MENU, "max_selected_items": integer(1)}
_FIELD: Mapping[str, Rule] = {
    "action_id": string(255, low=1),
    "focus_on_load": boolean,
    "placeholder": plain(150),
    "dispatch_action_config": DISPATCH,
}
_FILTER = record(
    {},
    {
        "include": array(choice("im", "mpim", "private", "public"), low=1),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)


def _choices(value: Json) -> list[Json]:
    grouped = [choice for group in value.get("option_groups", []) for choice in group["options"]]
    return [*value.get("options", []), *grouped]


def _offered(value: Json, spot: Spot) -> None:
    """Options or groups, not both; what is chosen at first is among them; values are told apart."""
    if ("options" in value) == ("option_groups" in value):
        spot.fail("must define either `options` or `option_groups`", "missing_field")
        return
    offered = [(entry["text"]["text"], entry["value"]) for entry in _choices(value)]
    chosen = [*value.get("initial_options", [])]
    if "initial_option" in value:
        chosen.append(value["initial_option"])
    if any((entry["text"]["text"], entry["value"]) not in offered for entry in chosen):
        key = "initial_option" if "initial_option" in value else "initial_options"
        spot.at(key).fail(f"{key} must match an option", "invalid_value")


def _lengths(value: Json, spot: Spot) -> None:
    if value.get("min_length", 0) > value.get("max_length", 3000):
        spot.fail("min_length must not be greater than max_length")
    if len(value.get("initial_value", "")) > value.get("max_length", 3000):
        spot.at("initial_value").fail("must be less than max_length", "too_long")


def _of(
    required: Mapping[str, Rule] | None = None, optional: Mapping[str, Rule] | None = None, **more: Rule
) -> Rule:
    return record({**TYPE, **(required or {})}, {**(optional or {}), **more})


def _listed(optional: Mapping[str, Rule], **more: Rule) -> Rule:
    return record(TYPE, {**optional, "options": OPTIONS, "option_groups": GROUPS, **more}, also=_offered)


def _boxes(**more: Rule) -> Rule:
    return record({**TYPE, "options": array(RICH_OPTION, low=1, high=10)}, {**_COMMON, **more}, also=_offered)


ELEMENTS: dict[str, Rule] = {
    "button": _of(
        {"text": plain(75)},
        action_id=string(255, low=1),
        confirm=CONFIRM,
        url=URL,
        value=string(2000),
        style=choice("primary", "danger"),
        accessibility_label=string(75),
    ),
    "checkboxes": _boxes(initial_options=array(RICH_OPTION, low=1, high=10)),
    "radio_buttons": _boxes(initial_option=RICH_OPTION),
    "datepicker": _of({}, _MENU, initial_date=DATE),
    "timepicker": _of({}, _MENU, initial_time=TIME, timezone=string(low=1)),
    "datetimepicker": _of({}, _COMMON, initial_date_time=integer(1_000_000_000, 9_999_999_999)),
    "static_select": _listed(_MENU, initial_option=PLAIN_OPTION),
    "multi_static_select": _listed(_MANY, initial_options=array(PLAIN_OPTION, low=1, high=100)),
    "external_select": _of({}, _MENU, initial_option=PLAIN_OPTION, min_query_length=integer(0)),
    "multi_external_select": _of(
        {}, _MANY, initial_options=array(PLAIN_OPTION, low=1, high=100), min_query_length=integer(0)
    ),
    "users_select": _of({}, _MENU, initial_user=string(low=1)),
    "multi_users_select": _of({}, _MANY, initial_users=array(string(low=1), low=1)),
    "conversations_select": _of(
        {},
        _MENU,
        initial_conversation=string(low=1),
        default_to_current_conversation=boolean,
        response_url_enabled=boolean,
        filter=_FILTER,
    ),
    "multi_conversations_select": _of(
        {},
        _MANY,
        initial_conversations=array(string(low=1), low=1),
        default_to_current_conversation=boolean,
        filter=_FILTER,
    ),
    "channels_select": _of({}, _MENU, initial_channel=string(low=1), response_url_enabled=boolean),
    "multi_channels_select": _of({}, _MANY, initial_channels=array(string(low=1), low=1)),
    "overflow": _of(
        {"options": array(option(plain(75), url=True), low=1, high=5)},
        action_id=string(255, low=1),
        confirm=CONFIRM,
    ),
    "plain_text_input": record(
        TYPE,
        {
            **_FIELD,
            "initial_value": string(3000),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        },
        also=_lengths,
    ),
    "number_input": _of(
        {"is_decimal_allowed": boolean}, _FIELD, initial_value=DECIMAL, min_value=DECIMAL, max_value=DECIMAL
    ),
    "email_text_input": _of({}, _FIELD, initial_value=string()),
    "url_text_input": _of({}, _FIELD, initial_value=string()),
    "rich_text_input": _of(
        {}, _FIELD, initial_value=anything, min_lines=integer(1, 100), max_lines=integer(1, 100)
    ),
    "file_input": _of(
        {},
        action_id=string(255, low=1),
        filetypes=array(string(low=1), low=1),
        max_files=integer(1, 10),
    ),
    "workflow_button": _of(
        {"text": plain(75), "workflow": anything},
        action_id=string(255, low=1),
        style=choice("primary", "danger"),
        accessibility_label=string(75),
    ),
}

SURFACES: dict[str, tuple[Surface, ...]] = {
    "workflow_button": ("message",),
    "file_input": ("modal",),
    "email_text_input": ("modal",),
    "number_input": ("modal",),
    "url_text_input": ("modal",),
    "datetimepicker": ("message", "modal"),
    "rich_text_input": ("modal", "home"),
}

_MENUS = ("static", "external", "users", "conversations", "channels")
SELECTS = (*(f"{kind}_select" for kind in _MENUS), *(f"multi_{kind}_select" for kind in _MENUS))
PICKERS = ("datepicker", "timepicker", "datetimepicker")
IN_SECTION = ("button", "checkboxes", "radio_buttons", "overflow", "workflow_button", *SELECTS, *PICKERS)
IN_ACTIONS = (*IN_SECTION, "rich_text_input")
IN_INPUT = (
    "checkboxes",
    "radio_buttons",
    "plain_text_input",
    "number_input",
    "email_text_input",
    "url_text_input",
    "rich_text_input",
    "file_input",
    *SELECTS,
    *PICKERS,
)


def element(*kinds: str, more: Mapping[str, Rule] | None = None) -> Rule:
    """One of these elements, where its surface allows it."""
    rules = {**{kind: ELEMENTS[kind] for kind in kinds}, **(more or {})}
    return variant(lambda: rules, SURFACES)
