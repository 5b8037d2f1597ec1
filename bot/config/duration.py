"""Durations as people write them: `8s`, `15m`, `1h30m`, `2d`. Rule: never nothing, and never guessed."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

LONGEST: Final = timedelta(days=366)
"""Nothing in an emergency lasts longer; it also keeps the arithmetic far from overflowing."""

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SHAPE: Final = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit, _ in _UNITS))
_HINT: Final = 'Write it as "8s", "15m", "1h30m" or "2d".'


def parse_duration(text: object) -> timedelta:
    """The duration `text` stands for: days, hours, minutes, seconds, each at most once and in this order.

    Raises:
        ValueError: it is none, or it is zero, or longer than a year; a sentence with how to write it.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str):
        raise ValueError(f"A duration is text with a unit. {_HINT}")  # noqa: TRY004 - pydantic reads ValueError
    found = _SHAPE.fullmatch(text)
    if found is None or not text:
        raise ValueError(f"“{text}” is not a duration. {_HINT}")
    pairs = zip(found.groups(default="0"), _UNITS, strict=True)
    seconds = sum(int(number) * size for number, (_, size) in pairs)
    if seconds == 0:
        raise ValueError(f"“{text}” is no time at all. {_HINT}")
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"“{text}” is longer than {LONGEST.days} days. {_HINT}")
    return timedelta(seconds=seconds)


def write_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads as `duration` (whole seconds)."""
    rest, parts = int(duration.total_seconds()), []
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        parts.append(f"{number}{unit}" if number else "")
    return "".join(parts)


LIMITS: Final = "x-limits"
"""The schema's keyword for what `between` demands, in words: JSON Schema cannot compare durations."""

_PATTERN: Final = r"^(?=.*[1-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration),
]
"""A duration in the file: text there, a `timedelta` here."""


def between(least: timedelta, most: timedelta) -> tuple[AfterValidator, WithJsonSchema]:
    """What a `Duration` must keep to, both ends included: `Annotated[Duration, *between(least, most)]`."""
    shortest, longest = write_duration(least), write_duration(most)

    def check(value: timedelta) -> timedelta:
        if value < least:
            raise ValueError(f"“{write_duration(value)}” is too short here. Write at least {shortest}.")
        if value > most:
            raise ValueError(f"“{write_duration(value)}” is too long here. Write at most {longest}.")
        return value

    shown = {"examples": [shortest, longest], LIMITS: f"{shortest} to {longest}"}
    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": _PATTERN, **shown})
