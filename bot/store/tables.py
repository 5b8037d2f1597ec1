"""The tables. History (`events`, `checkpoints`) is only ever added to; triggers in the migrations see to it.

Times are whole microseconds since 1970 in UTC (an integer column): the same on every database, and exact.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from bot.core.model import State

MANY = 500
"""Values in one IN (...): databases have limits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _line(most: int) -> TypeEngine[str]:
    """One line of text. SQLite does not hold lengths; PostgreSQL would, and so refuse what SQLite takes."""
    return String(most).with_variant(Text(), "postgresql")


class Typed(TypeDecorator[str]):
    """What somebody typed, to the letter. PostgreSQL's text takes no NUL, so there it is UTF-8 bytes."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Bytes on PostgreSQL."""
        plain = LargeBinary() if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(plain)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        """To the database."""
        return value.encode() if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: str | bytes | None, _dialect: Dialect) -> str | None:
        """From the database."""
        return value.decode() if isinstance(value, bytes) else value


def microseconds(moment: datetime) -> int:
    """A moment as it is stored."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as integer microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _line(20), nullable=False),
    Column("origin", _line(200), nullable=False),
    Column("team", _line(40), nullable=False, server_default=""),
    CheckConstraint("id = 1", name="one_row"),
    comment="Who we are: one row.",
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("frontier", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="The right edge of the tree. Locked by every append, which makes seq gapless.",
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("type", _line(60), nullable=False),
    Column("request", _line(20), index=True),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    comment="The history: `body` is the exact bytes that were hashed into `leaf`.",
)

words = Table(
    "words",
    metadata,
    Column("commitment", _line(64), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("text", Typed, nullable=False),
    comment="What people typed. A row may be erased; the history keeps only the commitment.",
)

requests = Table(
    "requests",
    metadata,
    Column("id", _line(20), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", _line(20), nullable=False, index=True),
    Column("requester", _line(40), nullable=False, index=True),
    Column("backend", _line(60), nullable=False),
    Column("mark", _line(80), nullable=False, unique=True),
    Column("due_at", Moment),
    Column("opened_at", Moment, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Index("ix_requests_due_at", "due_at"),
    comment="Where each request stands: what its events add up to.",
)


def is_stuck() -> ColumnElement[bool]:
    """A request whose end is overdue and not confirmed, whatever else its row holds.

    Read off the canonical text: in a JSON string its quotes would be escaped, so nothing imitates it.
    """
    rows = requests.c
    return (rows.state == State.REVOKING) & ~rows.body.contains('"stuck_since":null', autoescape=True)


handoffs = Table(
    "handoffs",
    metadata,
    Column("request", _line(20), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    comment="One-time credentials, encrypted, until they are shown or the access ends.",
)

factors = Table(
    "factors",
    metadata,
    Column("person", _line(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False, server_default="-1"),
    Column("enrolled_at", Moment, nullable=False),
    comment="Second factors, encrypted. `last_step` makes a code work once.",
)

failures = Table(
    "failures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("person", _line(40), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    comment="Wrong codes, for the limit per person.",
)

tokens = Table(
    "tokens",
    metadata,
    Column("person", _line(40), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("expires_at", Moment, nullable=False),
    comment="Enrolment tokens that the operator issued, hashed; one per person.",
)

seen = Table(
    "seen",
    metadata,
    Column("key", _line(200), primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    comment="Interactions already acted on: the same one delivered again changes nothing.",
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Moment, nullable=False),
    comment="Signed tree heads, in the order they were signed.",
)

cursors = Table(
    "cursors",
    metadata,
    Column("stream", _line(40), primary_key=True),
    Column("position", BigInteger, nullable=False),
    comment="How far each reader of the history has come: what is behind it is still to be told.",
)

FOREIGN = "foreign"
"""The stream of a message in the audit channel that is not ours, kept so that it is told once."""

THERE, CHANGED, GONE = "there", "changed", "gone"
"""What became of a message of ours."""

posts = Table(
    "posts",
    metadata,
    Column("channel", _line(40), primary_key=True),
    Column("ts", _line(40), primary_key=True),
    Column("stream", _line(40), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("state", _line(10), nullable=False, server_default="there"),
    Index("ix_posts_stream_last", "stream", "last"),
    comment="Our messages in the audit channel and what they carry: how a deletion is noticed.",
)

cards = Table(
    "cards",
    metadata,
    Column("request", _line(20), primary_key=True),
    Column("channel", _line(40), nullable=False),
    Column("ts", _line(40), nullable=False),
    Column("version", Integer, nullable=False),
    comment="The one live message per request, and which version of the request it shows.",
)

moved = Table(
    "moved",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("to", Text, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="Where this history was copied to: it grows there alone, and nothing is served here.",
)
