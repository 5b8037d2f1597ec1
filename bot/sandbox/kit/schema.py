"""Small rules that compose, and that say where they were broken.

A rule takes a value and the spot where it stands, and reports problems there; it never raises and never stops
at the first. Unknown keys are problems, as they are for Slack.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Json: TypeAlias = dict[str, Any]
Surface: TypeAlias = Literal["message", "modal", "home"]


@dataclass(frozen=True)
class Problem:
    """One thing wrong, where it stands, in the words Slack uses."""

    pointer: str
    message: str
    code: str = "invalid_value"

    def __str__(self) -> str:
        return f"[ERROR] {self.message} [json-pointer:{self.pointer}]"


@dataclass(frozen=True)
class Spot:
    """A place in a payload, the surface it is for, and the list that problems go to."""

    surface: Surface
    pointer: str = ""
    problems: list[Problem] = field(default_factory=list)

    def at(self, key: str | int) -> "Spot":
        """The place one step further in."""
        return Spot(self.surface, f"{self.pointer}/{key}", self.problems)

    def fail(self, message: str, code: str = "invalid_value") -> None:
        """Report a problem here."""
        self.problems.append(Problem(self.pointer, message, code))


Rule: TypeAlias = Callable[[object, Spot], None]


def string(high: int | None = None, *, low: int = 0, pattern: str | None = None) -> Rule:
    """A string of `low` to `high` characters, of that form."""

    def rule(value: object, spot: Spot) -> None:
        if not isinstance(value, str):
            spot.fail("must provide a string", "invalid_type")
        elif len(value) < low:
            spot.fail(f"must be more than {low - 1} characters", "too_short")
        elif high is not None and len(value) > high:
            spot.fail(f"must be less than {high + 1} characters", "too_long")
        elif pattern is not None and not re.fullmatch(pattern, value):
            spot.fail(f"does not match the required format: {pattern}")

    return rule


def boolean(value: object, spot: Spot) -> None:
    """True or false, not 0 or "true"."""
    if not isinstance(value, bool):
        spot.fail("must provide a boolean", "invalid_type")


def integer(low: int, high: int | None = None) -> Rule:
    """A whole number from `low` to `high`."""

    def rule(value: object, spot: Spot) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            spot.fail("must provide an integer", "invalid_type")
        elif value < low or (high is not None and value > high):
            spot.fail(f"must be between {low} and {high}")

    return rule


def number(value: object, spot: Spot) -> None:
    """Any JSON number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        spot.fail("must provide a number", "invalid_type")


def choice(*values: str) -> Rule:
    """One of these strings."""

    def rule(value: object, spot: Spot) -> None:
        if value not in values:
            spot.fail(f"must be one of: {', '.join(values)}")

    return rule


def array(item: Rule, *, low: int = 0, high: int | None = None) -> Rule:
    """A list of `low` to `high` items that each follow the rule."""

    def rule(value: object, spot: Spot) -> None:
        if not isinstance(value, list):
            spot.fail("must provide an array", "invalid_type")
            return
        if len(value) < low:
            spot.fail(f"no fewer than {low} items allowed", "too_few_items")
        if high is not None and len(value) > high:
            spot.fail(f"no more than {high} items allowed", "too_many_items")
        for position, member in enumerate(value):
            item(member, spot.at(position))

    return rule


def record(
    required: Mapping[str, Rule] | None = None,
    optional: Mapping[str, Rule] | None = None,
    also: Callable[[Json, Spot], None] | None = None,
) -> Rule:
    """An object with exactly these keys; `also` sees the whole once its parts are sound."""
    musts = required or {}
    rules = {**musts, **(optional or {})}

    def rule(value: object, spot: Spot) -> None:
        if not isinstance(value, dict):
            spot.fail("must provide an object", "invalid_type")
            return
        before = len(spot.problems)
        for key in musts:
            if key not in value:
                spot.fail(f"missing required field: {key}", "missing_field")
        for key, member in value.items():
            if key not in rules:
                spot.fail(f"invalid additional property: {key}", "additional_property")
            else:
                rules[key](member, spot.at(key))
        if also is not None and len(spot.problems) == before:
            also(value, spot)

    return rule


def variant(kinds: Callable[[], Mapping[str, Rule]], surfaces: Mapping[str, tuple[Surface, ...]]) -> Rule:
    """An object whose `type` picks the rule; a type missing in `surfaces` is welcome everywhere.

    `kinds` is a function because blocks contain blocks.
    """

    def rule(value: object, spot: Spot) -> None:
        if not isinstance(value, dict):
            spot.fail("must provide an object", "invalid_type")
            return
        kind = value.get("type")
        if "type" not in value:
            spot.fail("missing required field: type", "missing_field")
        elif not isinstance(kind, str) or kind not in kinds():
            spot.at("type").fail(f"unsupported type: {kind}", "unsupported_type")
        elif spot.surface not in surfaces.get(kind, (spot.surface,)):
            spot.at("type").fail(f"unsupported type: {kind} (not in a {spot.surface})", "unsupported_type")
        else:
            kinds()[kind](value, spot)

    return rule


def anything(_value: object, _spot: Spot) -> None:
    """A part that the sandbox stores without reading it."""
