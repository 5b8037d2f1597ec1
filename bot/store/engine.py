"""Opens the database so that it keeps its promises: durable commits, one writer at a time."""

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers (`status`, `verify`) run beside the server
    "PRAGMA synchronous=FULL",  # a commit that was reported is on disk; costs one flush per commit
    "PRAGMA recursive_triggers=ON",  # without it INSERT OR REPLACE rewrites a row past the delete trigger
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
)


def open_engine(url: str) -> AsyncEngine:
    """An engine for `url` (`sqlite+aiosqlite:///file` or `postgresql+asyncpg://...`)."""
    # Parameters stay out of error texts and logs: they are people's words and sealed secrets.
    engine = create_async_engine(url, hide_parameters=True)
    if is_file(url):
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
    return engine


def is_file(url: str) -> bool:
    """Whether the database is a file (SQLite), which the server may create and migrate by itself."""
    return make_url(url).drivername.startswith("sqlite")


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    # The driver must not open transactions on its own: we say BEGIN ourselves, below.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the write lock at once; a deferred one could fail at its first write instead of waiting.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
