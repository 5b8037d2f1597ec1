"""Opens the database so that it keeps its promises: durable commits, one writer at a time."""

from functools import partial
from importlib.util import find_spec

from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot import to_install
from bot.core.errors import BreakglassError
from bot.store.address import is_file

_PRAGMAS = (
    "PRAGMA busy_timeout=10000",  # first: the next ones may have to wait for somebody too
    "PRAGMA journal_mode=WAL",  # readers (`status`, `verify`) run beside the server
    "PRAGMA synchronous=FULL",  # a commit that was reported is on disk; costs one flush per commit
    "PRAGMA recursive_triggers=ON",  # without it INSERT OR REPLACE rewrites a row past the delete trigger
    "PRAGMA foreign_keys=ON",
)


def open_engine(url: str, *, patient: bool = False) -> AsyncEngine:
    """An engine for `url` (`sqlite+aiosqlite:///file` or `postgresql+asyncpg://...`).

    Args:
        url: the address. It connects at the first question, not now.
        patient: for work that may take long; without it PostgreSQL ends a statement after 30 seconds.

    Raises:
        BreakglassError: PostgreSQL's client is not installed.
    """
    # Parameters stay out of error texts and logs: they are people's words and sealed secrets.
    if not is_file(url):
        return _open_postgres(url, patient=patient)
    engine = create_async_engine(url, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


async def one_writer(connection: AsyncConnection) -> None:
    """Makes this transaction the only one that writes until it ends, as SQLite does by itself.

    So positions are committed in their order, and no reader of the history passes one that comes late;
    and what a step counts is still so when it writes. Price: writers wait for each other.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT id FROM head FOR UPDATE"))


def _open_postgres(url: str, *, patient: bool) -> AsyncEngine:
    if find_spec("asyncpg") is None:
        raise BreakglassError(f"PostgreSQL needs asyncpg, which is not installed. {to_install('postgres')}")
    from bot.store import postgres  # noqa: PLC0415  its client is an extra

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(postgres.connect, url, postgres.PATIENT if patient else postgres.SETTINGS),
        hide_parameters=True,
        pool_pre_ping=True,  # PostgreSQL may restart under us; costs one round trip per transaction
        pool_size=10,
        max_overflow=10,
        pool_timeout=10,
        pool_recycle=1800,  # firewalls forget connections that are silent for long
    )


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    # The driver must not open transactions on its own: we say BEGIN ourselves, below.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the write lock at once; a deferred one could fail at its first write instead of waiting.
    begin = connection.get_execution_options().get("begin", "BEGIN IMMEDIATE")
    if begin is not None:
        connection.exec_driver_sql(begin)
