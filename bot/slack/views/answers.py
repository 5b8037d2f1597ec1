"""Reads back what somebody filled in, by the name of the field.

Rule: a field is one input block. Its block id is the field's name, or `name:what it belongs to`: under
another id Slack forgets what was chosen, which is what must happen when the choices themselves have changed.
"""

from collections.abc import Mapping
from typing import Any


def text(view: Mapping[str, Any], field: str) -> str:
    """What was typed; empty when nothing was."""
    typed = str(_entry(view, field).get("value") or "")
    return typed.encode(
        errors="replace"
    ).decode()  # half a character has no place in UTF-8, nor in the history


def choice(view: Mapping[str, Any], field: str) -> str:
    """The value of the chosen option; empty when none is chosen."""
    option = _entry(view, field).get("selected_option") or {}
    return str(option.get("value") or "")


def choices(view: Mapping[str, Any], block_id: str) -> list[str]:
    """The values of all options chosen in just this block."""
    return [str(option.get("value", "")) for option in _in(view, block_id).get("selected_options") or []]


def inputs(view: Mapping[str, Any]) -> list[str]:
    """The ids of the input blocks, in their order."""
    return [str(block.get("block_id", "")) for block in view.get("blocks", []) if block["type"] == "input"]


def block_of(view: Mapping[str, Any], field: str) -> str | None:
    """The id of the input block of this field, where an error can stand; None when the view has none."""
    return next((block_id for block_id in inputs(view) if name_of(block_id) == field), None)


def name_of(block_id: str) -> str:
    """The field that a block belongs to."""
    return block_id.partition(":")[0]


def _entry(view: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    for block_id in view.get("state", {}).get("values", {}):
        if name_of(block_id) == field:
            return _in(view, block_id)
    return {}


def _in(view: Mapping[str, Any], block_id: str) -> Mapping[str, Any]:
    for entry in view.get("state", {}).get("values", {}).get(block_id, {}).values():
        return entry if isinstance(entry, Mapping) else {}
    return {}
