"""One fact, one sequence of bytes: the frozen form in which an event is hashed and stored for ever.

Canonical JSON: UTF-8, keys sorted, no spaces, no floats, text in Unicode NFC. Moments are UTC with
microseconds (`2026-11-21T02:17:00.000000Z`), durations whole microseconds, `Words` their commitment alone.
`decode` is the exact inverse of `encode` for every type in the vocabulary, except that `Words` come back
without their text: whoever may read it joins it from the side table.
"""

import json
import types
import typing
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from bot.core import events as e
from bot.core.model import Request, RequestId, Secret, Words

VERSION = 1

T = TypeVar("T")

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the history, decoded."""

    seq: int
    at: datetime
    event: e.Event
    request: RequestId | None
    policy: str
    before: str
    after: str


def event_bytes(
    event: e.Event, *, seq: int, at: datetime, before: Request | None, after: Request | None, policy: str
) -> bytes:
    """The bytes of `event` as line `seq` of the history.

    Args:
        event: the fact.
        seq: position, from 0, without gaps.
        at: database time, UTC.
        before: the request before it, where the event belongs to one that was there.
        after: the request after it, where the event belongs to one.
        policy: SHA-256 of the configuration in force, hex.
    """
    proof = getattr(event, "proof", None)
    subject = getattr(event, "person", None) or (after.requester if after else None)
    data = encode(event)
    assert isinstance(data, dict)
    return dumps(
        {
            "v": VERSION,
            "seq": seq,
            "at": encode(at),
            "type": e.type_of(event),
            "actor": data.pop("actor"),
            "subject": subject,
            "request": after.id if after else getattr(event, "about", None),
            "grant": after.id if after and after.granting_since else None,
            "policy": policy,
            "mfa": {"method": proof.method.value, "assertion": proof.assertion} if proof else None,
            "before": before.state.value if before else "",
            "after": after.state.value if after else "",
            "data": data,
        }
    )


def read(body: bytes) -> Record:
    """The line that `event_bytes` wrote.

    Raises:
        ValueError: these bytes are not a line of this version, or not in canonical form.
    """
    try:
        line = json.loads(body, parse_float=_no_floats)
        if dumps(line) != body:
            raise ValueError("not in canonical form")
        if line["v"] != VERSION:
            raise ValueError(f"version {line['v']} is not known here")
        data = {**line["data"], "actor": line["actor"]}
        return Record(
            seq=line["seq"],
            at=decode(datetime, line["at"]),
            event=decode(e.VOCABULARY[line["type"]], data),
            request=line["request"],
            policy=line["policy"],
            before=line["before"],
            after=line["after"],
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a history line: {error!r}") from error


def dumps(value: Json) -> bytes:
    """`value` as canonical JSON."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def encode(value: object) -> Json:  # noqa: PLR0911  one line per kind of value reads better than a table
    """`value` (a fact, a request, or part of one) as JSON values."""
    match value:
        case None | bool() | Enum():
            return value.value if isinstance(value, Enum) else value
        case int():
            return value
        case str():
            return unicodedata.normalize("NFC", value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case timedelta():
            return value // timedelta(microseconds=1)
        case Words():
            return value.commitment
        case Mapping():
            return {str(encode(key)): encode(item) for key, item in value.items()}
        case tuple() | list():
            return [encode(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, Secret | type):
            return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in the history")


def decode(kind: type[T], value: Json) -> T:
    """The inverse of `encode`, guided by the annotations of `kind`.

    Raises:
        ValueError, KeyError, TypeError: `value` does not have that shape.
    """
    return typing.cast("T", _decode(kind, value))


def _decode(kind: Any, value: Any) -> Any:  # noqa: ANN401, C901, PLR0911  one line per kind of annotation
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        inner = [option for option in typing.get_args(kind) if option is not types.NoneType]
        return None if value is None else _decode(inner[0], value)
    if origin is tuple:
        return tuple(_decode(typing.get_args(kind)[0], item) for item in value)
    if origin is Mapping:
        return {key: _decode(typing.get_args(kind)[1], item) for key, item in value.items()}
    if isinstance(kind, typing.NewType):
        return _decode(kind.__supertype__, value)
    if kind is Words:
        return Words(value)
    if kind is datetime:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if kind is timedelta:
        return timedelta(microseconds=value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        unknown = value.keys() - hints.keys()
        if unknown:
            raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        return kind(**{name: _decode(hints[name], item) for name, item in value.items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _no_floats(text: str) -> float:
    raise ValueError(f"a float ({text}) has no place in the history")


def words_in(value: object) -> list[Words]:
    """Every `Words` inside a fact or a request, for the side table."""
    match value:
        case Words():
            return [value]
        case tuple():
            return [words for item in value for words in words_in(item)]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return [words for f in fields(value) for words in words_in(getattr(value, f.name))]
    return []
