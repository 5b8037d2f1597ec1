"""Fields of a form: what they hold at first, what a person may put in, what the client says before sending.

An entry is the JSON of one field in `state.values`. Everything here is a pure function of the element.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bot.sandbox.errors import CannotDoError
from bot.sandbox.kit import plain
from bot.sandbox.kit.schema import Json

REQUIRED = "Please complete this required field."


class Kind(NamedTuple):
    """How a field's value travels: its key in the state, its initial key, and whether it is a list."""

    state: str
    initial: str
    many: bool = False


KINDS: Mapping[str, Kind] = {
    "plain_text_input": Kind("value", "initial_value"),
    "email_text_input": Kind("value", "initial_value"),
    "url_text_input": Kind("value", "initial_value"),
    "number_input": Kind("value", "initial_value"),
    "rich_text_input": Kind("rich_text_value", "initial_value"),
    "static_select": Kind("selected_option", "initial_option"),
    "external_select": Kind("selected_option", "initial_option"),
    "radio_buttons": Kind("selected_option", "initial_option"),
    "checkboxes": Kind("selected_options", "initial_options", many=True),
    "multi_static_select": Kind("selected_options", "initial_options", many=True),
    "multi_external_select": Kind("selected_options", "initial_options", many=True),
    "users_select": Kind("selected_user", "initial_user"),
    "multi_users_select": Kind("selected_users", "initial_users", many=True),
    "conversations_select": Kind("selected_conversation", "initial_conversation"),
    "multi_conversations_select": Kind("selected_conversations", "initial_conversations", many=True),
    "channels_select": Kind("selected_channel", "initial_channel"),
    "multi_channels_select": Kind("selected_channels", "initial_channels", many=True),
    "datepicker": Kind("selected_date", "initial_date"),
    "timepicker": Kind("selected_time", "initial_time"),
    "datetimepicker": Kind("selected_date_time", "initial_date_time"),
    "file_input": Kind("files", "", many=True),
}
_FORMS = {
    "datepicker": r"\d{4}-\d{2}-\d{2}",
    "timepicker": r"\d{2}:\d{2}",
    "number_input": r"-?\d+(\.\d+)?",
    "email_text_input": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "url_text_input": r"https?://\S+",
}


def initial(element: Json) -> Json:
    """The entry of a field nobody has touched."""
    kind = KINDS[element["type"]]
    empty: object = [] if kind.many else None
    return {"type": element["type"], kind.state: element.get(kind.initial, empty)}


def options_of(element: Json) -> list[Json]:
    """What a menu offers, groups flattened."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


def filled(element: Json, value: object, offered: list[Json], find: Callable[[str], str]) -> Json:
    """The entry for a value as a person gives it: text, an option's text, a name; lists for multi fields.

    `offered` are the options on the screen; `find` turns the name of a person or channel into its id.
    """
    kind = KINDS[element["type"]]
    values = list(value) if isinstance(value, list | tuple | set) else [value]
    if kind.many:
        chosen = [_one(element, each, offered, find) for each in values]
        if len(chosen) > element.get("max_selected_items", len(chosen)):
            raise CannotDoError(f"no more than {element['max_selected_items']} can be chosen")
        return {"type": element["type"], kind.state: chosen}
    single = None if value is None else _one(element, value, offered, find)
    return {"type": element["type"], kind.state: single}


def entered(element: Json, entry: object, offered: list[Json], find: Callable[[str], str]) -> Json:
    """The entry that a client kept for a field, when the field can hold it; arguments as of `filled`."""
    kind = KINDS[element["type"]]
    if not isinstance(entry, dict):
        raise CannotDoError("A field's entry is an object as in state.values.")
    value = entry.get(kind.state)
    if element["type"] == "file_input":
        raise CannotDoError("Files cannot be handed in here.")
    if kind.many:
        if not isinstance(value, list):
            raise CannotDoError("This field holds a list.")
        held = [_held(element, each, offered, find) for each in value]
        if len(held) > element.get("max_selected_items", len(held)):
            raise CannotDoError(f"Choose no more than {element['max_selected_items']}.")
        return {"type": element["type"], kind.state: held}
    empty = value is None or value == ""
    return {"type": element["type"], kind.state: None if empty else _held(element, value, offered, find)}


def _held(element: Json, value: object, offered: list[Json], find: Callable[[str], str]) -> object:
    state = KINDS[element["type"]].state
    if "option" in state:
        return offered_option(offered, value)
    if state == "rich_text_value":
        if not isinstance(value, dict):
            raise CannotDoError("This field holds rich text.")
        return value
    if not isinstance(value, str | int):
        raise CannotDoError("This field holds text.")
    if state == "selected_date_time" and not str(value).isdecimal():
        raise CannotDoError("Choose a date and a time.")
    if state == "value":
        return str(value)  # too long, too: nothing typed is cut or lost, `complaint` says it before sending
    return _one(element, value, offered, find)


def offered_option(offered: list[Json], given: object) -> Json:
    """The option of the menu that a client names by its value and text."""
    for option in offered:
        if isinstance(given, dict) and all(option.get(key) == given.get(key) for key in ("text", "value")):
            return option
    raise CannotDoError("This is no longer offered. Choose again.")


def _one(element: Json, value: object, offered: list[Json], find: Callable[[str], str]) -> object:
    kind = str(element["type"])
    if "option" in KINDS[kind].state:
        return chosen(offered, str(value))
    if KINDS[kind].state.startswith("selected_") and kind.rsplit("_", maxsplit=1)[-1] == "select":
        return find(str(value))
    if kind == "datetimepicker":
        return int(str(value))
    text = str(value)
    if len(text) > element.get("max_length", 3000):
        raise CannotDoError(f"the field takes {element.get('max_length', 3000)} characters")
    return text


def chosen(offered: list[Json], label: str) -> Json:
    """The option a person means by its visible text."""
    for option in offered:
        if plain(option["text"]["text"]) == label:
            return option
    shown = ", ".join(plain(option["text"]["text"]) for option in offered)
    raise CannotDoError(f"no option {label!r} among: {shown}")


def complaint(element: Json, entry: Json, *, optional: bool) -> str | None:
    """What the client writes under a field instead of submitting it."""
    value = entry[KINDS[element["type"]].state]
    if not value:
        return None if optional else REQUIRED
    if not isinstance(value, str):
        return None
    low = element.get("min_length", 0)
    if len(value) < low:
        return f"Please enter at least {low} characters."
    high = element.get("max_length", 3000)
    if len(value) > high:
        return f"Please enter at most {high} characters; these are {len(value)}."
    form = _FORMS.get(element["type"])
    if form and not re.fullmatch(form, value):
        return "Please enter a valid value."
    return _out_of_bounds(element, value) if element["type"] == "number_input" else None


def _out_of_bounds(element: Json, value: str) -> str | None:
    if "." in value and not element["is_decimal_allowed"]:
        return "Please enter a whole number."
    low, high = element.get("min_value"), element.get("max_value")
    if low is not None and float(value) < float(low):
        return f"Please enter a number of at least {low}."
    if high is not None and float(value) > float(high):
        return f"Please enter a number of at most {high}."
    return None
