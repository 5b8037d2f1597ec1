"""What rows say, but for the body of a request. Rule: as stored, whatever somebody may have put there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, LargeBinary, select, type_coerce
from sqlalchemy import cast as as_type

from bot.core.model import RequestId
from bot.store import tables as t


@dataclass(frozen=True, slots=True)
class Held:
    """A request whose access may exist at a provider, or did."""

    id: RequestId
    state: str
    """As stored: somebody may have put there what is no state."""


@dataclass(frozen=True, slots=True)
class Due:
    """A request whose moment has come, as its row says it; whatever somebody put there must hide no other."""

    id: RequestId
    state: str
    backend: str
    due_at: float
    """Microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A signed checkpoint and its place in the order of signing, from 1."""

    id: int
    size: int
    root: bytes
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Carried:
    """What a message of ours in the audit channel carries: `first` to `last` of a stream."""

    stream: str
    first: int
    last: int
    state: str = t.THERE
    """What became of it: `there`, `changed` or `gone`."""

    @property
    def ours(self) -> bool:
        """Whether we posted it; foreign ones are remembered once they were told."""
        return self.stream != t.FOREIGN


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the history as stored."""

    seq: int
    body: bytes
    leaf: bytes
    beside: tuple[object, object, object]
    """Microseconds since 1970, type and request: what the bytes say too, kept to be asked for."""


@dataclass(frozen=True, slots=True)
class StoredWords:
    """A row of people's words as stored, whatever somebody put there."""

    commitment: str
    salt: bytes
    text: bytes


WORDS = select(
    t.words.c.commitment,
    as_type(t.words.c.salt, LargeBinary).label("salt"),
    as_type(t.words.c.text, LargeBinary).label("text"),
)
"""As bytes, because somebody may have put there what is no text (SQLite allows it)."""


def as_bytes(stored: object) -> bytes:
    """The bytes of a column that somebody may have filled with another type (SQLite allows it)."""
    return stored if isinstance(stored, bytes) else str(stored).encode()


def raw_column(column: Column[Any]) -> ColumnElement[Any]:
    """A column as stored: a moment that somebody changed need not be one."""
    if isinstance(column.type, t.Moment):
        return type_coerce(column, BigInteger).label(column.name)
    return column
