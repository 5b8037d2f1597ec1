"""Brings a database to this version's schema, with Alembic.

The append-only triggers travel in the migrations: autogenerate does not see them.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.core.errors import BreakglassError


class SchemaOutdated(BreakglassError):
    """The database belongs to another version of this program."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(engine: AsyncEngine) -> tuple[str | None, str | None]:
    """Upgrades to the newest schema. Returns the revisions before and after."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # two who migrate at once take turns
            await connection.execute(text("SELECT pg_advisory_xact_lock(7521962837)"))
        before = await connection.run_sync(_current)
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
        return before, await connection.run_sync(_current)


async def require_current(engine: AsyncEngine) -> None:
    """Silent when the schema is this version's.

    Raises:
        SchemaOutdated: with the command that mends it.
    """
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    async with engine.connect() as connection:
        found = await connection.run_sync(_current)
    if found != wanted:
        raise SchemaOutdated(
            f"The database has schema {found or 'none'}, this version needs {wanted}. Run: breakglass migrate"
        )
