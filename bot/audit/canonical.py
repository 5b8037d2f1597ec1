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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar

from bot.core import events as e
from bot.core.model import Request, RequestId, Secret, Words

VERSION = 1

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

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


def encode(value: object) -> Json:
    """`value` (a fact, a request, or part of one) as JSON values.

    Raises:
        TypeError: it has no place in the history.
    """
    return _writer(type(value))(value)


def decode(kind: type[T], value: Json) -> T:
    """The inverse of `encode`, guided by the annotations of `kind`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: `value` does not have that shape.
    """
    return typing.cast("T", _reader(kind)(value))


def words_in(value: object) -> list[Words]:
    """Every `Words` inside a fact, a line or a request."""
    if isinstance(value, Words):
        return [value]
    if isinstance(value, tuple):
        return [words for item in value for words in words_in(item)]
    return [words for name in _worded(type(value)) for words in words_in(getattr(value, name))]


def with_texts(value: T, texts: Mapping[str, Words]) -> T:
    """`value` with the texts of its `Words`, by commitment, where they are still there."""
    return typing.cast("T", _with_texts(value, texts))


def _with_texts(value: Any, texts: Mapping[str, Words]) -> Any:  # noqa: ANN401  any part of a fact
    if isinstance(value, Words):
        return texts.get(value.commitment, value)
    if isinstance(value, tuple):
        return tuple(_with_texts(item, texts) for item in value)
    names = _worded(type(value))
    return replace(value, **{n: _with_texts(getattr(value, n), texts) for n in names}) if names else value


# --- how each kind of value is written, read and searched -------------------------------------------------


def _once_for_each(make: Callable[[K], V]) -> Callable[[K], V]:
    """Annotations are slow to look at, and there are few: each is looked at once."""
    return cache(make)


@_once_for_each
def _writer(kind: type) -> Callable[[Any], Json]:  # noqa: PLR0911  one line per kind of value reads better
    if issubclass(kind, Enum):
        return lambda value: encode(value.value)
    if issubclass(kind, types.NoneType | bool | int):
        return lambda value: value
    if issubclass(kind, str):
        return lambda value: unicodedata.normalize("NFC", value)
    if issubclass(kind, datetime):
        return lambda value: _written(value.astimezone(UTC))
    if issubclass(kind, timedelta):
        return lambda value: value // timedelta(microseconds=1)
    if issubclass(kind, Words):
        return lambda value: value.commitment
    if issubclass(kind, Mapping):
        return lambda value: {str(encode(key)): encode(item) for key, item in value.items()}
    if issubclass(kind, tuple | list):
        return lambda value: [encode(item) for item in value]
    if is_dataclass(kind) and not issubclass(kind, Secret):
        names = [f.name for f in fields(kind)]
        return lambda value: {name: encode(getattr(value, name)) for name in names}
    raise TypeError(f"{kind.__name__} has no place in the history")


@_once_for_each
def _reader(kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401, PLR0911  an annotation; one line per kind
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        some = _reader(next(option for option in inner if option is not types.NoneType))
        return lambda value: None if value is None else some(value)
    if origin is tuple:
        item = _reader(inner[0])
        return lambda value: tuple(map(item, value))
    if origin is Mapping:
        item = _reader(inner[1])
        return lambda value: {key: item(value[key]) for key in value}
    if isinstance(kind, typing.NewType):
        return _reader(kind.__supertype__)
    if kind is Words:
        return Words
    if kind is datetime:
        return _moment
    if kind is timedelta:
        return lambda value: timedelta(microseconds=value)
    if is_dataclass(kind):
        return _dataclass_reader(typing.cast("type", kind))
    if issubclass(kind, Enum):
        return typing.cast("Callable[[Any], Any]", kind)
    return partial(_plain, kind)


def _dataclass_reader(kind: type) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in typing.get_type_hints(kind).items()}

    def read(value: Any) -> Any:  # noqa: ANN401  whatever stands there
        unknown = value.keys() - readers.keys()
        if unknown:
            raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        return kind(**{name: readers[name](item) for name, item in value.items()})

    return read


def _moment(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    if _written(found) != value:
        raise ValueError(f"{value} is not how a moment is written")
    return found


def _written(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _plain(kind: type, value: object) -> object:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


@_once_for_each
def _worded(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass in which `Words` can be, at any depth."""
    if not is_dataclass(kind):
        return ()
    hints = typing.get_type_hints(kind)
    return tuple(f.name for f in fields(kind) if _can_hold_words(hints[f.name]))


def _can_hold_words(hint: Any) -> bool:  # noqa: ANN401  an annotation
    if any(map(_can_hold_words, typing.get_args(hint))):
        return True
    return isinstance(hint, type) and (
        hint is Words or bool(_worded(hint)) or any(map(_can_hold_words, hint.__subclasses__()))
    )


def _no_floats(text: str) -> float:
    raise ValueError(f"a float ({text}) has no place in the history")
